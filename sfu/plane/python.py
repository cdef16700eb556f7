"""The plane in Python: works without a compiler, and is what the native one is held against."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pylibsrtp

from sfu.extensions import NO_LEVEL, parse_extensions
from sfu.history import MediaPacket
from sfu.plane import (
    ALL_LAYERS,
    AudioLevel,
    BandwidthEstimate,
    Layers,
    PlaneEvent,
    PlanePacket,
    PlaneStats,
    Route,
    SendDatagram,
    SenderReportSeen,
    SinkSpec,
    SinkStats,
    SourceEnded,
    SourceSpec,
    SourceStats,
    SrtpKeys,
    TransportStats,
)
from sfu.plane.feedback import send_arrivals, send_nacks, send_pli, send_reports
from sfu.plane.incoming import Incoming
from sfu.plane.outgoing import Outgoing
from sfu.plane.switchboard import Switchboard
from sfu.plane.transport import Transport
from sfu.red import Block, split
from sfu.rtcp import Bye, Fir, Nack, Pli, ReceiverReport, Remb, SenderReport, parse_compound
from sfu.rtp import MAX_DATAGRAM, MalformedPacket, pack_fixed_header, parse_header
from sfu.srtp import SrtpError
from sfu.twcc import TransportFeedback


class PythonPlane:
    """See `sfu.plane.Plane`. `send` is called with a transport's route for every datagram that leaves,
    `send_picture` where there is one for those of video streams.

    Misuse by the caller raises: ValueError for an id or SSRC used twice, KeyError for a transport that is not there.
    Removing or pausing what is already gone does nothing.
    """

    name = "python"

    def __init__(self, send: SendDatagram, send_picture: SendDatagram | None = None) -> None:
        self._send = send
        self._send_picture = send_picture or send
        self._transports: dict[str, Transport] = {}
        self._board = Switchboard()
        self._sources = self._board.sources
        self._sinks = self._board.sinks
        self._in = self._out = 0
        self._dropped: dict[str, int] = {}
        self._reports: dict[str, SenderReportSeen] = {}
        self._ended: dict[str, SourceEnded] = {}
        self._estimates: dict[str, BandwidthEstimate] = {}

    # --- transports ---

    def add_transport(self, transport: str, keys: SrtpKeys, route: Route, group: str = "") -> None:
        if transport in self._transports:
            raise ValueError(f"transport {transport} is already there")
        self._transports[transport] = Transport(transport, keys, route, self._send, self._send_picture, self._drop)

    def set_route(self, transport: str, route: Route) -> None:
        self._transports[transport].route = route

    def remove_transport(self, transport: str) -> None:
        gone = self._transports.pop(transport, None)
        self._estimates.pop(transport, None)
        if gone is not None:
            for source in list(gone.sources):
                self.remove_source(source.spec.id)
            for sink in list(gone.sinks.values()):
                self.remove_sink(sink.spec.id)

    def set_bitrate(self, transport: str, bits_per_second: int | None) -> None:
        self._transports[transport].rate.set_cap(bits_per_second)

    def set_wanted_bitrate(self, transport: str, bits_per_second: float) -> None:
        self._transports[transport].wanted_bitrate = bits_per_second

    def set_redundancy(self, transport: str, wanted: bool) -> None:
        self._transports[transport].redundancy = wanted

    # --- sources ---

    def add_source(self, transport: str, source: SourceSpec) -> None:
        if source.id in self._sources:
            raise ValueError(f"source {source.id} is already there")
        incoming = Incoming(transport, source)
        self._transports[transport].add_source(incoming)
        self._board.add_source(incoming)

    def pause_source(self, source: str, paused: bool) -> None:
        incoming = self._sources.get(source)
        if incoming is not None and incoming.paused != paused:
            incoming.set_paused(paused)
            if not paused:
                for sink in incoming.waiting:
                    self._board.want_keyframe(incoming, sink)

    def remove_source(self, source: str) -> None:
        incoming = self._sources.get(source)
        if incoming is None:
            return
        incoming.set_tap(None)
        self._board.remove_source(incoming)
        self._reports.pop(source, None)
        self._ended.pop(source, None)
        transport = self._transports.get(incoming.transport)
        if transport is not None:
            transport.remove_source(incoming)

    def set_tap(self, source: str, tap: Callable[[Sequence[PlanePacket]], None] | None) -> None:
        incoming = self._sources.get(source)
        if incoming is not None:
            incoming.set_tap(tap)

    def request_keyframe(self, source: str, now: float) -> bool:
        incoming = self._sources.get(source)
        if incoming is None or incoming.spec.kind != "video":
            return False
        return send_pli(self._transports[incoming.transport], incoming, incoming.pli.request(now))

    # --- sinks ---

    def add_sink(self, transport: str, sink: SinkSpec) -> None:
        owner = self._transports[transport]
        if sink.id in self._sinks or sink.ssrc in owner.sinks:
            raise ValueError(f"sink {sink.id} or its SSRC is already there")
        incoming = self._sources.get(sink.source)
        outgoing = Outgoing(owner, sink, incoming is None or incoming.spec.kind == "video")
        owner.add_sink(outgoing)
        self._sinks[sink.id] = outgoing
        self._board.wait(outgoing)

    def pause_sink(self, sink: str, paused: bool) -> None:
        outgoing = self._sinks.get(sink)
        if outgoing is not None:
            self._board.pause(outgoing, paused)

    def aim_sink(self, sink: str, source: str, layers: Layers = ALL_LAYERS) -> None:
        outgoing = self._sinks.get(sink)
        if outgoing is not None:
            self._board.aim(outgoing, source, layers)

    def remove_sink(self, sink: str) -> None:
        outgoing = self._sinks.get(sink)
        if outgoing is not None:
            outgoing.transport.sinks.pop(outgoing.spec.ssrc, None)
            self._board.remove_sink(outgoing)

    # --- packets ---

    def receive(self, transport: str, datagram: bytes, now: float) -> None:
        self._in += 1
        self._board.now = now
        owner = self._transports.get(transport)
        if owner is None:
            return self._drop("unknown_transport")
        if not 12 <= len(datagram) <= MAX_DATAGRAM:
            return self._drop("oversize" if len(datagram) > MAX_DATAGRAM else "malformed")
        if not owner.admit(now):
            return self._drop("rate")
        try:
            if 192 <= datagram[1] <= 223:
                self._receive_rtcp(owner, owner.srtp.open_rtcp(datagram), now)
            else:
                self._receive_rtp(owner, owner.srtp.open_rtp(datagram), now)
        except SrtpError as error:
            self._drop(error.reason)
        except MalformedPacket:
            self._drop("malformed")

    def _receive_rtp(self, owner: Transport, data: bytes, now: float) -> None:
        header = parse_header(data)
        _, second, sequence, timestamp, ssrc, profile, extension, extension_end, start, end = header
        repaired = False
        values = None
        if owner.counted is not None and profile:
            values = parse_extensions(profile, data[extension:extension_end])
            counted = values.get(owner.counted, b"")
            if len(counted) == 2:
                owner.arrivals.received(counted[0] << 8 | counted[1], now)
        source = owner.media.get(ssrc)
        if source is None:
            source = owner.rtx.get(ssrc)
            if source is None:
                refusal = owner.learn(header, data, now)
                if refusal is not None:
                    return self._drop(refusal)
                source = owner.media.get(ssrc) or owner.rtx[ssrc]
            repaired = ssrc not in owner.media
        owner.octets += end - start
        owner.newest_ssrc = ssrc
        spec = source.spec
        blocks: Sequence[Block] = ()
        wrapped = b""
        redundant = second & 0x7F == spec.red_payload_type and not repaired
        if second & 0x7F != (spec.rtx_payload_type if repaired else spec.payload_type) and not redundant:
            return self._drop("payload_type")
        if repaired:
            if end - start < 2:
                return self._drop("padding")  # probing on the retransmission stream
            sequence = data[start] << 8 | data[start + 1]
            start += 2
        level, dependency = NO_LEVEL, b""
        if profile and (source.level_id is not None or source.dependency_id is not None):
            if values is None:
                values = parse_extensions(profile, data[extension:extension_end])
            if source.level_id is None:
                dependency = values.get(source.dependency_id or 0, b"")
            elif value := values.get(source.level_id):
                level = value[0]
        payload = data[start:end]
        if redundant:
            wrapped = payload
            blocks, payload = split(wrapped, spec.payload_type)
        packet = source.accept(
            sequence, timestamp, second & 0x80, level, payload, now, repaired, dependency, wrapped, len(blocks)
        )
        if isinstance(packet, str):
            return self._drop(packet)
        if level != NO_LEVEL:
            source.hear(level, now)
        for recovered in source.recover(packet, blocks, now) if blocks else ():
            self._forward(source, recovered, now)
            source.show(recovered, now)
        if source.live:
            self._forward(source, packet, now)
        if packet.keyframe and source.waiting:
            self._start_waiting(source, packet, now)
        source.show(packet, now)
        if source.nack is not None and now >= source.nack.next_due:
            send_nacks(owner, source, now)

    def _forward(self, source: Incoming, packet: MediaPacket, now: float) -> None:
        """The loop that everything else is there for."""
        sequence, timestamp, marker = packet.sequence, packet.timestamp, packet.marker
        level, payload = packet.level, packet.payload
        size = len(payload)
        redundant = packet.redundant
        send = self._send_picture if source.spec.kind == "video" else self._send
        sent = 0
        for sink in source.live:
            plain = sink.plain
            wraps = redundant is not None and sink.wraps(redundant)
            if sequence < sink.start or plain is None or sink.sealed is not None or wraps:
                self._send_one(sink, packet, now)
                continue
            extension = plain.get(level)
            if extension is None:
                extension = sink.extensions.render(level, b"")
            data = (
                pack_fixed_header(
                    0x90 if extension else 0x80,
                    marker | sink.payload_type,
                    (sequence - sink.offset) & 0xFFFF,
                    (timestamp - sink.time_offset) & 0xFFFFFFFF,
                    sink.ssrc,
                )
                + extension
                + payload
            )
            transport = sink.transport
            try:
                sealed = transport.protect(data)
            except pylibsrtp.Error:
                self._drop("encrypt")
                continue
            except ValueError:
                self._drop("oversize")
                continue
            send(transport.route, sealed)
            sink.packets += 1
            sink.octets += size
            sent += 1
        self._out += sent

    def _send_one(self, sink: Outgoing, packet: MediaPacket, now: float) -> None:
        placed = sink.place(packet)
        if placed is None:
            return
        if packet.redundant is not None and sink.wraps(packet.redundant):
            packet = packet.redundant
            placed = (placed[0], placed[1], packet.payload)
        sending = sink.transport.sending
        if sending is not None:
            self._out += sending.media(sink, packet, placed, now)
            return
        try:
            sealed = sink.transport.srtp.seal_rtp(sink.render(packet, placed, now))
        except SrtpError as error:
            return self._drop(error.reason)
        sink.keep(placed[0], sealed)
        (self._send_picture if sink.video else self._send)(sink.transport.route, sealed)
        sink.packets += 1
        sink.octets += len(placed[2])
        self._out += 1

    def _start_waiting(self, source: Incoming, packet: MediaPacket, now: float) -> None:
        """Waiting sinks go live with this packet. Where it was late, what came before it follows at once."""
        for sink in self._board.start(source, packet):
            for sequence in range(packet.sequence, source.numbering.highest + 1):
                present = source.history.get(sequence)
                if present is not None:
                    self._send_one(sink, present, now)

    def _resend(self, sink: Outgoing, numbers: Sequence[int], now: float) -> None:
        """Answers a subscriber's NACK from the source's history, or from the bytes sent where there is no RTX."""
        sink.nacks_received += 1
        for number in numbers:
            if sink.sealed is not None:
                sealed = sink.sealed.get(number)
                if sealed is None or not sink.may_resend(number, now):
                    continue
                if sink.transport.sending is not None:
                    sink.transport.sending.repeated(sink, sealed)
            else:
                origin = sink.origin(number)
                if origin is None or sink.spec.rtx_payload_type is None or sink.spec.rtx_ssrc is None:
                    continue
                feed, pictures, sequence = origin
                packet = feed.source.history.get(sequence)
                if packet is None or number in sink.abandoned or not sink.may_resend(number, now):
                    continue
                placed = (number, *feed.late(packet, pictures))
                data = sink.render_rtx(packet, placed, feed, now)
                sending = sink.transport.sending
                if sending is not None:
                    before = sink.retransmissions
                    self._out += sending.again(sink, data, now)
                    if sink.retransmissions == before:
                        sink.not_resent(number)
                    elif sink.urgent:
                        data = sink.render_rtx(packet, placed, feed, now)
                        self._out += sending.again(sink, data, now)
                    continue
                try:
                    sealed = sink.transport.srtp.seal_rtp(data)
                except SrtpError as error:
                    self._drop(error.reason)
                    continue
            sink.retransmissions += 1
            self._out += 1
            (self._send_picture if sink.video else self._send)(sink.transport.route, sealed)

    # --- RTCP ---

    def _receive_rtcp(self, owner: Transport, data: bytes, now: float) -> None:
        for packet in parse_compound(data):
            if isinstance(packet, (SenderReport, ReceiverReport)):
                if isinstance(packet, SenderReport):
                    self._sender_report(owner, packet, now)
                for report in packet.reports:
                    sink = owner.sinks.get(report.ssrc)
                    if sink is not None:
                        sink.reported(report, now)
            elif isinstance(packet, Nack):
                sink = owner.sinks.get(packet.media)
                if sink is not None:
                    self._resend(sink, packet.sequences, now)
            elif isinstance(packet, Pli):
                self._asked(owner, packet.media)
            elif isinstance(packet, Fir):
                for ssrc, _ in packet.requests:
                    self._asked(owner, ssrc)
            elif isinstance(packet, TransportFeedback):
                if owner.sending is None:
                    self._drop("unwanted_feedback")
                else:
                    self._out += owner.sending.feedback(packet, now)
            elif isinstance(packet, Remb):
                owner.remb = packet.bitrate
            elif isinstance(packet, Bye):
                for ssrc in packet.ssrcs:
                    source = owner.media.get(ssrc)
                    if source is not None:
                        self._ended[source.spec.id] = SourceEnded(source.spec.id)

    def _sender_report(self, owner: Transport, packet: SenderReport, now: float) -> None:
        source = owner.media.get(packet.ssrc)
        if source is None or not source.numbering.started:
            return
        timestamp = source.numbering.unwrap_timestamp(packet.timestamp)
        if source.report is None:
            for sink in source.live:
                sink.transport.next_report = float("-inf")  # lip sync begins with the first report: do not wait
                sink.next_report = float("-inf")
        source.reported(packet.ntp, timestamp, now)
        seen = SenderReportSeen(source.spec.id, packet.ntp / 0x100000000, timestamp, now)
        self._reports[source.spec.id] = seen

    def _asked(self, owner: Transport, ssrc: int) -> None:
        sink = owner.sinks.get(ssrc)
        source = self._sources.get(sink.source if sink.live else sink.target) if sink is not None else None
        if sink is not None and source is not None and not source.paused and not sink.paused:
            self._board.want_keyframe(source, sink)

    # --- time ---

    def tick(self, now: float) -> None:
        self._board.now = now
        for transport in self._transports.values():
            for source in transport.sources:
                if source.nack is not None:
                    send_nacks(transport, source, now)
                if source.settle(now) and source.spec.kind == "video":
                    send_pli(transport, source, source.pli.request(now))
                send_pli(transport, source, source.pli.due(now))
                self._board.remind(source, now)
            if transport.counted is not None:
                send_arrivals(transport, now)
            if transport.sending is not None:
                self._out += transport.sending.tick(transport.wanted_bitrate, now)
            estimate = transport.news(now)
            if estimate is not None:
                self._estimates[transport.name] = BandwidthEstimate(transport.name, estimate)
            transport.measure(now)
            send_reports(transport, self._sources, now)

    def drain(self) -> list[PlaneEvent]:
        events: list[PlaneEvent] = []
        for source in self._sources.values():
            if source.loudest <= 127:
                events.append(AudioLevel(source.spec.id, source.loudest, source.voice, source.heard_at))
                source.loudest, source.voice = 128, False
        for pending in (self._reports, self._board.wanted, self._ended, self._board.switched, self._estimates):
            events += pending.values()
            pending.clear()
        return events

    # --- counters ---

    def layer_rates(self, source: str) -> dict[tuple[int, int], float]:
        incoming = self._sources.get(source)
        return incoming.rates.rates() if incoming is not None else {}

    def transport_stats(self, transport: str) -> TransportStats | None:
        owner = self._transports.get(transport)
        return owner.stats(self._board.now) if owner is not None else None

    def source_stats(self, source: str) -> SourceStats | None:
        incoming = self._sources.get(source)
        return incoming.stats() if incoming is not None else None

    def sink_stats(self, sink: str) -> SinkStats | None:
        outgoing = self._sinks.get(sink)
        return outgoing.stats() if outgoing is not None else None

    def stats(self) -> PlaneStats:
        return PlaneStats(self._in, self._out, dict(self._dropped))

    def _drop(self, reason: str) -> None:
        self._dropped[reason] = self._dropped.get(reason, 0) + 1
