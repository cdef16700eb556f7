"""The picture of a broadcast's holding page: before it, in a pause, and after it.

What a host sends is believed in nothing: the kind is told by its first bytes, the size is read and bounded before
anything is decoded, and what is kept and served is a JPEG of our own making, without what a camera wrote beside it.
"""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from recorder.manifest import write_atomically

LONGEST_SIDE = 4096
PIXELS = 9_000_000
WIDTH, HEIGHT = 1920, 1080
"""What is kept is no larger."""


class HoldingError(ValueError):
    """Not a picture that can be taken; the message says why."""


def kind(data: bytes) -> tuple[str, int, int]:
    """The demuxer for a PNG, JPEG or WebP, its width and height, by its header alone. Raises HoldingError."""
    size = None
    if data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR":
        size = "png_pipe", int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    elif data.startswith(b"\xff\xd8\xff"):
        size = _jpeg(data)
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        size = _webp(data)
    if size is None:
        raise HoldingError("this is no PNG, JPEG or WebP")
    _, width, height = size
    if not (0 < width <= LONGEST_SIDE and 0 < height <= LONGEST_SIDE and width * height <= PIXELS):
        raise HoldingError(f"at most {LONGEST_SIDE} pixels a side and {PIXELS:,} in all")
    return size


def _jpeg(data: bytes) -> tuple[str, int, int] | None:
    """ITU-T T.81, B.2: the frame header comes before any picture."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 7 : at + 9], "big")
            return "jpeg_pipe", width, height
        if length < 2 or marker == 0xDA:
            return None
        at += 2 + length
    return None


def _webp(data: bytes) -> tuple[str, int, int] | None:
    """RFC 9649, sections 2.5 to 2.7: a picture that moves is not taken."""
    chunk, body = data[12:16], data[20:]
    if chunk == b"VP8 " and body[3:6] == b"\x9d\x01\x2a" and len(body) >= 10:
        width, height = int.from_bytes(body[6:8], "little"), int.from_bytes(body[8:10], "little")
        return "webp_pipe", width & 0x3FFF, height & 0x3FFF
    if chunk == b"VP8L" and len(body) >= 5:
        bits = int.from_bytes(body[1:5], "little")
        return "webp_pipe", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return None


def jpeg(data: bytes) -> bytes:
    """A JPEG of the picture, within `WIDTH` x `HEIGHT`. Blocks. Raises HoldingError."""
    demuxer, width, height = kind(data)
    try:
        with av.open(io.BytesIO(data), "r", format=demuxer) as opened:
            opened.streams.video[0].codec_context.thread_count = 1
            frame = next(opened.decode(video=0))
    except (av.FFmpegError, StopIteration, IndexError, ValueError):
        raise HoldingError("this picture cannot be read") from None
    if (frame.width, frame.height) != (width, height):
        raise HoldingError("this picture is not of the size that it says")
    part = min(1.0, WIDTH / width, HEIGHT / height)
    fitted = frame.reformat(max(2, int(width * part) & ~1), max(2, int(height * part) & ~1), "rgb24")
    encoder: Any = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = fitted.width, fitted.height, "yuvj420p"
    encoder.time_base, encoder.options = Fraction(1, 1), {"qscale": "3"}
    plain = av.VideoFrame.from_ndarray(fitted.to_ndarray(), "rgb24").reformat(format="yuvj420p")
    plain.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(plain), *encoder.encode(None)])


class Holding:
    """The pictures of all broadcasts, in the data folder. `broadcast` is always the id of one that there is."""

    def __init__(self, data: Path) -> None:
        self._folder = data / "holding"

    def path(self, broadcast: str) -> Path:
        """Where one is, if it is there."""
        return self._folder / f"{broadcast}.jpg"

    def version(self, broadcast: str) -> str | None:
        """Another one for each picture; None where there is none."""
        try:
            return f"{self.path(broadcast).stat().st_mtime_ns:x}"
        except OSError:
            return None

    def put(self, broadcast: str, data: bytes) -> None:
        """Keeps the picture; none where `data` is empty. Blocks. Raises HoldingError, OSError."""
        if not data:
            self.path(broadcast).unlink(missing_ok=True)
            return
        made = jpeg(data)
        self._folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path(broadcast), made)
