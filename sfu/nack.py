"""Which packets to ask for again (generic NACK, RFC 4585), when, and when to stop asking.

How long the sender takes to answer is learnt from what comes: asked again before that, a packet comes twice; much
later, a picture freezes. How late packets come that were only out of order is learnt in the same way.
"""

from __future__ import annotations

REORDER, MOST_REORDER = 0.01, 0.05
"""A packet this late is only out of order; asking sooner wastes bandwidth. More where packets overtake each other."""

FIRST_RETRY = 0.04
BACKOFF = 1.5
LONGEST_RETRY = 0.2
"""While nothing is known of the round trip."""

MARGIN, SLACK = 1.25, 0.01
KNOWN_BACKOFF = 1.25
MOST_RETRY = 0.4
"""Once it is known: asked again after this many round trips and seconds."""

MAX_TRIES = 10
MAX_AGE = 1.0
MAX_MISSING = 500


class NackTracker:
    """Missing sequences of one source. Sequences are unwrapped, times in seconds.

    `given_up` counts those that never came; a gap of more than `MAX_MISSING` is given up as a whole.
    """

    def __init__(self) -> None:
        self.missing: dict[int, tuple[float, float, int, float]] = {}
        """By sequence, oldest first: missing since, to be asked for at, tries, first asked for at."""
        self.next_due = float("inf")
        self.given_up = 0
        self.round_trip: float | None = None
        """From asking to having, as a rule."""
        self._patience = REORDER
        self._highest = -1

    def received(self, sequence: int, now: float, repaired: bool = False) -> None:
        """A packet came, by retransmission where `repaired`."""
        if sequence <= self._highest:
            entry = self.missing.pop(sequence, None)
            if entry is not None:
                since, _, tries, asked = entry
                self._learn(now - since, now - asked if tries else None, repaired)
            return
        if self._highest >= 0 and sequence > self._highest + 1:
            self._open_gap(self._highest + 1, sequence, now)
        self._highest = sequence

    def _learn(self, late: float, answered: float | None, repaired: bool) -> None:
        if repaired:
            self._patience = max(REORDER, 0.97 * self._patience)
            if answered is not None:
                # The first request may have been lost: what seems to take longer is believed slowly.
                known = self.round_trip
                faster = known is None or answered < known
                self.round_trip = answered if known is None or faster else known + (answered - known) / 16
        elif answered is None or (self.round_trip is not None and answered < 0.5 * self.round_trip):
            self._patience = max(self._patience, min(MOST_REORDER, 1.1 * late))

    def _open_gap(self, start: int, end: int, now: float) -> None:
        if len(self.missing) + end - start > MAX_MISSING:
            self.given_up += len(self.missing) + end - start
            self.missing.clear()
            return
        ask = now + self._patience
        self.next_due = min(self.next_due, ask)
        for sequence in range(start, end):
            self.missing[sequence] = (now, ask, 0, 0.0)

    def _wait(self, tries: int) -> float:
        if self.round_trip is None:
            return min(LONGEST_RETRY, FIRST_RETRY * BACKOFF**tries)
        return min(MOST_RETRY, (MARGIN * self.round_trip + SLACK) * KNOWN_BACKOFF**tries)

    def due(self, now: float) -> list[int]:
        """Sequences to ask for now; counts the try and gives up what was asked for too often or is too old."""
        if now < self.next_due:
            return []
        asked: list[int] = []
        gone: list[int] = []
        soonest = float("inf")
        for sequence, (since, at, tries, first) in self.missing.items():
            if at <= now:
                if tries >= MAX_TRIES or now - since > MAX_AGE:
                    gone.append(sequence)
                    continue
                asked.append(sequence)
                at = now + self._wait(tries)
                self.missing[sequence] = (since, at, tries + 1, first if tries else now)
            soonest = min(soonest, at)
        for sequence in gone:
            del self.missing[sequence]
        self.given_up += len(gone)
        self.next_due = soonest
        return asked

    def reset(self) -> None:
        """The stream paused or restarted: what is missing will not come. `given_up` stays."""
        self.missing.clear()
        self.next_due = float("inf")
        self._highest = -1
