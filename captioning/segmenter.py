"""Where utterances begin and end, decided frame by frame from speech probabilities. Frames are 32 ms and counted from
0.

An utterance opens when speech is certain, closes at a pause, and is cut at its quietest point when it grows too long.
Shorter pauses are announced too: what was said up to there can be recognised while we wait to see whether it goes on.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice

from captioning.vad import FRAME_MS


def frames(milliseconds: float) -> int:
    """How many frames cover that time."""
    return round(milliseconds / FRAME_MS)


@dataclass(frozen=True, slots=True)
class SegmenterSettings:
    """Times in milliseconds."""

    on: float = 0.5
    off: float = 0.35
    least_speech: float = 250
    breath: float = 190
    lull: float = 350
    pause: float = 550
    longest: float = 14_000
    cut_within: float = 4_000
    before: float = 300
    after: float = 250


@dataclass(frozen=True, slots=True)
class Opened:
    """Somebody speaks, since frame `start` (a little before the first sound)."""

    start: int


@dataclass(frozen=True, slots=True)
class Breath:
    """The speaker may have finished: the last speech was before frame `end`."""

    end: int


@dataclass(frozen=True, slots=True)
class Lull:
    """The speaker has most likely finished: it has been quiet for longer than a breath since frame `end`."""

    end: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The utterance is [start, end). `cut` when it was too long and goes on in another one that opens at `end`."""

    start: int
    end: int
    cut: bool


Event = Opened | Breath | Lull | Ended


class Segmenter:
    """One stream's state. Pure: the only clock is the count of frames."""

    def __init__(self, settings: SegmenterSettings | None = None) -> None:
        s = self.settings = settings or SegmenterSettings()
        self.position = 0
        """Frames seen."""
        self.start: int | None = None
        """First frame of the open utterance; None between utterances and while it is not yet certain."""
        self._candidate: int | None = None
        self._speech = 0
        self._last_speech = 0
        self._breathed = self._lulled = False
        self._floor = 0
        """Frames before this belong to an earlier utterance."""
        self._energies: deque[float] = deque(maxlen=frames(s.longest) + 2)

    @property
    def speaking(self) -> bool:
        """Whether there is speech, certain or not yet, that has not ended."""
        return self._candidate is not None

    @property
    def speech_end(self) -> int:
        """The frame after the last one with speech."""
        return self._last_speech

    def feed(self, probability: float, energy: float) -> list[Event]:
        """One frame; returns what it decides, in order."""
        s = self.settings
        at = self.position
        self.position += 1
        self._energies.append(energy)
        speaking = self._candidate is not None
        events: list[Event] = []
        if probability >= (s.off if speaking else s.on):
            if self._candidate is None:
                self._candidate, self._speech = at, 0
            self._speech += 1
            self._last_speech = at + 1
            self._breathed = self._lulled = False
            if self.start is None and self._speech >= frames(s.least_speech):
                self.start = max(self._floor, self._candidate - frames(s.before))
                events.append(Opened(self.start))
        elif speaking:
            quiet = self.position - self._last_speech
            if self.start is None:
                if quiet >= frames(s.breath):
                    self._candidate = None
            elif quiet >= frames(s.pause):
                events.append(self._end())
            elif quiet >= frames(s.lull) and not self._lulled:
                self._lulled = True
                events.append(Lull(self._last_speech))
            elif quiet >= frames(s.breath) and not self._breathed:
                self._breathed = True
                events.append(Breath(self._last_speech))
        if self.start is not None and self.position - self.start >= frames(s.longest):
            events.extend(self._cut())
        return events

    def flush(self) -> list[Event]:
        """The stream stops here: close what is open."""
        if self.start is None:
            self._candidate = None
            return []
        return [self._end()]

    def _end(self) -> Ended:
        assert self.start is not None
        ended = Ended(self.start, min(self.position, self._last_speech + frames(self.settings.after)), False)
        self.start = self._candidate = None
        self._floor = ended.end
        return ended

    def _cut(self) -> list[Event]:
        """Cut where three neighbouring frames are quietest, so that no word is split if it can be helped."""
        assert self.start is not None
        span = frames(self.settings.cut_within)
        recent = list(islice(self._energies, len(self._energies) - span, None))
        sums = [recent[i - 1] + recent[i] + recent[i + 1] for i in range(1, len(recent) - 1)]
        end = self.position - span + 1 + min(range(len(sums)), key=sums.__getitem__)
        ended = Ended(self.start, end, True)
        self._floor = end
        self._breathed = self._lulled = False
        if self._last_speech <= end:
            self.start = self._candidate = None
            return [ended]
        self.start = self._candidate = end
        self._speech = self._last_speech - end
        return [ended, Opened(end)]
