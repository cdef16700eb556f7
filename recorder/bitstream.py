"""Codec headers: what a container must say about a stream (size, profile, codec string), read from its own bits.

Everything here is fed by strangers: a header that does not parse raises `BitstreamError`, nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


class BitstreamError(ValueError):
    """The bytes are not what the codec says they must be."""


@dataclass(frozen=True, slots=True)
class CodecConfig:
    """What a decoder needs before the first sample. Two equal configs may share an init segment.

    `name` is the SDP name (``VP9``, ``H264``, ``AV1``, ``VP8``, ``OPUS``), `codec` the RFC 6381 string, `record` the
    payload of the codec's configuration box (avcC, vpcC, av1C, dOps), `width` and `height` in pixels (0 for audio).
    """

    name: str
    codec: str
    width: int
    height: int
    record: bytes


class Bits:
    """Most significant bit first; reading past the end raises `BitstreamError`."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = len(data) * 8

    def read(self, count: int) -> int:
        if count > self._left:
            raise BitstreamError("header is cut short")
        self._left -= count
        return (self._value >> self._left) & ((1 << count) - 1)

    def golomb(self) -> int:
        """Unsigned Exp-Golomb, ue(v) of ITU-T H.264 section 9.1."""
        zeros = 0
        while not self.read(1):
            zeros += 1
            if zeros > 31:
                raise BitstreamError("Exp-Golomb code too long")
        return (1 << zeros) - 1 + self.read(zeros)

    def signed_golomb(self) -> int:
        code = self.golomb()
        return (code + 1) // 2 if code & 1 else -(code // 2)


# --- VP9 --------------------------------------------------------------------------------------------

# Largest luma picture and its level (VP9 levels, https://www.webmproject.org/vp9/levels/).
_VP9_LEVELS = (
    (36864, 10),
    (73728, 11),
    (122880, 20),
    (245760, 21),
    (552960, 30),
    (983040, 31),
    (2228224, 40),
    (8912896, 50),
)


def _level(area: int, table: tuple[tuple[int, int], ...], top: int) -> int:
    return next((level for limit, level in table if area <= limit), top)


def vp9_config(frame: bytes) -> CodecConfig | None:
    """From a frame's uncompressed header (VP9 bitstream specification, section 6.2); None unless it is a key frame."""
    bits = Bits(frame[:24])
    if bits.read(2) != 2:
        raise BitstreamError("no VP9 frame marker")
    profile = bits.read(1) | bits.read(1) << 1
    if profile == 3 and bits.read(1):
        raise BitstreamError("reserved VP9 profile")
    if bits.read(1):  # show_existing_frame
        return None
    if bits.read(1):  # frame_type: 0 is a key frame
        return None
    bits.read(2)  # show_frame, error_resilient_mode
    if bits.read(24) != 0x498342:
        raise BitstreamError("no VP9 sync code")
    depth = 8
    if profile >= 2:
        depth = 12 if bits.read(1) else 10
    color_space = bits.read(3)
    subsampling, full_range = 1, 0  # 4:2:0, colocated
    if color_space != 7:
        full_range = bits.read(1)
        if profile in (1, 3):
            x, y = bits.read(1), bits.read(1)
            subsampling = {(1, 1): 1, (1, 0): 2, (0, 0): 3}.get((x, y), 1)
            bits.read(1)
    else:
        full_range, subsampling = 1, 3
        if profile not in (1, 3):
            raise BitstreamError("RGB needs VP9 profile 1 or 3")
        bits.read(1)
    width, height = bits.read(16) + 1, bits.read(16) + 1
    level = _level(width * height, _VP9_LEVELS, 60)
    matrix = {1: 6, 2: 1, 3: 6, 4: 7, 5: 9, 7: 0}.get(color_space, 2)
    # VPCodecConfigurationRecord of "VP Codec ISO Media File Format Binding", version 1.
    record = bytes((1, 0, 0, 0, profile, level, depth << 4 | subsampling << 1 | full_range, 2, 2, matrix, 0, 0))
    return CodecConfig("VP9", f"vp09.{profile:02d}.{level:02d}.{depth:02d}", width, height, record)


def vp9_superframe(frames: list[bytes]) -> bytes:
    """The layers of one picture as one sample (VP9 bitstream specification, annex B)."""
    if len(frames) == 1:
        return frames[0]
    if len(frames) > 8:
        raise BitstreamError("more than eight layers")
    marker = bytes((0xC0 | 3 << 3 | len(frames) - 1,))
    sizes = b"".join(len(frame).to_bytes(4, "little") for frame in frames)
    return b"".join((*frames, marker, sizes, marker))


# --- VP8 --------------------------------------------------------------------------------------------


