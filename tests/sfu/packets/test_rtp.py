"""RTP parsing and writing, with aiortc as the second opinion."""

from __future__ import annotations

import aiortc.rtp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.rtp import MalformedPacket, RtpPacket, is_rtcp, parse_header, unwrap_rtx, wrap_rtx

u16 = st.integers(0, 0xFFFF)
u32 = st.integers(0, 0xFFFFFFFF)
packets = st.builds(
    RtpPacket,
    payload_type=st.integers(0, 127),
    sequence=u16,
    timestamp=u32,
    ssrc=u32,
    marker=st.booleans(),
    payload=st.binary(max_size=60),
    csrcs=st.lists(u32, max_size=15).map(tuple),
    padding=st.integers(0, 255),
)


def test_a_packet_as_recorded():
    # RFC 3550, figure of section 5.1, filled in by hand: V=2, P, X, CC=1, M, PT=96.
    data = bytes.fromhex("b1e012340000a0f0deadbeef" + "00000007" + "bede0001" + "10852200" + "c0ffee" + "000003")
    assert RtpPacket.parse(data) == RtpPacket(
        payload_type=96,
        sequence=0x1234,
        timestamp=0xA0F0,
        ssrc=0xDEADBEEF,
        marker=True,
        payload=b"\xc0\xff\xee",
        csrcs=(7,),
        extension_profile=0xBEDE,
        extension=b"\x10\x85\x22\x00",
        padding=3,
    )
    assert RtpPacket.parse(data).serialize() == data


@given(packets)
def test_what_is_written_is_read_back_here_and_by_aiortc(packet):
    data = packet.serialize()
    assert RtpPacket.parse(data) == packet
    other = aiortc.rtp.RtpPacket.parse(data)
    assert (other.payload_type, other.sequence_number, other.timestamp, other.ssrc, other.marker) == (
        packet.payload_type,
        packet.sequence,
        packet.timestamp,
        packet.ssrc,
        packet.marker,
    )
    assert (other.payload, tuple(other.csrc), other.padding_size) == (packet.payload, packet.csrcs, packet.padding)


@given(packets)
def test_what_aiortc_writes_is_read(packet):
    other = aiortc.rtp.RtpPacket(
        packet.payload_type, packet.marker, packet.sequence, packet.timestamp, packet.ssrc, packet.payload
    )
    other.csrc, other.padding_size = list(packet.csrcs), packet.padding
    other.extensions.mid = "audio"
    map_ = aiortc.rtp.HeaderExtensionsMap()
    map_._HeaderExtensionsMap__ids.mid = 3
    ours = RtpPacket.parse(other.serialize(map_))
    assert (ours.extension_profile, ours.extension) == (0xBEDE, b"\x34audio\0\0")
    ours.extension_profile, ours.extension = None, b""
    assert ours == packet


@given(
    st.binary(max_size=80)
    | st.builds(lambda head, rest: bytes((0x80 | head,)) + rest, st.integers(0, 63), st.binary(max_size=80))
)
def test_any_bytes_parse_or_are_refused_by_one_error(data):
    try:
        packet = RtpPacket.parse(data)
    except MalformedPacket:
        return
    start, end = parse_header(data)[8:]
    assert data[start:end] == packet.payload and 12 <= start <= end <= len(data)
    assert len(packet.serialize()) == len(data)


@pytest.mark.parametrize("size", range(12))
def test_short_packets_are_refused(size):
    with pytest.raises(MalformedPacket):
        RtpPacket.parse(b"\x80" * size)


@given(packets.filter(lambda p: not p.padding))
def test_rtx_carries_the_packet_as_aiortc_does(packet):
    rtx = wrap_rtx(97, 5, 99, packet)
    assert unwrap_rtx(packet.payload_type, packet.ssrc, rtx) == packet
    theirs = aiortc.rtp.wrap_rtx(aiortc.rtp.RtpPacket.parse(packet.serialize()), 97, 5, 99)
    assert theirs.serialize() == rtx.serialize()


def test_rtx_without_an_original_is_refused():
    with pytest.raises(MalformedPacket):
        unwrap_rtx(96, 1, RtpPacket(97, 1, 1, 1, payload=b"x"))


def test_rtcp_is_told_from_rtp_by_its_type():
    assert is_rtcp(b"\x80\xc8") and is_rtcp(b"\x81\xcd") and not is_rtcp(b"\x80\xe0") and not is_rtcp(b"\x80")


@pytest.mark.parametrize("packet", [RtpPacket(0, 0, 0, 0, csrcs=(1,) * 16), RtpPacket(0, 0, 0, 0, padding=256)])
def test_parts_that_do_not_fit_are_refused_on_writing(packet):
    with pytest.raises(ValueError):
        packet.serialize()
