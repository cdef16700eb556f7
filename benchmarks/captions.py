"""Live captions on real speech: word errors beside the same model offline, delays, flicker, processor time.

Every clip goes through Opus at the pace of speech, one voice at a time. `--clock wall` (as people have it) uses the
real service and its worker process; `--clock processor` uses the same worker on a clock that goes by the processor time
it takes, so that other programs do not spoil the delays. `CONSILIUM_DATA` names the folder with
``speech/manifest.tsv``; without it the demo's own audio is used.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks._clips import Clip, Offline, listen_offline, load_clips, word_errors
from benchmarks._shown import Shown
from benchmarks._speech import RATE, Clock, microphone, opus, speak
from benchmarks._virtual import Worker, load
from benchmarks.figures import latency
from captioning import models
from captioning.caption import Caption
from captioning.config import CaptionConfig
from captioning.messages import CloseStream, OpenStream, SetReaders, ToServer, Words
from captioning.service import CaptionService

MODEL = "whisper-base"
QUIET = 1.6
"""Seconds of silence behind each clip, so that its final can come."""
LEAD = 0.1


def options(parser: argparse.ArgumentParser) -> None:
    """What can be asked for."""
    count = int(os.environ.get("CONSILIUM_CLIPS", "24"))
    parser.add_argument("--clips", type=int, default=count, help="how many clips (CONSILIUM_CLIPS)")
    parser.add_argument("--threads", type=int, default=1, help="of the worker; more than one only with --clock wall")
    parser.add_argument("--clock", choices=("wall", "processor"), default="wall", help="see above")


def packets_of(clip: Clip) -> list[bytes]:
    return opus(np.concatenate([clip.samples, np.zeros(int(QUIET * RATE), np.float32)]))


def readers_of(clip: Clip) -> list[str]:
    return ["pt"] if clip.language == "en" else ["en"]


async def play(service: CaptionService, clip: Clip, index: int) -> tuple[Shown, dict[str, str], int]:
    """One clip through the service: what was shown, its translations by language, utterances without a final."""
    clock = Clock()
    shown = Shown(clip)
    newest: dict[tuple[str, str], Caption] = {}

    def hear(caption: Caption) -> None:
        newest[caption.segment, caption.language] = caption
        if caption.engine is None:
            parts = caption.stable, caption.tail, caption.final
            shown.feed(clock.now(), caption.segment, caption.start, caption.end, *parts)

    room = service.open_room(f"clip-{index}", hear, clock)
    room.set_spoken("speaker", clip.language)
    room.set_readers(frozenset(readers_of(clip)))
    track = f"track-{index}"
    room.track_opened(microphone("speaker", track), clock.now())
    shown.began = await speak(room, clock, track, packets_of(clip))
    await room.close()
    translated: dict[str, str] = {}
    for caption in sorted((c for c in newest.values() if c.final and c.engine is not None), key=lambda c: c.start):
        translated[caption.language] = f"{translated.get(caption.language, '')} {caption.stable}".strip()
    return shown, translated, sum(not caption.final for caption in newest.values())


async def through_service(clips: list[Clip], folder: Path, threads: int) -> tuple[list[Shown], dict[str, Any]]:
    service = CaptionService(CaptionConfig(models=folder, model=MODEL, threads=threads))
    await service.start()
    while service.status().state == "loading":  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    if (problem := service.status().problem) is not None:
        raise RuntimeError(problem)
    await asyncio.sleep(1.0)
    sample: dict[str, str] = {}
    screens, lost = [], 0
    before = service.cpu_seconds()
    for index, clip in enumerate(clips):
        shown, translated, open_still = await play(service, clip, index)
        screens.append(shown)
        lost += open_still
        if clip.language == "en" and shown.text and not sample:
            sample = {"source": shown.text, **translated}
        print(f"{index + 1}/{len(clips)} {clip.language} {clip.name}: {shown.text}", file=sys.stderr)
    await asyncio.sleep(1.0)
    used = service.cpu_seconds() - before
    counters = service.status().counters
    await service.stop()
    return screens, {"cpu": used, "lost": lost, "counters": counters, "translation_sample": sample}


def by_processor(clips: list[Clip], folder: Path) -> tuple[list[Shown], dict[str, Any]]:
    engine, translator = load(folder, MODEL)
    screens: list[Shown] = []
    counters: Counter[str] = Counter()
    used, lost = 0.0, 0
    for index, clip in enumerate(clips):
        shown = Shown(clip, LEAD * 1000)
        heard: dict[int, bool] = {}

        def hear(at: float, message: ToServer, shown: Shown = shown, heard: dict[int, bool] = heard) -> None:
            if isinstance(message, Words):
                heard[message.utterance] = message.final
                parts = message.stable, message.tail, message.final
                shown.feed(at * 1000, str(message.utterance), message.start, message.end, *parts)

        worker = Worker(engine, translator, hear)
        worker.tell(0.0, SetReaders("room", readers_of(clip)))
        worker.tell(0.0, OpenStream("voice", "room", clip.language, 0))
        worker.tell(worker.speak(LEAD, "voice", packets_of(clip)), CloseStream("voice"))
        worker.run()
        screens.append(shown)
        used += worker.worked + worker.heard
        lost += sum(not final for final in heard.values())
        counters.update(worker.recogniser.figures(worker.clock())[4])
        print(f"{index + 1}/{len(clips)} {clip.language} {clip.name}: {shown.text}", file=sys.stderr)
    return screens, {"cpu": used, "lost": lost, "counters": dict(counters)}


def rounded(values: list[float]) -> dict[str, int]:
    return {k: round(v) for k, v in latency(values).items()} if values else {}


def errors(screens: list[Shown], heard: list[Offline]) -> dict[str, float]:
    references = [shown.clip.text for shown in screens]
    return {
        "wer": word_errors(references, [shown.text for shown in screens]),
        "offline_wer": word_errors(references, [offline.text for offline in heard]),
    }


def run(clips: int = 24, clock: Literal["wall", "processor"] = "wall", threads: int = 1) -> dict[str, Any]:
    """Raises ValueError for threads on the processor's clock, which counts all of them together."""
    if threads != 1 and clock == "processor":
        raise ValueError("threads need --clock wall")
    before = os.getloadavg()[0]
    chosen, kind = load_clips(clips)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(os.environ.get("CONSILIUM_MODELS", temporary))
        models.install_embedded(folder)
        if clock == "wall":
            screens, live = asyncio.run(through_service(chosen, folder, threads))
        else:
            screens, live = by_processor(chosen, folder)
        offline = listen_offline(chosen, folder / MODEL)
    pairs = list(zip(screens, offline, strict=True))
    languages = sorted({clip.language for clip in chosen})
    first = [delay for shown, heard in pairs for delay in shown.first_shown(heard)]
    erased = [shown.erased() for shown in screens]
    speech = sum(clip.seconds for clip in chosen)
    return {
        **errors(screens, offline),
        "first_shown_ms": rounded(first),
        "appeared_ms": rounded([delay for shown, heard in pairs for delay in shown.appeared(heard)]),
        "stable_ms": rounded([delay for shown, heard in pairs for delay in shown.stable(heard)]),
        "final_ms": rounded([delay for shown, heard in pairs for delay in shown.final_delays(heard)]),
        "erasure": round(sum(a for a, _ in erased) / max(1, sum(b for _, b in erased)), 3),
        "cpu_per_speaker": round(live.pop("cpu") / speech, 3),
        "lost_finals": live.pop("lost"),
        "speech_s": round(speech, 1),
        **live,
        "languages": {
            language: errors([s for s, _ in mine], [o for _, o in mine]) | {"clips": len(mine)}
            for language in languages
            if (mine := [pair for pair in pairs if pair[0].clip.language == language])
        },
        "clips": len(chosen),
        "audio": kind,
        "model": f"{MODEL}, int8, {threads} threads",
        "clock": clock,
        "load_average": [round(before, 2), round(os.getloadavg()[0], 2)],
        "words_dated": sum(len(heard.words) for heard in offline),
        "words_shown": len(first),
        "measured": (
            "at the pace of speech, one voice at a time, language declared; delays from the end of a word (offline "
            "word alignment of the same model). first_shown: until that very word stood there, so that a misheard word "
            "waits for its correction; appeared: until as many words stood there as had been spoken"
        ),
    }
