"""VP9 for sending: IVF files into frames, frames into RTP payloads (RFC 9628). Pure."""

from __future__ import annotations

import struct

PAYLOAD = 1_150  # bytes of a frame in one packet: fits any path with the headers around it


class VideoError(ValueError):
    """Not an IVF file with VP9 in it."""


def is_keyframe(frame: bytes) -> bool:
    """Whether a decoder can begin here. Profiles 0 to 2; a frame that only shows an older one is none."""
    if not frame or frame[0] >> 6 != 0b10:
        raise VideoError("not a VP9 frame")
    if frame[0] >> 4 & 0b11 == 0b11:
        raise VideoError("VP9 profile 3 is not known here")
    shows_existing, inter = bool(frame[0] & 0x08), bool(frame[0] & 0x04)
    return not shows_existing and not inter


def read_ivf(data: bytes) -> tuple[float, tuple[bytes, ...]]:
    """Frames a second, and the frames, of an IVF file. Raises `VideoError`."""
    if len(data) < 32 or data[:4] != b"DKIF" or data[8:12] != b"VP90":
        raise VideoError("not an IVF file with VP9")
    (at,), (rate, scale) = struct.unpack_from("<H", data, 6), struct.unpack_from("<II", data, 16)
    if not rate or not scale:
        raise VideoError("the file has no frame rate")
    frames: list[bytes] = []
    while at + 12 <= len(data):
        (size,) = struct.unpack_from("<I", data, at)
        frame = data[at + 12 : at + 12 + size]
        if len(frame) < size:
            raise VideoError("the file ends inside a frame")
        frames.append(frame)
        at += 12 + size
    if not frames or not is_keyframe(frames[0]):
        raise VideoError("the file does not begin with a keyframe")
    return rate / scale, tuple(frames)


def payloads(frame: bytes, picture: int, keyframe: bool) -> list[bytes]:
    """The RTP payloads of a frame; the last one takes the marker.

    Non-flexible mode, no layers, a 15-bit picture id: descriptors of three bytes.
    """
    identifier = struct.pack("!H", 0x8000 | picture & 0x7FFF)
    size = -(-len(frame) // -(-len(frame) // PAYLOAD))  # even pieces
    made = []
    for at in range(0, len(frame), size):
        flags = 0x80 | (not keyframe) << 6 | (at == 0) << 3 | (at + size >= len(frame)) << 2
        made.append(bytes((flags,)) + identifier + frame[at : at + size])
    return made
