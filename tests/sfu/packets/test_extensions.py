"""RTP header extensions of both forms."""

from __future__ import annotations

import aiortc.rtp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.extensions import NO_LEVEL, HeaderExtensions, abs_send_time, build_extensions, parse_extensions
from sfu.plane import ExtensionIds
from sfu.rtp import MalformedPacket, RtpPacket

values = st.dictionaries(st.integers(1, 255), st.binary(max_size=40), max_size=6)
short = st.dictionaries(st.integers(1, 14), st.binary(min_size=1, max_size=16), min_size=1, max_size=6)


def test_the_examples_of_rfc_8285():
    # Section 4.2: three elements, the second followed by padding.
    assert parse_extensions(0xBEDE, bytes.fromhex("10aa21bbbb000033cccccccc")) == {
        1: b"\xaa",
        2: b"\xbb\xbb",
        3: b"\xcc" * 4,
    }
    # Section 4.3, with an element of no length.
    assert parse_extensions(0x1000, bytes.fromhex("01000201bb000304cccccccc")) == {
        1: b"",
        2: b"\xbb",
        3: b"\xcc" * 4,
    }


@given(values.filter(bool))
def test_what_is_built_is_read_back_here_and_by_aiortc(wanted):
    profile, block = build_extensions(list(wanted.items()))
    assert len(block) % 4 == 0
    assert parse_extensions(profile, block) == wanted
    assert dict(aiortc.rtp.unpack_header_extensions(profile, block)) == wanted


@given(short)
def test_the_short_form_is_that_of_aiortc(wanted):
    assert build_extensions(list(wanted.items())) == aiortc.rtp.pack_header_extensions(list(wanted.items()))


@given(st.sampled_from([0xBEDE, 0x1000, 0x100F, 0, 0x1234]), st.binary(max_size=80))
def test_any_bytes_parse_or_are_refused_by_one_error(profile, data):
    try:
        found = parse_extensions(profile, data)
    except MalformedPacket:
        return
    assert all(0 < identifier < 256 for identifier in found)


def test_id_15_ends_the_short_form_and_the_first_of_a_repeated_id_counts():
    assert parse_extensions(0xBEDE, bytes.fromhex("10011002f02003")) == {1: b"\x01"}


@pytest.mark.parametrize("pair", [(0, b""), (256, b""), (1, bytes(256))])
def test_what_cannot_be_written_is_refused(pair):
    with pytest.raises(ValueError):
        build_extensions([pair])


@given(
    mid=st.none() | st.integers(1, 20),
    level_id=st.none() | st.integers(21, 30) | st.just(14),
    time_id=st.none() | st.integers(31, 40) | st.just(13),
    level=st.integers(-1, 255),
    name=st.text("abc0123", min_size=1, max_size=20),
)
def test_outgoing_blocks_hold_what_was_negotiated(mid, level_id, time_id, level, name):
    if mid in (13, 14):
        return
    extensions = HeaderExtensions(ExtensionIds(mid, level_id, time_id), name)
    for _ in range(2):
        block = extensions.render(level, b"\x01\x02\x03")
        wanted = {}
        if mid is not None:
            wanted[mid] = name.encode()
        if level_id is not None and level != NO_LEVEL:
            wanted[level_id] = bytes((level,))
        if time_id is not None:
            wanted[time_id] = b"\x01\x02\x03"
        packet = RtpPacket.parse(bytes((0x90 if block else 0x80, 0)) + bytes(10) + block + b"payload")
        assert packet.payload == b"payload"
        assert parse_extensions(packet.extension_profile or 0, packet.extension) == wanted
    assert (extensions.plain is None) == (time_id is not None)
    if extensions.plain is not None:
        assert extensions.plain[level] == block


def test_send_time_is_six_bits_of_seconds_and_eighteen_of_fraction():
    assert abs_send_time(0.5) == bytes.fromhex("020000")
    assert abs_send_time(64 + 1.0) == bytes.fromhex("040000")
