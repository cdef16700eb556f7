"""Which language somebody speaks: declared, or detected and then kept until two utterances in a row clearly say
otherwise."""

from __future__ import annotations

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
    """One stream's language. `current` is None until something was declared or heard."""

    def __init__(self, declared: str | None = None) -> None:
        self.declared = declared
        self._kept: str | None = None
        self._other: str | None = None

    def declare(self, language: str | None) -> None:
        """What the person says they speak; None to detect. What was detected before stays until contradicted."""
        self.declared = language
        self._other = None

    @property
    def current(self) -> str | None:
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
        if probability >= CONFIDENT and duration >= LONG_ENOUGH:
            if self._kept is None or self._other == detected:
                self._kept, self._other = detected, None
            else:
                self._other = detected if detected != self._kept else None
        return self._kept or detected
