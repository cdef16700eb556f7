"""From this disk to the bucket, in a thread of its own: while it is recorded, part by part; the rest once it ends.

Nothing waits for it. It holds one part in memory at a time; its queue is a set of names. What is done is written
down beside the recording (`ledger`), so that a crash costs at most the part under way. While the bucket is away it
tries again, ever more seldom, and everything stays on this disk.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from recorder.manifest import MANIFEST, folder
from recorder.publish import PENDING
from recorder.storage.bucket import Bucket, StorageAway
from recorder.storage.ledger import LEDGER, STORED, Part, Stored, Upload, load_ledger, media, note, settle

PART = 8 * 1024 * 1024
MARGIN = 256 * 1024
"""The end of a file that grows may still be written again: it waits."""
LOOK_S = 5.0
"""How often the files that are being recorded are looked at."""
AGAIN_S, LONGEST_S = 1.0, 60.0

log = logging.getLogger(__name__)


def names_of(path: Path) -> Iterator[str]:
    """The files of a finished recording, large ones first, the manifest last: it opens the recording."""
    here = [one.name for one in path.iterdir() if one.is_file()]
    here += [f"journal/{one.name}" for one in (path / "journal").glob("*")]
    kept = [name for name in here if name not in (LEDGER, STORED, PENDING) and not name.endswith((".new", ".part"))]
    return iter(sorted(kept, key=lambda name: (name == MANIFEST, not media(name), name)))


class Uploads:
    """The thread. `away` says how the bucket is; `on_away` is told, in the thread, when that changes."""

    def __init__(self, root: Path, bucket: Bucket, *, part: int = PART, look_s: float = LOOK_S) -> None:
        self.away = False
        self.uploaded = self.failures = self.waiting = 0
        self.on_away: Callable[[bool], None] = lambda away: None
        self.on_stored: Callable[[str], None] = lambda recording: None
        self.between: Callable[[], None] = lambda: None
        """Called in the thread now and then, when there is nothing else to do."""
        self._root, self._bucket, self._part, self._look_s = root, bucket, part, look_s
        self._lock = threading.Lock()
        self._busy = threading.Lock()
        self._wake = threading.Event()
        self._stop = False
        self._growing: set[str] = set()
        self._due: dict[str, None] = {}
        self._gone: set[str] = set()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins with whatever was added."""
        self._thread = threading.Thread(target=self._run, name="uploads", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends after the part under way."""
        self._stop = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(10)

    def grow(self, recording: str) -> None:
        """It is being recorded."""
        with self._lock:
            self._growing.add(recording)

    def add(self, recording: str) -> None:
        """It is finished, or something of it is new."""
        with self._lock:
            self._growing.discard(recording)
            self._due[recording] = None
        self._wake.set()

    def forget(self, recording: str) -> None:
        """It is to be deleted: when this returns nothing more of it goes up. Blocks for the part under way."""
        with self._lock:
            self._gone.add(recording)
            self._growing.discard(recording)
            self._due.pop(recording, None)
        with self._busy:
            pass

    def _run(self) -> None:
        pause = AGAIN_S
        while not self._stop:
            self._wake.wait(pause if self.away else self._look_s)
            self._wake.clear()
            try:
                self._round()
                self._reached(True)
                pause = AGAIN_S
                self.between()
            except StorageAway as error:
                self.failures += 1
                self._reached(False, str(error))
                self._wake.clear()
                pause = min(pause * 2, LONGEST_S)
            except Exception:  # a thread that dies would leave everything here for ever
                self.failures += 1
                log.exception("uploading failed")
                pause = min(pause * 2, LONGEST_S)

    def _reached(self, there: bool, why: str = "") -> None:
        if self.away != there:
            return
        self.away = not there
        log.warning("recordings %s", "go to the bucket again" if there else f"stay on this disk: {why}")
        self.on_away(self.away)

    def _round(self) -> None:
        """Everything there is to do now. Raises StorageAway."""
        with self._lock:
            growing, due = sorted(self._growing), list(self._due)
        self.waiting = sum(self._left(recording) for recording in due)
        for recording in growing:
            self._one(recording, self._grow)
        for recording in due:
            if self._stop:
                return
            self._one(recording, self._finish)
            with self._lock:
                # Whatever came meanwhile has put it back.
                self._growing.discard(recording)
        with self._lock:
            if self._due:
                self._wake.set()

    def _one(self, recording: str, work: Callable[[str, Path], None]) -> None:
        with self._busy:
            path = folder(self._root, recording)
            if recording in self._gone or not path.is_dir():
                with self._lock:
                    self._due.pop(recording, None)
                return
            try:
                work(recording, path)
            except FileNotFoundError:
                log.info("a file of recording %s went while it was uploaded", recording)

    def _left(self, recording: str) -> int:
        path = folder(self._root, recording)
        if not path.is_dir():
            return 0
        known, left = load_ledger(path).files, 0
        for name in names_of(path):
            size, entry = (path / name).stat().st_size, known.get(name, Upload())
            left += 0 if entry.done and entry.size == size else max(0, size - len(entry.parts) * self._part)
        return left

    # --- one recording --------------------------------------------------------------------------------

    def _grow(self, recording: str, path: Path) -> None:
        """The parts of its media that are written and will stay."""
        for file in sorted(path.glob("*.mp4")):
            known = load_ledger(path).files.get(file.name, Upload())
            while not self._stop and file.stat().st_size >= (len(known.parts) + 1) * self._part + MARGIN:
                known = self._next(recording, path, file.name, known)

    def _finish(self, recording: str, path: Path) -> None:
        """Everything; then the listing, by which the bucket's copy counts as whole."""
        with self._lock:
            self._due.pop(recording, None)
        if not (path / MANIFEST).is_file():
            return  # it could not be repaired: it stays here
        try:
            for name in names_of(path):
                self._file(recording, path, name)
                if self._stop:
                    self.add(recording)
                    return
            ledger = load_ledger(path)
            if not ledger.stored:
                listing = Stored(version=1, files={name: one.size for name, one in ledger.files.items() if one.done})
                self._bucket.put(f"{recording}/{STORED}", msgspec.json.encode(listing))
                settle(path, True)
        except BaseException:
            with self._lock:
                self._due[recording] = None
            raise
        self.on_stored(recording)

    def _file(self, recording: str, path: Path, name: str) -> None:
        file, ledger = path / name, load_ledger(path)
        told, known = file.stat(), ledger.files.get(name, Upload())
        if known.done and (known.size, known.changed) == (told.st_size, told.st_mtime_ns):
            return
        if ledger.stored:
            settle(path, False)
        if told.st_size <= self._part:
            self._bucket.put(f"{recording}/{name}", file.read_bytes())
            self.uploaded += told.st_size
        elif not self._parts(recording, path, name, Upload() if known.done else known):
            return
        note(path, name, Upload(done=True, size=told.st_size, changed=told.st_mtime_ns))

    def _parts(self, recording: str, path: Path, name: str, known: Upload) -> bool:
        """A large file, what of it has changed since it went up again. False when we are to stop."""
        file, key = path / name, f"{recording}/{name}"
        size = file.stat().st_size
        for number in range(min(len(known.parts), -(-size // self._part))):
            if self._sum(file, number)[1] != known.parts[number].sum:
                known = self._next(recording, path, name, known, number)
        while len(known.parts) * self._part < size:
            if self._stop or recording in self._gone:
                return False
            known = self._next(recording, path, name, known)
        try:
            assert known.upload
            self._bucket.complete(key, known.upload, [part.tag for part in known.parts])
        except FileNotFoundError:  # nobody finished it for so long that the bucket has given it up
            note(path, name, Upload())
            raise StorageAway("the bucket gave an upload up") from None
        return True

    def _sum(self, file: Path, number: int) -> tuple[bytes, str]:
        with file.open("rb") as opened:
            opened.seek(number * self._part)
            data = opened.read(self._part)
        return data, hashlib.blake2b(data, digest_size=16).hexdigest()

    def _next(self, recording: str, path: Path, name: str, known: Upload, number: int | None = None) -> Upload:
        """Sends one part (the next one, or `number` again) and writes that down."""
        key = f"{recording}/{name}"
        at = len(known.parts) if number is None else number
        data, told = self._sum(path / name, at)
        upload = known.upload or self._bucket.begin(key)
        try:
            tag = self._bucket.part(key, upload, at, data)
        except FileNotFoundError:
            note(path, name, Upload())
            raise StorageAway("the bucket gave an upload up") from None
        parts = [*known.parts]
        parts[at:] = [Part(tag, told), *parts[at + 1 :]]
        known = Upload(upload=upload, parts=parts)
        note(path, name, known)
        self.uploaded += len(data)
        return known