def vp8_config(frame: bytes) -> CodecConfig | None:
    """From a frame header (RFC 6386, section 9.1); None unless it is a key frame."""
    if not frame:
        raise BitstreamError("empty VP8 frame")
    if frame[0] & 1:
        return None
    if len(frame) < 10 or frame[3:6] != b"\x9d\x01\x2a":
        raise BitstreamError("no VP8 start code")
    width = int.from_bytes(frame[6:8], "little") & 0x3FFF
    height = int.from_bytes(frame[8:10], "little") & 0x3FFF
    if not width or not height:
        raise BitstreamError("VP8 frame without a size")
    return CodecConfig("VP8", "vp8", width, height, b"")


# --- H.264 ------------------------------------------------------------------------------------------

_HIGH_PROFILES = (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135)


def _rbsp(nal: bytes) -> bytes:
    return nal.replace(b"\x00\x00\x03", b"\x00\x00")


def _skip_scaling_list(bits: Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed_golomb()) & 0xFF
        last = following or last


def h264_config(sps: bytes, pps: list[bytes]) -> CodecConfig:
    """From parameter sets without start codes (ITU-T H.264 section 7.3.2.1; avcC: ISO/IEC 14496-15 section 5.3.3)."""
    longest = max(len(sps), *(len(one) for one in pps)) if pps else 0
    if len(sps) < 4 or sps[0] & 0x1F != 7 or not pps or len(pps) > 255 or longest > 0xFFFF:
        raise BitstreamError("no usable parameter sets")
    bits = Bits(_rbsp(sps[1:256]))
    profile, compatibility, level = bits.read(8), bits.read(8), bits.read(8)
    bits.golomb()
    chroma = 1
    separate = 0
    depth_luma = depth_chroma = 0
    if profile in _HIGH_PROFILES:
        chroma = bits.golomb()
        if chroma == 3:
            separate = bits.read(1)
        depth_luma, depth_chroma = bits.golomb(), bits.golomb()
        bits.read(1)
        if bits.read(1):
            for index in range(12 if chroma == 3 else 8):
                if bits.read(1):
                    _skip_scaling_list(bits, 16 if index < 6 else 64)
    bits.golomb()
    order = bits.golomb()
    if order == 0:
        bits.golomb()
    elif order == 1:
        bits.read(1)
        bits.signed_golomb()
        bits.signed_golomb()
        for _ in range(min(bits.golomb(), 255)):
            bits.signed_golomb()
    bits.golomb()
    bits.read(1)
    width = (bits.golomb() + 1) * 16
    map_units = bits.golomb() + 1
    frames_only = bits.read(1)
    height = map_units * 16 * (2 - frames_only)
    if not frames_only:
        bits.read(1)
    bits.read(1)
    if bits.read(1):
        left, right, top, bottom = (bits.golomb() for _ in range(4))
        unit_x = 2 if chroma in (1, 2) and not separate else 1
        unit_y = (2 if chroma == 1 and not separate else 1) * (2 - frames_only)
        width -= (left + right) * unit_x
        height -= (top + bottom) * unit_y
    if not (0 < width <= 16384 and 0 < height <= 16384):
        raise BitstreamError("impossible H.264 picture size")
    record = bytes((1, profile, compatibility, level, 0xFF, 0xE1)) + len(sps).to_bytes(2, "big") + sps
    record += bytes((len(pps),)) + b"".join(len(one).to_bytes(2, "big") + one for one in pps)
    if profile in _HIGH_PROFILES:
        record += bytes((0xFC | chroma & 3, 0xF8 | depth_luma & 7, 0xF8 | depth_chroma & 7, 0))
    return CodecConfig("H264", f"avc1.{profile:02x}{compatibility:02x}{level:02x}", width, height, record)


# --- AV1 --------------------------------------------------------------------------------------------


def leb128(data: bytes, offset: int) -> tuple[int, int]:
    """Value and the offset after it (AV1 specification, section 4.10.5)."""
    value = 0
    for index in range(8):
        if offset + index >= len(data):
            raise BitstreamError("leb128 is cut short")
        byte = data[offset + index]
        value |= (byte & 0x7F) << (7 * index)
        if not byte & 0x80:
            if value > 0xFFFFFFFF:
                break
            return value, offset + index + 1
    raise BitstreamError("leb128 too long")


