"""Who is shown to those who are sent a programme as it happens. Pure: time is an argument.

The rules are those of `recorder.live.director`, with what is known before a frame has come: a spotlight wins, then a
shared screen, then the active speaker, then whoever is on; a picture stays for a while unless something of another kind
comes. The plane waits for the key frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recorder.live.director import PATIENCE_MS, SCREEN_PATIENCE_MS
from recorder.programme import DWELL_MS


@dataclass(frozen=True, slots=True)
class Candidate:
    """A video track that may be shown; `flows` while it brings pictures."""

    track: str
    participant: str
    screen: bool
    flows: bool


class Choice:
    """Give it everything that there is, the oldest track first, ten times a second."""

    def __init__(self) -> None:
        self.shown: str | None = None
        self._since = float("-inf")
        self._seen: dict[str, float] = {}

    def order(
        self, candidates: Sequence[Candidate], speaker: str | None, spotlight: str | None, now: float
    ) -> list[str]:
        """Tracks, the one to be shown first; the others for those who cannot see it. `now` in ms."""
        self._seen = {one.track: now if one.flows else self._seen.get(one.track, float("-inf")) for one in candidates}
        there = [one for one in candidates if now - self._seen[one.track] <= _patience(one)]

        def rank(one: Candidate) -> tuple[bool, bool, bool, bool]:
            lit = spotlight is not None and one.participant == spotlight
            return lit, one.screen, one.participant == speaker, one.track == self.shown

        there.sort(key=rank, reverse=True)
        if not there:
            self.shown = None
            return []
        best = there[0]
        current = next((one for one in there if one.track == self.shown), None)
        if current is not None and best is not current:
            at_once = (best.screen and not current.screen) or best.participant == spotlight
            if not at_once and now - self._since < DWELL_MS:
                there.remove(current)
                there.insert(0, current)
        if there[0].track != self.shown:
            self.shown, self._since = there[0].track, now
        return [one.track for one in there]


def _patience(one: Candidate) -> float:
    """A screen that does not change sends next to nothing; `flows` has had the patience for a camera."""
    return SCREEN_PATIENCE_MS - PATIENCE_MS if one.screen else 0.0
