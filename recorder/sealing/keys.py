"""A key for each recording, wrapped by the server's: `key` in the recording's folder. Without it there is only noise.

The file: `MAGIC`, 8 bytes that tell which server key, a nonce, and the recording's key sealed by AES-256-GCM with the
recording's id as additional data, so that a key opens no other recording. Where a folder has a key, every file that
is read from it must be sealed.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import sys
import threading
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from recorder.sealing.blocks import SealBroken

KEY = "key"
MAGIC = b"CNSKEY1\0"
_lock = threading.Lock()
_rings: dict[Path, tuple[bytes, ...]] = {}
_known: dict[Path, bytes] = {}
_sealing: set[Path] = set()


class KeyMissing(SealBroken):
    """The recording is sealed under a server key that we do not have."""


def read_ring(text: str) -> tuple[bytes, ...]:
    """Server keys from text, one a line: 32 bytes in base64 each. The first wraps, all unwrap. Raises ValueError."""
    try:
        ring = tuple(base64.b64decode(line, validate=True) for line in text.split())
    except binascii.Error:
        raise ValueError("not base64") from None
    if not ring or any(len(key) != 32 for key in ring):
        raise ValueError("a key is 32 bytes in base64 (openssl rand -base64 32)")
    return ring


def use(root: Path, ring: tuple[bytes, ...], new: bool = True) -> None:
    """The server's keys for the recordings under `root`; with `new` and any, new ones are sealed."""
    with _lock:
        _rings[root] = ring
        (_sealing.add if new and ring else _sealing.discard)(root)
        for path in [one for one in _known if one.parent == root]:
            del _known[path]


def create(path: Path, recording: str) -> None:
    """Gives a new recording a key, where they are to be sealed. Raises OSError."""
    if path.parent not in _sealing:
        return
    ring = _rings[path.parent]
    key, nonce = os.urandom(32), os.urandom(12)
    wrapped = AESGCM(ring[0]).encrypt(nonce, key, recording.encode())
    file = os.open(path / KEY, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, MAGIC + _which(ring[0]) + nonce + wrapped)
        os.fsync(file)
    finally:
        os.close(file)
    with _lock:
        _known[path] = key


def _which(key: bytes) -> bytes:
    return hashlib.sha256(b"consilium server key\0" + key).digest()[:8]


def key_of(path: Path) -> bytes | None:
    """The key of the recording in this folder; None where it is not sealed. Raises KeyMissing, SealBroken, OSError."""
    with _lock:
        known = _known.get(path)
    if known is not None:
        return known
    try:
        data = (path / KEY).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    which, nonce, wrapped = data[8:16], data[16:28], data[28:]
    key = next((one for one in _rings.get(path.parent, ()) if _which(one) == which), None)
    if not data.startswith(MAGIC) or key is None:
        raise KeyMissing("this recording is encrypted with a key that this server does not have")
    try:
        opened = AESGCM(key).decrypt(nonce, wrapped, path.name.encode())
    except (InvalidTag, ValueError):
        raise SealBroken("the recording's key is not its own") from None
    with _lock:
        _known[path] = opened
    return opened


def shred(path: Path) -> None:
    """The recording cannot be read any more, whatever is left of it. Raises OSError."""
    with _lock:
        _known.pop(path, None)
    with contextlib.suppress(FileNotFoundError), (path / KEY).open("r+b") as opened:
        opened.write(os.urandom(os.fstat(opened.fileno()).st_size))
        opened.flush()
        os.fsync(opened.fileno())
    (path / KEY).unlink(missing_ok=True)


def hand_over(path: Path) -> bytes:
    """What a process of its own is told on its standard input, to read this recording and no other."""
    key = key_of(path)
    return base64.b64encode(key) if key else b""


def take_over(path: Path) -> None:
    """In such a process."""
    told = sys.stdin.buffer.read(100)
    if told:
        with _lock:
            _known[path] = base64.b64decode(told)
