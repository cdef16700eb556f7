"""How a sink's own numbers and times go on over pauses, dropped packets and changes of its source.

A packet that the source numbers n leaves as ``n - offset``, its time as ``timestamp - time_offset``. Whenever something
is left out the offset grows, so that no gap shows; the ranges before are kept, to place late packets and to answer
requests for what was sent, even by a source that the sink does not show any more.
"""

from __future__ import annotations

import secrets
from bisect import bisect_right
from typing import TYPE_CHECKING

from sfu.history import MediaPacket

if TYPE_CHECKING:
    from sfu.plane.incoming import Incoming

SEGMENTS = 256


class Feed:
    """One source feeding one sink, from the switch to it until the next."""

    __slots__ = ("source", "time_offset")

    def __init__(self, source: Incoming, time_offset: int) -> None:
        self.source = source
        self.time_offset = time_offset


class Segment:
    """A range of sequences of a feed's source that left, or may still leave, as `first` and on."""

    __slots__ = ("end", "feed", "first", "start")

    def __init__(self, feed: Feed, first: int, start: int, end: int) -> None:
        self.feed = feed
        self.first = first
        self.start = start
        self.end = end


class Course:
    """The numbering of one sink. `start` and `offset` hold for the present segment while `live`."""

    def __init__(self) -> None:
        self.live = False
        self.live_since = float("inf")
        self.start = self.offset = self.time_offset = 0
        self.feed: Feed | None = None
        # RFC 3711 advises a start in the lower half: early loss cannot confuse the roll-over counter then.
        self._next = secrets.randbelow(0x8000)
        self._left: tuple[int, float] | None = None
        """Time of the last packet, as it left, and when it came."""
        self._segments: list[Segment] = []

    def begin(self, packet: MediaPacket, source: Incoming) -> None:
        """Goes live with this packet."""
        if self.feed is None or self.feed.source is not source:
            self.time_offset = packet.timestamp - self._first_timestamp(packet, source)
            self.feed = Feed(source, self.time_offset)
        self.live = True
        self.live_since = packet.arrival
        self.start = packet.sequence
        self.offset = packet.sequence - self._next

    def _first_timestamp(self, packet: MediaPacket, source: Incoming) -> int:
        """Where another source's times go on: by both sources' sender reports, else by the time that has passed."""
        if self._left is None:
            return secrets.randbits(32)
        last, at = self._left
        rate = source.spec.codec.clock_rate
        passed = last + max(1, round((packet.arrival - at) * rate))
        before, after = self.feed.source.report if self.feed is not None else None, source.report
        if before is None or after is None:
            return passed
        reported = before[1] - self.time_offset + packet.timestamp - after[1] + ((after[0] - before[0]) * rate >> 32)
        # Clocks that disagree by more than a second are not of one publisher, or were set meanwhile.
        return max(last + 1, reported) if abs(reported - passed) <= rate else passed

    def hold(self, source: Incoming) -> None:
        """Stops being live after all that the source has had so far."""
        if not self.live or self.feed is None:
            return
        self.live = False
        end = source.numbering.highest
        self._close(end)
        # After a torn frame one number stays free, lest the next frame be joined to it.
        self._next = end - self.offset + 1 + source.torn
        self._left = (source.numbering.timestamp - self.time_offset, source.last_arrival)

    def _close(self, end: int) -> None:
        assert self.feed is not None
        self._segments.append(Segment(self.feed, self.start - self.offset, self.start, end))
        if len(self._segments) > 2 * SEGMENTS:
            del self._segments[:SEGMENTS]

    def leave(self, source: Incoming, now: float) -> None:
        """The source is gone: what it sent cannot be sent again. Another one may feed the sink later."""
        if self.feed is not None and self.feed.source is source:
            self.hold(source)
            self._left = (source.numbering.timestamp - self.time_offset, now)
            self.feed = None
        self._segments = [segment for segment in self._segments if segment.feed.source is not source]

    def number(self, sequence: int) -> int | None:
        """The number under which a packet of the present source leaves; None where it fell into a pause."""
        if self.live and sequence >= self.start:
            return sequence - self.offset
        for segment in reversed(self._segments):
            if segment.feed is not self.feed:
                break
            if sequence >= segment.start:
                return segment.first + sequence - segment.start if sequence <= segment.end else None
        return None

    def origin(self, number: int) -> tuple[Feed, int] | None:
        """The feed and its source's sequence behind a 16-bit number that this sink has sent lately."""
        feed = self.feed
        newest = feed.source.numbering.highest - self.offset if self.live and feed is not None else self._next - 1
        back = (newest - number) & 0xFFFF
        if back > 0x7FFF:
            return None
        wanted = newest - back
        if self.live and feed is not None and wanted >= self.start - self.offset:
            return feed, wanted + self.offset
        index = bisect_right(self._segments, wanted, key=lambda segment: segment.first) - 1
        if index < 0:
            return None
        segment = self._segments[index]
        sequence = segment.start + wanted - segment.first
        return (segment.feed, sequence) if sequence <= segment.end else None
