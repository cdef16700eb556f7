"""Long work on recordings runs in a process of its own, so that meetings come first: ``python -m MODULE ARGUMENTS``."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

UNFINISHED = ".part"


def unfinished(destination: Path) -> Path:
    """Where a file grows that is there complete or not at all."""
    return destination.with_name(destination.name + UNFINISHED)


async def run(
    module: str,
    *arguments: str,
    tell: Callable[[float], None],
    limit_s: float,
    secret: bytes = b"",
    makes: Path | None = None,
) -> tuple[int, str]:
    """Its exit status and its last words on stderr. `tell` is given each number that it prints, a line each.
    `secret` is its standard input: arguments and environment can be read by others. What it had of the file that it
    `makes` (`unfinished`) is gone afterwards, however it ended.

    Ends the process when cancelled or (TimeoutError) after `limit_s`. Raises OSError when it cannot be started.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert process.stdin and process.stdout and process.stderr
    process.stdin.write(secret)
    process.stdin.close()
    reading = asyncio.create_task(process.stderr.read())
    try:
        async with asyncio.timeout(limit_s):
            async for line in process.stdout:
                tell(float(line))
            errors = await reading
            status = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        reading.cancel()
        if makes is not None:
            unfinished(makes).unlink(missing_ok=True)
    lines = errors.decode(errors="replace").strip().splitlines()
    return status, lines[-1] if lines else ""
