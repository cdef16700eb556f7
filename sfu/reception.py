"""Reception statistics of one stream, as a receiver report tells them (RFC 3550, sections 6.4 and A.3 and A.8)."""

from __future__ import annotations

from sfu.rtcp import Report


class Reception:
    """Counts packets of the media stream itself; retransmissions repair but do not hide loss. Times in seconds."""

    def __init__(self, clock_rate: int) -> None:
        self.clock_rate = clock_rate
        self.received = 0
        self.jitter = 0.0
        self._first = -1
        self._epoch = -1
        self._transit = 0.0
        self._expected_before = 0
        self._received_before = 0
        self._base_received = 0
        self._last_sr = 0
        self._last_sr_at = 0.0

    def packet(self, sequence: int, timestamp: int, epoch: int, now: float) -> None:
        """Sequence and timestamp unwrapped; a new epoch starts the counts of the report anew."""
        transit = now - timestamp / self.clock_rate
        if epoch != self._epoch:
            self._epoch = epoch
            self._first = sequence
            self._base_received = self.received
            self._expected_before = self._received_before = 0
            self._last_sr = 0
        else:
            self.jitter += (abs(transit - self._transit) - self.jitter) / 16
        self._transit = transit
        self.received += 1

    def sender_report(self, ntp: int, now: float) -> None:
        self._last_sr = ntp >> 16 & 0xFFFFFFFF
        self._last_sr_at = now

    def interval(self, highest: int) -> tuple[int, int]:
        """Packets expected and lost since the last call; `highest` is the highest sequence so far."""
        expected, received = self._totals(highest)
        passed = expected - self._expected_before
        lost = passed - (received - self._received_before)
        self._expected_before, self._received_before = expected, received
        return max(0, passed), max(0, lost)

    def report(self, ssrc: int, highest: int, wire_highest: int, loss: float, now: float) -> Report:
        """`loss` as a fraction, from `interval`; `wire_highest` with cycles, as the publisher counts."""
        expected, received = self._totals(highest)
        return Report(
            ssrc=ssrc,
            fraction_lost=loss,
            lost=expected - received,
            highest_sequence=wire_highest,
            jitter=round(self.jitter * self.clock_rate),
            last_sr=self._last_sr,
            delay=min(0xFFFFFFFF, int((now - self._last_sr_at) * 65536)) if self._last_sr else 0,
        )

    def _totals(self, highest: int) -> tuple[int, int]:
        expected = highest - self._first + 1 if self._first >= 0 else 0
        return expected, self.received - self._base_received
