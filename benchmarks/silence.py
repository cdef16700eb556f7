"""Ten minutes each of silence, white noise, babble and music: how many words appear that nobody said.

The whole worker on a clock of its own (`benchmarks._virtual`), so that it takes a fraction of the time: Opus, voice
activity, guards, Whisper. Silence is what a microphone with nobody before it gives: nothing, then a hiss of its own.
White noise has three levels. Babble is twelve people at once in six languages, none louder than another, so that nobody
can be followed. Music is made here: chords, a melody, bass and drums, in several keys and tempi.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._clips import load_clips
from benchmarks._speech import RATE, Samples, opus
from benchmarks._virtual import Worker, load
from captioning.messages import CloseStream, OpenStream, ToServer, Words

STRETCH = 30
"""Seconds made at a time."""
TALKERS = 12
LOUD = 0.1


def options(parser: argparse.ArgumentParser) -> None:
    """What can be asked for."""
    parser.add_argument("--minutes", type=float, default=10.0, help="of each kind")
    parser.add_argument("--only", choices=list(KINDS), action="append", help="this kind only (may be repeated)")
    parser.add_argument("--seed", type=int, default=3, help="other sounds of the same kinds")


def silence(chance: np.random.Generator) -> Iterator[Samples]:
    while True:
        yield np.zeros(STRETCH * RATE, np.float32)
        yield (chance.standard_normal(STRETCH * RATE) * 3e-4).astype(np.float32)


def white(chance: np.random.Generator) -> Iterator[Samples]:
    while True:
        for level in (0.003, 0.03, 0.2):
            yield (chance.standard_normal(STRETCH * RATE) * level).astype(np.float32)


def babble(chance: np.random.Generator) -> Iterator[Samples]:
    clips, _ = load_clips(TALKERS)
    voices = [clip.samples / max(1e-4, float(np.sqrt(np.mean(clip.samples**2)))) for clip in clips]
    while True:
        total = np.zeros(STRETCH * RATE)
        for voice in voices:
            begin = int(chance.integers(len(voice)))
            total += np.resize(np.roll(voice, -begin), len(total))
        yield (total / np.sqrt(len(voices)) * LOUD / 2).astype(np.float32)


def music(chance: np.random.Generator) -> Iterator[Samples]:
    time = np.arange(STRETCH * RATE) / RATE
    while True:
        key, beat = 110 * 2 ** (chance.integers(12) / 12), 60 / chance.integers(70, 150)
        step = (time / beat).astype(int)
        phase = time % beat
        scale = np.array([0, 2, 4, 5, 7, 9, 11, 12])
        notes = scale[chance.integers(0, 8, step[-1] + 1)][step]
        chords = np.array([0, 5, 7, 9])[chance.integers(0, 4, step[-1] // 4 + 1)][step // 4]
        total = np.zeros(len(time))
        for semitones, gain, decay in ((notes + 12, 0.5, 4.0), (chords, 0.3, 0.5), (chords + 4, 0.25, 0.5)):
            pitch = key * 2 ** (semitones / 12)
            angle = 2 * np.pi * np.cumsum(pitch) / RATE
            sound = sum(np.sin(angle * harmonic) / harmonic**1.5 for harmonic in range(1, 7))
            total += gain * sound * np.exp(-decay * phase)
        total += 0.6 * np.sin(2 * np.pi * np.cumsum(key / 2 * 2 ** (chords / 12)) / RATE) * np.exp(-2 * phase)
        total += 0.4 * chance.standard_normal(len(time)) * np.exp(-40 * phase) * (step % 2)
        total += 0.8 * np.sin(2 * np.pi * 55 * phase) * np.exp(-12 * phase) * (step % 2 == 0)
        yield (total / np.max(np.abs(total)) * 3 * LOUD).astype(np.float32)


KINDS = {"silence": silence, "white_noise": white, "babble": babble, "music": music}


def listen(engine: Any, translator: Any, sounds: Iterator[Samples], minutes: float) -> dict[str, Any]:
    """What the worker makes of one kind of sound, language not declared."""
    heard: dict[int, str] = {}
    ever: set[int] = set()

    def hear(at: float, message: ToServer) -> None:
        if isinstance(message, Words):
            text = f"{message.stable} {message.tail}".strip()
            heard[message.utterance] = text
            if text:
                ever.add(message.utterance)
                print(f"{at:7.1f} s: {'final' if message.final else 'draft'}: {text}", file=sys.stderr)

    worker = Worker(engine, translator, hear)
    worker.tell(0.0, OpenStream("nobody", "room", None, 0))
    at, index = 0.0, 0
    while at < minutes * 60:
        packets = opus(next(sounds))
        at = worker.speak(at, "nobody", packets, index)
        index += len(packets)
        worker.run(limit=at - 1.0)
    worker.tell(at, CloseStream("nobody"))
    worker.run()
    counters = worker.recogniser.figures(worker.clock())[4]
    return {
        "words": sum(len(text.split()) for text in heard.values()),
        "shown_and_taken_back": len(ever) - sum(bool(text) for text in heard.values()),
        "minutes": round(at / 60, 1),
        "cpu": round((worker.worked + worker.heard) / at, 4),
        "counters": {k: v for k, v in counters.items() if v and k.startswith(("guard", "utter", "decode", "finals"))},
    }


def run(minutes: float = 10.0, only: list[str] | None = None, seed: int = 3) -> dict[str, Any]:
    """`words`: over all kinds, in the finals and what else was left standing. `cpu` is a share of one core."""
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as temporary:
        engine, translator = load(Path(os.environ.get("CONSILIUM_MODELS", temporary)))
        kinds = {
            name: listen(engine, translator, make(np.random.default_rng(seed)), minutes)
            for name, make in KINDS.items()
            if not only or name in only
        }
    total: Counter[str] = Counter()
    for kind in kinds.values():
        total.update({"words": kind["words"], "taken_back": kind["shown_and_taken_back"]})
    return {
        "words": total["words"],
        "shown_and_taken_back": total["taken_back"],
        **kinds,
        "seed": seed,
        "load_average": [round(before, 2), round(os.getloadavg()[0], 2)],
        "model": "whisper-base, int8, one thread",
    }
