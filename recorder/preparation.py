"""Conversions (`recorder.convert`) one at a time, in the background, taken up again after a restart."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from recorder import child
from recorder.manifest import folder
from recorder.publish import PENDING, attempts, mark
from recorder.sealing import keys

ATTEMPTS = 3
"""A recording that fails, or takes the server down with it, is not tried for ever."""
LIMIT_S = 24 * 3600

log = logging.getLogger(__name__)


@dataclass
class Preparation:
    """How far a recording's pictures are: `progress` from 0 to 1."""

    state: Literal["queued", "running", "failed"] = "queued"
    progress: float = 0.0


class Preparations:
    """Recordings with pictures to convert, in order."""

    def __init__(self, root: Path, done: Callable[[str], None] = lambda recording: None) -> None:
        """`done` is told of every recording whose files have become others."""
        self._root, self._done = root, done
        self._known: dict[str, Preparation] = {}
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        self._worker: asyncio.Task[None] | None = None
        self._running: tuple[str, asyncio.Task[None]] | None = None

    def get(self, recording: str) -> Preparation | None:
        """None when nothing has to be prepared any more."""
        return self._known.get(recording)

    def add(self, recording: str) -> None:
        """Queues a recording if it has the mark of one with pictures to convert."""
        tried = attempts(folder(self._root, recording))
        if tried is None or recording in self._known:
            return
        self._known[recording] = Preparation("queued" if tried < ATTEMPTS else "failed")
        if tried < ATTEMPTS:
            self._queue.put_nowait(recording)
            if self._worker is None:
                self._worker = asyncio.create_task(self._work())

    async def forget(self, recording: str) -> None:
        """Stops working on it."""
        self._known.pop(recording, None)
        if self._running and self._running[0] == recording:
            await _end(self._running[1])

    async def stop(self) -> None:
        """What is under way begins anew at the next start."""
        if self._worker:
            await _end(self._worker)

    async def _work(self) -> None:
        while True:
            recording = await self._queue.get()
            if recording not in self._known:
                continue
            task = asyncio.create_task(self._convert(recording, self._known[recording]))
            self._running = recording, task
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError:
                if not task.cancelled():  # it is we who are ended
                    await _end(task)
                    raise
            self._running = None

    async def _convert(self, recording: str, preparation: Preparation) -> None:
        path = folder(self._root, recording)
        preparation.state = "running"

        def tell(part: float) -> None:
            preparation.progress = part

        try:
            tried = attempts(path) or 0
            mark(path, tried + 1)
            try:
                status, words = await child.run(
                    "recorder.convert",
                    str(self._root),
                    recording,
                    tell=tell,
                    limit_s=LIMIT_S,
                    secret=keys.hand_over(path),
                )
            except asyncio.CancelledError:
                with contextlib.suppress(OSError):  # a stop of the server says nothing against the recording
                    if (path / PENDING).exists():
                        mark(path, tried)
                raise
            if status == 0:
                self._known.pop(recording, None)
                self._done(recording)
                return
            log.error("recording %s could not be converted: %s", recording, words)
        except (OSError, ValueError) as error:
            log.error("recording %s could not be converted: %s", recording, error)
        preparation.state = "failed"


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
