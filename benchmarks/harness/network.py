"""Network namespaces, and a shaped link between two of them. Linux, as root.

The link is two TUN devices with a process of ours between them (`python -m benchmarks.harness.network`), since not
every kernel has the netem queueing discipline; what it does to packets is in `shaper.py`.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import json
import os
import select
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from benchmarks.harness.shaper import Direction, Shape

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
CLONE_NEWNET = 0x40000000
MTU = 1500
# A look at the clock at least this often, and no sleep shorter than a timer can be.
LONGEST_WAIT = 0.1


class CannotShape(Exception):
    """No namespaces or TUN devices here; the text says why, for the report."""


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=20)
    if done.returncode:
        raise CannotShape(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


class Namespace:
    """A network namespace with nothing but loopback, until a link is made. Removed by `remove`."""

    def __init__(self, name: str) -> None:
        """Raises `CannotShape` without the right to make one."""
        if os.geteuid() != 0 or not Path("/dev/net/tun").exists():
            raise CannotShape("network namespaces and TUN devices take root and /dev/net/tun")
        self.name = name
        _ip("netns", "add", name)
        self.ip("link", "set", "lo", "up")

    def ip(self, *arguments: str) -> None:
        """`ip` inside."""
        _ip("-n", self.name, *arguments)

    def address(self, address: str) -> None:
        """An address of its own, reachable over any link."""
        self.ip("address", "add", f"{address}/32", "dev", "lo")

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Sockets that this thread opens, and processes and threads that it starts, live in the namespace."""
        library = ctypes.CDLL(None, use_errno=True)
        with Path("/proc/thread-self/ns/net").open("rb") as before, Path(f"/run/netns/{self.name}").open("rb") as here:
            if library.setns(here.fileno(), CLONE_NEWNET):
                raise CannotShape(f"cannot enter {self.name}: {os.strerror(ctypes.get_errno())}")
            try:
                yield
            finally:
                library.setns(before.fileno(), CLONE_NEWNET)

    def wrapper(self, program: str, folder: Path) -> Path:
        """A script that runs `program` inside, for those who take only the path of an executable."""
        script = folder / f"{self.name}-{Path(program).name}"
        script.write_text(f'#!/bin/sh\nexec ip netns exec {self.name} {program} "$@"\n')
        script.chmod(0o755)
        return script

    def remove(self) -> None:
        subprocess.run(["ip", "netns", "delete", self.name], capture_output=True, timeout=20)


class Link:
    """Between `near`, who has many links, and `far`, whose whole network it is. Shapes can change at any time."""

    def __init__(self, near: Namespace, far: Namespace, number: int, near_address: str) -> None:
        """`near_address` is where `far` finds `near`; `number` makes the link's own addresses."""
        self._near, self._far = near, far
        self._addresses = (f"10.77.{number}.1", f"10.77.{number}.2")
        self._device = f"link{number}"
        self._near_address = near_address
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, down: Shape, up: Shape) -> None:
        """`down` is towards `far`. Raises `CannotShape`."""
        pipe = asyncio.subprocess.PIPE
        command = (sys.executable, "-m", "benchmarks.harness.network", self._near.name, self._far.name, self._device)
        self._process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
        await self.shape(down, up)
        near, far = self._addresses
        for namespace, mine, other in ((self._near, near, far), (self._far, far, near)):
            namespace.ip("address", "add", mine, "peer", other, "dev", self._device)
            namespace.ip("link", "set", self._device, "up", "mtu", str(MTU))
        self._far.ip("route", "add", self._near_address, "via", self._addresses[0])

    async def shape(self, down: Shape, up: Shape) -> dict[str, int]:
        """From now on. Returns the counters so far. Raises `CannotShape` when the link has ended."""
        assert self._process is not None and self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([asdict(down), asdict(up)]).encode() + b"\n")
        await self._process.stdin.drain()
        line = await self._process.stdout.readline()
        if not line:
            raise CannotShape("the link's process ended")
        counters: dict[str, int] = json.loads(line)
        return counters

    async def stop(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            await self._process.wait()
            self._process = None


def _tun(namespace: str, device: str) -> int:
    with Path(f"/run/netns/{namespace}").open("rb") as place:
        if ctypes.CDLL(None, use_errno=True).setns(place.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TUN | IFF_NO_PI))
    return descriptor


def relay(near: str, far: str, device: str) -> None:
    """Carries packets between the two ends until standard input ends; each line there is a new pair of shapes."""
    ends = (_tun(near, device), _tun(far, device))
    directions = (Direction(Shape(), 1), Direction(Shape(), 2))
    poll = select.epoll()
    for descriptor in (*ends, sys.stdin.fileno()):
        poll.register(descriptor, select.EPOLLIN)
    while True:
        due = [at for at in (direction.next() for direction in directions) if at is not None]
        wait = min([LONGEST_WAIT, *(at - time.monotonic() for at in due)])
        for descriptor, _ in poll.poll(max(0.0, wait)):
            if descriptor == sys.stdin.fileno():
                line = sys.stdin.readline()
                if not line:
                    return
                for direction, shape in zip(directions, json.loads(line), strict=True):
                    direction.shape = Shape(**shape)
                names = ("sent", "lost", "overflowed")
                counters = {
                    f"{way}_{name}": getattr(direction, name)
                    for way, direction in zip(("down", "up"), directions, strict=True)
                    for name in names
                }
                print(json.dumps(counters), flush=True)
                continue
            direction = directions[ends.index(descriptor)]
            try:
                while True:
                    direction.push(os.read(descriptor, MTU + 100), time.monotonic())
            except BlockingIOError:
                pass
        now = time.monotonic()
        for direction, out in zip(directions, reversed(ends), strict=True):
            for packet in direction.due(now):
                try:
                    os.write(out, packet)
                except OSError:
                    direction.overflowed += 1  # the other end is full, or going down


if __name__ == "__main__":
    relay(*sys.argv[1:])
