"""Small pictures of the programme for the seek bar: sheets of them and a WebVTT file that says which is where.

Of what the asker may see only: they are chosen from the playlist as it is cut for them (`recorder.clip`), so nothing of
a cut can be on a sheet. A sheet is made from the key frames that its segments begin with, by a process of the lowest
priority (``python -m recorder.thumbnails``), which is given the bytes and answers with a JPEG; nothing is written. The
poster is one larger picture, for the card that other sites show of a public recording.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import msgspec
import numpy as np

WIDTH, HEIGHT = 160, 90
POSTER = (640, 360)
COLUMNS, ROWS = 5, 5
SHEET = COLUMNS * ROWS
MOST = 8 * SHEET
"""Of a recording, however long it is: 54 s of three hours each."""
LEAST_MS = 2_000
MOST_BYTES = 512 * 1024
"""Of a key frame that is read: one of a camera at 1080p is about 150 kB."""

_MAP = re.compile(r'#EXT-X-MAP:URI="([^"]+)",BYTERANGE="(\d+)@0"')
_EXTINF = re.compile(r"#EXTINF:([\d.]+),")
_RANGE = re.compile(r"#EXT-X-BYTERANGE:(\d+)@(\d+)")


@dataclass(frozen=True, slots=True)
class Still:
    """The key frame that a segment begins with: shown from `start` to `end` in ms of the recording. Its file begins
    with `head` bytes that a decoder needs; the segment is `size` bytes at `offset`."""

    start: int
    end: int
    name: str
    head: int
    offset: int
    size: int


def stills(text: str) -> list[Still]:
    """What to show of a media playlist of ours, cut or not: at most `MOST`, evenly."""
    found: list[Still] = []
    head = size = offset = 0
    at = length = 0.0
    gap = False
    for line in text.splitlines():
        if mapped := _MAP.match(line):
            head = int(mapped[2])
        elif extinf := _EXTINF.match(line):
            length = float(extinf[1]) * 1000
        elif ranged := _RANGE.match(line):
            size, offset = int(ranged[1]), int(ranged[2])
        elif line == "#EXT-X-GAP":
            gap = True
        elif line and not line.startswith("#"):
            if not gap:
                found.append(Still(round(at), round(at + length), line, head, offset, size))
            gap = False
            at += length
    if not found:
        return []
    step = max(LEAST_MS, sum(one.end - one.start for one in found) / (MOST - 1))
    chosen: list[Still] = []
    seen, due = 0.0, 0.0
    for one in found:
        if seen >= due and len(chosen) < MOST:
            chosen.append(one)
            due = seen + step
        seen += one.end - one.start
    ends = [one.start for one in chosen[1:]] + [found[-1].end]
    return [
        Still(one.start, end, one.name, one.head, one.offset, one.size) for one, end in zip(chosen, ends, strict=True)
    ]


def _time(ms: int) -> str:
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}.{ms % 1000:03}"


def index(chosen: Sequence[Still]) -> str:
    """The WebVTT file: of each time the sheet ``N.jpg`` and where on it (Media Fragments, section 4.2.2)."""
    lines = ["WEBVTT", ""]
    for number, one in enumerate(chosen):
        row, column = divmod(number % SHEET, COLUMNS)
        lines.append(f"{_time(one.start)} --> {_time(one.end)}")
        lines.append(f"{number // SHEET}.jpg#xywh={column * WIDTH},{row * HEIGHT},{WIDTH},{HEIGHT}")
        lines.append("")
    return "\n".join(lines)


def chosen_poster(chosen: Sequence[Still]) -> Still | None:
    """One that stands for the recording: a quarter in, where people have arrived."""
    return chosen[len(chosen) // 4] if chosen else None


def picture(data: bytes, size: tuple[int, int] = (WIDTH, HEIGHT)) -> np.ndarray[Any, Any] | None:
    """The first picture of an MP4 that may end anywhere, within (width, height) on black: (height, width, 3) uint8
    RGB; None where there is none."""
    most, high = size
    with (
        contextlib.suppress(av.FFmpegError, StopIteration, IndexError, ValueError),
        av.open(io.BytesIO(data), "r", format="mp4") as opened,
    ):
        opened.streams.video[0].codec_context.thread_count = 1
        frame = next(opened.decode(video=0))
        part = min(most / frame.width, high / frame.height)
        width, height = max(2, int(frame.width * part) & ~1), max(2, int(frame.height * part) & ~1)
        small = frame.reformat(width, height, "rgb24").to_ndarray()
        whole = np.zeros((high, most, 3), np.uint8)
        top, left = (high - height) // 2, (most - width) // 2
        whole[top : top + height, left : left + width] = small
        return whole
    return None


def sheet(parts: Sequence[bytes]) -> bytes:
    """A JPEG of the first pictures of up to `SHEET` MP4 files, row by row; dark where one cannot be decoded."""
    rows = -(-max(1, len(parts)) // COLUMNS)
    canvas = np.zeros((rows * HEIGHT, COLUMNS * WIDTH, 3), np.uint8)
    for number, data in enumerate(parts[:SHEET]):
        row, column = divmod(number, COLUMNS)
        if (found := picture(data)) is not None:
            canvas[row * HEIGHT : (row + 1) * HEIGHT, column * WIDTH : (column + 1) * WIDTH] = found
    return _jpeg(canvas)


def poster(parts: Sequence[bytes]) -> bytes:
    """A JPEG of the first file's first picture, `POSTER` in size; empty where it cannot be decoded."""
    found = picture(parts[0], POSTER) if parts else None
    return b"" if found is None else _jpeg(found)


def _jpeg(canvas: np.ndarray[Any, Any]) -> bytes:
    encoder: Any = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = canvas.shape[1], canvas.shape[0], "yuvj420p"
    encoder.time_base, encoder.options = Fraction(1, 1), {"qscale": "5"}
    frame = av.VideoFrame.from_ndarray(canvas, "rgb24").reformat(format="yuvj420p")
    frame.pts = 0
    return b"".join(bytes(packet) for packet in _packets(encoder, frame))


def _packets(encoder: Any, frame: av.VideoFrame) -> Iterator[Any]:
    yield from encoder.encode(frame)
    yield from encoder.encode(None)


def main() -> int:
    """A MessagePack list of MP4 files on stdin, a JPEG on stdout; with the argument ``poster`` that of the first."""
    with contextlib.suppress(OSError):
        os.nice(19)
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    parts = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=list[bytes])
    sys.stdout.buffer.write(poster(parts) if sys.argv[1:] == ["poster"] else sheet(parts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
