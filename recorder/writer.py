"""The writer thread: journal first, then parts and mix. It alone touches a recording's files while it runs.

Media never waits for it: the event loop puts events and packets in a bounded queue and goes on. When the disk is too
slow the queue refuses packets; when it is full or broken the writer stops, says why, and keeps what is there.
"""

from __future__ import annotations

import errno
import logging
import math
import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from recorder import events
from recorder.events import Aired, AnyEvent, Closed, Interpreted, Muted, Opened, Spoke, Spotlit
from recorder.journal import JournalFile, pack
from recorder.live.delay import News
from recorder.pipeline import Pipeline
from recorder.space import Space
from sfu.taps import TapPacket

QUEUE_BYTES = 64 * 1024 * 1024
SYNC_S = 1.0
PARTS_SYNC_S = 5.0
"""Parts can be made again from the journals; they are synced so that little is left to do at the end."""
POLL_S = 0.05
LOOK_S = 2.0
"""How often the disk is asked for its free space."""
BATCH = 500
RESERVE_BYTES = 4 * 1024 * 1024
RESERVE = "reserve"
"""Space set aside so that a recording that filled the disk can still be finished."""

log = logging.getLogger(__name__)

Item = AnyEvent | tuple[int, TapPacket]


def reason(error: Exception) -> str:
    """What to tell people about a write that failed."""
    if not isinstance(error, OSError):
        return "The recorder had a problem: recording has stopped; everything up to now is kept."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "The disk is full: recording has stopped; everything up to now is kept."
    return f"The disk cannot be written ({error.strerror}): recording has stopped; everything up to now is kept."


