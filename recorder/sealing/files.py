"""How a recording's files are opened: as they are, or sealed where the folder has a key. Nowhere else is decided."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Protocol, cast

from recorder.sealing import keys
from recorder.sealing.blocks import Reader, ReaderFile, SealedFile, plain_size


def _home(path: Path) -> tuple[Path, str]:
    """The recording's folder, and the file's name in it."""
    if path.parent.name == "journal":
        return path.parent.parent, f"journal/{path.name}"
    return path.parent, path.name


def key_for(path: Path) -> bytes | None:
    """The key that a file of a recording is sealed with. Raises SealBroken, OSError."""
    return keys.key_of(_home(path)[0])


class Growing(Protocol):
    """A file that grows. Raises OSError."""

    def append(self, data: bytes | bytearray) -> None: ...

    def sync(self) -> None: ...

    def close(self) -> None: ...


class _Plain:
    def __init__(self, file: int, size: int) -> None:
        self._file, self._size = file, size
        os.ftruncate(file, size)

    def append(self, data: bytes | bytearray) -> None:
        view = memoryview(data)
        at = self._size
        try:
            while view:
                written = os.pwrite(self._file, view, at)
                view, at = view[written:], at + written
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._size = at

    def sync(self) -> None:
        os.fdatasync(self._file)

    def close(self) -> None:
        try:
            os.fsync(self._file)
        finally:
            os.close(self._file)


def grow(path: Path, keep: int = 0) -> Growing:
    """A file to write on after its first `keep` bytes; 0: a new one. Raises OSError."""
    key = key_for(path)
    flags = os.O_RDWR | os.O_CLOEXEC | (0 if keep else os.O_CREAT)
    file = os.open(path, flags, 0o600)
    if key is None:
        return _Plain(file, keep)
    sealed = SealedFile(file, key, _home(path)[1], new=not keep)
    if keep:
        sealed.truncate(keep)
    return sealed


def opened(path: Path, torn: bool = False) -> IO[bytes]:
    """A file to read from anywhere. `torn`: it is still written, or was when the process died. Raises OSError."""
    key = key_for(path)
    if key is None:
        return path.open("rb")
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(file).st_size
        reader = Reader(lambda start, end: os.pread(file, end - start, start), size, key, _home(path)[1], torn)
    except BaseException:
        os.close(file)
        raise
    return cast(IO[bytes], io.BufferedReader(ReaderFile(reader, lambda: os.close(file)), 1 << 16))


def changed(path: Path, new: bool = False) -> IO[bytes]:
    """A file to write anywhere in; with `new` one that is not there yet. Raises OSError."""
    key = key_for(path)
    if key is None:
        return path.open("xb" if new else "r+b")
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT | os.O_EXCL if new else 0), 0o600)
    return cast(IO[bytes], SealedFile(file, key, _home(path)[1], new))


def read_range(path: Path, start: int, end: int, torn: bool = False) -> bytes:
    """Bytes [start, end). Raises OSError."""
    with opened(path, torn) as file:
        file.seek(start)
        return file.read(end - start)


def read_bytes(path: Path) -> bytes:
    """All of it. Raises OSError."""
    with opened(path) as file:
        return file.read()


def size_of(path: Path) -> int:
    """How long what is in it is. Raises OSError."""
    size = path.stat().st_size
    return size if key_for(path) is None else plain_size(size)


def write_bytes(path: Path, data: bytes) -> None:
    """Readers see the old file or the new one, never half of one; on disk when this returns. Raises OSError."""
    temporary = path.with_name(path.name + ".new")
    key = key_for(path)
    file = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    target = _Plain(file, 0) if key is None else SealedFile(file, key, _home(path)[1], new=True)
    try:
        target.append(data)
    finally:
        target.close()
    temporary.replace(path)


def made(path: Path, key: bytes | None, name: str) -> IO[bytes]:
    """A file outside a recording's folder that is made of it (an export): sealed with its `key`, as `name`."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    return os.fdopen(file, "r+b") if key is None else cast(IO[bytes], SealedFile(file, key, name, new=True))


def reader(read: Callable[[int, int], bytes], size: int, key: bytes, name: str) -> Reader:
    """A sealed file that lies elsewhere: `read(start, end)` gives its sealed bytes. Raises SealBroken, OSError."""
    return Reader(read, size, key, name)


def patch(path: Path, changes: Iterable[tuple[int, bytes]]) -> None:
    """Other bytes at these offsets. A sealed file is on disk when this returns. Raises OSError."""
    with changed(path) as file:
        for offset, data in changes:
            file.seek(offset)
            file.write(data)
