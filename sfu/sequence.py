"""From 16-bit sequence numbers and 32-bit timestamps to numbers that never wrap around and never restart.

A publisher may change its SSRC, restart its counters or vanish for a minute. `Numbering` turns whatever comes into one
continuous line (RFC 3550, appendix A.1, for what counts as a restart), so that subscribers and taps need not know.
"""

from __future__ import annotations

MAX_AHEAD = 3000
MAX_BEHIND = 1000


class Numbering:
    """Places packets of one media stream. `highest` is the greatest sequence placed, `timestamp` its media
    time, `epoch` counts the restarts."""

    def __init__(self, clock_rate: int) -> None:
        self.clock_rate = clock_rate
        self.highest = -1
        self.timestamp = 0
        self.started = False
        self.epoch = 0
        self._arrival = 0.0
        self._shift = 0
        self._sequence16 = 0
        self._timestamp32 = 0
        self._suspect = -1
        self._renew = False

    def renew(self) -> None:
        """The next packet starts a new numbering (a new SSRC) and is placed right after all before it."""
        self._renew = self.started

    def place(self, sequence: int, timestamp: int, now: float, torn: bool = False) -> tuple[int, int] | None:
        """The 64-bit sequence and timestamp of a packet; None for one so far off that a second must confirm it.

        `torn`: the frame before is not complete. A restart then leaves one number free, lest the two be joined.
        """
        if not self.started:
            self.started = True
            return self._advance(sequence, timestamp, sequence, timestamp, now)
        if self._renew:
            return self._restart(sequence, timestamp, now, torn)
        near = self.place_repair(sequence, timestamp, now)
        if near is not None:
            return near
        if sequence == self._suspect:
            return self._restart(sequence, timestamp, now, torn)
        self._suspect = (sequence + 1) & 0xFFFF
        return None

    def place_repair(self, sequence: int, timestamp: int, now: float) -> tuple[int, int] | None:
        """The same for a retransmission, which never starts anything anew; None where nothing is near it."""
        step = (sequence - self._sequence16) & 0xFFFF
        if step > 0x7FFF:
            step -= 0x10000
        if not self.started or not -MAX_BEHIND <= step <= MAX_AHEAD:
            return None
        time = self.unwrap_timestamp(timestamp)
        if step <= 0:
            return self.highest + step, time
        self._suspect = -1
        return self._advance(self.highest + step, time, sequence, timestamp, now)

    def unwrap_timestamp(self, timestamp: int) -> int:
        """The media time nearest to the latest packet's, for a packet or a sender report of the present numbering."""
        ahead = (timestamp - self._timestamp32) & 0xFFFFFFFF
        return self.timestamp + (ahead - 0x100000000 if ahead > 0x7FFFFFFF else ahead)

    def wire_sequence(self, sequence: int) -> int:
        """The publisher's own 16-bit number of a placed packet."""
        return (self._sequence16 + sequence - self.highest) & 0xFFFF

    def wire_highest(self) -> int:
        """The extended highest sequence for a receiver report: cycles and number."""
        return (self.highest - self._shift) & 0xFFFFFFFF

    def _restart(self, sequence: int, timestamp: int, now: float, torn: bool) -> tuple[int, int]:
        passed = max(1, round((now - self._arrival) * self.clock_rate))
        self._renew = False
        self._suspect = -1
        self.epoch += 1
        placed = self.highest + 1 + torn
        self._shift = placed - sequence
        return self._advance(placed, self.timestamp + passed, sequence, timestamp, now)

    def _advance(self, highest: int, time: int, sequence: int, timestamp: int, now: float) -> tuple[int, int]:
        self.highest, self.timestamp = highest, time
        self._sequence16, self._timestamp32 = sequence, timestamp
        self._arrival = now
        return highest, time
