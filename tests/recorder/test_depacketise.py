"""Depacketisers against streams that PyAV encoded, whole and with loss."""

from __future__ import annotations

import base64

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit import annexb, clip, track, video

from recorder.depacketise import Frame, depacketiser
from sfu.taps import Codec, TapPacket

CODECS = ["VP9", "VP8", "H264", "AV1"]
DECODERS = {"VP9": "vp9", "VP8": "libvpx", "H264": "h264", "AV1": "libdav1d"}


def frames_of(codec: str, packets: list[TapPacket]) -> tuple[list[Frame], int]:
    reader = depacketiser(Codec(codec, 90000))
    assert reader
    return [frame for packet in packets for frame in reader.push(packet)], reader.dropped


def decoded(codec: str, frames: list[Frame]) -> int:
    """Pictures that a decoder makes of the frames; raises on damage."""
    decoder = av.CodecContext.create(DECODERS[codec], "r")
    if codec == "H264":
        decoder.extradata = frames[0].config.record
    pictures = sum(len(decoder.decode(av.Packet(frame.data))) for frame in frames)
    return pictures + len(decoder.decode(None))


@pytest.mark.parametrize("codec", CODECS)
def test_every_frame_comes_out_and_decodes(codec: str) -> None:
    source = clip(codec)
    frames, dropped = frames_of(codec, list(video(track("a", codec), source, 0)))
    assert (len(frames), dropped) == (len(source), 0)
    assert [frame.key for frame in frames] == [key for _, key, _ in source]
    assert decoded(codec, frames) == len(source)
    config = frames[0].config
    assert config and (config.width, config.height) == (320, 180)
    assert config.codec.startswith({"VP9": "vp09.00.", "VP8": "vp8", "H264": "avc1.42", "AV1": "av01.0."}[codec])


@pytest.mark.parametrize("codec", ["VP9", "VP8"])
def test_vpx_frames_are_byte_for_byte_what_was_sent(codec: str) -> None:
    source = clip(codec)
    frames, _ = frames_of(codec, list(video(track("a", codec), source, 0)))
    assert [frame.data for frame in frames] == [data for _, _, data in source]


def sized(units: list[bytes]) -> bytes:
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)


def test_h264_slices_are_kept_and_parameter_sets_go_to_the_config_and_before_key_frames() -> None:
    source = clip("H264")
    frames, _ = frames_of("H264", list(video(track("a", "H264"), source, 0)))
    wanted = [[u for u in annexb(data) if u[0] & 31 in ((7, 8, 1, 5) if key else (1, 5))] for _, key, data in source]
    assert [frame.data for frame in frames] == [sized(units) for units in wanted]
    assert frames[0].config and frames[0].config.record[0] == 1


def test_h264_parameter_sets_may_come_in_the_sdp_alone() -> None:
    source = clip("H264")
    sets = [u for u in annexb(source[0][2]) if u[0] & 31 in (7, 8)]
    bare = [(at, key, b"".join(b"\0\0\1" + u for u in annexb(data) if u[0] & 31 in (1, 5))) for at, key, data in source]
    told = ",".join(base64.b64encode(one).decode() for one in sets)
    for text, whole in ((told, True), (f"!!,,AA==,{told}", True), ("x", False)):
        reader = depacketiser(Codec("H264", 90000, parameters={"sprop-parameter-sets": text}))
        assert reader
        frames = [f for packet in video(track("a", "H264"), bare, 0) for f in reader.push(packet)]
        assert len(frames) == (len(source) if whole else 0)
        assert not whole or frames[0].data.startswith(sized(sets))


@pytest.mark.parametrize("codec", CODECS)
def test_after_a_gap_nothing_comes_until_a_key_frame(codec: str) -> None:
    source = clip(codec)
    packets = list(video(track("a", codec), source, 0))
    lost = next(number for number, packet in enumerate(packets) if packet.media_ms > 400)
    frames, dropped = frames_of(codec, packets[:lost] + packets[lost + 1 :])
    gap = [at for at, _, _ in source if packets[lost].media_ms <= at < 2000]
    assert not {frame.media_ms for frame in frames} & set(gap)
    assert dropped == pytest.approx(len(gap), abs=1)
    after = [frame for frame in frames if frame.media_ms >= 2000]
    assert after[0].key and len(after) == sum(at >= 2000 for at, _, _ in source)


@pytest.mark.parametrize("codec", CODECS)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_loss_leaves_only_whole_frames(codec: str, data: st.DataObject) -> None:
    source = clip(codec)
    packets = list(video(track("a", codec), source, 0))
    lost = data.draw(st.sets(st.integers(0, len(packets) - 1), max_size=8))
    whole, _ = frames_of(codec, packets)
    frames, _ = frames_of(codec, [packet for number, packet in enumerate(packets) if number not in lost])
    known = {frame.media_ms: frame.data for frame in whole}
    assert all(known[frame.media_ms] == frame.data for frame in frames)


@pytest.mark.parametrize("codec", CODECS)
def test_late_and_repeated_packets_change_nothing(codec: str) -> None:
    packets = list(video(track("a", codec), clip(codec), 0))
    doubled = [packet for one in packets for packet in (one, one)] + packets[:20]
    assert frames_of(codec, doubled)[0] == frames_of(codec, packets)[0]


@pytest.mark.parametrize("codec", [*CODECS, "OPUS"])
@settings(max_examples=150, deadline=None)
@given(noise=st.lists(st.tuples(st.binary(max_size=60), st.booleans(), st.integers(0, 3)), max_size=30))
def test_garbage_raises_nothing_and_gives_no_frame_before_a_key_frame(
    codec: str, noise: list[tuple[bytes, bool, int]]
) -> None:
    reader = depacketiser(Codec(codec, 90000))
    assert reader
    sequence = 0
    frames = []
    for payload, marker, step in noise:
        sequence += step
        frames += reader.push(TapPacket("t", sequence, sequence * 3000, 0, 0, marker, False, 0, payload))
    assert codec == "OPUS" or not frames or frames[0].key


def test_a_changed_size_gives_a_new_config() -> None:
    for codec in ("VP9", "H264"):
        small = list(video(track("a", codec), clip(codec), 0))
        large = list(video(track("a", codec), clip(codec, 640, 360), 5000, sequence=small[-1].sequence + 1))
        frames, _ = frames_of(codec, small + large)
        assert {(f.config.width, f.config.height) for f in frames if f.config} == {(320, 180), (640, 360)}


def test_an_unknown_codec_has_no_depacketiser() -> None:
    assert depacketiser(Codec("H265", 90000)) is None
