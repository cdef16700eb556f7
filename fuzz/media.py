"""What both planes parse: the same bytes into each, and they must understand the same.

Without the native plane the Python one is held against itself alone: nothing but its own error, and what it
understood survives being written again.
"""

from __future__ import annotations

from collections.abc import Callable

from fuzz.pieces import pieces
from sfu import red, vp8, vp9
from sfu.dependency import DependencyReader
from sfu.descriptor import ALL, Descriptor, rewrite
from sfu.extensions import build_extensions, parse_extensions
from sfu.keyframe import keyframe_test
from sfu.plane import SrtpKeys, SrtpProfile
from sfu.rtcp import (
    Bye,
    Fir,
    Nack,
    Pli,
    ReceiverReport,
    Remb,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    parse_compound,
)
from sfu.rtp import MAX_DATAGRAM, MalformedPacket, RtpPacket, parse_header
from sfu.srtp import KEY_LENGTHS, Srtp, SrtpError
from sfu.taps import Codec
from sfu.twcc import TransportFeedback

try:
    from sfu.plane import _native as native
except ImportError:
    native = None  # type: ignore[assignment]


def tried(parse: Callable[[], object]) -> object:
    """What it gives, or "malformed"."""
    try:
        return parse()
    except MalformedPacket:
        return "malformed"
    except ValueError as error:
        if str(error) != "malformed":
            raise
        return "malformed"


def same(ours: object, parse: Callable[[], object]) -> None:
    """That the native plane understands the same, where it is built."""
    if native is not None:
        theirs = tried(parse)
        assert ours == theirs, f"Python: {ours!r}, native: {theirs!r}"


def rtp(data: bytes) -> None:
    """RTP headers with the extensions in them."""
    header = tried(lambda: parse_header(data))
    same(header[1:] if isinstance(header, tuple) else header, lambda: native.parse_header(data))
    if not isinstance(header, tuple):
        return
    packet = RtpPacket.parse(data)
    assert RtpPacket.parse(packet.serialize()) == packet
    if header[5]:
        block(header[5], packet.extension)


def extensions(data: bytes) -> None:
    """Header extensions of both forms: two bytes of profile, then the block."""
    if len(data) >= 2:
        block(int.from_bytes(data[:2], "big"), data[2:])


def block(profile: int, data: bytes) -> None:
    ours = tried(lambda: sorted(parse_extensions(profile, data).items()))
    same(ours, lambda: native.parse_extensions(profile, data))
    if isinstance(ours, list) and ours:
        assert sorted(parse_extensions(*build_extensions(ours)).items()) == ours


def rtcp(data: bytes) -> None:
    """Compound packets of every kind."""
    packets = tried(lambda: parse_compound(data))
    told = [line for packet in packets for line in lines(packet)] if isinstance(packets, list) else packets
    same(told, lambda: native.parse_rtcp(data))
    for packet in packets if isinstance(packets, list) else []:
        if isinstance(packet, SourceDescription):
            continue  # what was no UTF-8 is written otherwise
        try:
            again = parse_compound(packet.serialize())
        except ValueError:
            assert isinstance(packet, TransportFeedback), packet  # arrivals too far apart
            continue
        if isinstance(packet, Nack):
            numbers = set(packet.sequences)
            assert len(again) == 1 and isinstance(again[0], Nack) and set(again[0].sequences) >= numbers
        else:
            assert again == [packet]


def lines(packet: RtcpPacket) -> list[tuple[object, ...]]:
    """A packet as the native plane tells of it."""
    if isinstance(packet, SenderReport | ReceiverReport):
        reports: list[tuple[object, ...]] = [
            ("report", r.ssrc, r.fraction_lost, r.lost, r.highest_sequence, r.jitter, r.last_sr, r.delay)
            for r in packet.reports
        ]
        if isinstance(packet, SenderReport):
            return [("sender", packet.ssrc, packet.ntp, packet.timestamp), *reports]
        return reports
    if isinstance(packet, Nack):
        return [("nack", packet.media, list(packet.sequences))]
    if isinstance(packet, Pli):
        return [("pli", packet.media)]
    if isinstance(packet, Fir):
        return [("fir", [ssrc for ssrc, _ in packet.requests])]
    if isinstance(packet, TransportFeedback):
        return [("feedback", packet.base, packet.count, packet.reference, packet.index, list(packet.arrivals))]
    if isinstance(packet, Remb):
        return [("remb", float(packet.bitrate))]
    if isinstance(packet, Bye):
        return [("bye", list(packet.ssrcs))]
    return []


CODECS = (("VP8", False), ("VP9", False), ("H264", False), ("H264", True), ("AV1", False))


