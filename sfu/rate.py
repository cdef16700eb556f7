"""What a publisher should send at most, where it does not estimate for itself from transport-wide feedback:
additive-multiplicative control from the losses we see, told by REMB.

Like the loss-based half of Google's congestion control (draft-ietf-rmcat-gcc-02, section 6): over 10 % loss backs
off, under 2 % grows, between the two holds. Congestion that only delays packets is not seen here.
"""

from __future__ import annotations

HIGH_LOSS = 0.10
LOW_LOSS = 0.02
GROWTH = 1.08
FLOOR = 100_000
DEFAULT_CAP = 2_500_000


class LossRate:
    """The estimate of one transport in bits/s. Starts at the cap; losses bring it down, quiet seconds up again."""

    def __init__(self, cap: int | None = None) -> None:
        self.cap = cap if cap is not None else DEFAULT_CAP
        self.estimate = float(self.cap)

    def set_cap(self, cap: int | None) -> None:
        """A raised cap is reached by growth unless nothing held the estimate down."""
        unhindered = self.estimate >= self.cap
        self.cap = max(FLOOR, cap) if cap is not None else DEFAULT_CAP
        self.estimate = float(self.cap) if unhindered else min(self.estimate, float(self.cap))

    def update(self, expected: int, lost: int, received_bits: float) -> float:
        """One interval of about a second: packets expected and lost before retransmission, and what came in, bits/s."""
        if expected > 0:
            loss = max(0.0, lost / expected)
            if loss > HIGH_LOSS:
                # From what really came in: an estimate far above it would take many steps to bite.
                base = min(self.estimate, max(received_bits * 1.2, FLOOR))
                self.estimate = base * (1 - 0.5 * min(1.0, loss))
            elif loss < LOW_LOSS:
                self.estimate *= GROWTH
        self.estimate = min(float(self.cap), max(float(FLOOR), self.estimate))
        return self.estimate
