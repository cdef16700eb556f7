"""Files to download, made one at a time in the background and kept until the recording goes."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import os
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import structlog

from recorder import archive
from recorder import service as recorder
from recorder.child import UNFINISHED
from recorder.manifest import folder
from recorder.sealing import keys
from recorder.sealing.blocks import Reader, plain_size
from recorder.storage.shelf import Source

log = structlog.get_logger("exports")

Format = Literal["mkv", "mp4", "webm", "zip"]
FORMATS: tuple[Format, ...] = get_args(Format)
KEPT = 500
WAITING = 20


class ExportsBusy(Exception):
    """Too many wait already."""


@contextlib.asynccontextmanager
async def whole(shelf: recorder.Shelf, recording: str) -> AsyncIterator[None]:
    """All files of a recording are here for as long as this is open. Raises OSError."""
    opened = shelf.whole(recording)
    await asyncio.to_thread(opened.__enter__)
    try:
        yield
    finally:
        opened.__exit__(None, None, None)


@dataclass
class Job:
    """One file being made. `state` goes queued, running, done or failed."""

    id: str
    recording: str
    format: Format
    path: Path
    state: Literal["queued", "running", "done", "failed"] = "queued"
    problem: str | None = None
    progress: float = 0.0
    key: builtins.bytes | None = None
    """What the file is sealed with."""

    @property
    def bytes(self) -> int:
        """How long the file is. Raises OSError."""
        size = self.path.stat().st_size
        return size if self.key is None else plain_size(size)

    def source(self, content_type: str) -> Source:
        """The file, to be sent. Raises OSError."""
        path, key = self.path, self.key
        if key is None:
            return Source(content_type, self.bytes, lambda start, end: b"", path)

        def read(start: int, end: int) -> builtins.bytes:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                whole = Reader(lambda a, b: os.pread(file.fileno(), b - a, a), size, key, path.name)
                return whole.read(start, end)

        return Source(content_type, self.bytes, read)

    def tell(self, part: float) -> None:
        """How far it is, 0 to 1."""
        self.progress = part


class Exports:
    """Jobs by id; `folder` holds the files, named by recording and format."""

    def __init__(self, shelf: recorder.Shelf, folder: Path) -> None:
        self._shelf = shelf
        self._recordings = shelf.root
        self._folder = folder
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._one = asyncio.Semaphore(1)
        for left in folder.glob(f"*{UNFINISHED}"):  # of a server that was killed
            left.unlink(missing_ok=True)

    def get(self, recording: str, job: str) -> Job | None:
        """The job, if it is of this recording."""
        found = self._jobs.get(job)
        return found if found is not None and found.recording == recording else None

    def ask(self, recording: str, format: Format) -> Job:
        """A job for this file: one that is there or under way, or a new one. Raises ExportsBusy."""
        for job in self._jobs.values():
            usable = job.state in ("queued", "running") or (job.state == "done" and job.path.is_file())
            if usable and (job.recording, job.format) == (recording, format):
                return job
        path = self._folder / f"{recording}.{format}"
        try:
            key = keys.key_of(folder(self._recordings, recording))
        except OSError:
            key = None
        job = Job(secrets.token_urlsafe(9), recording, format, path, key=key)
        if path.is_file():
            job.state = "done"
        elif len(self._tasks) >= WAITING:
            raise ExportsBusy
        else:
            self._tasks[job.id] = asyncio.get_running_loop().create_task(self._make(job))
        self._jobs[job.id] = job
        while len(self._jobs) > KEPT:
            oldest = next((j for j in self._jobs.values() if j.state in ("done", "failed")), None)
            if oldest is None:
                break
            del self._jobs[oldest.id]
        return job

    async def _make(self, job: Job) -> None:
        try:
            async with self._one:
                job.state = "running"
                self._folder.mkdir(parents=True, exist_ok=True)
                async with whole(self._shelf, job.recording):
                    job.key = await asyncio.to_thread(keys.key_of, folder(self._recordings, job.recording))
                    if job.format == "zip":
                        await archive.export(self._recordings, job.recording, job.path, job.tell)
                    else:
                        await recorder.export(self._recordings, job.recording, job.format, job.path, job.tell)
                job.state = "done"
        except asyncio.CancelledError:
            job.state, job.problem = "failed", "the server stopped"
            raise
        except (ValueError, LookupError) as error:
            job.state, job.problem = "failed", str(error)[:200]
        except Exception as error:
            log.exception("an export failed", recording=job.recording, format=job.format)
            job.state, job.problem = "failed", "no space left" if getattr(error, "errno", 0) == 28 else "it failed"
        finally:
            self._tasks.pop(job.id, None)

    async def forget(self, recording: str) -> None:
        """The recording goes: its files too."""
        for job in [j for j in self._jobs.values() if j.recording == recording]:
            task = self._tasks.get(job.id)
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            del self._jobs[job.id]
        for format in FORMATS:
            (self._folder / f"{recording}.{format}").unlink(missing_ok=True)

    async def stop(self) -> None:
        """The server stops."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
