"""The demo guest as a child process: started, started again when it ends, ended with us."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys

import structlog

log = structlog.get_logger("guest")

PAUSES = (1.0, 2.0, 5.0, 15.0, 60.0)
"""Seconds before each new start; after the last one we give up until the server starts again."""


class DemoGuest:
    """Runs ``python -m signaling.demo URL``."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._task: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None

    def start(self) -> None:
        """Begins."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        for pause in PAUSES:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "signaling.demo", self._url, stdin=asyncio.subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )  # fmt: skip
            status = await self._process.wait()
            if status == 0:
                log.info("the demo guests were sent away")
                return
            log.warning("the demo guest ended", status=status, again_in=pause)
            await asyncio.sleep(pause)
        log.error("the demo guest ended too often and stays away")

    async def stop(self) -> None:
        """Ends it; kills it when it does not end within three seconds."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 3)
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
