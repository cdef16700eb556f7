"""Fragments into partial segments and segments of live HLS. Pure: no clock, no file.

Nothing is copied for it: a segment is a run of fragments as they lie in a track's file, with a few times changed
(`Segment.patches`), so that it can be read from the file again when memory has long forgotten it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace

from recorder.fmp4 import DURATION_OFFSET, TIME_OFFSET
from recorder.parts import MediaFileInfo

PART_MS = 500
"""PART-TARGET. Low enough for two seconds of delay, high enough that a part costs little more than its frames."""
TARGET_MS = 4_000
"""EXT-X-TARGETDURATION, which may never change: a segment is cut before it grows longer, key frame or not."""
SHORTEST_MS = 1_500
"""A key frame that comes sooner begins no new segment."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One fragment, `start` to `end` in ms, as it lies at `offset` of a file; -1: in no file. `patches` are bytes that
    were changed, by their place in `data`."""

    file: MediaFileInfo
    offset: int
    data: bytes
    start: int
    end: int
    key: bool
    patches: tuple[tuple[int, bytes], ...] = ()


def retimed(piece: Piece, start: int, end: int) -> Piece:
    """The same picture from `start` to `end`; of a fragment with one sample, in a timescale of milliseconds."""
    if (start, end) == (piece.start, piece.end):
        return piece
    patches = ((TIME_OFFSET, struct.pack(">Q", start)), (DURATION_OFFSET, struct.pack(">I", end - start)))
    return replace(piece, data=patch(piece.data, patches), start=start, end=end, patches=patches)


def patch(data: bytes, patches: tuple[tuple[int, bytes], ...]) -> bytes:
    """`data` with the patches written over it."""
    changed = bytearray(data)
    for at, new in patches:
        changed[at : at + len(new)] = new
    return bytes(changed)


@dataclass(frozen=True, slots=True)
class Part:
    """A partial segment: the `index`-th of segment `number`."""

    number: int
    index: int
    file: MediaFileInfo
    start: int
    end: int
    independent: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class Segment:
    """A whole segment: bytes `offset` to `offset + size` of `file`, patched; with `offset` -1 only `data` has them.
    `parts` is how many partial segments it was given out in, 0 where it has none."""

    number: int
    file: MediaFileInfo
    start: int
    end: int
    offset: int
    size: int
    patches: tuple[tuple[int, bytes], ...]
    parts: int
    data: bytes


class Segmenter:
    """Pieces in order, each beginning where the one before ended; what is finished goes to `out`."""

    def __init__(self, out: Callable[[Part | Segment], None], shortest: int = SHORTEST_MS) -> None:
        self.number = 0
        self._out = out
        self._shortest = shortest
        self._pieces: list[Piece] = []
        self._part: list[Piece] = []
        self._parts = 0

    def add(self, piece: Piece) -> None:
        """One more. A piece that is longer than a part may be is a segment of its own, without parts."""
        long = piece.end - piece.start > PART_MS
        if self._pieces and (long or self._ends(piece)):
            self.close()
        if long:
            self._pieces.append(piece)
            self.close()
            return
        if self._part and piece.end - self._part[0].start > PART_MS:
            self._end_part()
        self._pieces.append(piece)
        self._part.append(piece)
        if piece.end - self._part[0].start == PART_MS:
            self._end_part()

    @property
    def first(self) -> int | None:
        """Where the segment begins that is being made, in ms; None while there is none."""
        return self._pieces[0].start if self._pieces else None

    def _ends(self, piece: Piece) -> bool:
        first, last = self._pieces[0], self._pieces[-1]
        length = last.end - first.start
        return (
            piece.file.name != first.file.name
            or (piece.offset >= 0 and piece.offset != last.offset + len(last.data))
            or (piece.key and length >= self._shortest)
            or piece.end - first.start > TARGET_MS
        )

    def _end_part(self) -> None:
        part, self._part = self._part, []
        if part:
            data = b"".join(one.data for one in part)
            key = any(one.key for one in part)
            self._out(Part(self.number, self._parts, part[0].file, part[0].start, part[-1].end, key, data))
            self._parts += 1

    def close(self) -> None:
        """Ends the segment, if there is one."""
        if not self._pieces:
            return
        self._end_part()
        pieces, self._pieces = self._pieces, []
        patches: list[tuple[int, bytes]] = []
        size = 0
        for one in pieces:
            patches += [(size + at, new) for at, new in one.patches]
            size += len(one.data)
        data = b"".join(one.data for one in pieces)
        first = pieces[0]
        self._out(
            Segment(
                self.number, first.file, first.start, pieces[-1].end, first.offset, size, tuple(patches), self._parts,
                data,
            )
        )  # fmt: skip
        self.number += 1
        self._parts = 0
