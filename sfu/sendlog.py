"""What one transport has sent lately, by transport sequence number, and what its peer's feedback says became of it."""

from __future__ import annotations

from array import array

from sfu.twcc import TICK, FeedbackClock, TransportFeedback

SIZE = 2048
"""Packets remembered: four seconds at 500 packets/s. A power of two."""

_MASK = SIZE - 1
_NONE, _SENT, _LOST, _ARRIVED = 0, 1, 2, 3


class Outcome:
    """What one feedback message told: packets that arrived (first told now), in order of arrival, and counts of those
    lost. `late` were told lost before and did arrive. `untold` are the bytes that a message should have been about
    which has not come: taken to have fared no worse than others, and then not waited for. Times in seconds, `arrived`
    of the peer's clock."""

    __slots__ = ("arrived", "clusters", "late", "lost", "lost_octets", "newest_sent", "sent", "sizes", "untold")

    def __init__(self) -> None:
        self.sent: list[float] = []
        self.arrived: list[float] = []
        self.sizes: list[int] = []
        self.clusters: list[int] = []
        self.lost = self.lost_octets = self.late = self.untold = 0
        self.newest_sent = float("-inf")


class SendLog:
    """`sent` once per packet, `match` once per feedback message. Feedback about what was never sent, or is forgotten,
    tells nothing."""

    __slots__ = ("_clock", "_clusters", "_sent", "_sizes", "_states", "_told", "next", "outstanding")

    def __init__(self) -> None:
        self.next = 0
        """The next number; its low 16 bits go on the wire."""
        self.outstanding = 0
        """Bytes sent that nothing was told of yet, as far as is remembered."""
        self._told = -1
        """The highest number that a message was about."""
        self._sent = array("d", bytes(8 * SIZE))
        self._sizes = array("H", bytes(2 * SIZE))
        self._clusters = array("H", bytes(2 * SIZE))
        self._states = bytearray(SIZE)
        self._clock = FeedbackClock()

    def sent(self, size: int, now: float, cluster: int = 0) -> int:
        """A packet of `size` bytes leaves now; gives its number. `cluster` is the probe it is part of, 0 for none."""
        number = self.next
        slot = number & _MASK
        if self._states[slot] == _SENT:
            self.outstanding -= self._sizes[slot]
        self._sent[slot] = now
        self._sizes[slot] = size
        self._clusters[slot] = cluster & 0xFFFF
        self._states[slot] = _SENT
        self.outstanding += size
        self.next = number + 1
        return number

    def repeated(self, wire: int) -> None:
        """The packet of this number, 16 bits, leaves once more as it is: its arrival tells nothing any more."""
        if (self.next - 1 - wire) & 0xFFFF >= SIZE:
            return  # forgotten
        slot = wire & _MASK
        if self._states[slot] == _SENT:
            self.outstanding -= self._sizes[slot]
        self._states[slot] = _ARRIVED

    def match(self, feedback: TransportFeedback) -> Outcome:
        outcome = Outcome()
        newest = self.next - 1
        back = (newest - feedback.base) & 0xFFFF
        if back > 0x7FFF:
            return outcome  # about numbers from the future
        base = newest - back
        oldest = max(0, self.next - SIZE)
        origin = self._clock.seconds(feedback.reference)
        states, sizes = self._states, self._sizes
        arrivals = feedback.arrivals
        rows: list[tuple[float, int]] = []
        if 0 <= self._told < base - 1:
            self._pass_over(max(self._told + 1, oldest), base, outcome)
        offset = max(0, oldest - base)
        end = min(feedback.count, self.next - base)
        index = 0
        while index < len(arrivals) and arrivals[index][0] < offset:
            index += 1
        while offset < end:
            slot = (base + offset) & _MASK
            state = states[slot]
            if state == _SENT:
                self.outstanding -= sizes[slot]
            if index < len(arrivals) and arrivals[index][0] == offset:
                if state != _ARRIVED:
                    outcome.late += state == _LOST
                    states[slot] = _ARRIVED
                    rows.append((origin + arrivals[index][1] * TICK, slot))
                index += 1
            elif state == _SENT:
                states[slot] = _LOST
                outcome.lost += 1
                outcome.lost_octets += sizes[slot]
            offset += 1
        self._told = max(self._told, base + offset - 1)
        rows.sort()
        for arrived, slot in rows:
            outcome.arrived.append(arrived)
            outcome.sent.append(self._sent[slot])
            outcome.sizes.append(sizes[slot])
            outcome.clusters.append(self._clusters[slot])
            outcome.newest_sent = max(outcome.newest_sent, self._sent[slot])
        return outcome

    def _pass_over(self, start: int, end: int, outcome: Outcome) -> None:
        states, sizes = self._states, self._sizes
        for number in range(start, end):
            slot = number & _MASK
            if states[slot] == _SENT:
                states[slot] = _ARRIVED
                self.outstanding -= sizes[slot]
                outcome.untold += sizes[slot]
