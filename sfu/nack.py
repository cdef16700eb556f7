"""Which packets to ask for again (generic NACK, RFC 4585), when, and when to stop asking."""

from __future__ import annotations

REORDER = 0.01
"""A packet this late is only out of order; asking sooner wastes bandwidth."""

FIRST_RETRY = 0.04
BACKOFF = 1.5
LONGEST_RETRY = 0.2
MAX_TRIES = 10
MAX_AGE = 1.0
MAX_MISSING = 500


class NackTracker:
    """Missing sequences of one source. Sequences are unwrapped, times in seconds.

    `given_up` counts those that never came; a gap of more than `MAX_MISSING` is given up as a whole.
    """

    def __init__(self) -> None:
        self.missing: dict[int, tuple[float, float, int]] = {}  # sequence -> (since, ask at, tries), oldest first
        self.next_due = float("inf")
        self.given_up = 0
        self._highest = -1

    def received(self, sequence: int, now: float) -> None:
        if sequence <= self._highest:
            self.missing.pop(sequence, None)
            return
        if self._highest >= 0 and sequence > self._highest + 1:
            self._open_gap(self._highest + 1, sequence, now)
        self._highest = sequence

    def _open_gap(self, start: int, end: int, now: float) -> None:
        if len(self.missing) + end - start > MAX_MISSING:
            self.given_up += len(self.missing) + end - start
            self.missing.clear()
            return
        ask = now + REORDER
        self.next_due = min(self.next_due, ask)
        for sequence in range(start, end):
            self.missing[sequence] = (now, ask, 0)

    def due(self, now: float) -> list[int]:
        """Sequences to ask for now; counts the try and gives up what was asked for too often or is too old."""
        if now < self.next_due:
            return []
        asked: list[int] = []
        gone: list[int] = []
        soonest = float("inf")
        for sequence, (since, at, tries) in self.missing.items():
            if at <= now:
                if tries >= MAX_TRIES or now - since > MAX_AGE:
                    gone.append(sequence)
                    continue
                asked.append(sequence)
                at = now + min(LONGEST_RETRY, FIRST_RETRY * BACKOFF**tries)
                self.missing[sequence] = (since, at, tries + 1)
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
