"""One to twelve people speak at once: how far finals fall behind, whether any is lost, how often words still come.

Everybody reads different clips without a break, which no meeting does, through two workers of one thread each, a core
for each (`--workers`, `--threads`); voices are shared out as the server does it. `--clock wall` uses the real service;
`--clock processor` the same workers, each on a clock that goes by the processor time it takes (`benchmarks._virtual`),
so that other programs do not spoil the delays: there each worker has a core of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks._clips import Clip, load_clips
from benchmarks._speech import FRAME, RATE, Clock, microphone, opus, speak
from benchmarks._virtual import Worker, load
from benchmarks.figures import latency
from captioning import models
from captioning.caption import Caption
from captioning.config import CaptionConfig
from captioning.messages import CloseStream, OpenStream, SetReaders, ToServer, Words
from captioning.service import CaptionService

STEPS = (1, 2, 3, 4, 6, 8, 10, 12)
MODEL = "whisper-base"
PAUSE = 0.9
"""Seconds of silence between two clips: it ends an utterance."""
APART = 0.7
"""Seconds between the beginnings of two speakers."""


def options(parser: argparse.ArgumentParser) -> None:
    """What can be asked for."""
    parser.add_argument("--seconds", type=float, default=25.0, help="of speech from everybody at each step")
    parser.add_argument("--speakers", type=int, action="append", help="only so many (may be repeated)")
    parser.add_argument("--workers", type=int, default=2, help="worker processes")
    parser.add_argument("--threads", type=int, default=1, help="of each worker; more than one only with --clock wall")
    parser.add_argument("--clock", choices=("wall", "processor"), default="wall", help="see above")


@dataclass
class Step:
    """What was heard in one step; times in ms of one clock."""

    lags: list[float] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    interims: int = 0
    opened: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    spoken: float = 0.0

    def feed(self, now: float, segment: str, end: float, final: bool) -> None:
        self.opened.add(segment)
        if final:
            self.ended.add(segment)
            self.lags.append(now - end)
            self.times.append(end)
        else:
            self.interims += 1

    def figures(self, speakers: int, counters: dict[str, int], cpu: float) -> dict[str, Any]:
        utterances = counters.get("utterances", 0)
        done = counters.get("finals", 0) + counters.get("finals_empty", 0)
        lost = max(utterances - done, len(self.opened - self.ended))
        late = [lag for lag, end in zip(self.lags, self.times, strict=True) if end >= max(self.times) * 2 / 3]
        return {
            "speakers": speakers,
            "lag_last_third_ms": {k: round(v) for k, v in latency(late).items()},
            "lag_ms": {k: round(v) for k, v in latency(self.lags).items()} | {"max": round(max(self.lags))},
            "finals_pct": round(100 * (utterances - lost) / max(1, utterances), 2),
            "utterances": utterances,
            "interims_a_second": round(self.interims / self.spoken, 2),
            "shed": counters.get("interims_shed", 0),
            "batched": counters.get("decodes_batched", 0),
            "decodes": counters.get("decodes_draft", 0) + counters.get("decodes_full", 0),
            "hurried": counters.get("finals_hurried", 0),
            "cpu_per_speaker": round(cpu / self.spoken, 3),
        }


def script(clips: list[Clip], speaker: int, seconds: float) -> tuple[list[bytes], str]:
    """What one person says, as packets, and in which language."""
    mine = [clip for clip in clips if clip.language == clips[speaker % len(clips)].language]
    quiet = np.zeros(int(PAUSE * RATE), np.float32)
    pieces, length, at = [], 0.0, speaker
    while length < seconds:
        clip = mine[at % len(mine)]
        pieces += [clip.samples, quiet]
        length += clip.seconds + PAUSE
        at += 1
    return opus(np.concatenate([*pieces, quiet])), mine[0].language


def by_processor(
    engine: Any, translator: Any, clips: list[Clip], speakers: int, seconds: float, workers: int
) -> dict[str, Any]:
    step, counters, used = Step(), Counter[str](), 0.0
    for number in range(min(workers, speakers)):
        mine = range(number, speakers, workers)  # each new voice goes to the worker with the fewest
        worker = _worker(engine, translator, clips, mine, seconds, step)
        worker.run()
        counters.update(worker.recogniser.figures(worker.clock())[4])
        used += worker.worked + worker.heard
    return step.figures(speakers, counters, used)


def _worker(engine: Any, translator: Any, clips: list[Clip], voices: range, seconds: float, step: Step) -> Worker:

    def hear(at: float, message: ToServer) -> None:
        if isinstance(message, Words):
            step.feed(at * 1000, f"{message.stream}.{message.utterance}", message.end, message.final)

    worker = Worker(engine, translator, hear)
    worker.tell(0.0, SetReaders("room", ["en", "pt"]))
    for speaker in voices:
        packets, language = script(clips, speaker, seconds)
        worker.tell(0.0, OpenStream(f"v{speaker}", "room", language, 0))
        worker.tell(worker.speak(speaker * APART, f"v{speaker}", packets), CloseStream(f"v{speaker}"))
        step.spoken += len(packets) * FRAME / RATE
    return worker


async def by_wall(service: CaptionService, clips: list[Clip], speakers: int, seconds: float) -> dict[str, Any]:
    step, clock = Step(), Clock()

    def hear(caption: Caption) -> None:
        if caption.engine is None:
            step.feed(clock.now(), caption.segment, caption.end, caption.final)

    before, used = Counter(service.status().counters), service.cpu_seconds()
    room = service.open_room(f"load-{speakers}", hear, clock)
    room.set_readers(frozenset({"en", "pt"}))

    async def person(speaker: int) -> None:
        packets, language = script(clips, speaker, seconds)
        await asyncio.sleep(speaker * APART)
        track = f"load-{speakers}-{speaker}"
        room.set_spoken(track, language)
        room.track_opened(microphone(track, track), clock.now())
        await speak(room, clock, track, packets)
        room.track_closed(track, clock.now())
        step.spoken += len(packets) * FRAME / RATE

    await asyncio.gather(*(person(speaker) for speaker in range(speakers)))
    async with asyncio.timeout(120):
        while service.status().streams:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    await asyncio.sleep(1.0)  # one more heartbeat, for the counters
    await room.close()
    counters = Counter(service.status().counters)
    counters.subtract(before)
    return step.figures(speakers, dict(counters), service.cpu_seconds() - used)


async def through_service(
    folder: Path, clips: list[Clip], steps: list[int], seconds: float, workers: int, threads: int
) -> list[dict[str, Any]]:
    service = CaptionService(CaptionConfig(models=folder, model=MODEL, workers=workers, threads=threads))
    await service.start()
    while service.status().state == "loading":  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    if (problem := service.status().problem) is not None:
        raise RuntimeError(problem)
    await asyncio.sleep(1.0)
    found = []
    for speakers in steps:
        found.append(await by_wall(service, clips, speakers, seconds))
        print(found[-1], file=sys.stderr)
    await service.stop()
    return found


def run(
    seconds: float = 25.0,
    speakers: list[int] | None = None,
    clock: Literal["wall", "processor"] = "wall",
    workers: int = 2,
    threads: int = 1,
) -> dict[str, Any]:
    """`lag_p95_ms`: of the worst step, from the end of an utterance (with 250 ms of silence) to its final. Whether it
    would go on growing, `lag_last_third_ms` shows. Raises ValueError for threads on the processor's clock."""
    if threads != 1 and clock == "processor":
        raise ValueError("a processor's clock counts all threads together: threads need --clock wall")
    before = os.getloadavg()[0]
    clips, kind = load_clips(24)
    steps = list(speakers or STEPS)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(os.environ.get("CONSILIUM_MODELS", temporary))
        models.install_embedded(folder)
        if clock == "wall":
            found = asyncio.run(through_service(folder, clips, steps, seconds, workers, threads))
        else:
            engine, translator = load(folder, MODEL)
            found = []
            for count in steps:
                found.append(by_processor(engine, translator, clips, count, seconds, workers))
                print(found[-1], file=sys.stderr)
    return {
        "lag_p95_ms": max(step["lag_ms"]["p95"] for step in found),
        "finals_pct": min(step["finals_pct"] for step in found),
        "steps": found,
        "clock": clock,
        "audio": kind,
        "model": f"{MODEL}, int8, {workers} workers of {threads} threads",
        "load_average": [round(before, 2), round(os.getloadavg()[0], 2)],
    }
