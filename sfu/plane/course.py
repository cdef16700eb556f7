"""How a sink's own numbers and times go on over pauses, dropped packets and changes of its source.

A packet that the source numbers n leaves as ``n - offset``, its time as ``timestamp - time_offset``. Whenever something
is left out the offset grows, so that no gap shows; the ranges before are kept, to place late packets and to answer
requests for what was sent, even by a source that the sink does not show any more. Picture ids go on in the same way.

A sink is *careful* while layers are left out or picture ids are moved: its packets then need more than a new header.
"""

from __future__ import annotations

import secrets
from bisect import bisect_right
from typing import TYPE_CHECKING

from sfu.descriptor import rewrite
from sfu.extensions import HeaderExtensions
from sfu.history import MediaPacket
from sfu.layers import Selector
from sfu.plane import ALL_LAYERS, Layers

if TYPE_CHECKING:
    from sfu.plane.incoming import Incoming

SEGMENTS = 256

Placed = tuple[int, int, bytes]
"""Number, marker (0x80 or 0) and payload of a packet as it leaves."""


class Feed:
    """One source feeding one sink, from the switch to it until the next. `tl0` is subtracted from TL0PICIDX, `frames`
    from the frame number of dependency descriptors."""

    __slots__ = ("frames", "selector", "source", "time_offset", "tl0")

    def __init__(self, source: Incoming, time_offset: int, tl0: int, frames: int) -> None:
        self.source = source
        self.time_offset = time_offset
        self.tl0 = tl0
        self.frames = frames
        self.selector: Selector | None = None

    def shape(self, packet: MediaPacket, pictures: int) -> tuple[int, bytes]:
        """Marker and payload of a packet that is forwarded; `pictures` is subtracted from its picture id."""
        marker, payload, descriptor = packet.marker, packet.payload, packet.descriptor
        if not marker and self.selector is not None and self.selector.ends(packet.timestamp, descriptor):
            marker = 0x80
        if descriptor is not None and (pictures or self.tl0):
            payload = rewrite(payload, descriptor, pictures, self.tl0)
        return marker, payload

    def depends(self, packet: MediaPacket) -> bytes:
        """The dependency descriptor of a packet as it leaves; empty where it has none."""
        if packet.dependency is None:
            return b""
        limits = self.selector.limits(packet.timestamp) if self.selector is not None else None
        return packet.dependency.rewrite(self.frames, limits)

    def late(self, packet: MediaPacket, pictures: int) -> tuple[int, bytes]:
        """The same for a packet whose number is given already: left empty where its layer was not forwarded."""
        if self.selector is not None and not self.selector.kept(packet.timestamp, packet.descriptor):
            return 0, b""
        return self.shape(packet, pictures)


class Segment:
    """A range of sequences of a feed's source that left, or may still leave, as `first` and on."""

    __slots__ = ("end", "feed", "first", "pictures", "start")

    def __init__(self, feed: Feed, first: int, start: int, end: int, pictures: int) -> None:
        self.feed = feed
        self.first = first
        self.start = start
        self.end = end
        self.pictures = pictures


