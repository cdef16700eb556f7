"""Which language somebody speaks: declared, or detected and then kept until two utterances in a row clearly say
otherwise. Detection stays among the languages that their room declares."""

from __future__ import annotations

from collections.abc import Iterable

CONFIDENT = 0.8
LONG_ENOUGH = 1_500.0
"""Milliseconds of utterance below which detection is not trusted to change anything."""
GUESS = 0.5


SAME = {"nb": "no", "iw": "he", "in": "id", "fil": "tl"}
"""Other subtags of the same languages: older ones, and what models call them."""


def base(tag: str) -> str:
    """The primary language of a BCP 47 tag: ``pt`` of ``pt-BR``."""
    primary = tag.split("-", 1)[0].lower()
    return SAME.get(primary, primary)


class SpokenLanguage:
    """One stream's language, as primary tags. `current` is None until something was declared or heard."""

    def __init__(self, declared: str | None = None, among: Iterable[str] = ()) -> None:
        self.declared: str | None = None
        self.among: frozenset[str] = frozenset()
        """What may be detected; empty: anything."""
        self._kept: str | None = None
        self._other: str | None = None
        self.declare(declared, among)

    def declare(self, language: str | None, among: Iterable[str] = ()) -> None:
        """What the person says they speak, None to detect, and what is spoken in their room. What was detected before
        stays until contradicted, unless nobody speaks it there. BCP 47 tags."""
        self.declared = base(language) if language else None
        self.among = frozenset(map(base, among))
        self._other = None
        if self.among and self._kept not in self.among:
            self._kept = None

    @property
    def current(self) -> str | None:
        if self.declared is None and len(self.among) == 1:
            return next(iter(self.among))
        return self.declared or self._kept

    def choose(self, detected: str, probability: float) -> str | None:
        """The language to decode an open utterance in; None when it is too early to tell."""
        if self.current is not None:
            return self.current
        return detected if probability >= GUESS else None

    def conclude(self, detected: str, probability: float, duration: float) -> str:
        """The language to decode a finished utterance in; learns from it. `duration` in milliseconds."""
        if self.declared is not None:
            return self.declared
        known = not self.among or detected in self.among
        if known and probability >= CONFIDENT and duration >= LONG_ENOUGH:
            if self._kept is None or self._other == detected:
                self._kept, self._other = detected, None
            else:
                self._other = detected if detected != self._kept else None
        return self.current or detected
