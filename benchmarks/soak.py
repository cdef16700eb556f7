"""A busy room for half an hour: joins, leaves, lost connections, mutes, screen shares, switches. Is anything left?

Up to eight headless people with microphone and simulcast camera come and go in one room of the real server, each
sending and receiving media all the while. What the server holds is looked at from inside (unfinished tasks, open
descriptors, threads, objects of ours): before, when everybody has been once and gone again, and after. The slope of its
memory is a least-squares line over the samples of the second half.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.harness.observed import VARIABLE
from benchmarks.harness.server import ServerProcess
from benchmarks.load.process import cpu_ns, load_average, resident_bytes
from sfu.client import ClientTrack, MediaClient
from signaling import protocol
from signaling.client import Participant, Refused, redeem
from signaling.demo.vp9 import payloads
from signaling.values import Tile

MINUTES = 30.0
PEOPLE = 8
ACT_EVERY = 1.0
SAMPLE_EVERY = 5.0
GONE_AFTER = 75.0
"""Seconds until what an abrupt leave left behind must be gone: ICE gives up after 30, the room keeps a seat a while."""

TICK = 0.02
FRAMES = {"q": bytes(350), "h": bytes(1100), "f": bytes(2400)}
RIDS = ("q", "h", "f")
MICROPHONE, CAMERA, SCREEN = "0", "1", "2"
TRACKS: tuple[ClientTrack, ...] = (ClientTrack("microphone", "OPUS"), ClientTrack("camera", "VP9", RIDS))
SHARE = ClientTrack("screen", "VP9")


def options(parser: argparse.ArgumentParser) -> None:
    """What can be asked for."""
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--seed", type=int, default=1, help="of the order of events")


class Guest:
    """One person's stay."""

    def __init__(self, http: aiohttp.ClientSession, number: int) -> None:
        self.media = MediaClient(on_keyframe=self._wanted, name=f"guest-{number}")
        self.inside = Participant(http, self.media, f"Guest {number}")
        self.shares = False
        self.shared = False
        self.muted = False
        self._stay: asyncio.Task[None] | None = None
        self._pump: asyncio.Task[None] | None = None
        self._keyframes: set[str] = set()

    def _wanted(self, stream: str) -> None:
        self._keyframes.add(stream)

    async def enter(self, link: str, http: aiohttp.ClientSession) -> None:
        await self.inside.enter(await redeem(http, link), TRACKS)
        self._stay = asyncio.create_task(self.inside.stay())
        self._pump = asyncio.create_task(self._send())

    async def _send(self) -> None:
        """Sound every 20 ms, a picture every 66 ms in each encoding that has an m-line."""
        began, sounds, frames = time.monotonic(), 0, 0
        while True:
            elapsed = time.monotonic() - began
            while sounds < elapsed * 50:
                self.media.send_rtp(MICROPHONE, sounds.to_bytes(4, "big") * 20, sounds * 960, level=0x80 | 40)
                sounds += 1
            while frames < elapsed * 15:
                streams = {f"{CAMERA}/{rid}": FRAMES[rid] for rid in RIDS}
                if self.shares:
                    streams[SCREEN] = FRAMES["f"]
                for stream, frame in streams.items():
                    key = frames % 75 == 0 or stream in self._keyframes
                    self._keyframes.discard(stream)
                    parts = payloads(frame, frames, keyframe=key)
                    for part in parts:
                        self.media.send_rtp(stream, part, frames * 6000, marker=part is parts[-1])
                frames += 1
            await asyncio.sleep(TICK)

    async def mute(self) -> None:
        self.muted = not self.muted
        await self.inside.ask(protocol.SetMuted(track=self.inside.tracks[MICROPHONE], muted=self.muted))

    async def share(self) -> None:
        """Starts or ends a share. The m-line stays, as in a browser."""
        self.shares = not self.shares
        self.shared = True
        await self.inside.publish([*TRACKS, SHARE if self.shares else None])

    async def look(self, choose: random.Random) -> None:
        """Another layout: each picture large, small or out of sight."""
        sizes = ((1280, 720, True), (320, 180, True), (160, 90, True), (0, 0, False))
        tiles = []
        for track in self.inside.subscribed.values():
            if track.kind == "video":
                width, height, visible = choose.choice(sizes)
                tiles.append(Tile(track=track.track, width=width, height=height, visible=visible))
        await self.inside.send(protocol.View(tiles=tiles))

    async def end(self, abruptly: bool) -> None:
        """Leaves with a goodbye, or is cut off: the sockets fall silent and nothing more is said."""
        tasks = [task for task in (self._stay, self._pump) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if abruptly:
            await self.inside.vanish()
        else:
            await self.inside.leave()


async def _held(window: Path) -> dict[str, Any]:
    reader, writer = await asyncio.open_unix_connection(str(window))
    found: dict[str, Any] = json.loads(await reader.read())
    writer.close()
    return found


def slope(samples: Sequence[tuple[float, float]]) -> float:
    """Of the least-squares line through (x, y) points; 0 where there are fewer than two."""
    if len(samples) < 2:
        return 0.0
    mean_x = sum(x for x, _ in samples) / len(samples)
    mean_y = sum(y for _, y in samples) / len(samples)
    spread = sum((x - mean_x) ** 2 for x, _ in samples)
    return sum((x - mean_x) * (y - mean_y) for x, y in samples) / spread if spread else 0.0


class Soak:
    """Events, their count, and what went wrong with them."""

    def __init__(self, http: aiohttp.ClientSession, server: ServerProcess, choose: random.Random) -> None:
        self.people: list[Guest] = []
        self.events: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self._http, self._server, self._choose = http, server, choose
        self._number = 0

    async def join(self) -> None:
        self._number += 1
        guest = Guest(self._http, self._number)
        self.people.append(guest)
        await guest.enter(self._server.links["guest"], self._http)

    async def leave(self, abruptly: bool = False) -> None:
        guest = self.people.pop(self._choose.randrange(len(self.people)))
        await guest.end(abruptly)

    async def act(self) -> None:
        """Something that people do."""
        deeds = {"join": 5, "leave": 3, "cut": 1, "mute": 4, "share": 2, "switch": 6, "restart": 1}
        deed = self._choose.choices(list(deeds), list(deeds.values()))[0]
        if len(self.people) < 2:
            deed = "join"
        elif len(self.people) >= PEOPLE and deed == "join":
            deed = "leave"
        guest = self._choose.choice(self.people) if self.people else None
        self.events[deed] += 1
        try:
            if deed == "join" or guest is None:
                await self.join()
            elif deed in ("leave", "cut"):
                await self.leave(abruptly=deed == "cut")
            elif deed == "mute":
                await guest.mute()
            elif deed == "share":
                await guest.share()
            elif deed == "switch":
                await guest.look(self._choose)
            else:
                await guest.inside.restart()
        except (Refused, ConnectionError, TimeoutError, aiohttp.ClientError) as error:
            self.failures[f"{deed}: {type(error).__name__} {error}"[:120]] += 1


async def _measure(minutes: float, seed: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        folder = Path(name)
        window = folder / "window"
        os.environ[VARIABLE] = str(window)
        server = ServerProcess(folder / "server", captions_enabled="false", module="benchmarks.harness.observed")
        async with server, aiohttp.ClientSession() as http:
            soak = Soak(http, server, random.Random(seed))
            for _ in range(PEOPLE):  # what is made once, at first use, is no leak
                await soak.join()
            await asyncio.sleep(5)
            while soak.people:
                await soak.leave()
            await asyncio.sleep(5)
            before = await _held(window)
            memory_before = resident_bytes(server.pid)
            began, used = time.monotonic(), cpu_ns(server.pid)
            memory: list[tuple[float, float]] = []
            while (elapsed := time.monotonic() - began) < minutes * 60:
                await soak.act()
                await asyncio.sleep(max(0.0, ACT_EVERY - (time.monotonic() - began - elapsed)))
                if elapsed >= len(memory) * SAMPLE_EVERY:
                    memory.append((elapsed / 60, resident_bytes(server.pid) / 1024))
                    if len(memory) % 12 == 1:
                        print(
                            f"soak: {elapsed / 60:.0f} min, {len(soak.people)} people, {memory[-1][1]:.0f} kB, "
                            f"{soak.events.total()} events, {soak.failures.total()} failed", file=sys.stderr,
                        )  # fmt: skip
            used, took = cpu_ns(server.pid) - used, time.monotonic() - began
            while soak.people:
                await soak.leave()
            await asyncio.sleep(GONE_AFTER)
            after = await _held(window)
            memory_after = resident_bytes(server.pid)
            log = server.log.read_text(errors="replace")
        with contextlib.suppress(KeyError):
            del os.environ[VARIABLE]
    kept = {
        kind: {name: count - before[kind].get(name, 0) for name, count in after[kind].items()}
        for kind in ("tasks", "descriptors", "objects")
    }
    leaked = {kind: {name: more for name, more in found.items() if more > 0} for kind, found in kept.items()}
    return {
        "minutes": round(took / 60, 2),
        "events": dict(soak.events),
        "failed": dict(soak.failures),
        "memory_slope_kb_per_minute": round(slope(memory[len(memory) // 2 :]), 1),
        "memory_before_kb": memory_before // 1024,
        "memory_after_kb": memory_after // 1024,
        "memory_kb": [round(kb) for _, kb in memory[:: max(1, len(memory) // 60)]],
        "tasks_before": sum(before["tasks"].values()),
        "tasks_after": sum(after["tasks"].values()),
        "descriptors_before": sum(before["descriptors"].values()),
        "descriptors_after": sum(after["descriptors"].values()),
        "threads_before": before["threads"],
        "threads_after": after["threads"],
        "leaked": leaked,
        "server_errors": log.count('"level": "error"') + log.count("Traceback"),
        "server_cpu": round(used / 1e9 / took, 3),
        "load_average": load_average(),
        "measured": f"whole server without captions, up to {PEOPLE} headless people with simulcast cameras, "
        f"an event about every {ACT_EVERY:g} s; looked at {GONE_AFTER:g} s after the last one left",
    }


def run(minutes: float = MINUTES, seed: int = 1) -> dict[str, Any]:
    """The figures; see the module."""
    print((__doc__ or "").strip(), file=sys.stderr)
    return asyncio.run(_measure(minutes, seed))
