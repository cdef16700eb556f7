"""What is shown of an utterance that is still open, and from where on its next draft listens.

A decoder's time grows with what it hears, so a draft hears only the last piece of a long utterance. A piece ends where
the speaker breathed, or, in speech without a breath, behind words that two drafts agreed on. Words of earlier pieces
stand as they were heard until a full pass, which hears everything, says better. Pure; frames are those of
`captioning.vad`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from captioning.agreement import Agreement, plain
from captioning.decode import RATE, Samples
from captioning.hypothesis import Sure
from captioning.vad import FRAME

PIECE = round(2.5 * RATE / FRAME)
"""Frames under which a breath does not end a piece: too little to be understood by itself."""
LONGEST = 4.0
"""Seconds of a piece after which it is cut without a breath."""
FRESH = 1.2
"""Seconds before now in which words may still change much: nothing is cut there, and what is unsure waits."""
AROUND = (-0.1, 0.25)
"""Seconds around the end of a word, as aligned, in which the quietest moment is looked for."""


@dataclass(frozen=True, slots=True)
class Showing:
    """What a fresh word that only one draft heard needs to be shown, before which nothing that follows it is either: a
    probability of `unsure`, of `unsure_cut` when it ended less than `cut` seconds ago, as it may have been cut off.
    With `hold` what stands there goes for a surer word only, or at the second contradiction. `python -m benchmarks
    display` has the curve of delay against words taken back that this was chosen from."""

    unsure: float = 0.25
    cut: float = 0.2
    unsure_cut: float = 0.7
    hold: bool = True

    def needed(self, age: float) -> float:
        """The probability that a word needs which ended so many seconds ago."""
        return self.unsure_cut if age < self.cut else self.unsure


SHOWING = Showing()


class _Shown(NamedTuple):
    """A word on the screen, how sure the draft was of it, and whether another contradicted it since."""

    word: str
    probability: float
    contradicted: bool = False


class Draft:
    """One open utterance that began at frame `start`."""

    def __init__(self, start: int, showing: Showing = SHOWING) -> None:
        self._showing = showing
        self.anchor = start
        """The frame from which on a draft listens."""
        self._kept: list[str] = []
        self._agreement = Agreement()
        self._cut = False
        self._screen: list[_Shown] = []

    @property
    def kept(self) -> list[str]:
        """The words of earlier pieces."""
        return list(self._kept)

    def update(
        self, words: Sequence[str], sure: Sequence[Sure] | None, samples: Samples
    ) -> tuple[list[str], list[str]]:
        """A draft of `samples`, the piece so far; returns (stable words, what may yet change) of the utterance."""
        if self._cut and words and self._kept and plain(words[0]) == plain(self._kept[-1]):
            words, sure = words[1:], sure[1:] if sure else sure  # the cut left a rest of it
        stable, tail = self._agreement.update(words)
        shown = tail
        if sure and len(sure) == len(words):
            least, seconds = len(words) - len(tail), len(samples) / RATE
            fresh = (at for at in range(least, len(words)) if sure[at].end > seconds - FRESH)
            limit = next(
                (at for at in fresh if sure[at].probability < self._showing.needed(seconds - sure[at].end)), len(words)
            )
            shown = tail[: limit - least]
            screen = self._screen
            if seconds > LONGEST and (cut := self._end_within(words, sure, samples)):
                self._screen = screen
                return list(self._kept), self._hold(self._kept, words[cut : max(limit, least)], sure[cut:])
            return [*self._kept, *stable], self._hold([*self._kept, *stable], shown, sure[least:])
        self._screen = []
        return [*self._kept, *stable], shown

    def _hold(self, stable: Sequence[str], tail: Sequence[str], sure: Sequence[Sure]) -> list[str]:
        """What is shown behind the stable words: what stands there goes for a word that is surer, or when a second
        draft in a row contradicts it."""
        shown: list[_Shown] = []
        for at, word in enumerate(tail):
            before = self._screen[len(stable) + at :]
            probability = sure[at].probability
            contradicts = bool(before) and plain(before[0].word) != plain(word)
            if (
                self._showing.hold
                and contradicts
                and not before[0].contradicted
                and before[0].probability > probability
            ):
                shown += [one._replace(contradicted=True) for one in before]
                break
            shown.append(_Shown(word, probability))
        self._screen = [*(_Shown(word, 1.0) for word in stable), *shown]
        return [one.word for one in shown]

    def breathe(self, words: Sequence[str], end: int) -> tuple[list[str], list[str]]:
        """A draft of a piece that ends in silence since frame `end`: no word of it was cut off."""
        stable = self._agreement.settle(words)
        self._screen = []
        if end - self.anchor < PIECE:
            return [*self._kept, *stable], []
        self._kept += stable
        self._begin(end)
        return list(self._kept), []

    def settle(self, words: Sequence[str], end: int) -> tuple[list[str], list[str]]:
        """A full pass heard everything up to frame `end`."""
        self._kept = list(words)
        self._begin(end)
        return list(self._kept), []

    def _begin(self, frame: int) -> None:
        self._screen = []
        self.anchor, self._agreement, self._cut = frame, Agreement(), False

    def _end_within(self, words: Sequence[str], sure: Sequence[Sure], samples: Samples) -> int:
        """Cut behind the last word that is old enough, where it is quietest; how many words that were."""
        old = [at for at, word in enumerate(sure) if word.end <= len(samples) / RATE - FRESH]
        if len(old) < 2:
            return 0
        count = old[-1] + 1
        end = sure[old[-1]].end
        first, last = (max(0, int((end + around) * RATE)) // FRAME for around in AROUND)
        frames = samples[first * FRAME : last * FRAME].reshape(-1, FRAME)
        if not len(frames):
            return 0
        quietest = first + int(np.argmin(np.mean(frames * frames, axis=1)))
        self._kept += words[:count]
        self._begin(self.anchor + quietest)
        self._agreement = Agreement((), words[count:])
        self._cut = True
        return count
