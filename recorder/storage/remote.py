"""A bucket behind this disk: recordings go there as they are made, and are read from there once they are not here.

Small files (manifest, index, playlists, captions, edits) are kept on this disk, and fetched when they are not; media is
read by range, or fetched whole for work that needs it (`whole`), and leaves this disk some hours after the bucket has
it.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from recorder import manifest
from recorder.manifest import MANIFEST, RecordingNotFound, folder
from recorder.publish import PENDING
from recorder.sealing import files, keys
from recorder.storage.bucket import Bucket
from recorder.storage.ledger import STORED, Ledger, Stored, Upload, load_ledger, media, note, save_ledger, settle
from recorder.storage.shelf import Shelf, Source, Standing
from recorder.storage.uploads import Uploads

FETCHED = 8 * 1024 * 1024
"""Bytes of one request when a whole file is fetched."""
NEW = ".fetching-"
"""What a folder is called while a recording's small files are fetched into it; never a recording's name."""
SWEEP_S = 300.0


class BucketShelf(Shelf):
    """`keep_s`: how long media stays on this disk after the bucket has it. `sign`: whether `Source.link` is given."""

    def __init__(self, root: Path, bucket: Bucket, uploads: Uploads, keep_s: float, sign: bool = False) -> None:
        super().__init__(root)
        self._bucket, self._uploads, self._keep_s, self._sign = bucket, uploads, keep_s, sign
        self._fetching = threading.Lock()
        self._leases: Counter[str] = Counter()
        self._swept = 0.0
        uploads.between = self._sweep

    @property
    def origin(self) -> str:
        found = urlsplit(self._bucket.link("x", 1, "")) if self._sign else None
        return f"{found.scheme}://{found.netloc}" if found else ""

    def start(self, on_away: Callable[[bool], None]) -> None:
        for left in self.root.glob(f"{NEW}*"):
            shutil.rmtree(left, ignore_errors=True)
        for path in self.root.iterdir():
            if (path / MANIFEST).is_file():
                self._uploads.add(path.name)
        self._uploads.on_away = on_away
        self._uploads.start()

    def stop(self) -> None:
        self._uploads.stop()

    def begun(self, recording: str) -> None:
        self._uploads.grow(recording)

    def changed(self, recording: str) -> None:
        self._uploads.add(recording)

    def standing(self) -> Standing:
        up = self._uploads
        return Standing(up.away, up.waiting, up.uploaded, up.failures)

    def words(self, recording: str) -> None:
        path = folder(self.root, recording)
        if path.is_dir():
            return
        with self._fetching:
            if path.is_dir():
                return
            try:
                listing = msgspec.json.decode(self._bucket.get(f"{recording}/{STORED}"), type=Stored)
            except FileNotFoundError:
                raise RecordingNotFound(recording) from None
            new = self.root / f"{NEW}{recording}"
            shutil.rmtree(new, ignore_errors=True)
            (new / "journal").mkdir(mode=0o700, parents=True)
            files: dict[str, Upload] = {}
            for name, size in listing.files.items():
                if media(name):
                    files[name] = Upload(done=True, size=size)
                    continue
                _plain(name)
                (new / name).write_bytes(self._bucket.get(f"{recording}/{name}"))
                told = (new / name).stat()
                files[name] = Upload(done=True, size=told.st_size, changed=told.st_mtime_ns)
            save_ledger(new, Ledger(files=files, stored=True, at=time.time()))
            new.rename(path)

    @contextlib.contextmanager
    def whole(self, recording: str) -> Iterator[None]:
        self._leases[recording] += 1
        try:
            self.words(recording)
            path = folder(self.root, recording)
            with self._fetching:
                for name, known in load_ledger(path).files.items():
                    if known.done and not (path / name).exists():
                        self._fetch(recording, path, name, known.size)
            yield
        finally:
            self._leases[recording] -= 1

    def _fetch(self, recording: str, path: Path, name: str, size: int) -> None:
        _plain(name)
        temporary = path / f"{name}.part"
        try:
            with temporary.open("xb") as opened:
                for start in range(0, size, FETCHED):
                    opened.write(self._bucket.get(f"{recording}/{name}", start, min(start + FETCHED, size)))
            told = temporary.stat()
            note(path, name, Upload(done=True, size=size, changed=told.st_mtime_ns))
            temporary.rename(path / name)
            settle(path, True)
        finally:
            temporary.unlink(missing_ok=True)

    def source(self, recording: str, name: str) -> Source | None:
        self.words(recording)
        here = super().source(recording, name)
        if here is not None:
            return here
        kind = manifest.load(self.root, recording).files.get(name)
        known = load_ledger(folder(self.root, recording)).files.get(name)
        if kind is None or known is None or not known.done:
            return None
        key = f"{recording}/{name}"
        secret = keys.key_of(folder(self.root, recording))
        if secret is not None:
            reader = files.reader(lambda start, end: self._bucket.get(key, start, end), known.size, secret, name)
            return Source(kind, reader.size, reader.read)
        return Source(
            kind,
            known.size,
            lambda start, end: self._bucket.get(key, start, end) if end > start else b"",
            link=(lambda seconds: self._bucket.link(key, seconds, kind)) if self._sign else None,
        )

    def delete(self, recording: str) -> None:
        path = folder(self.root, recording)
        self._uploads.forget(recording)
        here = path.is_dir()
        if here:
            keys.shred(path)
            shutil.rmtree(path)
        # First what it cannot be read without.
        found = self._bucket.clear(f"{recording}/{keys.KEY}")
        # The slash: no other recording's name may begin like this one's.
        if not found + self._bucket.clear(f"{recording}/") and not here:
            raise RecordingNotFound(recording)

    def _sweep(self) -> None:
        if time.monotonic() - self._swept < min(SWEEP_S, self._keep_s):
            return
        self._swept = time.monotonic()
        for path in self.root.iterdir():
            if (path / MANIFEST).is_file():
                self._leave(path)

    def _leave(self, path: Path) -> None:
        """The media of a recording that the bucket has had for long enough goes from this disk."""
        ledger = load_ledger(path)
        if not ledger.stored or time.time() - ledger.at < self._keep_s or (path / PENDING).exists():
            return
        with self._fetching:
            for name, known in ledger.files.items():
                file = path / name
                if self._leases[path.name] or not media(name) or not known.done or not file.is_file():
                    continue
                told = file.stat()
                if (told.st_size, told.st_mtime_ns) == (known.size, known.changed):
                    file.unlink()


def _plain(name: str) -> None:
    """A name that the bucket gave becomes a path: only ours may."""
    bare = name.removeprefix("journal/")
    if "/" in bare or bare.startswith(".") or not bare:
        raise OSError(f"the bucket lists a file that cannot be ours: {name[:80]!r}")
