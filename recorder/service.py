"""The recorder's façade: begin, feed as a tap, finish; what a crash left is repaired at the next start.

Event-loop side only; files belong to the writer thread (`recorder.writer`).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from recorder import archive, events
from recorder.archive import ArchiveError
from recorder.export import ExportError, export
from recorder.live.stream import Stream
from recorder.manifest import (
    ChatLine,
    Cue,
    Line,
    Manifest,
    MediaFile,
    Person,
    RecordingNotFound,
    Speech,
    Track,
    folder,
    load,
    media_file,
)
from recorder.preparation import Preparations
from recorder.publish import PENDING
from recorder.recording import Recording
from recorder.repair import needs_repair, repair
from recorder.sealing import keys
from recorder.storage.shelf import Shelf
from recorder.writer import RESERVE_BYTES, Writer
from sfu.taps import RoomClock

__all__ = [
    "ArchiveError",
    "ChatLine",
    "Cue",
    "ExportError",
    "Line",
    "Manifest",
    "MediaFile",
    "Person",
    "Preparations",
    "Recorder",
    "Recording",
    "RecordingNotFound",
    "Shelf",
    "Speech",
    "Stream",
    "Track",
    "export",
    "load",
    "media_file",
]

MIN_FREE_BYTES = 64 * 1024 * 1024
TAKING_IN = ".taking-in-"
"""What a folder is called while an archive is unpacked into it; never a recording's name."""

log = logging.getLogger(__name__)


class Recorder:
    """All recordings under one folder, one subfolder each."""

    def __init__(self, root: Path, shelf: Shelf | None = None) -> None:
        """`shelf`: where recordings go and are read from; this disk alone without one."""
        self.root = root
        self.shelf = shelf or Shelf(root)
        self.preparations = Preparations(root, self.shelf.changed)
        self._running: dict[str, Recording] = {}
        self._away: dict[str, Callable[[bool], None]] = {}

    async def start(self) -> list[str]:
        """Repairs what a crash left; returns the ids repaired. One that cannot be repaired is logged and left alone."""
        await asyncio.to_thread(self.root.mkdir, parents=True, exist_ok=True)
        for left in self.root.glob(f"{TAKING_IN}*"):
            await asyncio.to_thread(shutil.rmtree, left, ignore_errors=True)
        repaired: list[str] = []
        for path in await asyncio.to_thread(lambda: sorted(self.root.iterdir())):
            if path.name in self._running:
                continue
            try:
                if needs_repair(path) and await asyncio.to_thread(repair, path) is not None:
                    repaired.append(path.name)
            except Exception:
                log.exception("recording %s could not be repaired", path.name)
            if (path / PENDING).exists():
                self.preparations.add(path.name)
        loop = asyncio.get_running_loop()

        def away(is_away: bool) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has closed
                loop.call_soon_threadsafe(self._tell_away, is_away)

        await asyncio.to_thread(self.shelf.start, away)
        return repaired

    def _tell_away(self, is_away: bool) -> None:
        for tell in list(self._away.values()):
            tell(is_away)

    async def stop(self) -> None:
        """Finishes what is running; what is being converted goes on at the next start."""
        for recording in list(self._running.values()):
            with contextlib.suppress(OSError):
                await recording.finish()
        await self.preparations.stop()
        await asyncio.to_thread(self.shelf.stop)

    def _finished(self, recording: str) -> None:
        self._running.pop(recording, None)
        self._away.pop(recording, None)
        self.preparations.add(recording)
        self.shelf.changed(recording)

    async def begin(
        self,
        recording: str,
        *,
        room: str,
        title: str,
        started_by: str,
        purpose: str,
        started_at: datetime,
        clock: RoomClock,
        request_keyframe: Callable[[str], None],
        on_failure: Callable[[str], None],
        on_low: Callable[[bool], None] = lambda low: None,
        on_away: Callable[[bool], None] = lambda away: None,
    ) -> Recording:
        """Starts one. Then give it to `SfuRoom.add_tap`.

        Called on the event loop: `on_failure`, at most once; `on_low`, with True when the disk will not do much longer,
        with False when it will again; `on_away` the same of the bucket that it is to go to.

        Raises OSError (ENOSPC when there is too little room to begin, EEXIST for an id that is taken) and
        RecordingNotFound for an id that cannot be a folder's name.
        """
        path = folder(self.root, recording)
        loop = asyncio.get_running_loop()
        began = events.Began(
            at=clock.now(),
            recording=recording,
            room=room,
            title=title,
            purpose=purpose,
            started_by=started_by,
            started_at=started_at,
        )

        def failed(reason: str) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has closed
                loop.call_soon_threadsafe(on_failure, reason)

        def low(is_low: bool) -> None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(on_low, is_low)

        def create() -> Writer:
            self.root.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(self.root).free < MIN_FREE_BYTES + RESERVE_BYTES:
                raise OSError(errno.ENOSPC, "too little disk space left to begin a recording")
            path.mkdir(mode=0o700)
            keys.create(path, recording)
            return Writer(path, began, clock.now, failed, low, MIN_FREE_BYTES)

        writer = await asyncio.to_thread(create)
        running = Recording(path, writer, clock, request_keyframe, self._finished)
        self._running[recording] = running
        self._away[recording] = on_away
        self.shelf.begun(recording)
        if self.shelf.standing().away:
            loop.call_soon(on_away, True)
        return running

    async def take_in(self, file: Path, recording: str) -> Manifest:
        """An archive (`recorder.archive`) as this recording. Raises ArchiveError, OSError; then nothing stays."""
        path = folder(self.root, recording)
        new = self.root / f"{TAKING_IN}{recording}"

        def take() -> Manifest:
            free = shutil.disk_usage(self.root).free - MIN_FREE_BYTES - RESERVE_BYTES
            new.mkdir(mode=0o700, parents=True)
            try:
                keys.create(new, recording)
                manifest = archive.unpack(file, new, recording, max(0, free))
                new.rename(path)
            except BaseException:
                shutil.rmtree(new, ignore_errors=True)
                raise
            return manifest

        manifest = await asyncio.to_thread(take)
        self.shelf.changed(recording)
        return manifest

    async def delete(self, recording: str) -> None:
        """Removes a finished recording and everything of it. Raises RecordingNotFound, OSError."""
        await self.preparations.forget(recording)
        await asyncio.to_thread(self.shelf.delete, folder(self.root, recording).name)
