"""One publisher at 1.5 Mbit/s, and viewers until the server's core or loss says stop: how many one core serves.

The whole media server runs on one core; the load generator, with real WebRTC viewers (ICE, DTLS-SRTP, receiver
reports), on the others, and its cost is told apart. Each step adds viewers, waits until media has reached them all and
measures for some seconds. A step counts when at most one packet in a thousand was lost on the way and the server had a
twentieth of its core left; one that loses with the core half idle is repeated, since `waited` (the share of time that
the server was ready and something else ran) spoils it. Memory per viewer is the growth of the server's resident set
over the viewers added.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import sys
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.harness.chart import Line, line_chart
from benchmarks.load.build import CannotBuild
from benchmarks.load.contenders import PEERS, Absent, Ours, Peer
from benchmarks.load.process import cores, cpu_ns, go_first, load_average, resident_bytes, waited_ns
from benchmarks.load.webrtc import cheapest_profile_only

FRAME, PAYLOAD, RATE = 5, 1200, 155.0
"""Packets of a frame, bytes in each, packets per second: 31 frames a second and 1.5 Mbit/s on the wire."""

FIRST, MOST = 25, 4000
SECONDS = 4.0
WARM_UP = 1.0
SETTLE = 0.2
FULL = 0.95
LOSS = 0.001
SPARE, TRIES = 0.8, 4
"""A step that loses packets with that much of the core unused is measured again: something else had the core."""

SERVERS = ("python", "native", *PEERS)


def options(parser: argparse.ArgumentParser) -> None:
    """What can be asked for."""
    parser.add_argument("--only", choices=SERVERS, action="append", help="measure only this one (may be repeated)")
    parser.add_argument("--most", type=int, default=MOST, help="viewers at which to stop in any case")
    parser.add_argument("--picture", type=Path, help="write the curve to this SVG file")


async def step(server: Ours | Peer) -> dict[str, float]:
    """One measurement with the viewers that are there."""
    loop = asyncio.get_running_loop()
    receiver, publisher, process = server.receiver, server.publisher, server.process
    await publisher.send(round(WARM_UP * RATE / FRAME) * FRAME, burst=FRAME, size=PAYLOAD, rate=RATE)
    await asyncio.sleep(SETTLE)
    receiver.verify(32)
    await receiver.reset()
    used, waited = process.cpu_ns(), waited_ns(process.pid)
    generator, began = cpu_ns(os.getpid()), loop.time()
    sent = await publisher.send(round(SECONDS * RATE / FRAME) * FRAME, burst=FRAME, size=PAYLOAD, rate=RATE)
    took = loop.time() - began
    used, waited = process.cpu_ns() - used, waited_ns(process.pid) - waited
    generator = cpu_ns(os.getpid()) - generator
    await asyncio.sleep(SETTLE)
    counters = receiver.all()
    if any(c.wrong for c in counters):
        raise RuntimeError("payloads arrived that differ from what was sent")
    expected = sent * receiver.count
    delivered = sum(c.packets for c in counters)
    p50, p99 = receiver.delay((50, 99))
    return {
        "viewers": receiver.count,
        "cpu": used / 1e9 / took,
        "generator_cpu": generator / 1e9 / took,
        "waited": waited / 1e9 / took,
        "loss": max(0.0, 1 - delivered / expected),
        "viewers_with_loss": sum(c.packets < sent for c in counters),
        "packets_per_second_out": delivered / took,
        "cpu_ns_per_packet": used / max(1, delivered),
        "delay_p50_us": p50,
        "delay_p99_us": p99,
        "memory_mb": resident_bytes(process.pid) / 2**20,
    }


def more(viewers: int, cpu: float) -> int:
    """How many to add: double while there is plenty, then approach the full core."""
    room = viewers * (FULL / max(cpu, 0.01) - 1)
    return max(viewers // 25, min(viewers, int(room * 0.6)), 1)


async def climb(server: Ours | Peer, most: int) -> dict[str, Any]:
    """All steps of one server."""
    await server.start(1)
    base = resident_bytes(server.process.pid)
    await server.admit(FIRST - 1)
    curve: list[dict[str, float]] = []
    stopped, tries = "most viewers asked for", 1
    while True:
        found = await step(server)
        curve.append({key: round(value, 5) for key, value in found.items()})
        print(f"fanout: {server.name}: {curve[-1]}", file=sys.stderr)
        if found["loss"] > LOSS and found["cpu"] < SPARE and tries < TRIES:
            tries += 1
            continue
        tries = 1
        if found["loss"] > LOSS:
            # Packets that the generator did not read in time are its loss, not the server's.
            stopped = "loss" if found["generator_cpu"] < FULL * len(cores()[1]) else "the load generator"
            break
        if found["cpu"] > FULL:
            stopped = "the server's core"
            break
        if found["viewers"] >= most:
            break
        await server.admit(min(more(int(found["viewers"]), found["cpu"]), most - int(found["viewers"])))
    good = [point for point in curve if point["loss"] <= LOSS and point["cpu"] <= FULL]
    last = curve[-1]
    return {
        "viewers_per_core": int(good[-1]["viewers"]) if good else 0,
        "stopped_by": stopped,
        "memory_per_viewer_kb": round((last["memory_mb"] * 2**20 - base) / (last["viewers"] - 1) / 1024, 1),
        "memory_without_viewers_mb": round(base / 2**20, 1),
        "curve": curve,
    }


async def _measure(only: list[str] | None, most: int) -> dict[str, Any]:
    os.sched_setaffinity(0, cores()[1])
    nice = go_first()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    cheapest_profile_only()
    busy = load_average()
    found: dict[str, dict[str, Any]] = {}
    absent: dict[str, str] = {}
    for name in only or SERVERS:
        async with aiohttp.ClientSession() as http:
            server = Peer(http, name, most) if name in PEERS else Ours(http, name, most)
            try:
                found[name] = await climb(server, most)
            except Absent as reason:
                absent[name] = str(reason)
            finally:
                await server.stop()
    ours = found.get("native") or found.get("python") or {}
    return {
        "viewers_per_core": ours.get("viewers_per_core"),
        "memory_per_viewer_kb": ours.get("memory_per_viewer_kb"),
        "plane": "native" if "native" in found else "python" if "python" in found else None,
        "stopped_by": ours.get("stopped_by"),
        "servers": found,
        "absent": absent,
        "load_average": [busy, load_average()],
        "nice": nice,
        "measured": f"one publisher, {RATE:.0f} packets of {PAYLOAD} bytes a second in frames of {FRAME} (1.5 Mbit/s); "
        "whole media server on one core, loopback UDP; CPU as a share of one core",
    }


def drawn(figures: dict[str, Any]) -> str:
    """The server's CPU over the number of viewers, as far as all were served."""
    lines = [
        Line(name, [(p["viewers"], 100 * p["cpu"]) for p in server["curve"] if p["loss"] <= LOSS])
        for name, server in figures["servers"].items()
    ]
    title = "CPU of one core by viewers of one 1.5 Mbit/s stream"
    return line_chart(title, "viewers", "CPU of one core, %", lines, ("one core", 100.0))


def run(only: list[str] | None = None, most: int = MOST, picture: Path | None = None) -> dict[str, Any]:
    """The figures; see the module."""
    print((__doc__ or "").strip(), file=sys.stderr)
    try:
        figures = asyncio.run(_measure(only, most))
    except CannotBuild as error:
        return {"viewers_per_core": None, "absent": {"all": str(error)}}
    if picture is not None and figures["servers"]:
        picture.write_text(drawn(figures))
    return figures