def payload(data: bytes) -> None:
    """Payload descriptors and key frames: a byte that picks the codec, two to move counters by, then the payload."""
    if len(data) < 3:
        return
    (name, sets), pictures, tl0, body = CODECS[data[0] % 5], data[1] << 7 | 5, data[2], data[3:]
    test = keyframe_test(Codec(name, 90000, parameters={"sprop-parameter-sets": "Z0IAH"} if sets else {}))
    assert test is not None
    same(test(body), lambda: native.starts_keyframe(name, sets, body))
    if name not in ("VP8", "VP9"):
        return
    read = vp8.describe if name == "VP8" else vp9.describe
    found = read(body)
    moved = rewrite(body, found, pictures, tl0) if found is not None else None
    told = (halves(found), moved) if found is not None else None
    same(told, lambda: native.describe(name, body, pictures, tl0))
    if found is not None and moved is not None:
        again = read(moved)
        assert again is not None
        masked = (found.picture - pictures) & ((1 << found.picture_bits) - 1) if found.picture >= 0 else -1
        lowered = (found.tl0 - tl0) & 0xFF if found.tl0 >= 0 else -1
        assert again == found._replace(picture=masked, tl0=lowered)


def halves(descriptor: Descriptor) -> tuple[tuple[object, ...], tuple[object, ...]]:
    fields = tuple(descriptor)
    return fields[:6], fields[6:]


def redundancy(data: bytes) -> None:
    """Redundant audio: a byte with the payload type of its blocks, then the payload."""
    if not data:
        return
    kind, body = data[0] & 0x7F, data[1:]
    found = tried(lambda: red.split(body, kind))
    same(found, lambda: native.split_red(body, kind))
    if not isinstance(found, tuple) or not body:
        return
    blocks, own = found
    assert sum(len(block) for _, block in blocks) + len(own) + 4 * len(blocks) + 1 == len(body)
    moved = red.retype(body, len(blocks), kind ^ 0x55)
    same(moved, lambda: native.retype_red(body, len(blocks), kind ^ 0x55))
    assert red.split(moved, kind ^ 0x55) == found


def dependency(data: bytes) -> None:
    """The dependency descriptors of one stream: the control byte of a piece says how far sequence and time go on."""
    ours = DependencyReader()
    theirs = native.Dependencies() if native is not None else None
    sequence, timestamp = 70_000, 1_000_000
    for control, piece in pieces(data):
        sequence += (control & 7) - 2
        timestamp += 3000 * ((control >> 3 & 3) - 1)
        told = ours.read(piece, sequence, timestamp)
        seen = halves(told) if told is not None else None
        if theirs is not None:
            other = theirs.read(piece, sequence, timestamp)
            assert seen == other, f"Python: {seen!r}, native: {other!r}"
        for limits in (None, (0, 0), (1, 0), (0, 1), (ALL, ALL)):
            passed = ours.whole.rewrite(control, limits) if ours.whole is not None else None
            if theirs is not None:
                assert passed == theirs.rewrite(control, limits), f"{piece.hex()} moved {control} within {limits}"
            if passed is not None and told is not None:
                reader = DependencyReader()
                reader.structure = ours.structure
                again = reader.read(passed, sequence, timestamp)
                assert again is not None and again[:3] == told[:3] and reader.whole is not None
                assert reader.whole.number == (int.from_bytes(piece[1:3], "big") - control) & 0xFFFF


PROFILES: tuple[SrtpProfile, ...] = ("AEAD_AES_128_GCM", "AEAD_AES_256_GCM", "AES_CM_128_HMAC_SHA1_80")


def srtp(data: bytes) -> None:
    """Opening datagrams with known keys: pieces, as they are, sealed, or sealed and then damaged."""
    if not data:
        return
    profile = PROFILES[data[0] % 3]
    one, other = bytes([1]) * KEY_LENGTHS[profile], bytes([2]) * KEY_LENGTHS[profile]
    near, far = Srtp(SrtpKeys(profile, one, other)), Srtp(SrtpKeys(profile, other, one))
    twin = native.Srtp(profile, one, other) if native is not None else None
    for control, piece in pieces(data[1:]):
        rtcp = control & 1
        datagram = piece
        if control & 2:
            try:
                datagram = far.seal_rtcp(piece) if rtcp else far.seal_rtp(piece)
            except SrtpError:
                continue
        if control & 4 and control >> 3 < len(datagram):
            at = control >> 3
            datagram = datagram[:at] + bytes((datagram[at] ^ 0x41,)) + datagram[at + 1 :]
        if not 12 <= len(datagram) <= MAX_DATAGRAM:
            continue
        ours = opened(near.open_rtcp if rtcp else near.open_rtp, datagram)
        if twin is not None:
            theirs = opened(twin.open_rtcp if rtcp else twin.open_rtp, datagram)
            assert ours == theirs, f"Python: {ours!r}, native: {theirs!r}"


def opened(call: Callable[[bytes], bytes], datagram: bytes) -> bytes | str:
    """The bytes, or why there are none."""
    try:
        return call(datagram)
    except (SrtpError, ValueError) as error:
        return str(error)
