"""Whether a worker's decode gets nowhere. Pure: heartbeats in, a reason to end the worker out."""

from __future__ import annotations

from captioning.messages import Beat

SPENT = 15.0
"""Seconds of processor time on one job after which it counts as hung."""
STUCK = 120.0
"""Seconds on one job after which it does however little of the processor it got."""


class Stall:
    """A busy machine gives a niced worker little: a decode that is merely starved must not be ended, for the next
    worker would have to do it all again on the same machine."""

    def __init__(self) -> None:
        self._busy = self._began = 0.0

    def feed(self, beat: Beat) -> str | None:
        """One heartbeat; why the worker is to be ended, or None."""
        if beat.busy <= self._busy or self._busy == 0.0:
            self._began = beat.cpu  # it is at something else than before
        self._busy = beat.busy
        if beat.busy > STUCK or (beat.busy > SPENT and beat.cpu - self._began > SPENT):
            return f"one decode has taken {beat.busy:.0f} s"
        return None
