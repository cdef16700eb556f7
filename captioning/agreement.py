"""LocalAgreement-2: words on which two hypotheses in a row agree are stable (Liu, Spanakis and Niehues 2020; Macháček
2023)."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from difflib import SequenceMatcher


def plain(word: str) -> str:
    """A word as it counts for agreement: without case and punctuation."""
    return "".join(c for c in word.casefold() if not unicodedata.category(c).startswith(("P", "Z", "S"))) or word


class Agreement:
    """The agreed beginning of one utterance. It only grows, until the final replaces everything."""

    def __init__(self, stable: Sequence[str] = (), last: Sequence[str] = ()) -> None:
        self._stable = list(stable)
        self._last = list(last)

    @property
    def stable(self) -> list[str]:
        """The words agreed on."""
        return list(self._stable)

    def settle(self, words: Sequence[str]) -> list[str]:
        """A hypothesis that needs no second one: what comes after the stable words is stable too."""
        self._stable.extend(self._after_stable(words))
        self._last = []
        return list(self._stable)

    def update(self, words: Sequence[str]) -> tuple[list[str], list[str]]:
        """Take the newest hypothesis; returns (stable words, the rest of this hypothesis)."""
        rest = self._after_stable(words)
        agreed = 0
        for new, old in zip(rest, self._last, strict=False):
            if plain(new) != plain(old):
                break
            agreed += 1
        self._stable.extend(rest[:agreed])
        self._last = list(rest[agreed:])
        return list(self._stable), list(self._last)

    def _after_stable(self, words: Sequence[str]) -> Sequence[str]:
        """The part of a hypothesis that lies after the stable words, even where it tells those differently."""
        count = len(self._stable)
        theirs = [plain(word) for word in words]
        ours = [plain(word) for word in self._stable]
        if theirs[:count] == ours:
            return words[count:]
        matcher = SequenceMatcher(None, ours, theirs, autojunk=False)
        end = 0
        for tag, _, i2, _, j2 in matcher.get_opcodes():
            if tag == "equal" and i2 <= count:
                end = j2 + (count - i2)
        return words[min(end or count, len(words)) :]
