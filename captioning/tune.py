"""How fast this machine recognises with which threads and numbers, and what to choose (`consilium models tune`)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from captioning.decode import RATE, Samples
from captioning.engine import Engine, Request

TYPES = {
    "cpu": ("int8", "int8_float32", "float32"),
    "cuda": ("float16", "int8_float16", "int8", "float32"),
}
"""CTranslate2's kinds of numbers worth trying. On a CPU 16-bit ones are computed as 32-bit ones."""
DRAFT, FULL = 4.0, 10.0
"""Seconds of speech in a draft and in a full pass."""
ROUNDS = 3
NEAR = 1.1
"""Within this factor of the most voices, what answers sooner wins."""


@dataclass(frozen=True, slots=True)
class Trial:
    """`draft` and `full` are seconds for one voice, `together` for each of several drafts in one call. `voices`: how
    many people can speak at once on all cores given, each with a draft a second."""

    compute: str
    threads: int
    workers: int
    draft: float
    full: float
    together: float

    @property
    def voices(self) -> float:
        return self.workers / self.together


def plans(device: str, cores: int, supported: set[str]) -> list[tuple[str, int, int]]:
    """(kind of numbers, threads, workers) to try: a core stays free for media where there is more than one."""
    kinds = [kind for kind in TYPES[device] if kind in supported]
    if device == "cuda":
        return [(kind, 1, 1) for kind in kinds]
    free = max(1, cores - 1)
    threads = sorted({1, 2, 4, 8, free})
    return [(kind, count, free // count) for kind in kinds for count in threads if count <= free]


def best(trials: Sequence[Trial]) -> Trial:
    """Who carries about the most voices and answers soonest. Raises ValueError without any trial."""
    most = max(trial.voices for trial in trials)
    return min((trial for trial in trials if trial.voices * NEAR >= most), key=lambda trial: trial.draft)


def measure(
    load: Callable[[str, int], Engine], speech: Samples, plan: Sequence[tuple[str, int, int]]
) -> Iterator[Trial]:
    """Try each plan in turn on 16 kHz speech of ten seconds or more."""
    for compute, threads, workers in plan:
        engine = load(compute, threads)
        several = [speech[at * RATE // 2 :][: int(DRAFT * RATE)] for at in range(engine.batch)]
        took = {
            "draft": _time(engine, several[:1], False),
            "full": _time(engine, [speech[: int(FULL * RATE)]], True),
            "together": _time(engine, several, False) / len(several),
        }
        yield Trial(compute, threads, workers, **took)


def _time(engine: Engine, voices: Sequence[Samples], full: bool) -> float:
    requests = [Request(samples, lambda language, _: language, "en", full=full) for samples in voices]
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        engine.recognise(requests)
        took.append(time.perf_counter() - began)
    return min(took)  # the rest is what other programs took


def device_for(wished: str) -> str:
    """`cpu` or `cuda`: `auto` takes a GPU where CTranslate2 sees one."""
    import ctranslate2

    if wished != "auto":
        return wished
    try:
        return "cuda" if ctranslate2.get_cuda_device_count() > 0 else "cpu"
    except RuntimeError:  # a driver without its libraries
        return "cpu"


def compute_for(wished: str, device: str) -> str:
    """The kind of numbers: `auto` is what is fastest by experience, see `TYPES`."""
    return TYPES[device][0] if wished == "auto" else wished


def supported(device: str) -> set[str]:
    """The kinds of numbers that this machine can compute with."""
    import ctranslate2

    return set(ctranslate2.get_supported_compute_types(device))


def loader(folder: Path, device: str) -> Callable[[str, int], Engine]:
    """Loads the model in that folder with (kind of numbers, threads)."""
    from captioning.whisper import WhisperEngine

    return lambda compute, threads: WhisperEngine(folder, device, compute, threads)
