"""When to ask a publisher for a key frame: at most once per interval, and no request is forgotten."""

from __future__ import annotations


class PliThrottle:
    """A request inside the interval is remembered and falls due when the interval ends."""

    def __init__(self, interval: float = 0.5) -> None:
        self.interval = interval
        self._sent = float("-inf")
        self._wanted = False

    def request(self, now: float) -> bool:
        """Whether to send one now."""
        self._wanted = True
        return self.due(now)

    def due(self, now: float) -> bool:
        """Whether a remembered request is to be sent now. Call `put_back` if it cannot be."""
        if not self._wanted or now - self._sent < self.interval:
            return False
        self._wanted = False
        self._sent = now
        return True

    def put_back(self) -> None:
        """It could not be sent after all (nobody to ask yet): due again at once."""
        self._wanted = True
        self._sent = float("-inf")

    def keyframe(self) -> None:
        """One arrived: what was wanted is there."""
        self._wanted = False
