"""A file as sealed blocks that can be read from anywhere (AES-256-GCM, after STREAM; Hoang et al. 2015).

A head of 24 bytes (`MAGIC`, 16 bytes of salt), then blocks of `SIZE` bytes of plaintext, the last one shorter: 12
bytes of nonce, the ciphertext, 16 bytes of tag. A block's additional data are its number and whether it is the last,
so that blocks cannot change places and a file that lost its end has no last one. The key of each file comes from the
recording's key, the salt and the file's name (HKDF-SHA256, RFC 5869), so that no block fits another file.

Nonces are 96 random bits: a block is sealed anew when it grows or a byte in it changes, and after a crash nobody knows
how often, so a counter could be used twice. One key seals at most a few million blocks; NIST SP 800-38D allows 2**32.

What it does not tell: a whole file put back as it was earlier, with its key. Whoever can do that can replace the disk.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC = b"CNSSEAL1"
SALT = 16
HEAD = len(MAGIC) + SALT
SIZE = 64 * 1024
EXTRA = 12 + 16
STRIDE = SIZE + EXTRA


class SealBroken(OSError):
    """The bytes are not what was sealed: changed, cut short, of another file or under another key."""


def plain_size(sealed: int) -> int:
    """The length of what is in a sealed file of so many bytes."""
    body = max(0, sealed - HEAD)
    return max(0, body - -(-body // STRIDE) * EXTRA)


def cipher(key: bytes, salt: bytes, name: str) -> AESGCM:
    """That of one file."""
    return AESGCM(HKDF(SHA256(), 32, salt, b"consilium file\0" + name.encode()).derive(key))


def seal(aead: AESGCM, number: int, data: bytes | bytearray, last: bool) -> bytes:
    """One block."""
    nonce = os.urandom(12)
    return nonce + aead.encrypt(nonce, bytes(data), struct.pack("<QB", number, last))


def unseal(aead: AESGCM, number: int, sealed: bytes, last: bool) -> bytes:
    """What is in a block. Raises SealBroken."""
    try:
        return aead.decrypt(sealed[:12], sealed[12:], struct.pack("<QB", number, last))
    except (InvalidTag, ValueError):
        raise SealBroken(f"block {number} is not what was sealed") from None


class Reader:
    """Reads a sealed file through `read(start, end)`, from wherever its `size` bytes are.

    With `torn` it is one that is being written, or was when the process died: its last block may be missing or broken.
    """

    def __init__(self, read: Callable[[int, int], bytes], size: int, key: bytes, name: str, torn: bool = False) -> None:
        """Raises SealBroken, OSError."""
        head = read(0, min(HEAD, size))
        if head[: len(MAGIC)] != MAGIC or len(head) < HEAD:
            raise SealBroken("not a sealed file")
        self._aead = cipher(key, head[len(MAGIC) :], name)
        self._read, self._torn = read, torn
        self._blocks = -(-(size - HEAD) // STRIDE)
        self._end = size
        self.size = plain_size(size)
        self._kept: tuple[int, bytes] | None = None
        if torn:
            self._shorten()
        else:
            self._last()

    def _last(self) -> None:
        """The last block must say so: nothing was cut off."""
        if not self._blocks:
            raise SealBroken("the file has no end")
        number = self._blocks - 1
        self._kept = number, unseal(self._aead, number, self._sealed(number, number + 1), True)

    def _shorten(self) -> None:
        while self._blocks:
            number = self._blocks - 1
            try:
                self._kept = number, self._either(number, self._sealed(number, number + 1))
                return
            except SealBroken:
                self._blocks -= 1
                self._end = HEAD + self._blocks * STRIDE
                self.size = plain_size(self._end)

    def _sealed(self, first: int, beyond: int) -> bytes:
        return self._read(HEAD + first * STRIDE, min(self._end, HEAD + beyond * STRIDE))

    def _either(self, number: int, sealed: bytes) -> bytes:
        last = number == self._blocks - 1
        try:
            return unseal(self._aead, number, sealed, last)
        except SealBroken:
            if not self._torn:
                raise
            return unseal(self._aead, number, sealed, not last)

    def read(self, start: int, end: int) -> bytes:
        """Bytes [start, end), fewer at the end. Raises SealBroken, OSError."""
        end = min(end, self.size)
        if start >= end:
            return b""
        first, beyond = start // SIZE, -(-end // SIZE)
        if self._kept is not None and beyond == first + 1 and self._kept[0] == first:
            data = self._kept[1]
        else:
            sealed = self._sealed(first, beyond)
            data = b"".join(
                self._either(number, sealed[(number - first) * STRIDE : (number - first + 1) * STRIDE])
                for number in range(first, beyond)
            )
            self._kept = beyond - 1, data[(beyond - 1 - first) * SIZE :]
        return data[start - first * SIZE : end - first * SIZE]


class ReaderFile(io.RawIOBase):
    """A `Reader` as a file object, read only."""

    def __init__(self, reader: Reader, close: Callable[[], None]) -> None:
        self._reader, self._close, self._at = reader, close, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = max(0, offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._reader.size}[whence])
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        data = self._reader.read(self._at, self._at + len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._close()
        super().close()


class SealedFile(io.RawIOBase):
    """A sealed file that is written: it grows, and any byte of it may change. One block is in memory at a time.

    What was written is in the file after `sync`; only `close` seals the last block as the last.
    """

    def __init__(self, file: int, key: bytes, name: str, new: bool) -> None:
        """`file`: an open descriptor for reading and writing, ours from now on. With `new` it becomes empty; else what
        is there may be torn. Raises SealBroken, OSError."""
        self._file = file
        self._number, self._block, self._dirty = 0, bytearray(), True
        self._at = self._size = 0
        self._ended = False
        """Whether the last block in the file says that it is the last."""
        if new:
            os.ftruncate(file, 0)
            head = MAGIC + os.urandom(SALT)
            os.pwrite(file, head, 0)
            self._aead = cipher(key, head[len(MAGIC) :], name)
            return
        size = os.fstat(file).st_size
        read: Callable[[int, int], bytes] = lambda start, end: os.pread(file, end - start, start)  # noqa: E731
        try:
            reader = Reader(read, size, key, name)
            self._ended, self._dirty = True, False
        except SealBroken:
            reader = Reader(read, size, key, name, torn=True)
        self._aead = cipher(key, os.pread(file, SALT, len(MAGIC)), name)
        self._size = reader.size
        self._number = max(0, -(-self._size // SIZE) - 1)
        self._block = bytearray(reader.read(self._number * SIZE, self._size))

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = max(0, offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence])
        return self._at

    def tell(self) -> int:
        return self._at

    def _turn(self, number: int) -> None:
        """Has this block in memory."""
        if number == self._number:
            return
        self._put(False)
        if number * SIZE >= self._size:
            self._block = bytearray()
        else:
            sealed = os.pread(self._file, STRIDE, HEAD + number * STRIDE)
            self._block = bytearray(unseal(self._aead, number, sealed, self._ended and number == self._final))
        self._number, self._dirty = number, False

    @property
    def _final(self) -> int:
        return max(0, -(-self._size // SIZE) - 1)

    def _open_end(self) -> None:
        """The last block will not be the last any more, or not as it is."""
        if self._ended:
            self._turn(self._final)
            self._ended, self._dirty = False, True

    def _put(self, last: bool) -> None:
        last = last or (self._ended and self._number == self._final)
        if self._dirty or (last and not self._ended):
            data = memoryview(seal(self._aead, self._number, self._block, last))
            at = HEAD + self._number * STRIDE
            while data:
                written = os.pwrite(self._file, data, at)
                data, at = data[written:], at + written
            self._dirty = False

    def readinto(self, buffer: Any) -> int:
        self._turn(self._at // SIZE)
        data = self._block[self._at % SIZE :][: len(buffer)]
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        if self._at > self._size:
            raise OSError("a sealed file has no holes")
        if self._at + len(view) > self._size:
            self._open_end()
        done = 0
        while done < len(view):
            self._turn(self._at // SIZE)
            start = self._at % SIZE
            piece = view[done : done + SIZE - start]
            self._block[start : start + len(piece)] = piece
            self._dirty = True
            self._at += len(piece)
            self._size = max(self._size, self._at)
            done += len(piece)
        return done

    def append(self, data: bytes | bytearray) -> None:
        """At the end; all or nothing. Raises OSError."""
        before = self._size
        self.seek(before)
        try:
            self.write(data)
        except OSError:
            self.truncate(before)
            raise

    def truncate(self, size: int | None = None) -> int:
        size = self._size if size is None else size
        self._open_end()
        number = max(0, -(-size // SIZE) - 1)
        if number != self._number:
            self._dirty = False
            self._turn(number)
        del self._block[size - number * SIZE :]
        self._size, self._dirty = size, True
        os.ftruncate(self._file, HEAD + number * STRIDE)
        return size

    def sync(self) -> None:
        """Everything is on disk when this returns."""
        self._put(False)
        os.fdatasync(self._file)

    def close(self) -> None:
        """The file is whole, and on disk, when this returns."""
        if self.closed:
            return
        try:
            self._turn(self._final)
            self._put(True)
            os.fsync(self._file)
        finally:
            super().close()
            os.close(self._file)
