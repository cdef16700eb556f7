"""The append-only journal: what a crash cannot take away.

A journal file is a magic, then records. A record is length (u32), CRC-32C of the body (u32) and the body, little
endian. A packet's body is room time, media time (f64), sequence, timestamp (i64), lost (u16), flags (u8) and the
payload; an event's body is JSON. Reading ends at the first record that is short or whose CRC is wrong, so any prefix
of a journal is a journal.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import google_crc32c

from sfu.taps import TapPacket

MAGIC = b"CNSJRNL1"
MAX_BODY = 1 << 20
_HEAD = struct.Struct("<II")
_PACKET = struct.Struct("<ddqqHB")
_TIMES = struct.Struct("<dd")
_MARKER, _KEYFRAME = 1, 2


def record(body: bytes) -> bytes:
    return _HEAD.pack(len(body), google_crc32c.value(body)) + body


def pack(packet: TapPacket) -> bytes:
    """The body of a packet's record."""
    flags = (_MARKER if packet.marker else 0) | (_KEYFRAME if packet.keyframe else 0)
    lost = min(packet.lost, 0xFFFF)
    head = _PACKET.pack(packet.room_ms, packet.media_ms, packet.sequence, packet.timestamp, lost, flags)
    return head + packet.payload


def unpack(track: str, body: bytes) -> TapPacket:
    room_ms, media_ms, sequence, timestamp, lost, flags = _PACKET.unpack_from(body)
    marker, keyframe = bool(flags & _MARKER), bool(flags & _KEYFRAME)
    payload = body[_PACKET.size :]
    return TapPacket(track, sequence, timestamp, room_ms, media_ms, marker, keyframe, lost, payload)


def read(data: bytes | mmap.mmap) -> Iterator[tuple[int, bytes]]:
    """(offset after the record, body) of every whole record, in order."""
    if data[: len(MAGIC)] != MAGIC:
        return
    offset, end = len(MAGIC), len(data)
    while offset + _HEAD.size <= end:
        size, crc = _HEAD.unpack_from(data, offset)
        start = offset + _HEAD.size
        if size > MAX_BODY or start + size > end:
            return
        body = data[start : start + size]
        if google_crc32c.value(body) != crc:
            return
        offset = start + size
        yield offset, body


class JournalFile:
    """Appends to one file, unbuffered: after `append` the kernel has it, after `sync` the disk.

    An existing file is cut at its first bad record. Raises OSError (ENOSPC among them) and then keeps what is there.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._dirty = False
        size = valid_size(path)
        os.ftruncate(self._file, size)
        if size == 0:
            write_all(self._file, MAGIC)
        os.lseek(self._file, 0, os.SEEK_END)

    def append(self, bodies: Sequence[bytes]) -> None:
        self._dirty = True
        write_all(self._file, b"".join(map(record, bodies)))

    def sync(self) -> None:
        if self._dirty:
            os.fdatasync(self._file)
            self._dirty = False

    def close(self) -> None:
        try:
            self.sync()
        finally:
            os.close(self._file)


def write_all(file: int, data: bytes | bytearray) -> None:
    """os.write until everything is written; raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _records(path: Path) -> Iterator[tuple[int, bytes]]:
    if not path.is_file() or path.stat().st_size < len(MAGIC):
        return
    with path.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield from read(data)


def valid_size(path: Path) -> int:
    """Bytes up to the end of the last whole record; 0 when not even the magic is whole."""
    if not path.is_file() or path.open("rb").read(len(MAGIC)) != MAGIC:
        return 0
    return max((offset for offset, _ in _records(path)), default=len(MAGIC))


def bodies(path: Path) -> Iterator[bytes]:
    """Bodies of the whole records of a file; none when it is missing or empty."""
    return (body for _, body in _records(path))


def packed(path: Path) -> Iterator[bytes]:
    """Bodies of a track's journal that can be packets: `pack` made them."""
    return (body for body in bodies(path) if len(body) >= _PACKET.size)


def room_time(body: bytes) -> tuple[float, float]:
    """(room time, media time) of a packet's body."""
    room_ms, media_ms = _TIMES.unpack_from(body)
    return room_ms, media_ms


def packets(path: Path, track: str) -> Iterator[TapPacket]:
    """The packets of a track's journal."""
    return (unpack(track, body) for body in packed(path))
