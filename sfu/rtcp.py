"""RTCP: compound packets in and out.

RFC 3550 section 6 (SR, RR, SDES, BYE), RFC 4585 (generic NACK, PLI), RFC 5104 (FIR), REMB
(draft-alvestrand-rmcat-remb-03) and transport-wide feedback (`sfu.twcc`). Other types are skipped.
`parse_compound` raises `MalformedPacket` and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from struct import Struct

from sfu.rtp import MalformedPacket
from sfu.twcc import FORMAT as TRANSPORT_FEEDBACK
from sfu.twcc import TransportFeedback, parse_feedback

SR, RR, SDES, BYE, RTPFB, PSFB = 200, 201, 202, 203, 205, 206

_HEAD = Struct("!BBH")
_SENDER = Struct("!IQIII")
_BLOCK = Struct("!IIIIII")
_PAIR = Struct("!II")
_WORD = Struct("!I")
_NACK = Struct("!HH")

MAX_REPORTS = 31
_MAX_MANTISSA = 0x3FFFF


@dataclass(frozen=True, slots=True)
class Report:
    """One reception report block. `fraction_lost` 0 to 1; `lost` may be negative; `jitter` in clock units;
    `last_sr` and `delay` in 1/65536 s (0: no sender report yet)."""

    ssrc: int
    fraction_lost: float
    lost: int
    highest_sequence: int
    jitter: int
    last_sr: int
    delay: int

    def serialize(self) -> bytes:
        fraction = min(255, max(0, int(self.fraction_lost * 256)))
        lost = max(-0x800000, min(0x7FFFFF, self.lost)) & 0xFFFFFF
        words = (self.highest_sequence, self.jitter, self.last_sr, self.delay)
        return _BLOCK.pack(self.ssrc, fraction << 24 | lost, *(word & 0xFFFFFFFF for word in words))


@dataclass(frozen=True, slots=True)
class SenderReport:
    """`ntp` is the raw 64-bit NTP time, `timestamp` the RTP time of the same instant, `octets` payload bytes."""

    ssrc: int
    ntp: int
    timestamp: int
    packets: int
    octets: int
    reports: tuple[Report, ...] = ()

    def serialize(self) -> bytes:
        counts = (self.packets & 0xFFFFFFFF, self.octets & 0xFFFFFFFF)
        body = _SENDER.pack(self.ssrc, self.ntp & 0xFFFFFFFFFFFFFFFF, self.timestamp & 0xFFFFFFFF, *counts)
        return _packet(SR, len(self.reports), body + b"".join(report.serialize() for report in self.reports))


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    ssrc: int
    reports: tuple[Report, ...] = ()

    def serialize(self) -> bytes:
        body = _WORD.pack(self.ssrc) + b"".join(report.serialize() for report in self.reports)
        return _packet(RR, len(self.reports), body)


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """SDES with the one item that matters here, the canonical name, by SSRC."""

    cnames: tuple[tuple[int, str], ...]

    def serialize(self) -> bytes:
        chunks = bytearray()
        for ssrc, cname in self.cnames:
            name = cname.encode()[:255]
            chunk = _WORD.pack(ssrc) + bytes((1, len(name))) + name
            chunks += chunk + bytes(4 - len(chunk) % 4)  # at least one zero ends the items
        return _packet(SDES, len(self.cnames), bytes(chunks))


@dataclass(frozen=True, slots=True)
class Bye:
    ssrcs: tuple[int, ...]

    def serialize(self) -> bytes:
        return _packet(BYE, len(self.ssrcs), b"".join(_WORD.pack(ssrc) for ssrc in self.ssrcs))


@dataclass(frozen=True, slots=True)
class Nack:
    """Generic NACK: `sequences` are 16-bit, in the order asked."""

    sender: int
    media: int
    sequences: tuple[int, ...]

    def serialize(self) -> bytes:
        body = bytearray(_PAIR.pack(self.sender, self.media))
        base, mask = -1, 0
        for sequence in self.sequences:
            ahead = (sequence - base - 1) & 0xFFFF
            if base >= 0 and ahead < 16:
                mask |= 1 << ahead
                continue
            if base >= 0:
                body += _NACK.pack(base, mask)
            base, mask = sequence, 0
        if base >= 0:
            body += _NACK.pack(base, mask)
        return _packet(RTPFB, 1, bytes(body))


@dataclass(frozen=True, slots=True)
class Pli:
    sender: int
    media: int

    def serialize(self) -> bytes:
        return _packet(PSFB, 1, _PAIR.pack(self.sender, self.media))


@dataclass(frozen=True, slots=True)
class Fir:
    """Full intra requests: `(ssrc, command sequence)` for each stream."""

    sender: int
    requests: tuple[tuple[int, int], ...]

    def serialize(self) -> bytes:
        entries = b"".join(_PAIR.pack(ssrc, (sequence & 0xFF) << 24) for ssrc, sequence in self.requests)
        return _packet(PSFB, 4, _PAIR.pack(self.sender, 0) + entries)


@dataclass(frozen=True, slots=True)
class Remb:
    """The most that the receiver thinks it can take, in bits/s, over the streams named."""

    sender: int
    bitrate: int
    ssrcs: tuple[int, ...]

    def serialize(self) -> bytes:
        exponent = max(0, self.bitrate.bit_length() - 18)
        value = len(self.ssrcs) << 24 | exponent << 18 | self.bitrate >> exponent
        ssrcs = b"".join(_WORD.pack(ssrc) for ssrc in self.ssrcs)
        return _packet(PSFB, 15, _PAIR.pack(self.sender, 0) + b"REMB" + _WORD.pack(value) + ssrcs)


RtcpPacket = SenderReport | ReceiverReport | SourceDescription | Bye | Nack | Pli | Fir | Remb | TransportFeedback


def serialize_compound(packets: Iterable[RtcpPacket]) -> bytes:
    return b"".join(packet.serialize() for packet in packets)


def parse_compound(data: bytes) -> list[RtcpPacket]:
    """The packets of a compound packet (or of a reduced-size one, RFC 5506), those of unknown types left out."""
    packets: list[RtcpPacket] = []
    position = 0
    if len(data) < 4:
        raise MalformedPacket("RTCP packet shorter than its header")
    while position < len(data):
        if position + 4 > len(data):
            raise MalformedPacket("RTCP packet shorter than its header")
        first, kind, words = _HEAD.unpack_from(data, position)
        start, position = position + 4, position + 4 + 4 * words
        if first & 0xC0 != 0x80 or position > len(data):
            raise MalformedPacket("not RTCP version 2, or truncated")
        body = data[start:position]
        if first & 0x20:
            if not body or not 0 < body[-1] <= len(body):
                raise MalformedPacket("RTCP padding longer than the packet")
            body = body[: -body[-1]]
        packet = _parse(kind, first & 0x1F, body)
        if packet is not None:
            packets.append(packet)
    return packets


def _packet(kind: int, count: int, body: bytes) -> bytes:
    if count > MAX_REPORTS:
        raise ValueError("an RTCP packet counts 31 parts at most")
    return _HEAD.pack(0x80 | count, kind, len(body) // 4) + body


def _parse(kind: int, count: int, body: bytes) -> RtcpPacket | None:
    if kind == SR:
        _need(body, 24 + 24 * count)
        ssrc, ntp, timestamp, packets, octets = _SENDER.unpack_from(body)
        return SenderReport(ssrc, ntp, timestamp, packets, octets, _reports(body, 24, count))
    if kind == RR:
        _need(body, 4 + 24 * count)
        return ReceiverReport(_WORD.unpack_from(body)[0], _reports(body, 4, count))
    if kind == SDES:
        return _parse_sdes(body, count)
    if kind == BYE:
        _need(body, 4 * count)
        return Bye(tuple(_WORD.unpack_from(body, 4 * index)[0] for index in range(count)))
    if kind in (RTPFB, PSFB):
        _need(body, 8)
        sender, media = _PAIR.unpack_from(body)
        return _parse_feedback(kind, count, sender, media, body[8:])
    return None


def _parse_feedback(kind: int, form: int, sender: int, media: int, body: bytes) -> RtcpPacket | None:
    if kind == RTPFB:
        if form == TRANSPORT_FEEDBACK:
            return parse_feedback(sender, media, body)
        return Nack(sender, media, _nacked(body)) if form == 1 else None
    if form == 1:
        return Pli(sender, media)
    if form == 4:
        entries = [_PAIR.unpack_from(body, at) for at in range(0, len(body) - 7, 8)]
        return Fir(sender, tuple((ssrc, word >> 24) for ssrc, word in entries))
    if form == 15 and body[:4] == b"REMB":
        _need(body, 8)
        (value,) = _WORD.unpack_from(body, 4)
        ssrcs = value >> 24
        _need(body, 8 + 4 * ssrcs)
        bitrate = (value & _MAX_MANTISSA) << (value >> 18 & 0x3F)
        return Remb(sender, bitrate, tuple(_WORD.unpack_from(body, 8 + 4 * index)[0] for index in range(ssrcs)))
    return None


def _need(body: bytes, size: int) -> None:
    if len(body) < size:
        raise MalformedPacket("RTCP packet shorter than its parts")


def _reports(body: bytes, position: int, count: int) -> tuple[Report, ...]:
    reports = []
    for at in range(position, position + 24 * count, 24):
        ssrc, loss, highest, jitter, last_sr, delay = _BLOCK.unpack_from(body, at)
        lost = loss & 0xFFFFFF
        signed = lost - 0x1000000 if lost & 0x800000 else lost
        reports.append(Report(ssrc, (loss >> 24) / 256, signed, highest, jitter, last_sr, delay))
    return tuple(reports)


def _nacked(body: bytes) -> tuple[int, ...]:
    sequences: list[int] = []
    for at in range(0, len(body) - 3, 4):
        base, mask = _NACK.unpack_from(body, at)
        sequences.append(base)
        while mask:
            bit = mask & -mask
            sequences.append((base + bit.bit_length()) & 0xFFFF)
            mask ^= bit
    return tuple(sequences)


def _parse_sdes(body: bytes, count: int) -> SourceDescription:
    cnames: list[tuple[int, str]] = []
    position = 0
    for _ in range(count):
        _need(body, position + 4)
        (ssrc,) = _WORD.unpack_from(body, position)
        position += 4
        while True:
            _need(body, position + 1)
            kind = body[position]
            if kind == 0:
                position = (position // 4 + 1) * 4
                break
            _need(body, position + 2)
            end = position + 2 + body[position + 1]
            _need(body, end)
            if kind == 1:
                cnames.append((ssrc, body[position + 2 : end].decode("utf-8", "replace")))
            position = end
    return SourceDescription(tuple(cnames))


def chunked(sequences: Sequence[int], size: int) -> list[tuple[int, ...]]:
    """Pieces of at most `size`, so that no feedback packet outgrows a datagram."""
    return [tuple(sequences[at : at + size]) for at in range(0, len(sequences), size)]
