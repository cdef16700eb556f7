"""Key frames found in RTP payloads of real encoders' streams, and nothing found in what is none."""

from __future__ import annotations

from fractions import Fraction

import aiortc.codecs.h264
import aiortc.codecs.vpx
import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.keyframe import keyframe_test
from sfu.taps import Codec
from tests.scheduling import ordinary_scheduling

MTU = 1200
FRAMES = 24
KEYS = {0, 10, 17}


def encode(name: str, options: dict[str, str]) -> list[tuple[bool, bytes]]:
    """Moving noise at 320x240, with key frames asked for at `KEYS`: (is key, frame) as the encoder says."""
    context = av.CodecContext.create(name, "w")
    context.width, context.height, context.pix_fmt = 320, 240, "yuv420p"
    context.time_base, context.framerate = Fraction(1, 30), Fraction(30)
    context.bit_rate, context.gop_size, context.options = 1_500_000, 1000, options
    dice = np.random.default_rng(1)
    texture = dice.integers(0, 255, (240, 400), dtype=np.uint8)
    out = []
    for n in range(FRAMES):
        image = np.full((360, 320), 128, dtype=np.uint8)
        image[:240] = texture[:, n * 2 : n * 2 + 320]
        frame = av.VideoFrame.from_ndarray(image, "yuv420p")
        frame.pts, frame.time_base = n, Fraction(1, 30)
        frame.pict_type = av.video.frame.PictureType.I if n in KEYS else av.video.frame.PictureType.NONE
        out += context.encode(frame)
    out += context.encode(None)
    return [(packet.is_keyframe, bytes(packet)) for packet in out]


def leb128(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def pack_vp8(key: bool, frame: bytes) -> list[bytes]:
    descriptor = aiortc.codecs.vpx.VpxPayloadDescriptor(1, 0, 200, 3, None, None)
    pieces = []
    for at in range(0, len(frame), MTU):
        descriptor.partition_start = int(at == 0)
        pieces.append(bytes(descriptor) + frame[at : at + MTU])
    return pieces


def pack_vp9(key: bool, frame: bytes) -> list[bytes]:
    """RFC 9628, flexible mode off; P where predicted, B and E at the ends, the scalability structure on key frames."""
    pieces = []
    for at in range(0, len(frame), MTU):
        first, last = at == 0, at + MTU >= len(frame)
        flags = 0x80 | 0x20 | (0 if key else 0x40) | (0x08 if first else 0) | (0x04 if last else 0)
        structure = b"\x18\x01\x40\x00\xf0\x01\x04\x01" if key and first else b""
        flags |= 0x02 if structure else 0
        pieces.append(bytes((flags, 0x92, 0x34, 0x00, 0x07)) + structure + frame[at : at + MTU])
    return pieces


def pack_h264(key: bool, frame: bytes) -> list[bytes]:
    encoder = aiortc.codecs.h264.H264Encoder
    return list(encoder._packetize(encoder._split_bitstream(frame)))


def pack_h264_single(key: bool, frame: bytes) -> list[bytes]:
    """Every small unit in a packet of its own, as some senders do; large ones in fragments."""
    pieces = []
    for unit in aiortc.codecs.h264.H264Encoder._split_bitstream(frame):
        pieces += [unit] if len(unit) <= MTU else list(aiortc.codecs.h264.H264Encoder._packetize_fu_a(unit))
    return pieces


def pack_av1(key: bool, frame: bytes) -> list[bytes]:
    """AV1 RTP specification: OBUs without delimiters and sizes, W=0, N where a sequence header is the first."""
    stream, at, new = b"", 0, False
    while at < len(frame):
        kind, extended = frame[at] >> 3 & 0x0F, bool(frame[at] & 0x04)
        assert frame[at] & 0x02, "encoders write sizes"
        size, start = leb128(frame, at + 1 + extended)
        if kind != 2:
            new = new or kind == 1
            obu = bytes((frame[at] & ~0x02,)) + frame[at + 1 : at + 1 + extended] + frame[start : start + size]
            rest = len(obu)
            while rest > 127:
                stream += bytes((rest & 0x7F | 0x80,))
                rest >>= 7
            stream += bytes((rest,)) + obu
        at = start + size
    pieces = [stream[at : at + MTU] for at in range(0, len(stream), MTU)]
    last = len(pieces) - 1
    return [
        bytes(((0x80 if n else 0) | (0x40 if n < last else 0) | (0x08 if new and n == 0 else 0),)) + piece
        for n, piece in enumerate(pieces)
    ]


LOW = {"tune": "zerolatency", "preset": "ultrafast"}
STREAMS = [
    ("VP8", "libvpx", {"deadline": "realtime", "cpu-used": "8"}, pack_vp8),
    ("VP9", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}, pack_vp9),
    ("H264", "libx264", {**LOW, "forced-idr": "1"}, pack_h264),
    ("H264", "libx264", {**LOW, "forced-idr": "1"}, pack_h264_single),
    (
        "AV1",
        "libsvtav1",
        {"preset": "11", "svtav1-params": "rc=2:pred-struct=1:keyint=10"},
        pack_av1,
    ),
]


@pytest.mark.parametrize(("codec", "encoder", "options", "pack"), STREAMS)
def test_every_key_frame_of_a_real_stream_and_no_other_is_found_at_its_first_packet(codec, encoder, options, pack):
    with ordinary_scheduling():
        frames = encode(encoder, options)
    test = keyframe_test(Codec(codec, 90000))
    assert test is not None
    keys = [n for n, (key, _) in enumerate(frames) if key]
    assert 0 in keys and len(frames) == FRAMES and len(keys) >= 3
    found = [
        (n, [i for i, piece in enumerate(pack(key, frame)) if test(piece)]) for n, (key, frame) in enumerate(frames)
    ]
    assert [n for n, starts in found if starts] == keys
    assert all(starts[0] == 0 for _, starts in found if starts)
    assert any(len(pack(key, frame)) > 1 for key, frame in frames), "fragments were seen too"


def test_h264_with_parameter_sets_in_the_sdp_starts_at_the_idr():
    inband = keyframe_test(Codec("H264", 90000))
    outofband = keyframe_test(Codec("H264", 90000, parameters={"sprop-parameter-sets": "Z0IAH"}))
    for payload in (b"\x65idr", b"\x7c\x85start of fragment", b"\x18\x00\x02\x06s\x00\x02\x65i"):
        assert not inband(payload) and outofband(payload)
    assert not outofband(b"\x7c\x05middle of fragment") and not outofband(b"\x41p")


def test_vp9_upper_spatial_layers_do_not_start_a_key_frame():
    test = keyframe_test(Codec("VP9", 90000))
    assert test(b"\xa8\x92\x34\x00\x00x") and not test(b"\xa8\x92\x34\x02\x00x")
    assert test(b"\x28\x00\x00x") and not test(b"\x68\x00\x00x") and not test(b"\x20\x00\x00x")


def test_audio_and_unknown_codecs_have_no_test():
    assert keyframe_test(Codec("OPUS", 48000)) is None and keyframe_test(Codec("H266", 90000)) is None


@given(st.sampled_from(["VP8", "VP9", "H264", "AV1"]), st.binary(max_size=40))
def test_any_payload_is_read_without_error(codec, payload):
    test = keyframe_test(Codec(codec, 90000))
    assert test is not None and test(payload) in (True, False)
    assert test(b"") is False