class Course:
    """The numbering of one sink. `start`, `offset` and `pictures` hold for the present segment while `live`.

    `plain` is None while every packet needs more than a header; see `sfu.extensions.HeaderExtensions`.
    """

    def __init__(self, extensions: HeaderExtensions, house: bool = False) -> None:
        """`house`: sources are lined up by our clock, not by those of their publishers."""
        self.extensions = extensions
        self.plain = extensions.plain
        self.house = house
        self.live = False
        self.live_since = float("inf")
        self.start = self.offset = self.time_offset = self.pictures = 0
        self.layers = ALL_LAYERS
        """What is wanted of the source that the sink is aimed at."""
        self.feed: Feed | None = None
        self.careful = False
        self._highest = -1
        """The highest sequence decided on while careful."""
        self._torn = False
        self._skipped = -1
        self._picture = self._tl0 = -1
        """The last that were sent while careful."""
        self._frame = -1
        """The frame number at which the feed before ended, as it left."""
        # RFC 3711 advises a start in the lower half: early loss cannot confuse the roll-over counter then.
        self._next = secrets.randbelow(0x8000)
        self._left: tuple[int, float] | None = None
        """Time of the last packet, as it left, and when it came."""
        self._segments: list[Segment] = []

    # --- starting, stopping, aiming ---

    def begin(self, packet: MediaPacket, source: Incoming) -> None:
        """Goes live with this packet, a key frame's first."""
        feed = self.feed
        if feed is None or feed.source is not source:
            self.time_offset = packet.timestamp - self._first_timestamp(packet, source)
            descriptor, tl0 = packet.descriptor, 0
            self.pictures = 0
            if descriptor is not None and descriptor.picture >= 0 and self._picture >= 0:
                self.pictures = (descriptor.picture - self._picture - 1) & 0x7FFF
            if descriptor is not None and descriptor.tl0 >= 0 and self._tl0 >= 0:
                tl0 = (descriptor.tl0 - self._tl0 - 1) & 0xFF
            frames = 0
            if packet.dependency is not None and self._frame >= 0:
                frames = (packet.dependency.number - self._frame - 1) & 0xFFFF
            feed = self.feed = Feed(source, self.time_offset, tl0, frames)
        self.live = True
        self.live_since = packet.arrival
        self.start = packet.sequence
        self.offset = packet.sequence - self._next
        self._highest = packet.sequence - 1
        self._torn, self._skipped = False, -1
        self._select(feed)
        if feed.selector is not None:
            feed.selector.start(packet.timestamp)
        self._settle(feed)

    def forget_pictures(self) -> None:
        """The next feed is of another codec: its picture ids and frame numbers have nothing to go on from."""
        self._picture = self._tl0 = self._frame = -1

    def is_past(self, packet: MediaPacket, source: Incoming) -> bool:
        """Whether it has shown the source further than this late packet: it must not go back there."""
        return any(one.feed.source is source and one.end >= packet.sequence for one in self._segments)

    def limit(self, layers: Layers) -> None:
        """Which layers to forward of the source that is shown."""
        self.layers = layers
        feed = self.feed
        if feed is not None:
            self._select(feed)
            if self.live and not self.careful:
                self._highest, self._torn = feed.source.numbering.highest, feed.source.torn
                self._note(feed)
                if feed.selector is not None:
                    feed.selector.passed(feed.source.numbering.timestamp)
            self._settle(feed)

    def _select(self, feed: Feed) -> None:
        if feed.selector is None and feed.source.scalable and self.layers != ALL_LAYERS:
            feed.selector = Selector(feed.source.numbering.timestamp)
        if feed.selector is not None:
            feed.selector.aim(self.layers.spatial, self.layers.temporal)

    def _settle(self, feed: Feed) -> None:
        limited = feed.selector is not None and not feed.selector.open
        before, self.careful = self.careful, limited or bool(self.pictures or feed.tl0)
        if before and not self.careful:
            self._close(feed, self._highest)  # late packets may still belong to layers that were left out
            self.start = self._highest + 1
        self.plain = None if self.careful else self.extensions.plain

    def wants_spatial(self, top: int) -> bool:
        """Whether more spatial layers are wanted than are forwarded, of those up to `top` that there are."""
        selector = self.feed.selector if self.feed is not None else None
        return selector is not None and selector.spatial < min(top, selector.wanted_spatial)

    def _first_timestamp(self, packet: MediaPacket, source: Incoming) -> int:
        """Where another source's times go on: by both sources' sender reports, else by the time that has passed."""
        if self._left is None:
            return secrets.randbits(32)
        last, at = self._left
        rate = source.spec.codec.clock_rate
        passed = last + max(1, round((packet.arrival - at) * rate))
        before, after = self.feed.source.clock(self.house) if self.feed is not None else None, source.clock(self.house)
        if before is None or after is None:
            return passed
        reported = before[1] - self.time_offset + packet.timestamp - after[1] + ((after[0] - before[0]) * rate >> 32)
        # Clocks that disagree by more than a second are not of one publisher, or were set meanwhile.
        return max(last + 1, reported) if abs(reported - passed) <= rate else passed

    def hold(self, source: Incoming) -> None:
        """Stops being live after all that the source has had so far."""
        feed = self.feed
        if not self.live or feed is None:
            return
        self.live = False
        end = source.numbering.highest
        if not self.careful:
            self._torn = source.torn
            self._note(feed)
        if source.frame >= 0:
            self._frame = (source.frame - feed.frames) & 0xFFFF
        # After a torn frame one number stays free, lest the next frame be joined to it.
        self._next = end - self.offset + 1 + self._torn
        self._left = (source.numbering.timestamp - self.time_offset, source.last_arrival)
        self._close(feed, end)

    def _note(self, feed: Feed) -> None:
        """Where picture ids stand that were not looked at so far."""
        newest = feed.source.newest
        self._picture, self._tl0 = (newest.picture, newest.tl0) if newest is not None else (-1, -1)

    def _close(self, feed: Feed, end: int) -> None:
        if end >= self.start:
            self._segments.append(Segment(feed, self.start - self.offset, self.start, end, self.pictures))
            if len(self._segments) > 2 * SEGMENTS:
                del self._segments[:SEGMENTS]

    def leave(self, source: Incoming, now: float) -> None:
        """The source is gone: what it sent cannot be sent again. Another one may feed the sink later."""
        if self.feed is not None and self.feed.source is source:
            self.hold(source)
            self._left = (source.numbering.timestamp - self.time_offset, now)
            self.feed = None
        self._segments = [segment for segment in self._segments if segment.feed.source is not source]

    # --- packets ---

    def place(self, packet: MediaPacket) -> Placed | None:
        """How a packet of the present source leaves; None where its layer is left out, or it fell into a pause."""
        feed, sequence = self.feed, packet.sequence
        if feed is None:
            return None
        if not self.careful and sequence >= self.start:
            return sequence - self.offset, *feed.shape(packet, self.pictures)
        if not self.careful or sequence <= self._highest:
            number, pictures = self._earlier(feed, sequence)
            return None if number is None else (number, *feed.late(packet, pictures))
        self._highest = sequence
        descriptor, selector = packet.descriptor, feed.selector
        if selector is not None:
            if not selector.decide(packet.timestamp, packet.keyframe, packet.marker, descriptor):
                self._skip(feed, packet)
                return None
            if selector.open:
                self._settle(feed)
        marker, payload = feed.shape(packet, self.pictures)
        self._torn = not marker
        if descriptor is not None:
            if descriptor.picture >= 0:
                self._picture = (descriptor.picture - self.pictures) & 0x7FFF
            if descriptor.tl0 >= 0:
                self._tl0 = (descriptor.tl0 - feed.tl0) & 0xFF
        return sequence - self.offset, marker, payload

    def _skip(self, feed: Feed, packet: MediaPacket) -> None:
        """Leaves a packet out: what follows moves up. So do VP8 picture ids over whole pictures, which decoders miss;
        VP9 refers to pictures by the distance of their ids, so that those stay."""
        self._close(feed, packet.sequence - 1)
        self.start = packet.sequence + 1
        self.offset += 1
        descriptor = packet.descriptor
        if feed.source.moves_pictures and descriptor is not None and packet.timestamp != self._skipped:
            self._skipped = packet.timestamp
            if descriptor.picture >= 0:
                self.pictures = (self.pictures + 1) & 0x7FFF

    def _earlier(self, feed: Feed, sequence: int) -> tuple[int | None, int]:
        """Number and picture offset of a late packet."""
        if self.live and sequence >= self.start:
            return sequence - self.offset, self.pictures
        for segment in reversed(self._segments):
            if segment.feed is not feed:
                break
            if sequence >= segment.start:
                number = segment.first + sequence - segment.start
                return (number if sequence <= segment.end else None), segment.pictures
        return None, 0

    def origin(self, number: int) -> tuple[Feed, int, int] | None:
        """The feed, picture offset and its source's sequence behind a 16-bit number that this sink has sent lately."""
        feed = self.feed
        newest = feed.source.numbering.highest - self.offset if self.live and feed is not None else self._next - 1
        back = (newest - number) & 0xFFFF
        if back > 0x7FFF:
            return None
        wanted = newest - back
        if self.live and feed is not None and wanted >= self.start - self.offset:
            return feed, self.pictures, wanted + self.offset
        index = bisect_right(self._segments, wanted, key=lambda segment: segment.first) - 1
        if index < 0:
            return None
        segment = self._segments[index]
        sequence = segment.start + wanted - segment.first
        return (segment.feed, segment.pictures, sequence) if sequence <= segment.end else None
