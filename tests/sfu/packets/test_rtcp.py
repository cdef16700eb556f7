"""RTCP in and out, with aiortc as the second opinion."""

from __future__ import annotations

import aiortc.rtp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.rtcp import (
    Bye,
    Fir,
    Nack,
    Pli,
    ReceiverReport,
    Remb,
    Report,
    SenderReport,
    SourceDescription,
    chunked,
    parse_compound,
    serialize_compound,
)
from sfu.rtp import MalformedPacket

u16, u32 = st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
reports = st.builds(
    Report,
    ssrc=u32,
    fraction_lost=st.integers(0, 255).map(lambda n: n / 256),
    lost=st.integers(-(1 << 23), (1 << 23) - 1),
    highest_sequence=u32,
    jitter=u32,
    last_sr=u32,
    delay=u32,
)
blocks = st.lists(reports, max_size=31).map(tuple)
names = st.text(max_size=60).filter(lambda t: len(t.encode()) <= 255)
packets = st.one_of(
    st.builds(SenderReport, u32, st.integers(0, 2**64 - 1), u32, u32, u32, blocks),
    st.builds(ReceiverReport, u32, blocks),
    st.builds(SourceDescription, st.lists(st.tuples(u32, names), max_size=31).map(tuple)),
    st.builds(Bye, st.lists(u32, max_size=31).map(tuple)),
    st.builds(Pli, u32, u32),
    st.builds(Fir, u32, st.lists(st.tuples(u32, st.integers(0, 255)), max_size=20).map(tuple)),
)


@given(st.lists(packets, min_size=1, max_size=5))
def test_what_is_written_is_read_back(many):
    assert parse_compound(serialize_compound(many)) == many


@given(st.lists(packets.filter(lambda p: not isinstance(p, SourceDescription)), min_size=1, max_size=5))
def test_aiortc_reads_and_writes_the_same_bytes(many):
    data = serialize_compound(many)
    assert b"".join(bytes(packet) for packet in aiortc.rtp.RtcpPacket.parse(data)) == data


@given(u32, u32, st.lists(u16, min_size=1, max_size=60, unique=True))
def test_nacks_name_the_same_packets_whatever_their_order(sender, media, sequences):
    (packet,) = parse_compound(Nack(sender, media, tuple(sequences)).serialize())
    assert isinstance(packet, Nack) and set(packet.sequences) == set(sequences)
    (other,) = aiortc.rtp.RtcpPacket.parse(packet.serialize())
    assert {n & 0xFFFF for n in other.lost} == set(sequences)


def test_a_run_of_losses_over_the_wrap_takes_one_entry():
    data = Nack(1, 2, tuple((0xFFF8 + n) & 0xFFFF for n in range(17))).serialize()
    assert data == bytes.fromhex("81cd00030000000100000002fff8ffff")


@given(u32, st.integers(0, 10**12), st.lists(u32, max_size=8).map(tuple))
def test_remb_is_exact_to_its_mantissa_and_as_aiortc_has_it(sender, bitrate, ssrcs):
    data = Remb(sender, bitrate, ssrcs).serialize()
    (packet,) = parse_compound(data)
    assert packet.ssrcs == ssrcs and 0 <= bitrate - packet.bitrate <= bitrate / 2**17
    (other,) = aiortc.rtp.RtcpPacket.parse(data)
    assert aiortc.rtp.unpack_remb_fci(other.fci) == (packet.bitrate, list(ssrcs))
    assert aiortc.rtp.pack_remb_fci(bitrate, list(ssrcs)) == other.fci


def test_unknown_types_are_skipped():
    app = bytes.fromhex("80cc00020000000174657374")
    xr = bytes.fromhex("80cf000100000001")
    assert parse_compound(app + xr + Pli(1, 2).serialize()) == [Pli(1, 2)]


def test_sdes_as_recorded_with_other_items_and_padding():
    data = bytes.fromhex("a1ca00050000002a01036162630602686900000000000004")
    assert len(data) == 24
    assert parse_compound(data) == [SourceDescription(((42, "abc"),))]


@given(
    st.binary(max_size=120)
    | st.lists(
        st.builds(
            lambda first, kind, words, body: bytes((0x80 | first, kind, 0, words)) + body[: 4 * words],
            st.integers(0, 63),
            st.integers(198, 208),
            st.integers(0, 12),
            st.binary(min_size=48, max_size=48),
        ),
        min_size=1,
        max_size=4,
    ).map(b"".join)
)
def test_any_bytes_parse_or_are_refused_by_one_error(data):
    try:
        many = parse_compound(data)
    except MalformedPacket:
        return
    for packet in many:
        packet.serialize()


@given(st.lists(packets, min_size=1, max_size=3), st.data())
def test_truncated_compounds_are_refused(many, data):
    whole = serialize_compound(many)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    boundaries = {len(serialize_compound(many[:n])) for n in range(1, len(many))}
    if len(cut) not in boundaries:
        with pytest.raises(MalformedPacket):
            parse_compound(cut)


def test_more_than_31_parts_do_not_fit():
    with pytest.raises(ValueError):
        Bye(tuple(range(32))).serialize()
    assert chunked(range(5), 2) == [(0, 1), (2, 3), (4,)]
