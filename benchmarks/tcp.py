"""What media over TCP costs: the native plane's own connections, the same carried by Python, and the Python plane.

All run by turns in the same rounds, each the whole media server on one core with one publisher over UDP (frames of
five packets of 1,200 bytes) and its viewers over TCP, real WebRTC ends that decrypt every packet. `udp` is the native
plane with as many of the same viewers over UDP. A figure is the server's CPU time, kernel included, over the packets
delivered; what it burns when nothing flows is measured before each turn and taken off, `raw` keeps it in.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from benchmarks.figures import spread
from benchmarks.load.build import CannotBuild
from benchmarks.load.host import HostSignalling
from benchmarks.load.process import Process, cores, go_first, load_average
from benchmarks.load.webrtc import Source, cheapest_profile_only
from sfu.client import MediaClient
from sfu.peer import LinkKind
from sfu.streams import ReceivedPacket

FRAME, PAYLOAD, RATE = 5, 1200, 310.0
VIEWERS = 10
SECONDS, IDLE, SETTLE = 2.0, 0.5, 0.3
ROUNDS = 5


class Viewer:
    """One subscriber that counts."""

    def __init__(self, name: str, transport: LinkKind) -> None:
        self.packets = 0
        self.media = MediaClient(name=name, codecs=("VP8",), transport=transport, on_packet=self._count)
        self._name = name

    def _count(self, packet: ReceivedPacket) -> None:
        self.packets += 1

    async def connect(self, signalling: HostSignalling) -> None:
        while not self.media.received:
            offer = await signalling.subscribe(self._name)
            await signalling.answer(self._name, await self.media.answer(offer))
        await self.media.subscribed()


@dataclass
class Contender:
    """A server, and CPU ns per packet by round."""

    name: str
    plane: str
    transport: LinkKind = "tcp"
    carried: bool = False
    net: list[float] = field(default_factory=list)
    raw: list[float] = field(default_factory=list)
    lost: int = 0

    async def start(self, http: aiohttp.ClientSession) -> None:
        told = {"CARRIED": "1"} if self.carried else {}
        self.process = Process(sys.executable, "-m", "benchmarks.load.host", self.plane, told=told)
        self.source = Source()
        self.viewers = [Viewer(f"viewer-{number}", self.transport) for number in range(VIEWERS)]
        await self.process.start()
        signalling = HostSignalling(http, json.loads(await self.process.line())["port"])
        await self.source.connect(signalling)
        assert self.source.publisher is not None
        flow = asyncio.create_task(self.source.publisher.send(10_000_000, burst=1, size=200, rate=20))
        try:
            for viewer in self.viewers:
                await viewer.connect(signalling)
            async with asyncio.timeout(20):
                while any(viewer.packets == 0 for viewer in self.viewers):
                    self.source.publisher.keyframe()
                    await asyncio.sleep(0.1)
        finally:
            self.source.publisher.stop()
            await flow

    async def turn(self) -> None:
        """One round. Raises `RuntimeError` when nothing came."""
        assert self.source.publisher is not None
        loop = asyncio.get_running_loop()
        used, began = self.process.cpu_ns(), loop.time()
        await asyncio.sleep(IDLE)
        idle = (self.process.cpu_ns() - used) / (loop.time() - began)
        before = sum(viewer.packets for viewer in self.viewers)
        used, began = self.process.cpu_ns(), loop.time()
        packets = round(RATE * SECONDS / FRAME) * FRAME
        sent = await self.source.publisher.send(packets, burst=FRAME, size=PAYLOAD, rate=RATE)
        await asyncio.sleep(SETTLE)
        used, took = self.process.cpu_ns() - used, loop.time() - began
        delivered = sum(viewer.packets for viewer in self.viewers) - before
        if not delivered:
            raise RuntimeError(f"{self.name}: nothing came")
        self.net.append((used - idle * took) / delivered)
        self.raw.append(used / delivered)
        self.lost += sent * VIEWERS - delivered

    async def stop(self) -> None:
        await asyncio.gather(*(viewer.media.close() for viewer in self.viewers), return_exceptions=True)
        await self.source.close()
        await self.process.stop()

    def figures(self) -> dict[str, Any]:
        return {
            "ns": spread([round(value) for value in self.net]),
            "raw_ns": spread([round(value) for value in self.raw]),
            "lost": self.lost,
        }


async def _measure() -> dict[str, Any]:
    os.sched_setaffinity(0, cores()[1])
    nice = go_first()
    cheapest_profile_only()
    busy = load_average()
    native = Contender("native", "native")
    contenders = [
        native,
        Contender("carried", "native", carried=True),
        Contender("python", "python"),
        Contender("udp", "native", transport="udp"),
    ]
    started: list[Contender] = []
    async with aiohttp.ClientSession() as http:
        try:
            for contender in contenders:
                started.append(contender)
                await contender.start(http)
            for number in range(ROUNDS):
                at = number % len(contenders)
                for contender in contenders[at:] + contenders[:at]:
                    await contender.turn()
                latest = ", ".join(f"{one.name} {one.net[-1]:.0f}" for one in contenders)
                print(f"tcp: round {number + 1}: {latest} ns", file=sys.stderr)
        finally:
            for contender in started:
                await contender.stop()
    return {
        **{contender.name: contender.figures() for contender in contenders},
        **{
            f"over_{other.name}": spread([round(a / b, 3) for a, b in zip(native.net, other.net, strict=True)])
            for other in contenders[1:]
        },
        "load_average": [busy, load_average()],
        "nice": nice,
        "measured": f"{VIEWERS} viewers, {RATE:.0f} packets of {PAYLOAD} bytes a second in frames of {FRAME}, "
        f"loopback; the server's CPU per packet delivered, {ROUNDS} interleaved rounds of {SECONDS:.0f} s",
    }


def run() -> dict[str, Any]:
    """The figures; see the module."""
    print((__doc__ or "").strip(), file=sys.stderr)
    try:
        return asyncio.run(_measure())
    except CannotBuild as error:
        return {"native": None, "absent": {"all": str(error)}}
