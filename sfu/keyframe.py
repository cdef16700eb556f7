"""Where a video key frame starts, told from RTP payloads: VP8, VP9, H264 and AV1.

Only the payload descriptors are read, a few bytes of each packet. Truncated payloads are no key frames; nothing raises.
"""

from __future__ import annotations

from collections.abc import Callable

from sfu.taps import Codec

KeyframeTest = Callable[[bytes], bool]
"""Whether a payload is the first of a key frame. For H264 the parameter sets that lead it count as its start."""


def keyframe_test(codec: Codec) -> KeyframeTest | None:
    """None for codecs whose packets all stand alone (audio) and for those that are not known here."""
    name = codec.name.upper()
    if name == "H264" and "sprop-parameter-sets" in codec.parameters:
        return h264_idr  # parameter sets came in the SDP, so the stream may leave them out
    return {"VP8": vp8, "VP9": vp9, "H264": h264, "AV1": av1}.get(name)


def vp8(payload: bytes) -> bool:
    """RFC 7741: start of partition 0 of a frame whose inverse key frame flag is clear."""
    if not payload or payload[0] & 0x10 == 0 or payload[0] & 0x07:
        return False
    position = 1
    if payload[0] & 0x80:
        if len(payload) < 2:
            return False
        flags = payload[1]
        position = 2
        if flags & 0x80:
            if len(payload) <= position:
                return False
            position += 2 if payload[position] & 0x80 else 1
        position += bool(flags & 0x40) + bool(flags & 0x30)
    return position < len(payload) and payload[position] & 0x01 == 0


def vp9(payload: bytes) -> bool:
    """RFC 9628: beginning of a frame not predicted from earlier ones, in the lowest spatial layer."""
    if not payload or payload[0] & 0x08 == 0 or payload[0] & 0x40:
        return False
    if payload[0] & 0x20 == 0:
        return True
    position = 1
    if payload[0] & 0x80:
        if len(payload) <= position:
            return False
        position += 2 if payload[position] & 0x80 else 1
    return position < len(payload) and payload[position] >> 1 & 0x07 == 0


def h264(payload: bytes) -> bool:
    """RFC 6184: a sequence parameter set, alone, in an aggregate or at the start of a fragment."""
    return _h264_starts(payload, frozenset({7}))


def h264_idr(payload: bytes) -> bool:
    """Also the start of an IDR picture without parameter sets."""
    return _h264_starts(payload, frozenset({7, 5}))


def _h264_starts(payload: bytes, wanted: frozenset[int]) -> bool:
    if not payload:
        return False
    kind = payload[0] & 0x1F
    if kind in (24, 25):  # STAP-A, STAP-B (with a decoding order number)
        position = 1 if kind == 24 else 3
        while position + 2 < len(payload):
            if payload[position + 2] & 0x1F in wanted:
                return True
            position += 2 + (payload[position] << 8 | payload[position + 1])
        return False
    if kind in (28, 29):  # FU-A, FU-B
        return len(payload) > 1 and bool(payload[1] & 0x80) and payload[1] & 0x1F in wanted
    return kind in wanted


def av1(payload: bytes) -> bool:
    """AV1 RTP specification 1.0, section 4.4: the N bit, first packet of a coded video sequence."""
    return len(payload) > 1 and payload[0] & 0x88 == 0x08
