"""The recorder: what a person costs, how soon a replay is ready, what a kill costs, sync, seeking, search."""

from __future__ import annotations

import argparse
import asyncio
import heapq
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks._kills import KEY, kill_while_recording
from benchmarks._library import search_ms
from benchmarks._long import long_meeting
from benchmarks._sync import av_sync_ms
from benchmarks._synthetic import (
    RunningClock,
    audio_packets,
    begin,
    camera,
    microphone,
    opus_clip,
    video_packets,
    vp9_clip,
)
from recorder.sealing import keys
from recorder.service import Cue, Recorder, load
from sfu.taps import TapPacket

PEOPLE = 3
STEP_MS = 20.0
"""The taps get their packets in batches; the planes hand them over at least so often."""


async def _minute(root: Path, seconds: int = 60) -> dict[str, float]:
    """Records `PEOPLE` at 720p in real time, with packets made beforehand, so that only the recorder is measured: its
    thread's CPU clock, and the time that the event loop spends in its calls."""
    clip, voice = vp9_clip(1280, 720, (40, 90, 120), 8), opus_clip(2)
    start = 100.0
    streams = []
    for number in range(PEOPLE):
        streams.append(video_packets(f"p{number}-camera", clip, start + number * 130, seconds))
        streams.append(audio_packets(f"p{number}-microphone", voice, start, seconds))
    batches: list[list[TapPacket]] = [[]]
    for packet in heapq.merge(*streams, key=lambda packet: packet.room_ms):
        if batches[-1] and packet.room_ms > batches[-1][0].room_ms + STEP_MS:
            batches.append([])
        batches[-1].append(packet)
    clock = RunningClock()
    recording = await begin(root, "minute", clock)
    thread = next(one for one in threading.enumerate() if one.name == "recorder")
    for number in range(PEOPLE):
        recording.participant(f"p{number}", f"p{number}")
        for info in (camera(f"p{number}"), microphone(f"p{number}")):
            recording.track_opened(info, clock.now())
    assert thread.ident
    writer = time.pthread_getcpuclockid(thread.ident)
    before, loop = time.clock_gettime(writer), 0.0
    for number, batch in enumerate(batches):
        await asyncio.sleep(max(0.0, (batch[-1].room_ms - clock.now()) / 1000))
        began = time.thread_time()
        recording.packets(batch)
        if number % 500 == 0:
            recording.speaker(f"p{number // 500 % PEOPLE}")
            at = batch[0].room_ms
            recording.cue(
                Cue(segment=str(number), revision=1, participant="p0", source="en", language="en", start=at,
                    end=at + 4_000, text="Take five milligrams twice a day and come back in a week.")
            )  # fmt: skip
        loop += time.thread_time() - began
    while recording.backlog:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    cpu = time.clock_gettime(writer) - before
    stopped = time.monotonic()
    manifest = await recording.finish()
    ready = (time.monotonic() - stopped) * 1000
    if manifest.state != "complete" or abs(manifest.duration - seconds * 1000) > 2_000 or manifest.problem:
        raise RuntimeError(f"the recording is not whole: {manifest.state}, {manifest.duration} ms, {manifest.problem}")
    of = seconds * PEOPLE
    return {"ready_ms": ready, "thread": cpu / of, "loop": loop / of}


def _minutes(root: Path, rounds: int) -> dict[str, Any]:
    """Minutes in turn, without encryption and with it: what each costs, and the ratio within each round."""
    seen: list[tuple[dict[str, float], dict[str, float]]] = []
    for number in range(rounds):
        pair = []
        for encrypt in (False, True):
            folder = root / f"minutes-{number}-{int(encrypt)}"
            folder.mkdir()
            keys.use(folder, (KEY,) if encrypt else ())
            pair.append(asyncio.run(_minute(folder)))
        seen.append((pair[0], pair[1]))

    def cost(one: dict[str, float]) -> float:
        return one["thread"] + one["loop"]

    ratios = sorted(cost(sealed) / cost(plain) for plain, sealed in seen)
    plain = min((one for one, _ in seen), key=cost)
    sealed = min((one for _, one in seen), key=cost)
    return {
        "plain": plain,
        "sealed": {
            "cpu_per_participant": round(cost(sealed), 4),
            "replay_ready_ms": round(max(one["ready_ms"] for _, one in seen)),
            "cpu_ratio": {
                "min": round(ratios[0], 3), "median": round(statistics.median(ratios), 3), "max": round(ratios[-1], 3)
            },
            "rounds": rounds,
        },
    }  # fmt: skip


