"""The append-only journal: what a crash cannot take away.

A journal file is a magic, then records. A record is length (u32), CRC-32C of the body (u32) and the body, little
endian. A packet's body is room time, media time (f64), sequence, timestamp (i64), lost (u16), flags (u8) and the
payload; an event's body is JSON. Reading ends at the first record that is short or whose CRC is wrong, so any prefix
of a journal is a journal.

A sealed journal (`recorder.sealing`) has another magic and 16 bytes of salt; the body of each of its records is a nonce
and what was appended at once (records as above), sealed with the number of the record as additional data. So what is
written every 50 ms is sealed then, and a crash costs no more than without. An empty one that says it is the last ends
a journal that was closed; without it a finished recording's journal has lost its end.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import google_crc32c
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from recorder.sealing import files
from recorder.sealing.blocks import EXTRA, SALT, SealBroken, cipher, seal, unseal
from sfu.taps import TapPacket

MAGIC = b"CNSJRNL1"
SEALED = b"CNSJRNL2"
MAX_SEALED = 256 * 1024
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


def read(data: bytes | mmap.mmap, offset: int | None = None) -> Iterator[tuple[int, bytes]]:
    """(offset after the record, body) of every whole record, in order, from `offset` on or after the magic."""
    if offset is None:
        if data[: len(MAGIC)] != MAGIC:
            return
        offset = len(MAGIC)
    end = len(data)
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
        self._sealer, size = None, 0
        key = files.key_for(path)
        if key is None:
            size = valid_size(path)
            head = MAGIC
        else:
            salt, number = os.urandom(SALT), 0
            for size, number, salt in _ends(path, key):  # noqa: B007
                pass
            head = SEALED + salt
            self._sealer = Sealer(cipher(key, salt, _name(path)), number)
        os.ftruncate(self._file, size)
        if size == 0:
            write_all(self._file, head)
        os.lseek(self._file, 0, os.SEEK_END)

    def append(self, bodies: Sequence[bytes]) -> None:
        self._dirty = True
        data = b"".join(map(record, bodies))
        write_all(self._file, data if self._sealer is None else self._sealer.seal(data))

    def sync(self) -> None:
        if self._dirty:
            os.fdatasync(self._file)
            self._dirty = False

    def close(self) -> None:
        try:
            if self._sealer is not None:
                self._dirty = True
                write_all(self._file, self._sealer.seal(b"", last=True))
            self.sync()
        finally:
            os.close(self._file)


class Sealer:
    """Seals what is appended to one journal, in order from record `number` on."""

    def __init__(self, aead: AESGCM, number: int) -> None:
        self._aead, self._number = aead, number

    def seal(self, data: bytes, last: bool = False) -> bytes:
        """Sealed records that hold `data`."""
        made = []
        for at in range(0, len(data), MAX_SEALED) or (0,):
            made.append(record(seal(self._aead, self._number, data[at : at + MAX_SEALED], last)))
            self._number += 1
        return b"".join(made)


def write_all(file: int, data: bytes | bytearray) -> None:
    """os.write until everything is written; raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _name(path: Path) -> str:
    return f"journal/{path.name}"


def _sealed(path: Path, key: bytes) -> Iterator[tuple[int, int, bytes, bytes]]:
    """(offset after it, its number, salt, what is in it) of each sealed record; the last one of a journal that was
    closed is empty. Ends at the first that is not what was sealed."""
    if not path.is_file() or path.stat().st_size < len(SEALED) + SALT:
        return
    with path.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
        salt = bytes(data[len(SEALED) : len(SEALED) + SALT])
        if data[: len(SEALED)] != SEALED:
            return
        aead = cipher(key, salt, _name(path))
        for number, (offset, body) in enumerate(read(data, len(SEALED) + SALT)):
            last = len(body) == EXTRA
            try:
                yield offset, number, salt, unseal(aead, number, body, last)
            except SealBroken:
                return


def _ends(path: Path, key: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(size, records, salt) up to each record that is more than an end."""
    if path.is_file() and path.stat().st_size >= len(SEALED) + SALT:
        with path.open("rb") as opened:
            head = opened.read(len(SEALED) + SALT)
        if head.startswith(SEALED):
            yield len(head), 0, head[len(SEALED) :]
    for offset, number, salt, data in _sealed(path, key):
        if data:
            yield offset, number + 1, salt


def _unsealed(path: Path, key: bytes, whole: bool) -> Iterator[tuple[int, bytes]]:
    ended, rest = False, b""
    for offset, _, _, data in _sealed(path, key):
        ended, rest, done = not data, rest + data, 0
        for beyond, body in read(rest, 0):
            done = beyond
            yield offset, body
        rest = rest[done:]
    if whole and not ended:
        raise SealBroken(f"{path.name} has lost its end")


def _records(path: Path, whole: bool = False) -> Iterator[tuple[int, bytes]]:
    key = files.key_for(path)
    if key is not None:
        yield from _unsealed(path, key, whole)
        return
    if not path.is_file() or path.stat().st_size < len(MAGIC):
        return
    with path.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield from read(data)


def plain(path: Path) -> Iterator[bytes]:
    """The bytes of a closed journal as they are when it is not sealed. Raises SealBroken, OSError."""
    if files.key_for(path) is None:
        with path.open("rb") as opened:
            while data := opened.read(1 << 20):
                yield data
        return
    yield MAGIC
    for body in bodies(path, whole=True):
        yield record(body)


class Copy:
    """A new journal from the bytes of one that is not sealed; sealed where the recording is. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self._journal = JournalFile(path) if files.key_for(path) is not None else None
        self._file = None if self._journal is not None else path.open("xb")
        self._rest, self._begun = b"", False

    def write(self, data: bytes) -> None:
        """More of it. What is no record, and all after it, is left out of a sealed one, as reading would."""
        if self._journal is None:
            assert self._file
            self._file.write(data)
            return
        data = self._rest + data
        if not self._begun and len(data) >= len(MAGIC):
            self._begun, data = True, data[len(MAGIC) :] if data.startswith(MAGIC) else b""
        found = list(read(data, 0)) if self._begun else []
        if found:
            self._journal.append([body for _, body in found])
        self._rest = data[found[-1][0] if found else 0 :][: 2 * MAX_BODY]

    def close(self) -> None:
        """It is whole."""
        for one in (self._journal, self._file):
            if one is not None:
                one.close()


def valid_size(path: Path) -> int:
    """Bytes up to the end of the last whole record; 0 when not even the magic is whole."""
    if not path.is_file() or path.open("rb").read(len(MAGIC)) != MAGIC:
        return 0
    return max((offset for offset, _ in _records(path)), default=len(MAGIC))


def bodies(path: Path, whole: bool = False) -> Iterator[bytes]:
    """Bodies of the whole records of a file; none when it is missing or empty. With `whole` one that is sealed must
    have its end (SealBroken)."""
    return (body for _, body in _records(path, whole))


def packed(path: Path, whole: bool = False) -> Iterator[bytes]:
    """Bodies of a track's journal that can be packets: `pack` made them."""
    return (body for body in bodies(path, whole) if len(body) >= _PACKET.size)


def room_time(body: bytes) -> tuple[float, float]:
    """(room time, media time) of a packet's body."""
    room_ms, media_ms = _TIMES.unpack_from(body)
    return room_ms, media_ms


def packets(path: Path, track: str, whole: bool = False) -> Iterator[TapPacket]:
    """The packets of a track's journal."""
    return (unpack(track, body) for body in packed(path, whole))
