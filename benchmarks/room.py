"""Six publishers in one room for a minute, on the whole server: what was sent, what arrived, what the server lost."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.harness.server import ServerProcess
from sfu.client import ClientTrack, MediaClient
from sfu.streams import ReceivedPacket
from signaling import protocol
from signaling.client import Participant, redeem
from signaling.demo.vp9 import payloads

PEOPLE = 6
SECONDS = float(os.environ.get("CONSILIUM_BENCH_SECONDS", "60"))
FRAME = bytes(3000)
"""A video frame of three packets: with 30 of them a second, about 720 kbit/s from each person."""

TICK = 0.02
TRACKS = (ClientTrack("microphone", "OPUS"), ClientTrack("camera", "VP9"))
MICROPHONE, CAMERA = "0", "1"


class Publisher:
    """One person who sends synthetic media and counts what comes from the others."""

    def __init__(self, http: aiohttp.ClientSession, number: int) -> None:
        self.received: Counter[str] = Counter()
        self.offered: dict[str, str] = {}
        self.sent: Counter[str] = Counter()
        self._changed = asyncio.Event()
        self.media = MediaClient(on_packet=self._count, name=f"person-{number}")
        self.inside = Participant(http, self.media, f"Person {number}", on_message=self._see)

    def _see(self, message: protocol.ServerMessage) -> None:
        if isinstance(message, protocol.SubscribeOffer):
            self.offered = {track.mid: track.track for track in message.tracks}
            self._changed.set()

    async def complete(self, tracks: int) -> None:
        """Waits until that many tracks of others are offered."""
        while len(self.offered) < tracks:
            self._changed.clear()
            await self._changed.wait()

    def _count(self, packet: ReceivedPacket) -> None:
        track = self.offered.get(packet.mid)
        if track is not None:
            self.received[track] += 1

    def say(self, number: int) -> None:
        """20 ms of sound."""
        self.media.send_rtp(MICROPHONE, number.to_bytes(4, "big") * 20, number * 960, level=0x80 | 40)
        self.sent[self.inside.tracks[MICROPHONE]] += 1

    def show(self, number: int) -> None:
        """One frame. Every 60th starts anew."""
        parts = payloads(FRAME, number, keyframe=number % 60 == 0)
        for part in parts:
            self.media.send_rtp(CAMERA, part, number * 3000, marker=part is parts[-1])
            self.sent[self.inside.tracks[CAMERA]] += 1


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _dropped(http: aiohttp.ClientSession, server: ServerProcess) -> dict[str, float]:
    async with http.get(f"{server.url}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    found = (line.rpartition(" ") for line in lines if line.startswith("consilium_dropped_total"))
    return {name.partition('reason="')[2].rstrip('"}'): float(value) for name, _, value in found}


async def _measure() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        async with ServerProcess(Path(folder), captions_enabled="false") as server, aiohttp.ClientSession() as http:
            people = [Publisher(http, number) for number in range(PEOPLE)]
            stays = []
            for person in people:
                await person.inside.enter(await redeem(http, server.links["guest"]), TRACKS)
                stays.append(asyncio.create_task(person.inside.stay()))
            expected = 2 * (PEOPLE - 1)
            async with asyncio.timeout(30):
                for person in people:
                    await person.complete(expected)
                await asyncio.gather(*(person.media.subscribed() for person in people))
            print(f"{PEOPLE} people are in; sending for {SECONDS:.0f} s", file=sys.stderr)
            cpu, began = _cpu_seconds(server.pid), time.monotonic()
            sounds = frames = 0
            while (elapsed := time.monotonic() - began) < SECONDS:
                while sounds < elapsed * 50:
                    for person in people:
                        person.say(sounds)
                    sounds += 1
                while frames < elapsed * 30:
                    for person in people:
                        person.show(frames)
                    frames += 1
                await asyncio.sleep(TICK)
            took = time.monotonic() - began
            cpu = _cpu_seconds(server.pid) - cpu
            await asyncio.sleep(1.0)  # what is still under way arrives
            sent = sum((person.sent for person in people), Counter())
            wanted = sum(sent.values()) * (PEOPLE - 1)
            received = sum(person.received.total() for person in people)
            short = [
                (person.inside.name, track, sent[track] - person.received[track])
                for person in people
                for track in person.offered.values()
                if person.received[track] != sent[track]
            ]
            dropped = await _dropped(http, server)
            for stay in stays:
                stay.cancel()
            await asyncio.gather(*(person.inside.leave() for person in people), *stays, return_exceptions=True)
    return {
        "seconds": round(took, 1),
        "publishers": PEOPLE,
        "packets_sent": sent.total(),
        "packets_to_deliver": wanted,
        "packets_delivered": received,
        "lost": wanted - received,
        "streams_short": short[:10],
        "server_dropped": dropped,
        "server_cpu": round(cpu / took, 3),
        "forwarded_per_second": round(received / took),
        "measured": "whole server without captions, Python plane; six clients of ours on loopback, which "
        "ask for no retransmission, so that every missing packet shows",
    }


def run() -> dict[str, Any]:
    return asyncio.run(_measure())
