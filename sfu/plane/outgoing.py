"""One sink of the Python plane: the subscriber's own numbering of a source's packets."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from sfu.extensions import NO_LEVEL, HeaderExtensions, abs_send_time
from sfu.history import MediaPacket
from sfu.plane import SinkSpec, SinkStats
from sfu.plane.course import Course, Feed, Placed
from sfu.red import retype
from sfu.rtcp import Report, SenderReport
from sfu.rtp import pack_fixed_header

if TYPE_CHECKING:
    from sfu.plane.incoming import Incoming
    from sfu.plane.transport import Transport

RESEND_RATE = 400.0
RESEND_BURST = 400.0
"""Retransmissions per second and at once: a subscriber cannot make us send without bound."""

LEAST_REPEAT, MOST_REPEAT = 0.02, 1.0
"""A packet is not sent again sooner than a round trip after the last time, that is while it may still be on its way;
browsers that do not know the round trip ask every 100 ms."""

LOSSY = 0.05
"""Loss above which a second retransmission of a packet goes out twice: a third would come too late for many."""

SEALED, SEALED_SOUND = 256, 32
ABANDONED = 1024
REPORTS_KEPT = 8
NTP_EPOCH = 2_208_988_800


class Outgoing(Course):
    """State of one sink. `source` is what it shows, or will show first; `target` what it is aimed at."""

    def __init__(self, transport: Transport, spec: SinkSpec, video: bool) -> None:
        super().__init__(HeaderExtensions(spec.extensions, spec.mid), spec.house_clock)
        self.transport = transport
        self.spec = spec
        self.ssrc = spec.ssrc
        self.payload_type = spec.payload_type
        """Of what is shown now."""
        self.formats = {format.codec: format for format in spec.formats}
        self._format: str | None = None
        self.video = video
        self.newest = -1
        """The number of the last packet that left, other than retransmissions."""
        self.paused = False
        self.source = self.target = spec.source
        self.wanted_at = float("-inf")
        """When a key frame was last asked for."""
        self._rtx_next = secrets.randbelow(0x8000)
        # Without RTX the very bytes are sent again: sealing anything else under the same index would break the cipher.
        self.sealed: dict[int, bytes] | None = {} if (video or spec.nack) and spec.rtx_payload_type is None else None
        self.packets = self.octets = 0
        self.nacks_received = self.retransmissions = 0
        self.fraction_lost = 0.0
        self.round_trip: float | None = None
        self.trip: float | None = None
        """The same, evened out."""
        self.next_report = float("-inf")
        self._reports: dict[int, float] = {}
        self._tokens = RESEND_BURST
        self._tokens_at = float("-inf")
        self._resent: dict[int, float] = {}
        self.abandoned: dict[int, None] = {}
        """Numbers, cut to 16 bits, of packets that never left: a key frame came first."""
        self.urgent = False
        """What `may_resend` allowed last should go out twice."""

    def takes(self, codec: str, shown: str) -> bool:
        """Whether it may go on with this codec after that one."""
        return codec in self.formats if self.formats else codec == shown

    def begin(self, packet: MediaPacket, source: Incoming) -> None:
        codec = source.spec.codec.name
        if codec != self._format:
            self.forget_pictures()
            self._format = codec
        super().begin(packet, source)
        self.payload_type = self.formats[codec].payload_type if codec in self.formats else self.spec.payload_type

    def _rtx(self, source: Incoming) -> int:
        """The payload type of retransmissions of a source."""
        found = self.formats.get(source.spec.codec.name)
        return (self.spec.rtx_payload_type if found is None else found.rtx_payload_type) or 0

    def describes(self, source: Incoming) -> bool:
        """Whether its packets leave with their dependency descriptors: where codecs change, those that need them."""
        wanted = self.spec.extensions.dependency_descriptor is not None
        return wanted and (not self.formats or source.spec.codec.name == "AV1")

    def wraps(self, redundant: MediaPacket) -> bool:
        """Whether a packet leaves with its redundancy: not before the sink has sent all that it repeats."""
        wanted = self.transport.redundancy and self.spec.red_payload_type is not None
        return wanted and redundant.sequence - redundant.reach >= self.start

    def render(self, packet: MediaPacket, placed: Placed, now: float, counted: int = 0) -> bytes:
        """The RTP packet under the sink's own names; `counted` is its transport sequence number."""
        number, marker, payload = placed
        payload_type = self.payload_type
        if packet.reach:
            if payload[0] & 0x7F != payload_type:
                payload = retype(payload, packet.reach, payload_type)
            payload_type = self.spec.red_payload_type or 0
        extension = self.extensions.render(packet.level, abs_send_time(now), counted)
        if payload and self.feed is not None and self.describes(self.feed.source):
            extension = self.extensions.describe(extension, self.feed.depends(packet))
        return (
            pack_fixed_header(
                0x90 if extension else 0x80,
                marker | payload_type,
                number & 0xFFFF,
                (packet.timestamp - self.time_offset) & 0xFFFFFFFF,
                self.spec.ssrc,
            )
            + extension
            + payload
        )

    def render_rtx(self, packet: MediaPacket, placed: Placed, feed: Feed, now: float) -> bytes:
        """The same as a retransmission (RFC 4588) of a packet of `feed`."""
        number, marker, payload = placed
        extension = self.extensions.render(packet.level, abs_send_time(now))
        if payload and self.describes(feed.source):
            extension = self.extensions.describe(extension, feed.depends(packet))
        sequence = self._rtx_next
        self._rtx_next = (sequence + 1) & 0xFFFF
        return (
            pack_fixed_header(
                0x90 if extension else 0x80,
                marker | self._rtx(feed.source),
                sequence,
                (packet.timestamp - feed.time_offset) & 0xFFFFFFFF,
                self.spec.rtx_ssrc or 0,
            )
            + extension
            + (number & 0xFFFF).to_bytes(2, "big")
            + payload
        )

    def render_padding(self, size: int, now: float) -> bytes:
        """A packet of the retransmission stream with `size` bytes of padding (1 to 255) and nothing else."""
        extension = self.extensions.render(NO_LEVEL, abs_send_time(now))
        sequence = self._rtx_next
        self._rtx_next = (sequence + 1) & 0xFFFF
        number = self._rtx(self.feed.source) if self.feed is not None else self.spec.rtx_payload_type or 0
        fields = (number, sequence, 0, self.spec.rtx_ssrc or 0)
        return pack_fixed_header(0xB0 if extension else 0xA0, *fields) + extension + bytes(size - 1) + bytes((size,))

    def may_resend(self, number: int, now: float) -> bool:
        """Whether another retransmission of this number is allowed now; counts it if so."""
        trip, waited, loss = self.transport.toward(self, now)
        if now - self._resent.get(number, float("-inf")) < max(LEAST_REPEAT, min(MOST_REPEAT, trip)) + waited:
            return False
        if now > self._tokens_at:
            self._tokens = min(RESEND_BURST, self._tokens + (now - self._tokens_at) * RESEND_RATE)
            self._tokens_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        self.urgent = self._resent.pop(number, None) is not None and loss > LOSSY
        self._resent[number] = now
        if len(self._resent) > 2 * SEALED:
            del self._resent[next(iter(self._resent))]
        return True

    def not_resent(self, number: int) -> None:
        """What `may_resend` allowed last did not leave after all: it may be asked for again at once."""
        self._resent.pop(number, None)

    def abandon(self, number: int) -> None:
        """The packet has not left and need not: requests for it are not answered."""
        self.abandoned[number & 0xFFFF] = None
        if len(self.abandoned) > ABANDONED:
            del self.abandoned[next(iter(self.abandoned))]

    def keep(self, number: int, sealed: bytes) -> None:
        """For sinks without RTX: the bytes as they left."""
        if self.sealed is not None:
            self.sealed[number & 0xFFFF] = sealed
            if len(self.sealed) > (SEALED if self.video else SEALED_SOUND):
                del self.sealed[next(iter(self.sealed))]

    def sender_report(self, source: Incoming, now: float) -> SenderReport | None:
        """The source's own clock carried on, so that the subscriber lines up tracks as their publisher meant them.

        A source that never reports gets one by our clock after a while, so that round trips can be told at least.
        """
        if not self.live:
            return None
        numbering = source.numbering
        if (report := source.clock(self.house)) is not None:
            ntp, time, at = report
        elif now - self.live_since > 5.0:
            at = source.last_arrival
            ntp, time = int((NTP_EPOCH + at) * 0x100000000), numbering.timestamp
        else:
            return None
        ntp = (ntp + int((now - at) * 0x100000000)) & 0xFFFFFFFFFFFFFFFF
        timestamp = time + round((now - at) * numbering.clock_rate) - self.time_offset
        self._reports[ntp >> 16 & 0xFFFFFFFF] = now
        if len(self._reports) > REPORTS_KEPT:
            del self._reports[next(iter(self._reports))]
        return SenderReport(self.spec.ssrc, ntp, timestamp, self.packets, self.octets)

    def reported(self, report: Report, now: float) -> None:
        """The subscriber's reception report."""
        self.fraction_lost = report.fraction_lost
        sent = self._reports.get(report.last_sr)
        if sent is not None and report.last_sr:
            self.round_trip = trip = max(0.0, now - sent - report.delay / 65536)
            self.trip = trip if self.trip is None else self.trip + (trip - self.trip) / 4

    def stats(self) -> SinkStats:
        return SinkStats(
            packets=self.packets,
            bytes=self.octets,
            nacks_received=self.nacks_received,
            retransmissions_sent=self.retransmissions,
            fraction_lost=self.fraction_lost,
            round_trip=self.round_trip,
        )
