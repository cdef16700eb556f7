"""Whether one viewer is sent sound with its redundancy (RFC 2198): a policy. Pure.

Redundancy nearly doubles what a voice costs and helps only where packets are lost. Jitsi leaves it off, LiveKit sends
it to everybody, Meet turns it on with the loss; we do the last, as publishers send it anyway and leaving it out costs
nothing. It comes quickly and stays a while, for loss comes in spells.
"""

from __future__ import annotations

from typing import Literal

Wish = Literal["auto", "always", "off"]

LOSSY, CLEAN = 0.01, 0.004
"""Loss from which redundancy goes out, and below which it may end."""

STAY = 20.0
"""Seconds without loss before it ends."""

SHARE = 0.25
"""The most that redundancy may take of what the way carries: where it is narrower, loss is for want of bandwidth."""


class Redundancy:
    """Say now and then how the way to the viewer is; `wanted` is what to do."""

    def __init__(self, wish: Wish) -> None:
        self.wanted = wish == "always"
        self._wish = wish
        self._lossy_at = float("-inf")

    def update(self, loss: float, estimate: float | None, cost: float, now: float) -> bool:
        """`loss` from 0 to 1; `estimate` of the bandwidth, None while unknown, and `cost` of all redundancy, in bit/s.
        True where `wanted` has changed."""
        if self._wish != "auto":
            return False
        if loss >= (CLEAN if self.wanted else LOSSY):
            self._lossy_at = now
        affordable = estimate is None or cost <= SHARE * estimate
        wanted = affordable and now - self._lossy_at < STAY
        changed, self.wanted = wanted != self.wanted, wanted
        return changed