class Writer:
    """Owns the journals and the pipeline of one recording. `put` and `stop` are called from outside."""

    def __init__(
        self,
        folder: Path,
        began: events.Began,
        now: Callable[[], float],
        on_failure: Callable[[str], None],
        on_low: Callable[[bool], None] = lambda low: None,
        floor: int = 0,
    ) -> None:
        """Creates the folder's first files. `on_low` is told when the disk will not do much longer, and when it will
        again; with less than `floor` bytes left recording stops. Raises OSError."""
        self.problem: str | None = None
        self.refused = 0
        self.on_news: Callable[[list[News]], None] | None = None
        """Told in the thread what is new of the live programme."""
        self._failed_at: float | None = None
        self._folder = folder
        self._now = now
        self._on_failure = on_failure
        self._on_low = on_low
        self._space = Space(floor)
        self._low = False
        self._queue: deque[Item] = deque()
        self._put_bytes = 0
        self._done_bytes = 0
        self._stop = threading.Event()
        (folder / "journal").mkdir(exist_ok=True)
        reserve = os.open(folder / RESERVE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(reserve, 0, RESERVE_BYTES)
        finally:
            os.close(reserve)
        self._log = JournalFile(folder / "journal" / "events")
        self._logged: list[AnyEvent] = [began]
        self._journals: dict[int, JournalFile] = {}
        self._log.append([events.encode(began)])
        self._log.sync()
        self.pipeline = Pipeline(folder, began.at, self._append_event)
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    # --- called on the event loop ---

    def put(self, items: Sequence[Item]) -> bool:
        """Queues items in order; False when packets had to be refused because the disk lags too far behind."""
        size = sum(len(item[1].payload) + 100 for item in items if isinstance(item, tuple))
        if size and self.backlog + size > QUEUE_BYTES:
            self.refused += len(items)
            return False
        self._put_bytes += size
        self._queue.extend(items)
        return True

    @property
    def backlog(self) -> int:
        """Bytes queued and not yet written."""
        return self._put_bytes - self._done_bytes

    def stop(self, room_ms: float) -> tuple[int, list[AnyEvent]]:
        """Writes what is queued, ends the thread, closes all files; blocks. Returns the duration in ms and events."""
        self._stop.set()
        self._thread.join()
        try:
            if self.problem is None:
                self._take_all()
        except Exception as error:
            self._fail(error)
        (self._folder / RESERVE).unlink(missing_ok=True)
        duration = self._close(room_ms)
        return duration, self._logged

    # --- the thread ---

    def _run(self) -> None:
        synced = parts_synced = looked = time.monotonic()
        while not self._stop.wait(POLL_S):
            if self.problem is not None:
                self._discard()
                continue
            try:
                self._take_all()
                self.pipeline.advance(self._now())
                self._tell()
                if time.monotonic() - synced >= SYNC_S:
                    synced = time.monotonic()
                    for journal in (self._log, *self._journals.values()):
                        journal.sync()
                if time.monotonic() - looked >= LOOK_S:
                    looked = time.monotonic()
                    self._look(looked)
                if time.monotonic() - parts_synced >= PARTS_SYNC_S:
                    parts_synced = time.monotonic()
                    self.pipeline.sync()
            except Exception as error:  # a thread that dies would leave a recording that nobody knows has ended
                self._fail(error)

    def _tell(self) -> None:
        if self.on_news is not None and (news := self.pipeline.aired()):
            self.on_news(news)

    def _look(self, now: float) -> None:
        """Raises OSError while there is still room to stop cleanly."""
        verdict = self._space.look(shutil.disk_usage(self._folder).free, now)
        if verdict == "out":
            raise OSError(errno.ENOSPC, "nearly full")
        if (verdict == "low") != self._low:
            self._low = not self._low
            self._on_low(self._low)

    def _take_all(self) -> None:
        while self._queue:
            self._take([self._queue.popleft() for _ in range(min(len(self._queue), BATCH))])

    def _take(self, items: list[Item]) -> None:
        """Each journal gets one write, then the pipeline sees the items in order."""
        bodies: dict[int, list[bytes]] = {}
        for item in items:
            if isinstance(item, tuple):
                bodies.setdefault(item[0], []).append(pack(item[1]))
            else:
                self._append_event(item)
                if isinstance(item, Opened):
                    self._journals[item.index] = JournalFile(journal_path(self._folder, item.index))
        for index, records in bodies.items():
            if journal := self._journals.get(index):
                journal.append(records)
        newest = -math.inf
        for item in items:
            if isinstance(item, tuple):
                self.pipeline.packet(*item)
                self._done_bytes += len(item[1].payload) + 100
                newest = max(newest, item[1].room_ms)
            elif isinstance(item, Opened):
                self.pipeline.open(item)
            elif isinstance(item, Muted):
                self.pipeline.mute(item)
            elif isinstance(item, Closed):
                self.pipeline.close(item)
            elif isinstance(item, Spoke | Spotlit | Aired | Interpreted):
                self.pipeline.happened(item)
        if newest > -math.inf:
            # Not the clock: when the disk lags, voices that still wait in the queue must not be mixed past.
            self.pipeline.advance(newest)

    def _append_event(self, event: AnyEvent) -> None:
        self._logged.append(event)
        self._log.append([events.encode(event)])

    def _discard(self) -> None:
        while self._queue:
            item = self._queue.popleft()
            if isinstance(item, tuple):
                self._done_bytes += len(item[1].payload) + 100

    def _fail(self, error: Exception) -> None:
        if not isinstance(error, OSError):
            log.error("the recorder failed", exc_info=error)
        self.problem = reason(error)
        self._failed_at = self._now()
        self._on_failure(self.problem)

    def _close(self, room_ms: float) -> int:
        room_ms = room_ms if self._failed_at is None else self._failed_at
        last = events.Failed(at=room_ms, reason=self.problem) if self.problem else events.Ended(at=room_ms)
        try:
            self.pipeline.finish(room_ms)
            self._tell()
            self._append_event(last)
        except Exception as error:
            if self.problem is None:
                self._fail(error)
        for journal in (self._log, *self._journals.values()):
            try:
                journal.close()
            except OSError as error:
                self.problem = self.problem or reason(error)
        return self.pipeline.duration


def journal_path(folder: Path, index: int) -> Path:
    return folder / "journal" / f"{index:03d}"
