"""Inputs that are several packets; `fuzz/native/fuzz_targets/pieces.rs` cuts them in the same way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def pieces(data: bytes) -> Iterator[tuple[int, bytes]]:
    """A control byte, a length and so many bytes, again and again; the last piece may be shorter than it says."""
    at = 0
    while at + 2 <= len(data):
        end = at + 2 + data[at + 1]
        yield data[at], data[at + 2 : end]
        at = end


def joined(parts: Iterable[tuple[int, bytes]]) -> bytes:
    """The opposite; pieces are cut at 255 bytes."""
    return b"".join(bytes((control, len(part[:255]))) + part[:255] for control, part in parts)
