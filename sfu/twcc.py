"""Transport-wide congestion control feedback: when each packet of a transport arrived, whatever stream it was of.

The RTCP message and the header extension with the sender's transport sequence number are those of
draft-holmer-rmcat-transport-wide-cc-extensions-01, sections 2 and 3. Arrival times are whole ticks of 250 us.
`parse_feedback` raises `MalformedPacket` and nothing else; its cost is bounded by the message's size, not by the count
of packets that the message claims to tell of.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from sfu.rtp import MalformedPacket

TICK = 0.00025
REFERENCE = 256
"""Ticks in one unit (64 ms) of the reference time."""

FORMAT = 15
_KIND = 205

_HEAD = Struct("!BBHIIHHI")
_MISSING, _SMALL, _LARGE = 0, 1, 2
_LONGEST_RUN = 0x1FFF
_WRAP = 1 << 24

MAX_ARRIVALS = 180
"""Arrivals in one message: with six bytes each at worst, chunks included, it stays within one datagram."""

MAX_PENDING = 2000

MAX_GAP = 8000
"""A jump by more numbers than this starts anew."""


@dataclass(frozen=True, slots=True)
class TransportFeedback:
    """One feedback message about `count` packets from transport sequence number `base` on.

    `reference` is the receiver's clock in units of 64 ms (24 bits), `index` the message's own 8-bit number; `arrivals`
    has ``(offset from base, ticks since the reference time)`` of those that came, offsets ascending."""

    sender: int
    media: int
    base: int
    count: int
    reference: int
    index: int
    arrivals: tuple[tuple[int, int], ...]

    def serialize(self) -> bytes:
        """Raises ValueError where a step between arrivals does not fit 16 bits."""
        symbols: list[tuple[int, int]] = []  # runs of (symbol, length)
        deltas = bytearray()
        before = ticks = 0
        for offset, at in self.arrivals:
            if offset > before:
                symbols.append((_MISSING, offset - before))
            step, ticks, before = at - ticks, at, offset + 1
            if 0 <= step <= 255:
                symbols.append((_SMALL, 1))
                deltas.append(step)
            elif -0x8000 <= step <= 0x7FFF:
                symbols.append((_LARGE, 1))
                deltas += step.to_bytes(2, "big", signed=True)
            else:
                raise ValueError("arrivals too far apart for one feedback message")
        if self.count > before:
            symbols.append((_MISSING, self.count - before))
        body = _chunks(symbols) + deltas
        padding = -len(body) % 4
        first = 0x80 | FORMAT | (0x20 if padding else 0)
        if padding:
            body += bytes(padding - 1) + bytes((padding,))
        words = 4 + len(body) // 4
        clock = (self.reference & 0xFFFFFF) << 8 | self.index & 0xFF
        head = _HEAD.pack(first, _KIND, words, self.sender, self.media, self.base & 0xFFFF, self.count, clock)
        return head + body


def _chunks(symbols: list[tuple[int, int]]) -> bytearray:
    """Packet status chunks: runs where they are long, vectors of seven two-bit symbols where they are not."""
    runs: list[list[int]] = []
    for symbol, length in symbols:
        if runs and runs[-1][0] == symbol:
            runs[-1][1] += length
        else:
            runs.append([symbol, length])
    out = bytearray()
    at = 0
    while at < len(runs):
        symbol, length = runs[at]
        if length >= 7 or at == len(runs) - 1:
            take = min(length, _LONGEST_RUN)
            out += (symbol << 13 | take).to_bytes(2, "big")
            runs[at][1] -= take
            at += runs[at][1] == 0
            continue
        vector, filled = 0, 0
        while filled < 7 and at < len(runs):
            symbol = runs[at][0]
            take = min(runs[at][1], 7 - filled)
            for _ in range(take):
                vector = vector << 2 | symbol
            filled += take
            runs[at][1] -= take
            at += runs[at][1] == 0
        vector <<= 2 * (7 - filled)
        out += (0xC000 | vector).to_bytes(2, "big")
    return out


def parse_feedback(sender: int, media: int, body: bytes) -> TransportFeedback:
    """`body` is what follows the two SSRCs, padding removed."""
    size = len(body)
    if size < 8:
        raise MalformedPacket("transport feedback shorter than its header")
    base, count = body[0] << 8 | body[1], body[2] << 8 | body[3]
    reference, index = body[4] << 16 | body[5] << 8 | body[6], body[7]
    if count == 0:
        raise MalformedPacket("transport feedback about no packets")
    received: list[tuple[int, int]] = []  # (offset, symbol)
    position, offset = 8, 0
    while offset < count:
        if position + 2 > size:
            raise MalformedPacket("transport feedback without all its status chunks")
        chunk = body[position] << 8 | body[position + 1]
        position += 2
        if chunk & 0x8000:
            width = 2 if chunk & 0x4000 else 1
            for shift in range(14 - width, -1, -width):
                symbol = chunk >> shift & (3 if width == 2 else 1)
                if symbol and offset < count:
                    received.append((offset, symbol))
                offset += 1
            continue
        symbol, run = chunk >> 13 & 3, chunk & _LONGEST_RUN
        if run == 0:
            raise MalformedPacket("transport feedback with an empty run")
        run = min(run, count - offset)
        if symbol:
            if len(received) + run > size:  # each needs a byte at least
                raise MalformedPacket("transport feedback without all its deltas")
            received += [(offset + at, symbol) for at in range(run)]
        offset += run
    ticks = 0
    arrivals: list[tuple[int, int]] = []
    for offset, symbol in received:
        if symbol == _SMALL:
            if position >= size:
                raise MalformedPacket("transport feedback without all its deltas")
            ticks += body[position]
            position += 1
        elif symbol == _LARGE:
            if position + 2 > size:
                raise MalformedPacket("transport feedback without all its deltas")
            step = body[position] << 8 | body[position + 1]
            ticks += step - 0x10000 if step & 0x8000 else step
            position += 2
        else:
            raise MalformedPacket("transport feedback with a reserved symbol")
        arrivals.append((offset, ticks))
    return TransportFeedback(sender, media, base, count, reference, index, tuple(arrivals))


class FeedbackClock:
    """Arrival times of successive messages on one line: the 24-bit reference time unwrapped."""

    __slots__ = ("_last", "_units")

    def __init__(self) -> None:
        self._last = -1
        self._units = 0

    def seconds(self, reference: int) -> float:
        """The reference time as seconds of the receiver's clock, from an arbitrary origin."""
        if self._last >= 0:
            step = (reference - self._last) & 0xFFFFFF
            self._units += step - _WRAP if step >= _WRAP // 2 else step
        self._last = reference
        return self._units * (REFERENCE * TICK)


