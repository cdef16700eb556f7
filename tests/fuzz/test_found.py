"""What fuzzing has found, each by its name."""

from __future__ import annotations

import msgspec
import pytest

from captioning import bus_redis, imports
from recorder import bitstream, events, journal
from recorder.depacketise import H264
from sfu.taps import TapPacket


@pytest.mark.parametrize("encoding", ["no-such-encoding", "utf-7", "hex", "shift_jis", "rot13"])
def test_a_glossary_in_an_encoding_that_nobody_reads_is_refused_with_words(encoding):
    with pytest.raises(imports.GlossaryError, match="no TBX"):
        imports.parse(f'<?xml version="1.0" encoding="{encoding}"?><martif/>'.encode())


def test_a_parameter_set_longer_than_its_length_can_say_is_no_parameter_set():
    sps = bytes.fromhex("67640028acd940780227e5c05a808080a0000003002000000781e30632c0")
    assert bitstream.h264_config(sps, [b"\x68\xeb"]).name == "H264"
    for sets in ((sps + bytes(70_000), [b"\x68\xeb"]), (sps, [b"\x68\xeb", b"\x68" + bytes(70_000)])):
        with pytest.raises(bitstream.BitstreamError):
            bitstream.h264_config(*sets)


def test_a_stream_whose_parameter_sets_never_end_is_dropped_until_it_has_good_ones():
    target = H264()
    sequence = 0

    def push(timestamp, payload, marker=False):
        nonlocal sequence
        sequence += 1
        return target.push(TapPacket("t", sequence, timestamp, 0.0, 0.0, marker, False, 0, payload))

    sps = bytes.fromhex("67640028acd940780227e5c05a808080a0000003002000000781e30632c0")
    push(1, bytes((0x7C, 0x80 | 7)) + sps[1:])
    for _ in range(70):
        push(1, b"\x7c\x07" + bytes(1000))
    push(1, b"\x7c\x47" + bytes(1000))
    push(1, b"\x68\xeb")
    assert push(1, b"\x65\x88picture", True) == [] and target.waiting and target.dropped == 1
    push(2, sps)
    push(2, b"\x68\xeb")
    assert [frame.key for frame in push(2, b"\x65\x88picture", True)] == [True]


def test_a_record_too_short_for_a_packet_is_left_out_of_a_track(tmp_path):
    packet = TapPacket("t", 1, 2, 3.0, 4.0, True, False, 0, b"payload")
    bodies = [journal.pack(packet), b"short", b"", journal.pack(packet)]
    path = tmp_path / "1"
    path.write_bytes(journal.MAGIC + b"".join(map(journal.record, bodies)))
    assert list(journal.packets(path, "t")) == [packet, packet]


def test_an_event_that_is_no_text_is_passed_over(tmp_path):
    (tmp_path / "journal").mkdir()
    good = events.encode(events.Muted(at=1.0, index=0, muted=True))
    bodies = [good, b'{"type":"\xff\xffMuted","at":1.5}', good]
    (tmp_path / "journal" / "events").write_bytes(journal.MAGIC + b"".join(map(journal.record, bodies)))
    assert len(events.read_log(tmp_path)) == 2


def test_an_entry_in_redis_that_is_no_text_is_no_message():
    decoder = msgspec.msgpack.Decoder(dict[str, str])
    assert bus_redis.read(decoder, b"\x81\xa1a\xa2\xff\xff") is None
    assert bus_redis.read(decoder, b"\x81\xa1a\xa2ok") == {"a": "ok"}
