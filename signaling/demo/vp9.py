"""VP9 for sending: IVF files into frames, frames into RTP payloads (RFC 9628). Pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass

PAYLOAD = 1_150  # bytes of a frame in one packet: fits any path with the headers around it


class VideoError(ValueError):
    """Not an IVF file with VP9 in it."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One coded picture. `keyframe` by the uncompressed header (VP9 bitstream specification, 6.2)."""

    data: bytes
    keyframe: bool


@dataclass(frozen=True, slots=True)
class Video:
    """All frames of a file, shown one after the other, `rate` a second."""

    width: int
    height: int
    rate: float
    frames: tuple[Frame, ...]


def is_keyframe(frame: bytes) -> bool:
    """Whether a decoder can begin here. Profiles 0 to 2; a frame that only shows an older one is none."""
    if not frame or frame[0] >> 6 != 0b10:
        raise VideoError("not a VP9 frame")
    if frame[0] >> 4 & 0b11 == 0b11:
        raise VideoError("VP9 profile 3 is not known here")
    shows_existing, inter = bool(frame[0] & 0x08), bool(frame[0] & 0x04)
    return not shows_existing and not inter


def read_ivf(data: bytes) -> Video:
    """The frames of an IVF file. Raises `VideoError`."""
    if len(data) < 32 or data[:4] != b"DKIF" or data[8:12] != b"VP90":
        raise VideoError("not an IVF file with VP9")
    at, width, height, rate, scale = *struct.unpack_from("<H", data, 6), *struct.unpack_from("<HHII", data, 12)
    if not rate or not scale:
        raise VideoError("the file has no frame rate")
    frames = []
    while at + 12 <= len(data):
        (size,) = struct.unpack_from("<I", data, at)
        frame = data[at + 12 : at + 12 + size]
        if len(frame) < size:
            raise VideoError("the file ends inside a frame")
        frames.append(Frame(frame, is_keyframe(frame)))
        at += 12 + size
    if not frames or not frames[0].keyframe:
        raise VideoError("the file does not begin with a keyframe")
    return Video(width, height, rate / scale, tuple(frames))


def packetise(frame: Frame, picture: int, width: int, height: int) -> list[bytes]:
    """The RTP payloads of a frame; the last one takes the marker.

    Non-flexible mode, one layer, a 15-bit picture id; a keyframe's first packet says its size (scalability structure).
    """
    identifier = struct.pack("!H", 0x8000 | picture & 0x7FFF)
    size = -(-len(frame.data) // -(-len(frame.data) // PAYLOAD))  # even pieces
    payloads = []
    for at in range(0, len(frame.data), size):
        first, last = at == 0, at + size >= len(frame.data)
        structure = struct.pack("!BHH", 0x10, width, height) if first and frame.keyframe else b""
        flags = 0x80 | (0 if frame.keyframe else 0x40) | first << 3 | last << 2 | bool(structure) << 1
        payloads.append(bytes((flags,)) + identifier + structure + frame.data[at : at + size])
    return payloads