def leb128_bytes(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def av1_obus(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(obu_type, payload) of a low-overhead stream whose OBUs all carry their size (AV1 specification, section 5.3)."""
    offset = 0
    while offset < len(data):
        header = data[offset]
        if header & 0x81 or not header & 2:
            raise BitstreamError("bad OBU header")
        size, start = leb128(data, offset + (2 if header & 4 else 1))
        if start + size > len(data):
            raise BitstreamError("OBU is cut short")
        yield header >> 3 & 15, data[start : start + size]
        offset = start + size


def av1_config(unit: bytes) -> CodecConfig | None:
    """From a temporal unit's sequence header (AV1 specification, section 5.5); None when it has none."""
    payload = next((body for kind, body in av1_obus(unit) if kind == 1), None)
    if payload is None:
        return None
    bits = Bits(payload[:256])
    profile = bits.read(3)
    bits.read(1)
    tier = delay_bits = 0
    if bits.read(1):  # reduced_still_picture_header
        level = bits.read(5)
    else:
        decoder_model = 0
        if bits.read(1):  # timing_info
            bits.read(64)
            if bits.read(1):
                _skip_uvlc(bits)
            decoder_model = bits.read(1)
            if decoder_model:
                delay_bits = bits.read(5) + 1
                bits.read(42)
        display_delay = bits.read(1)
        level = 0
        for index in range(bits.read(5) + 1):
            bits.read(12)
            one_level = bits.read(5)
            one_tier = bits.read(1) if one_level > 7 else 0
            if index == 0:
                level, tier = one_level, one_tier
            if decoder_model and bits.read(1):
                bits.read(2 * delay_bits + 1)
            if display_delay and bits.read(1):
                bits.read(4)
    width_bits, height_bits = bits.read(4) + 1, bits.read(4) + 1
    width, height = bits.read(width_bits) + 1, bits.read(height_bits) + 1
    depth_code, depth, mono, sub_x, sub_y = _av1_color(payload, bits, profile)
    record = bytes((0x81, profile << 5 | level, tier << 7 | depth_code << 5 | mono << 4 | sub_x << 3 | sub_y << 2, 0))
    record += bytes((1 << 3 | 2,)) + leb128_bytes(len(payload)) + payload
    name = f"av01.{profile}.{level:02d}{'H' if tier else 'M'}.{depth:02d}"
    return CodecConfig("AV1", name, width, height, record)


def _skip_uvlc(bits: Bits) -> None:
    zeros = 0
    while not bits.read(1):
        zeros += 1
        if zeros >= 32:
            return
    bits.read(zeros)


def _av1_color(payload: bytes, bits: Bits, profile: int) -> tuple[int, int, int, int, int]:
    """Reads on from the picture size to color_config: (depth bits of av1C, depth, mono, subsampling x, y)."""
    reduced = payload[0] >> 3 & 1
    if not reduced and bits.read(1):  # frame_id_numbers_present
        bits.read(7)
    bits.read(3)
    if not reduced:
        bits.read(4)
        order_hint = bits.read(1)
        if order_hint:
            bits.read(2)
        screen = 2 if bits.read(1) else bits.read(1)
        if screen and not bits.read(1):
            bits.read(1)
        if order_hint:
            bits.read(3)
    bits.read(3)
    high = bits.read(1)
    twelve = bits.read(1) if profile == 2 and high else 0
    mono = 0 if profile == 1 else bits.read(1)
    depth = 12 if twelve else 10 if high else 8
    if profile == 0 or mono:
        sub_x = sub_y = 1
    elif profile == 1:
        sub_x = sub_y = 0
    else:
        sub_x, sub_y = 1, 0
    return high << 1 | twelve, depth, mono, sub_x, sub_y


# --- Opus -------------------------------------------------------------------------------------------


def opus_duration(packet: bytes) -> int:
    """Samples at 48 kHz in a packet, from its TOC byte (RFC 6716, section 3.1)."""
    if not packet:
        raise BitstreamError("empty Opus packet")
    config = packet[0] >> 3
    if config < 12:
        frame = (480, 960, 1920, 2880)[config & 3]
    elif config < 16:
        frame = (480, 960)[config & 1]
    else:
        frame = (120, 240, 480, 960)[config & 3]
    code = packet[0] & 3
    if code == 3:
        if len(packet) < 2:
            raise BitstreamError("Opus packet is cut short")
        count = packet[1] & 0x3F
    else:
        count = 1 if code == 0 else 2
    if not 0 < frame * count <= 5760:
        raise BitstreamError("Opus packet of an impossible length")
    return frame * count


def opus_config(channels: int, pre_skip: int = 312) -> CodecConfig:
    """dOps of "Encapsulation of Opus in ISO Base Media File Format", section 4.3.2 (channel mapping family 0)."""
    record = bytes((0, channels)) + pre_skip.to_bytes(2, "big") + (48000).to_bytes(4, "big") + b"\x00\x00\x00"
    return CodecConfig("OPUS", "opus", 0, 0, record)
