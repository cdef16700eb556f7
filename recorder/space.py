"""How long the disk will do: pure. Free bytes come in with the time, a verdict goes out."""

from __future__ import annotations

from collections import deque
from typing import Literal

Verdict = Literal["fine", "low", "out"]

LOW_BYTES = 256 * 1024 * 1024
LOW_S = 600.0
"""It is low when it would last so much longer at the rate at which it filled over the last `WINDOW_S`."""
WINDOW_S = 60.0


class Space:
    """`floor`: bytes that must stay free; at less recording stops, while it can still stop cleanly."""

    def __init__(self, floor: int) -> None:
        self._floor = floor
        self._seen: deque[tuple[float, int]] = deque()
        self._low = False

    def look(self, free: int, now: float) -> Verdict:
        """Whoever recorded it: other recordings and other programs fill the same disk."""
        self._seen.append((now, free))
        while now - self._seen[0][0] > WINDOW_S:
            self._seen.popleft()
        if free < self._floor:
            return "out"
        left = free - self._floor
        rate = self.rate
        # Twice as much must be there for it to be fine again, so that nobody is told back and forth.
        times = 2 if self._low else 1
        self._low = left < LOW_BYTES * times or left < rate * LOW_S * times
        return "low" if self._low else "fine"

    @property
    def rate(self) -> float:
        """Bytes a second at which it filled over the last `WINDOW_S`; 0 while that is not known."""
        if not self._seen:
            return 0.0
        (since, before), (now, free) = self._seen[0], self._seen[-1]
        return max(0.0, (before - free) / (now - since)) if now - since >= WINDOW_S / 4 else 0.0
