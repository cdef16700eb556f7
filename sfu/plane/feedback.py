"""The RTCP that the Python plane sends: what to resend, when a key frame is wanted, how reception goes."""

from __future__ import annotations

from sfu.plane.incoming import Incoming
from sfu.plane.transport import Transport
from sfu.rtcp import MAX_REPORTS, Nack, Pli, ReceiverReport, Remb, Report, RtcpPacket, SourceDescription, chunked

INTERVAL = 1.0
ARRIVALS_EVERY = 0.05
NACKS_AT_ONCE = 200
MOST_TOLD = 0.25
"""Beyond this more error correction costs more than it saves."""
ALIVE = 2.0
"""A source silent for longer gets no report."""


def send_nacks(transport: Transport, source: Incoming, now: float) -> None:
    """Asks for what is missing and due."""
    nack = source.nack
    if nack is None or source.ssrc is None:
        return
    sequences = [source.numbering.wire_sequence(sequence) for sequence in nack.due(now)]
    for piece in chunked(sequences, NACKS_AT_ONCE):
        source.nacks_sent += 1
        transport.send_feedback([Nack(transport.ssrc, source.ssrc, piece)])


def send_pli(transport: Transport, source: Incoming, now: bool) -> bool:
    """Sends a PLI where the throttle says `now` and there is somebody to ask; otherwise it stays remembered."""
    if not now:
        return False
    if source.ssrc is None or source.paused:
        source.pli.put_back()
        return False
    source.plis_sent += 1
    transport.send_feedback([Pli(transport.ssrc, source.ssrc)])
    return True


def send_arrivals(transport: Transport, now: float) -> None:
    """When the peer's packets came, for its own estimate of what it may send. Call on every tick."""
    if now >= transport.next_feedback and transport.arrivals.pending:
        transport.next_feedback = now + ARRIVALS_EVERY
        for message in transport.arrivals.feedback(transport.ssrc, transport.newest_ssrc):
            transport.send_feedback([message])


def send_reports(transport: Transport, sources: dict[str, Incoming], now: float) -> None:
    """Once a second: reception of each source, what the publisher may send, and a sender report for each live sink."""
    if now < transport.next_report:
        return
    packets: list[RtcpPacket] = []
    if transport.sources and (transport.reported_at is None or now - transport.reported_at >= INTERVAL):
        packets += _reception(transport, now)
    # Nothing came yet: look again soon, for browsers take the first REMB, if it is early, as where to start from.
    soonest = now + (INTERVAL if packets or not transport.sources else 0.1)
    for sink in transport.sinks.values():
        if now < sink.next_report:
            soonest = min(soonest, sink.next_report)
            continue
        source = sources.get(sink.source)
        if source is None:
            continue
        report = sink.sender_report(source, now)
        if report is not None:
            sink.next_report = now + INTERVAL
            packets += [report, SourceDescription(((sink.spec.ssrc, sink.spec.cname),))]
    transport.next_report = soonest
    if packets:
        transport.send_compound(packets)


def _worst_listener(source: Incoming) -> float:
    """The most that any listener loses of it, bounded.

    Opus adds forward error correction only for loss that it is told of (RFC 6716, section 2.1.7), and a publisher hears
    of its own link alone. One that estimates its bandwidth by these reports is spared: it would send less instead.
    """
    if source.spec.extensions.transport_cc is None:
        return 0.0
    return min(MOST_TOLD, max((sink.fraction_lost for sink in source.live), default=0.0))


def _reception(transport: Transport, now: float) -> list[RtcpPacket]:
    since = transport.reported_at
    reports: list[Report] = []
    ssrcs: list[int] = []
    expected = lost = 0
    for source in transport.sources:
        if source.ssrc is None or now - source.last_arrival > ALIVE:
            continue
        numbering, reception = source.numbering, source.reception
        wanted, missed = reception.interval(numbering.highest)
        loss = missed / wanted if wanted else 0.0
        told = max(loss, _worst_listener(source)) if source.spec.kind == "audio" else loss
        reports.append(reception.report(source.ssrc, numbering.highest, numbering.wire_highest(), told, now))
        if source.spec.kind == "video":
            ssrcs.append(source.ssrc)
            expected += wanted
            lost += missed
    if not reports:
        return []
    octets, transport.octets = transport.octets, 0
    transport.reported_at = now
    packets: list[RtcpPacket] = []
    for at in range(0, len(reports), MAX_REPORTS):
        packets.append(ReceiverReport(transport.ssrc, tuple(reports[at : at + MAX_REPORTS])))
    packets.append(transport.description())
    if ssrcs:
        if since is not None and now > since:
            transport.rate.update(expected, lost, octets * 8 / (now - since))
        # A publisher that estimates for itself is told its cap only.
        rate = transport.rate.estimate if transport.counted is None else transport.rate.cap
        packets.append(Remb(transport.ssrc, int(rate), tuple(ssrcs)))
    return packets
