"""One transport of the Python plane: keys, route, and which SSRC belongs to what."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Literal

from sfu.bandwidth import START
from sfu.extensions import parse_extensions
from sfu.plane import Route, SendDatagram, SourceSpec, SrtpKeys, TransportStats
from sfu.plane.incoming import Incoming
from sfu.plane.outgoing import Outgoing
from sfu.plane.sending import Sending
from sfu.rate import LossRate
from sfu.rtcp import ReceiverReport, RtcpPacket, SourceDescription
from sfu.rtp import Header
from sfu.srtp import Srtp, SrtpError
from sfu.twcc import ArrivalRecorder

SILENCE = 1.0
"""A stream silent for this many seconds may go on under an SSRC that nothing vouches for but its payload type."""

DATAGRAM = 1200

PACKETS_PER_SECOND = 4000.0
PACKETS_AT_ONCE = 4000.0
"""What one peer may send us, everything counted: some 40 Mbit/s, many times what browsers send of camera and screen."""

MEASURE = 1.0

NEWS = 0.1
"""Estimates are told no more often than this, in seconds..."""
CHANGE = 0.01
"""...and only changes by more than this fraction."""

CNAME = secrets.token_urlsafe(12)


class Transport:
    """`media`, `rtx` and `sinks` find streams by SSRC."""

    def __init__(
        self,
        name: str,
        keys: SrtpKeys,
        route: Route,
        send: SendDatagram,
        send_picture: SendDatagram,
        drop: Callable[[str], None],
    ) -> None:
        self.name = name
        self.route = route
        self.srtp = Srtp(keys)
        self.protect = self.srtp.protect
        self.sources: list[Incoming] = []
        self.media: dict[int, Incoming] = {}
        self.rtx: dict[int, Incoming] = {}
        self.sinks: dict[int, Outgoing] = {}
        self.ssrc = secrets.randbits(32)
        """Who we are in receiver reports and feedback."""
        self.rate = LossRate()
        self.next_report = float("-inf")
        self.reported_at: float | None = None
        self.octets = 0
        """Media received since the last report."""
        self.wanted_bitrate = 0.0
        self.remb: int | None = None
        """What the subscriber last said that it can take."""
        self.sent_bitrate = 0.0
        self.redundancy = False
        """Sound goes out with its redundancy."""
        self.sending: Sending | None = None
        """Where a sink negotiated transport-wide congestion control."""
        self.counted: int | None = None
        """The id under which the peer numbers its packets for us to tell when they came."""
        self.arrivals = ArrivalRecorder()
        self.newest_ssrc = 0
        """Of what the peer sent: feedback must name a stream that it knows."""
        self.next_feedback = 0.0
        self._told: tuple[float, float] = (float("-inf"), 0.0)
        self._drop = drop
        self._measured: tuple[float, int] | None = None
        self._send = send
        self._send_picture = send_picture
        self._tokens = PACKETS_AT_ONCE
        self._tokens_at = 0.0

    def admit(self, now: float) -> bool:
        """Whether the peer may have another datagram looked at; counts it if so."""
        if self._tokens < 1:
            gained = (now - self._tokens_at) * PACKETS_PER_SECOND
            if gained < 1:
                return False
            self._tokens = min(PACKETS_AT_ONCE, gained)
            self._tokens_at = now
        self._tokens -= 1
        return True

    # --- how sending goes ---

    def toward(self, sink: Outgoing, now: float) -> tuple[float, float, float]:
        """Round trip (0: not known), how long packets wait to leave, and loss from 0 to 1, towards the peer."""
        sending = self.sending
        if sending is None or not sending.heard:
            return sink.trip or 0.0, 0.0, sink.fraction_lost
        # Reports count packets that were overtaken as lost; feedback tells that they came.
        estimator = sending.estimator
        trip = sink.trip if sink.trip is not None else estimator.round_trip
        return trip or 0.0, sending.delay(now), estimator.loss.loss

    def measure(self, now: float) -> None:
        """Once a second: what was sent since."""
        if self._measured is None or now - self._measured[0] >= MEASURE:
            sending = self.sending
            octets = sending.octets if sending is not None else sum(sink.octets for sink in self.sinks.values())
            if self._measured is not None:
                at, before = self._measured
                self.sent_bitrate = max(0, octets - before) * 8 / (now - at)
            self._measured = (now, octets)

    def add_sink(self, sink: Outgoing) -> None:
        self.sinks[sink.spec.ssrc] = sink
        if sink.extensions.number_at and self.sending is None:
            self.sending = Sending(self, self._send, self._send_picture, self._drop)
            self._measured = None

    def estimate(self, now: float) -> float | None:
        """What the subscriber can take, in bit/s; None before it has told enough."""
        if self.sending is not None and self.sending.heard:
            if not self.sending.settled(now):
                return None
            return self.sending.available
        return float(self.remb) if self.remb is not None else None

    def news(self, now: float) -> float | None:
        """The estimate, where it has changed and it is time to tell."""
        estimate = self.estimate(now)
        at, told = self._told
        if estimate is None or now - at < NEWS or abs(estimate - told) <= CHANGE * told:
            return None
        self._told = (now, estimate)
        return estimate

    def stats(self, now: float) -> TransportStats:
        sinks = self.sinks.values()
        packets = sum(sink.packets for sink in sinks)
        loss = sum(sink.packets * sink.fraction_lost for sink in sinks) / packets if packets else 0.0
        round_trip = min((s.round_trip for s in sinks if s.round_trip is not None), default=None)
        sending, estimate = self.sending, self.estimate(now)
        feedback: Literal["twcc", "remb", "none"] = "none" if estimate is None else "remb"
        if sending is not None and sending.heard:
            feedback, loss = "twcc", sending.estimator.loss.loss
            round_trip = sending.estimator.round_trip if round_trip is None else round_trip
        return TransportStats(
            estimate=estimate if estimate is not None else START,
            sent_bitrate=self.sent_bitrate,
            pacer_delay=sending.delay(now) if sending is not None else 0.0,
            round_trip=round_trip,
            loss=loss,
            feedback=feedback,
        )

    # --- which stream is it ---

    def add_source(self, source: Incoming) -> None:
        """Raises ValueError where an SSRC is taken."""
        spec = source.spec
        if any(ssrc in self.media or ssrc in self.rtx for ssrc in (spec.ssrc, spec.rtx_ssrc)):
            raise ValueError(f"an SSRC of source {spec.id} is already another source's")
        self.sources.append(source)
        if spec.extensions.transport_cc is not None:
            self.counted = spec.extensions.transport_cc
        if spec.ssrc is not None:
            self.media[spec.ssrc] = source
        if spec.rtx_ssrc is not None:
            self.rtx[spec.rtx_ssrc] = source

    def remove_source(self, source: Incoming) -> None:
        self.sources.remove(source)
        for table in (self.media, self.rtx):
            for ssrc in [ssrc for ssrc, owner in table.items() if owner is source]:
                del table[ssrc]

    def learn(self, header: Header, data: bytes, now: float) -> str | None:
        """Finds the source of an SSRC not seen before and remembers it; the reason where there is none.

        Raises `MalformedPacket` for a broken header extension.
        """
        payload_type, ssrc = header[1] & 0x7F, header[4]
        values = parse_extensions(header[5], data[header[6] : header[7]]) if header[5] else {}
        named = [source for source in self.sources if _names(values, source)]
        if named:
            source = named[0]
            if ssrc in source.retired and now - source.last_arrival < SILENCE:
                return "retired_ssrc"  # late packets of the stream before must not take it back
        else:
            types = [s for s in self.sources if payload_type in _payload_types(s.spec)]
            if len(types) != 1:
                return "unknown_ssrc"
            source = types[0]
            present = source.rtx_ssrc if payload_type == source.spec.rtx_payload_type else source.ssrc
            if present is not None and now - source.last_arrival < SILENCE:
                return "unknown_ssrc"
        if payload_type in (source.spec.payload_type, source.spec.red_payload_type):
            if source.ssrc is not None:
                self.media.pop(source.ssrc, None)
            source.bind(ssrc)
            self.media[ssrc] = source
        elif payload_type == source.spec.rtx_payload_type:
            if source.rtx_ssrc is not None:
                self.rtx.pop(source.rtx_ssrc, None)
            source.rtx_ssrc = ssrc
            self.rtx[ssrc] = source
        else:
            return "payload_type"
        return None

    # --- sending RTCP ---

    def send_feedback(self, packets: Sequence[RtcpPacket]) -> None:
        """Feedback led by an empty receiver report, as a peer without reduced-size RTCP must have it."""
        self.send_compound([ReceiverReport(self.ssrc), *packets])

    def send_compound(self, packets: Sequence[RtcpPacket]) -> None:
        """Packets in order, in as few datagrams as their size allows."""
        pending = b""
        for packet in packets:
            data = packet.serialize()
            if pending and len(pending) + len(data) > DATAGRAM:
                self._flush(pending)
                pending = b""
            pending += data
        if pending:
            self._flush(pending)

    def description(self) -> SourceDescription:
        return SourceDescription(((self.ssrc, CNAME),))

    def _flush(self, data: bytes) -> None:
        try:
            sealed = self.srtp.seal_rtcp(data)
        except SrtpError:
            return  # the key's lifetime of 2^31 SRTCP packets is over: nothing more can be said
        self._send(self.route, sealed)


def _payload_types(spec: SourceSpec) -> tuple[int | None, ...]:
    return spec.payload_type, spec.rtx_payload_type, spec.red_payload_type


def _names(values: dict[int, bytes], source: Incoming) -> bool:
    """Whether header extensions name the source: by mid, and by (repaired) rid where it is one of several encodings."""
    ids, rid = source.spec.extensions, source.spec.rid
    if ids.mid is None or values.get(ids.mid) != source.spec.mid.encode():
        return False
    return rid is None or rid.encode() in (
        values.get(number) for number in (ids.rid, ids.repaired_rid) if number is not None
    )
