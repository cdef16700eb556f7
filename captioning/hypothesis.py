"""What the recogniser heard in one utterance so far."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from captioning.guards import Guard

UNSPACED = frozenset({"zh", "ja", "th", "lo", "my", "yue", "km", "bo"})
"""Languages written without spaces: there, every character counts as a word."""


class Sure(NamedTuple):
    """Of one word: its probability, and where it ends, in seconds from the beginning of what was heard."""

    probability: float
    end: float


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """`log_probability` is the mean over tokens, `no_speech` Whisper's own doubt; `guard` says why the text must not be
    shown. `english` is Whisper's translation, where it was asked for. `judge` works out the probability and the end of
    every word (one more pass of the decoder, none for languages without spaces), only in the thread that
    recognises."""

    text: str
    language: str
    detected: str
    detected_probability: float
    log_probability: float = 0.0
    no_speech: float = 0.0
    guard: Guard | None = None
    fell_back: bool = False
    english: str | None = None
    judge: Callable[[], list[Sure] | None] = field(default=lambda: None, compare=False, repr=False)

    @property
    def words(self) -> list[str]:
        return split(self.text, self.language)

    @property
    def confidence(self) -> float:
        """The mean probability of a token, 0 to 1."""
        return math.exp(min(0.0, self.log_probability))


def together(pieces: Sequence[Hypothesis]) -> Hypothesis:
    """One utterance of pieces that were heard one by one, all in one language. A full stop that the next piece, which
    begins with a small letter, contradicts is left out."""
    language = pieces[0].language
    words: list[str] = []
    for piece in pieces:
        fresh = piece.words
        if words and fresh and fresh[0][:1].islower() and words[-1].endswith(".") and not words[-1].endswith(".."):
            words[-1] = words[-1][:-1] or words[-1]
        words += fresh
    weights = [max(1, len(piece.words)) for piece in pieces]
    mean = sum(one.log_probability * weight for one, weight in zip(pieces, weights, strict=True)) / sum(weights)

    def judge() -> list[Sure] | None:
        found: list[Sure] = []
        for piece in pieces:
            sure = piece.judge()
            if sure is None:
                return None
            found += sure
        return found

    longest = max(pieces, key=lambda piece: len(piece.words))
    return Hypothesis(
        text=join(words, language),
        language=language,
        detected=longest.detected,
        detected_probability=longest.detected_probability,
        log_probability=mean,
        no_speech=max(piece.no_speech for piece in pieces),
        guard=next((piece.guard for piece in pieces if piece.guard is not None), None),
        fell_back=any(piece.fell_back for piece in pieces),
        judge=judge,
    )


def split(text: str, language: str) -> list[str]:
    """Words as agreement sees them."""
    return list(text) if language in UNSPACED else text.split()


def join(words: Sequence[str], language: str) -> str:
    """The text of such words."""
    return ("" if language in UNSPACED else " ").join(words)
