"""An interpreters' channel as a rendition of its own: the floor, quieter while somebody interprets, and their voice.

It begins as a copy of the floor's mix when somebody first interprets into its language, so that it is a whole
rendition; from then on the floor's voices are added to both. Positions are samples at 48 kHz from the recording's
start.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from recorder.mix import RATE, Floats, Mixer
from recorder.parts import MediaFileInfo

DUCKED = 10 ** (-16 / 20)
"""The floor's part while somebody interprets: heard, and no obstacle to understanding."""
RAMP = RATE // 5
"""Samples in which it gets so."""
PREFIX, SUFFIX = "mix-", ".mp4"


def name_of(language: str) -> str:
    """The file of a channel."""
    return f"{PREFIX}{language}{SUFFIX}"


def language_of(name: str) -> str:
    """The language of a channel's file."""
    return name.removeprefix(PREFIX).removesuffix(SUFFIX)


class Channel:
    """One language."""

    def __init__(self, folder: Path, language: str, floor: Mixer, begun: MediaFileInfo | None = None) -> None:
        """`begun`: what a crash left of it is taken over. Raises OSError."""
        self.language = language
        self.mixer = Mixer(folder, begun, name_of(language))
        if not self.mixer.groups:
            self.mixer.follow(floor, folder)
        self._turns = [(0, 1.0)]

    def duck(self, position: int, on: bool) -> None:
        """From there on somebody interprets, or nobody does."""
        wanted = DUCKED if on else 1.0
        if self._turns[-1][1] != wanted:
            at = max(position, self._turns[-1][0] + RAMP) if len(self._turns) > 1 else max(position, 1)
            self._turns = [*self._turns[-8:], (at, wanted)]

    def floor(self, position: int, samples: Floats) -> None:
        """Adds a voice of the floor."""
        self.mixer.add(position, samples * self._gain(position, len(samples)))

    def _gain(self, position: int, count: int) -> Floats | np.float32:
        if len(self._turns) == 1 or position >= self._turns[-1][0] + RAMP:
            return np.float32(self._turns[-1][1])
        places: list[int] = []
        gains: list[float] = []
        before = self._turns[0][1]
        for at, gain in self._turns[1:]:
            places += [at, at + RAMP]
            gains += [before, gain]
            before = gain
        found: Floats = np.interp(np.arange(position, position + count), places, gains).astype(np.float32)
        return found
