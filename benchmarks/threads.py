"""What several threads of the native plane are worth: two rooms at once, by one thread and by two.

Both servers run by turns in the same rounds, each with two rooms of one publisher (1.5 Mbit/s in frames of five, faster
by `SPEED`) and its viewers, on all cores, beside the load generator. What is compared is CPU time, which a busy machine
disturbs least: of the whole process, kernel included, over the packets delivered, and of the media thread that had most
to do. A server with enough cores is at its limit when that thread has a whole core: `limit_packets_per_second` is
what the two rooms would get then, and their ratio the gain. `alone` is one room, where a second thread can only cost:
datagrams that arrive at the socket of the thread that has nothing to do are handed over.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from benchmarks.figures import spread
from benchmarks.load.build import CannotBuild
from benchmarks.load.contenders import OurRoom
from benchmarks.load.process import Process, go_first, load_average, threads_ns
from benchmarks.load.webrtc import cheapest_profile_only

FRAME, PAYLOAD, RATE, SPEED = 5, 1200, 155.0, 2
VIEWERS = 40
SECONDS, SETTLE = 2.0, 0.2
ROUNDS = 5
THREADS = (1, 2)


@dataclass
class Server:
    """A server with so many threads and rooms, and what was measured of it, by round."""

    threads: int
    rooms: list[OurRoom]
    process: Process
    whole: list[float] = field(default_factory=list)
    busiest: list[float] = field(default_factory=list)
    shares: list[list[float]] = field(default_factory=list)
    lost: int = 0

    @classmethod
    async def start(cls, http: aiohttp.ClientSession, threads: int, rooms: int) -> Server:
        everywhere = set(range(os.cpu_count() or 1))
        command = (sys.executable, "-m", "benchmarks.load.host", "native", str(threads), str(rooms))
        server = cls(threads, [OurRoom(http, VIEWERS) for _ in range(rooms)], Process(*command, on=everywhere))
        await server.process.start()
        port = json.loads(await server.process.line())["port"]
        for number, room in enumerate(server.rooms):
            await room.start(port, number, VIEWERS)
        return server

    async def turn(self) -> None:
        """One round. Raises `RuntimeError` when a payload differs from what was sent."""
        for room in self.rooms:
            room.receiver.verify(16)
            await room.receiver.reset()
        before, used = threads_ns(self.process.pid), self.process.cpu_ns()
        rate = RATE * SPEED
        packets = round(rate * SECONDS / FRAME) * FRAME
        sending = (room.publisher.send(packets, burst=FRAME, size=PAYLOAD, rate=rate) for room in self.rooms)
        sent = await asyncio.gather(*sending)
        await asyncio.sleep(SETTLE)
        used, after = self.process.cpu_ns() - used, threads_ns(self.process.pid)
        counters = [counters for room in self.rooms for counters in room.receiver.all()]
        delivered = sum(c.packets for c in counters)
        if not delivered or any(c.wrong for c in counters):
            raise RuntimeError(f"{delivered} packets came, {sum(c.wrong for c in counters)} of them wrong")
        media = [after[name] - before[name] for name in sorted(after) if name.startswith("media")]
        self.whole.append(used / delivered)
        self.busiest.append(max(media) / delivered)
        self.shares.append([round(one / sum(media), 3) for one in media])
        self.lost += sum(sent) * VIEWERS - delivered

    async def stop(self) -> None:
        for room in self.rooms:
            await room.stop()
        await self.process.stop()

    def figures(self) -> dict[str, Any]:
        return {
            "cpu_ns_per_packet": spread([round(value, 1) for value in self.whole]),
            "busiest_thread_ns_per_packet": spread([round(value, 1) for value in self.busiest]),
            "limit_packets_per_second": spread([round(1e9 / value) for value in self.busiest]),
            "shares_of_threads": self.shares,
            "lost": self.lost,
        }


async def compare(rooms: int) -> dict[str, Any]:
    """All rounds with so many rooms."""
    async with aiohttp.ClientSession() as http:
        servers: list[Server] = []
        try:
            for threads in THREADS:
                servers.append(await Server.start(http, threads, rooms))
            for number in range(ROUNDS):
                for server in servers[:: 1 if number % 2 == 0 else -1]:
                    await server.turn()
                latest = ", ".join(f"{s.threads} threads {s.whole[-1]:.0f} ns {s.shares[-1]}" for s in servers)
                print(f"threads: {rooms} rooms, round {number + 1}: {latest}", file=sys.stderr)
        finally:
            for server in servers:
                await server.stop()
    one, two = servers
    return {
        "one": one.figures(),
        "two": two.figures(),
        "cpu_ratio": spread([round(b / a, 3) for a, b in zip(one.whole, two.whole, strict=True)]),
        "limit_ratio": spread([round(a / b, 3) for a, b in zip(one.busiest, two.busiest, strict=True)]),
    }


async def _measure() -> dict[str, Any]:
    nice = go_first()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    cheapest_profile_only()
    busy = load_average()
    both, alone = await compare(2), await compare(1)
    return {
        "limit_ratio": both["limit_ratio"],
        "cpu_ratio": both["cpu_ratio"],
        "alone_cpu_ratio": alone["cpu_ratio"],
        "rooms": both,
        "alone": alone,
        "load_average": [busy, load_average()],
        "nice": nice,
        "measured": f"{VIEWERS} viewers a room, {RATE * SPEED:.0f} packets of {PAYLOAD} bytes a second in frames of "
        f"{FRAME}, loopback UDP; two threads over one, {ROUNDS} interleaved rounds of {SECONDS:.0f} s",
    }


def run() -> dict[str, Any]:
    """The figures; see the module."""
    print((__doc__ or "").strip(), file=sys.stderr)
    try:
        return asyncio.run(_measure())
    except CannotBuild as error:
        return {"limit_ratio": None, "absent": {"all": str(error)}}
