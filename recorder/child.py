"""Long work on recordings runs in a process of its own, so that meetings come first: ``python -m MODULE ARGUMENTS``."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable


async def run(
    module: str, *arguments: str, tell: Callable[[float], None], limit_s: float, secret: bytes = b""
) -> tuple[int, str]:
    """Its exit status and its last words on stderr. `tell` is given each number that it prints, a line each.
    `secret` is its standard input: arguments and environment can be read by others.

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
    lines = errors.decode(errors="replace").strip().splitlines()
    return status, lines[-1] if lines else ""
