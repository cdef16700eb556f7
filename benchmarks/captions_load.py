"""One to twelve people speak at once: how far finals fall behind, whether any is lost, how often words still come.

Everybody reads different clips without a break, which no meeting does, through one worker (one thread), as the server
starts it. `--clock wall` uses the real service; `--clock processor` the same worker on a clock that goes by the
processor time it takes (`benchmarks._virtual`), so that other programs do not spoil the delays.
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
    parser.add_argument("--clock", choices=("wall", "processor"), default="wall", help="see above")


@dataclass
class Step:
    """What was heard in one step; times in ms of one clock."""

    lags: list[float] = field(default_factory=list)
    interims: int = 0
    opened: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    spoken: float = 0.0

    def feed(self, now: float, segment: str, end: float, final: bool) -> None:
        self.opened.add(segment)
        if final:
            self.ended.add(segment)
            self.lags.append(now - end)
        else:
            self.interims += 1

    def figures(self, speakers: int, counters: dict[str, int], cpu: float) -> dict[str, Any]:
        utterances = counters.get("utterances", 0)
        done = counters.get("finals", 0) + counters.get("finals_empty", 0)
        lost = max(utterances - done, len(self.opened - self.ended))
        return {
            "speakers": speakers,
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


def by_processor(engine: Any, translator: Any, clips: list[Clip], speakers: int, seconds: float) -> dict[str, Any]:
    step = Step()

    def hear(at: float, message: ToServer) -> None:
        if isinstance(message, Words):
            step.feed(at * 1000, f"{message.stream}.{message.utterance}", message.end, message.final)

    worker = Worker(engine, translator, hear)
    worker.tell(0.0, SetReaders("room", ["en", "pt"]))
    for speaker in range(speakers):
        packets, language = script(clips, speaker, seconds)
        worker.tell(0.0, OpenStream(f"v{speaker}", "room", language, 0))
        worker.tell(worker.speak(speaker * APART, f"v{speaker}", packets), CloseStream(f"v{speaker}"))
        step.spoken += len(packets) * FRAME / RATE
    worker.run()
    counters = worker.recogniser.figures(worker.clock())[4]
    return step.figures(speakers, counters, worker.worked + worker.heard)


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


async def through_service(folder: Path, clips: list[Clip], steps: list[int], seconds: float) -> list[dict[str, Any]]:
    service = CaptionService(CaptionConfig(models=folder, model=MODEL))
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
    seconds: float = 25.0, speakers: list[int] | None = None, clock: Literal["wall", "processor"] = "wall"
) -> dict[str, Any]:
    """`lag_p95_ms`: of the worst step, from the end of an utterance (with 250 ms of silence) to its final."""
    before = os.getloadavg()[0]
    clips, kind = load_clips(24)
    steps = list(speakers or STEPS)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(os.environ.get("CONSILIUM_MODELS", temporary))
        models.install_embedded(folder)
        if clock == "wall":
            found = asyncio.run(through_service(folder, clips, steps, seconds))
        else:
            engine, translator = load(folder, MODEL)
            found = []
            for count in steps:
                found.append(by_processor(engine, translator, clips, count, seconds))
                print(found[-1], file=sys.stderr)
    return {
        "lag_p95_ms": max(step["lag_ms"]["p95"] for step in found),
        "finals_pct": min(step["finals_pct"] for step in found),
        "steps": found,
        "clock": clock,
        "audio": kind,
        "model": f"{MODEL}, int8, one worker of one thread",
        "load_average": [round(before, 2), round(os.getloadavg()[0], 2)],
    }