def _kills(root: Path, count: int, sealed: bool = False) -> dict[str, Any]:
    """SIGKILL at random instants of the first four seconds, two processes at a time; then one start repairs all."""
    root = root / ("sealed" if sealed else "plain")
    root.mkdir()
    keys.use(root, (KEY,) if sealed else ())
    chance = random.Random()
    names = [f"kill-{n}" for n in range(count)]
    instants = [chance.uniform(100, 4_000) for _ in names]
    with ThreadPoolExecutor(2) as pool:
        last = list(pool.map(lambda name, at: kill_while_recording(root, name, at, sealed), names, instants))
    began = time.monotonic()
    repaired = asyncio.run(Recorder(root).start())
    repair_ms = (time.monotonic() - began) * 1000 / count
    lost = [max(0.0, at - load(root, name).duration) for name, at in zip(names, last, strict=True)]
    return {
        "lost_ms_after_kill": {"p50": round(statistics.median(lost)), "max": round(max(lost))},
        "kills": count,
        "repaired": len(repaired),
        "repair_ms": round(repair_ms),
    }


def options(parser: argparse.ArgumentParser) -> None:
    """The command line."""
    parser.add_argument("--hours", type=float, default=3.0, help="length of the long recording")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3, help="minutes without and with encryption, in turn")
    parser.add_argument("--only-sealed", action="store_true", help="only what encryption costs")
    parser.add_argument("--library", type=int, default=1000, help="hours of transcripts to search")


def run(
    hours: float = 3.0, kills: int = 50, library: int = 1000, rounds: int = 3, only_sealed: bool = False
) -> dict[str, Any]:
    """See the module text. `cpu_per_participant`: share of one core for a person's 720p video and voice."""
    with tempfile.TemporaryDirectory(prefix="consilium-recording-") as folder:
        root = Path(folder)
        minutes = _minutes(root, rounds)
        minute, sealed = minutes["plain"], minutes["sealed"]
        print(f"minutes: {minutes}", file=sys.stderr)
        sealed |= _kills(root, kills, sealed=True)
        if only_sealed:
            return {"cpu_per_participant": round(minute["thread"] + minute["loop"], 4), "sealed": sealed}
        killed = _kills(root, kills)
        print(f"kills: {killed}, {sealed}", file=sys.stderr)
    long = long_meeting(hours)
    print(f"{hours} hours: {long}", file=sys.stderr)
    sync = av_sync_ms(hours)
    search = search_ms(library)
    return {
        "cpu_per_participant": round(minute["thread"] + minute["loop"], 4),
        "cpu_parts": {"thread": round(minute["thread"], 4), "loop": round(minute["loop"], 4)},
        "replay_ready_ms": {"minute": round(minute["ready_ms"]), "long": long["ready_ms"], "long_hours": hours},
        **killed,
        "sealed": sealed,
        "av_sync_ms": max(sync.values()),
        "av_sync_by": sync,
        "seek_ms": long["seek_ms"],
        "page_ms": long["page_ms"],
        "long_mb": long["mb"],
        "search_ms": search["max"],
        "search": search,
        "load": round(os.getloadavg()[0], 1),
        "measured": "cpu: 3 people, 720p VP9 at 30 frames/s and Opus, minutes in real time, packets made beforehand, "
        "the best of `rounds`; sealed: the same with encryption, in turn with those without; "
        "long: 2 people, 180p, fed faster; kills: 1 person, 180p, SIGKILL at random; sync: 100 ppm either way, "
        "packets and reports through RTCP timing and timelines; seek: from the seek bar to the new picture, Chromium",
    }