class ArrivalRecorder:
    """What a peer is to be told of its packets. `received` once per packet, `feedback` every 50 to 100 ms.

    A packet that comes after a message that said it was missing is told of in the next one.
    """

    __slots__ = ("_arrived", "_highest", "_index", "_next")

    def __init__(self) -> None:
        self._arrived: dict[int, int] = {}  # unwrapped number -> ticks
        self._highest = -1
        self._next = -1
        """The first number that no message has been about."""
        self._index = 0

    @property
    def pending(self) -> int:
        return len(self._arrived)

    def received(self, sequence: int, now: float) -> None:
        """A packet with this 16-bit transport sequence number."""
        highest = self._highest
        if highest < 0:
            number = sequence + 0x10000
            self._next = number
        else:
            step = (sequence - highest) & 0xFFFF
            number = highest + (step - 0x10000 if step & 0x8000 else step)
        if number > highest:
            if highest >= 0 and number - highest > MAX_GAP:
                self._arrived.clear()
                self._next = number
            self._highest = number
        elif number < highest - MAX_GAP:
            return
        if number not in self._arrived and len(self._arrived) < MAX_PENDING:
            self._arrived[number] = int(now / TICK)

    def feedback(self, sender: int, media: int) -> list[TransportFeedback]:
        """Messages about all that came since the last call; none where nothing did."""
        messages: list[TransportFeedback] = []
        numbers = sorted(self._arrived)
        at = 0
        while at < len(numbers):
            # Gaps before a packet belong to the message that has it.
            base = min(self._next, numbers[at])
            reference = self._arrived[numbers[at]] // REFERENCE
            origin = ticks = reference * REFERENCE
            arrivals: list[tuple[int, int]] = []
            while at < len(numbers) and len(arrivals) < MAX_ARRIVALS:
                arrival = self._arrived[numbers[at]]
                if not -0x8000 <= arrival - ticks <= 0x7FFF or numbers[at] - base > 2 * MAX_GAP:
                    break
                arrivals.append((numbers[at] - base, arrival - origin))
                ticks = arrival
                at += 1
            if not arrivals:  # so late that it no longer fits with the numbers before it
                self._next = numbers[at]
                continue
            count = arrivals[-1][0] + 1
            messages.append(
                TransportFeedback(
                    sender, media, base & 0xFFFF, count, reference & 0xFFFFFF, self._index, tuple(arrivals)
                )
            )
            self._index = (self._index + 1) & 0xFF
            self._next = max(self._next, base + count)
        self._arrived.clear()
        return messages
