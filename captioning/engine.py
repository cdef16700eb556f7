"""What the recogniser asks of a speech model; `captioning.whisper.WhisperEngine` is one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from captioning.decode import Samples
from captioning.hypothesis import Hypothesis


@dataclass(frozen=True, slots=True)
class Request:
    """16 kHz mono samples to hear. `choose` gets the detected language and its probability and returns the one to
    decode in, or None to give up for now; it is not asked when `declared` is known to the model. Only what is
    `among` these is detected, if there are any. In a full pass,
    `english(language)` says whether a translation to English is wanted too and `hints(language)` names terms that may
    have been said; `hurry` asks for less: voices wait."""

    samples: Samples
    choose: Callable[[str, float], str | None]
    declared: str | None = None
    among: frozenset[str] = frozenset()
    full: bool = False
    hurry: bool = False
    english: Callable[[str], bool] | None = None
    hints: Callable[[str], list[str]] | None = None


class Engine(Protocol):
    """Not thread-safe: one thread uses it. `batch` is how many requests it likes to get at once; all of one call are
    full passes or none is. Answers come in the order of the requests, None where no language was chosen."""

    languages: tuple[str, ...]
    multilingual: bool
    batch: int

    def recognise(self, requests: Sequence[Request]) -> list[Hypothesis | None]: ...
