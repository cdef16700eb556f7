"""How soon words are shown against how many are taken back: one recording of drafts, shown by many policies.

The clips go once through the worker on a processor's clock (`benchmarks._virtual`); every draft, with its words and how
sure it was of each, is kept with its time. What a reader would have seen is then worked out for each `Showing` from the
same drafts, in seconds, by the very code that decides it live (`captioning.draft`).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks._clips import Clip, listen_offline, load_clips
from benchmarks._shown import Shown
from benchmarks._virtual import Worker, load
from benchmarks.captions import LEAD, MODEL, packets_of, readers_of, rounded
from captioning import models
from captioning.decode import Samples
from captioning.draft import Draft, Showing
from captioning.hypothesis import Sure
from captioning.messages import CloseStream, OpenStream, SetReaders, ToServer, Words

POLICIES = {
    "everything": Showing(0.0, 0.0, 0.0, False),
    "unsure words wait": Showing(0.25, 0.0, 0.25, False),
    "words that may be cut off too": Showing(0.25, 0.2, 0.7, False),
    "and what stands is held (ours)": Showing(),
    "stricter": Showing(0.4, 0.3, 0.7),
    "strict": Showing(0.5, 0.3, 1.1),
    "agreed words, when fresh": Showing(1.1, 0.3, 1.1),
}


@dataclass(frozen=True, slots=True)
class Call:
    """What a draft was told, when, and of which utterance; a final has its text and its end instead."""

    at: float
    utterance: int
    begin: float
    tell: Callable[[Draft], tuple[list[str], list[str]]] | None = None
    text: str = ""
    end: float = 0.0


def options(parser: argparse.ArgumentParser) -> None:
    """What can be asked for."""
    parser.add_argument("--clips", type=int, default=12, help="how many clips")


class Recorder:
    """Stands in for `captioning.draft.Draft` while the worker runs: the same, and writes down what it was told."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.calls: list[Call] = []
        self.drafts: list[int] = []
        self._clock = clock

    def make(self, start: int) -> Draft:
        recorder, number = self, len(self.drafts)
        self.drafts.append(start)

        class Recorded(Draft):
            def update(
                self, words: Sequence[str], sure: Sequence[Sure] | None, samples: Samples
            ) -> tuple[list[str], list[str]]:
                recorder.note(number, start, lambda draft: draft.update(words, sure, samples))
                return super().update(words, sure, samples)

            def breathe(self, words: Sequence[str], end: int) -> tuple[list[str], list[str]]:
                recorder.note(number, start, lambda draft: draft.breathe(words, end))
                return super().breathe(words, end)

            def settle(self, words: Sequence[str], end: int) -> tuple[list[str], list[str]]:
                recorder.note(number, start, lambda draft: draft.settle(words, end))
                return super().settle(words, end)

        return Recorded(start)

    def note(self, number: int, start: int, tell: Callable[[Draft], tuple[list[str], list[str]]]) -> None:
        self.calls.append(Call(self._clock() * 1000, number, float(start), tell))


def record(engine: Any, translator: Any, clip: Clip) -> list[Call]:
    """One clip through the worker."""
    worker: Worker

    def hear(at: float, message: ToServer) -> None:
        if isinstance(message, Words) and message.final:
            begin = float(recorder.drafts[message.utterance])
            recorder.calls.append(Call(at * 1000, message.utterance, begin, None, message.stable, message.end))

    recorder = Recorder(lambda: worker.clock())
    with mock.patch("captioning.stream.Draft", recorder.make):
        worker = Worker(engine, translator, hear)
        worker.tell(0.0, SetReaders("room", readers_of(clip)))
        worker.tell(0.0, OpenStream("voice", "room", clip.language, 0))
        worker.tell(worker.speak(LEAD, "voice", packets_of(clip)), CloseStream("voice"))
        worker.run()
    return recorder.calls


def watch(clip: Clip, calls: Sequence[Call], showing: Showing) -> Shown:
    """What a reader saw of a clip."""
    shown = Shown(clip, LEAD * 1000)
    drafts: dict[int, Draft] = {}
    before: dict[int, tuple[list[str], list[str]]] = {}
    for call in calls:
        name = str(call.utterance)
        if call.tell is None:
            shown.feed(call.at, name, call.begin, call.end, call.text, "", True)
            continue
        draft = drafts.setdefault(call.utterance, Draft(int(call.begin), showing))
        stable, tail = now = call.tell(draft)
        if before.get(call.utterance) != now:
            before[call.utterance] = now
            shown.feed(call.at, name, call.begin, call.end, " ".join(stable), " ".join(tail), False)
    return shown


def run(clips: int = 12) -> dict[str, Any]:
    """`policies`: for each the delays, and `erasure`, as in `captions`."""
    load_before = os.getloadavg()[0]
    chosen, kind = load_clips(clips)
    recorded: list[list[Call]] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(os.environ.get("CONSILIUM_MODELS", temporary))
        models.install_embedded(folder)
        engine, translator = load(folder, MODEL)
        for clip in chosen:
            recorded.append(record(engine, translator, clip))
            print(f"{clip.name}: {len(recorded[-1])} drafts and finals", file=sys.stderr)
        offline = listen_offline(chosen, folder / MODEL)
    found: dict[str, Any] = {}
    for name, showing in POLICIES.items():
        screens = [watch(clip, calls, showing) for clip, calls in zip(chosen, recorded, strict=True)]
        pairs = list(zip(screens, offline, strict=True))
        erased = [shown.erased() for shown in screens]
        found[name] = {
            "first_shown_ms": rounded([delay for shown, heard in pairs for delay in shown.first_shown(heard)]),
            "appeared_ms": rounded([delay for shown, heard in pairs for delay in shown.appeared(heard)]),
            "erasure": round(sum(a for a, _ in erased) / max(1, sum(b for _, b in erased)), 3),
        }
    return {
        "policies": found,
        "clips": len(chosen),
        "audio": kind,
        "model": f"{MODEL}, int8, one thread",
        "load_average": [round(load_before, 2), round(os.getloadavg()[0], 2)],
    }
