"""When to ask a publisher for a key frame: pure. The recorder cuts on key frames, so it wants one every few seconds."""

from __future__ import annotations

from sfu.taps import TapPacket

EVERY_MS, LIVE_EVERY_MS = 4_000, 2_000
"""While somebody watches live, segments must be short."""
RETRY_MS = 400
FRESH_MS = 300
"""A key frame this young serves a new wish."""


class KeyframeWish:
    """One video track's state. Each method returns true when a request should go out now."""

    def __init__(self) -> None:
        self.every = EVERY_MS
        self._key = -1e12
        self._asked = -1e12
        self._wanted = False

    def wish(self, now: float) -> bool:
        """Something happened (start, new speaker, gap): a key frame is wanted soon."""
        self._wanted = self._wanted or now - self._key > FRESH_MS
        return self._ask(now)

    def seen(self, packet: TapPacket, now: float) -> bool:
        """A packet arrived. Loss makes the picture useless until a key frame; so does time, for seeking."""
        if packet.lost:
            self._wanted = True
        if packet.keyframe:
            self._key, self._wanted = now, False
        return self._ask(now)

    def _ask(self, now: float) -> bool:
        due = self._wanted or now - self._key >= self.every
        if not due or now - self._asked < RETRY_MS:
            return False
        self._asked = now
        return True
