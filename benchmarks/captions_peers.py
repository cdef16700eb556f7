"""The same clips, model and processor through two policies that others stream Whisper with, beside ours.

Both are plain baselines, written here from the published description, no package of theirs:

- ``local-agreement``: that of whisper_streaming (Macháček, Dabre and Bojar 2023): whenever at least a second of new
  sound is there, all that is not yet committed is decoded (beam 5, word times, the last 200 characters committed as
  prompt); the words on which two decodes agree are committed; from 15 s on, the sound is cut behind what is committed.
- ``repeat``: that of WhisperLive: whenever at least a second is there, all since the last committed segment is decoded
  (beam 5, voice activity filter); every segment but the last is committed at once, and the last after ten equal ones.

Each clip comes at the pace of speech, and the clock goes by the processor time that a policy takes
(`benchmarks._virtual` does so for ours), so that other programs do not spoil the delays. Language given to all.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._clips import Clip, listen_offline, load_clips, resample
from benchmarks._shown import Shown
from benchmarks._speech import Samples
from benchmarks.captions import MODEL, QUIET, by_processor, errors, rounded
from captioning import models
from captioning.agreement import plain

RATE = 16_000
STEP = 1.0
"""Seconds of new sound before the next decode; both take so much by default."""
TRIM = 15.0
PROMPT = 200
SAME = 10


def options(parser: argparse.ArgumentParser) -> None:
    """What can be asked for."""
    parser.add_argument("--clips", type=int, default=10, help="how many clips")


@dataclass
class LocalAgreement:
    """Words are (begin, end, text) on the clock of the clip. `committed` never changes again."""

    whisper: Any
    language: str
    committed: list[tuple[float, float, str]] = field(default_factory=list)
    last: list[tuple[float, float, str]] = field(default_factory=list)
    begin: float = 0.0

    def decode(self, sound: Samples, end: float) -> tuple[str, str]:
        piece = sound[int(self.begin * RATE) : int(end * RATE)]
        prompt = "".join(text for _, to, text in self.committed if to <= self.begin)[-PROMPT:]
        words = [
            (self.begin + word.start, self.begin + word.end, word.word)
            for segment in heard(self.whisper, piece, self.language, prompt, words=True)
            for word in segment.words or []
        ]
        since = self.committed[-1][1] if self.committed else 0.0
        fresh = [word for word in words if word[0] > since - 0.1]
        while fresh and self.committed and plain(fresh[0][2].strip()) == plain(self.committed[-1][2].strip()):
            if fresh[0][0] > since + 0.1:
                break
            fresh.pop(0)
        agreed = 0
        for new, old in zip(fresh, self.last, strict=False):
            if plain(new[2].strip()) != plain(old[2].strip()):
                break
            agreed += 1
        self.committed += fresh[:agreed]
        self.last = fresh[agreed:]
        if end - self.begin > TRIM and self.committed:
            self.begin = self.committed[-1][1]
        return self.texts()

    def finish(self) -> str:
        return " ".join(filter(None, self.texts()))

    def texts(self) -> tuple[str, str]:
        return "".join(w[2] for w in self.committed).strip(), "".join(w[2] for w in self.last).strip()


@dataclass
class Repeat:
    """`done` is committed; `tail` the last segment's text, and `same` how often it came."""

    whisper: Any
    language: str
    done: list[str] = field(default_factory=list)
    tail: str = ""
    same: int = 0
    begin: float = 0.0

    def decode(self, sound: Samples, end: float) -> tuple[str, str]:
        piece = sound[int(self.begin * RATE) : int(end * RATE)]
        segments = list(heard(self.whisper, piece, self.language, "", voice=True))
        base = self.begin
        for segment in segments[:-1]:
            self.done.append(segment.text.strip())
            self.begin = base + segment.end
        text = segments[-1].text.strip() if segments else ""
        self.same = self.same + 1 if text and text == self.tail else 0
        self.tail = text
        if self.same >= SAME:
            self.done.append(text)
            self.begin, self.tail, self.same = base + segments[-1].end, "", 0
        return self.texts()

    def finish(self) -> str:
        return " ".join(filter(None, self.texts()))

    def texts(self) -> tuple[str, str]:
        return " ".join(self.done), self.tail


def heard(
    whisper: Any, sound: Samples, language: str, prompt: str, *, words: bool = False, voice: bool = False
) -> Iterator[Any]:
    segments, _ = whisper.transcribe(
        sound,
        language=language,
        beam_size=5,
        initial_prompt=prompt or None,
        condition_on_previous_text=words,
        word_timestamps=words,
        vad_filter=voice,
    )
    return iter(segments)


def stream(policy: LocalAgreement | Repeat, clip: Clip, shown: Shown) -> float:
    """One clip at the pace of speech; returns the processor seconds that it took."""
    sound = np.concatenate([resample(clip.samples), np.zeros(int(QUIET * RATE), np.float32)])
    length = len(sound) / RATE
    now = seen = used = 0.0
    while seen < length:
        now = min(max(now, seen + STEP), max(now, length))
        seen = min(now, length)
        began = time.process_time()
        stable, tail = policy.decode(sound, seen)
        took = time.process_time() - began
        now += took
        used += took
        shown.feed(now * 1000, "all", 0.0, seen * 1000, stable, tail, False)
    shown.feed(now * 1000, "all", 0.0, length * 1000, policy.finish(), "", True)
    return used


def figures(screens: list[Shown], offline: list[Any], cpu: float) -> dict[str, Any]:
    pairs = list(zip(screens, offline, strict=True))
    erased = [shown.erased() for shown in screens]
    return {
        "wer": errors(screens, offline)["wer"],
        "first_shown_ms": rounded([d for shown, heard in pairs for d in shown.first_shown(heard)]),
        "stable_ms": rounded([d for shown, heard in pairs for d in shown.stable(heard)]),
        "final_ms": rounded([d for shown, heard in pairs for d in shown.final_delays(heard)]),
        "erasure": round(sum(a for a, _ in erased) / max(1, sum(b for _, b in erased)), 3),
        "cpu_per_speaker": round(cpu / sum(shown.clip.seconds for shown in screens), 3),
    }


def run(clips: int = 10) -> dict[str, Any]:
    """`cpu_ratio`: ours over the cheaper of the two."""
    from faster_whisper import WhisperModel

    before = os.getloadavg()[0]
    chosen, kind = load_clips(clips)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(os.environ.get("CONSILIUM_MODELS", temporary))
        models.install_embedded(folder)
        offline = listen_offline(chosen, folder / MODEL)
        ours, live = by_processor(chosen, folder)
        found = {"consilium": figures(ours, offline, live["cpu"])}
        place = str(folder / MODEL)
        whisper = WhisperModel(place, device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)
        for name, policy in (("local-agreement", LocalAgreement), ("repeat", Repeat)):
            screens, cpu = [], 0.0
            for clip in chosen:
                screens.append(Shown(clip))
                cpu += stream(policy(whisper, clip.language), clip, screens[-1])
                print(f"{name} {clip.name}: {screens[-1].text}", file=sys.stderr)
            found[name] = figures(screens, offline, cpu)
    cheapest = min(found[name]["cpu_per_speaker"] for name in found if name != "consilium")
    return {
        **found,
        "offline_wer": errors(ours, offline)["offline_wer"],
        "cpu_ratio": round(found["consilium"]["cpu_per_speaker"] / cheapest, 3),
        "clips": len(chosen),
        "audio": kind,
        "model": f"{MODEL}, int8, one thread",
        "load_average": [round(before, 2), round(os.getloadavg()[0], 2)],
    }
