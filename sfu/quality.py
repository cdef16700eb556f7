"""Loss over the last few seconds from counters that only grow. Pure."""

from __future__ import annotations

from collections import deque

WINDOW = 5.0


class LossWindow:
    """Feed it totals now and then; `fraction` is what was lost of what should have come within `WINDOW` seconds."""

    __slots__ = ("_samples",)

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int, int]] = deque()

    def sample(self, packets: int, lost: int, now: float) -> None:
        """Totals as of `now`. A total that shrinks (a track ended) starts over."""
        samples = self._samples
        if samples and (packets < samples[-1][1] or lost < samples[-1][2]):
            samples.clear()
        samples.append((now, packets, lost))
        while len(samples) > 2 and samples[1][0] <= now - WINDOW:
            samples.popleft()

    @property
    def fraction(self) -> float:
        """From 0 to 1; 0 before anything is known."""
        if len(self._samples) < 2:
            return 0.0
        first, last = self._samples[0], self._samples[-1]
        packets, lost = last[1] - first[1], last[2] - first[2]
        return lost / (packets + lost) if packets + lost > 0 else 0.0
