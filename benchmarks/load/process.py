"""Processes under test: pinned to a core, their CPU time and memory read from outside."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path


def cores() -> tuple[set[int], set[int]]:
    """Where the server runs (one core) and where everything else does; the same core where there is only one."""
    usable = list(range(os.cpu_count() or 1))
    return {usable[0]}, set(usable[1:] or usable)


def go_first(nice: int = -10) -> int:
    """Asks for precedence over the machine's other work, for ourselves and the processes that we start, so that a
    figure is not what others leave. Returns the niceness that we have then: without the right to it, the old one."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, nice)
        # Where the kernel shares the machine out among sessions first, niceness counts only within one.
        Path("/proc/self/autogroup").write_text(str(nice))
    return os.getpriority(os.PRIO_PROCESS, 0)


def cpu_ns(pid: int) -> int:
    """CPU time of all threads of a process, user and kernel, in ns: the kernel's own clock of another process."""
    return time.clock_gettime_ns(((~pid) << 3) | 2)


def waited_ns(pid: int) -> int:
    """How long its threads were ready to run while something else had the core: what a busy machine does to figures."""
    waited = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # a thread may end meanwhile
            waited += int((task / "schedstat").read_text().split()[1])
    return waited


def resident_bytes(pid: int) -> int:
    """Memory that the process holds (resident set)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def load_average() -> float:
    """Of the last minute: how busy the machine was besides."""
    return round(os.getloadavg()[0], 2)


def threads_ns(pid: int) -> dict[str, int]:
    """CPU time of each thread, by its name; threads of one name together."""
    found: dict[str, int] = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            name, used = (task / "comm").read_text().strip(), int((task / "schedstat").read_text().split()[0])
            found[name] = found.get(name, 0) + used
    return found


class Process:
    """A child on the server's core, or on those that it is given. Standard input stays open until `stop`, standard
    output is read by lines. `told` is added to its environment."""

    def __init__(self, *command: str, on: set[int] | None = None, told: Mapping[str, str] | None = None) -> None:
        self._command: Sequence[str] = command
        self._told = dict(told or {})
        self._cores = on or cores()[0]
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self, text: str = "") -> None:
        """Starts it and writes `text` to it."""
        pipe = asyncio.subprocess.PIPE
        ours = os.sched_getaffinity(0)
        os.sched_setaffinity(0, self._cores)  # inherited, by every thread that it will have
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.PIPE, env=os.environ | self._told
            )
        finally:
            os.sched_setaffinity(0, ours)
        assert self._process.stdin is not None
        self._process.stdin.write(text.encode())
        await self._process.stdin.drain()

    async def line(self, timeout: float = 60.0) -> str:
        """The next line of its output. Raises `RuntimeError` with its complaints when it has ended, `TimeoutError`."""
        assert self._process is not None and self._process.stdout is not None and self._process.stderr is not None
        async with asyncio.timeout(timeout):
            found = await self._process.stdout.readline()
            if not found:
                complaint = (await self._process.stderr.read()).decode(errors="replace")
                raise RuntimeError(f"{self._command[0]} ended: {complaint.strip()[-600:]}")
        return found.decode().strip()

    def cpu_ns(self) -> int:
        return cpu_ns(self.pid)

    async def stop(self) -> None:
        """Closes its input, waits, and kills it when that is not enough."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(5):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
