"""RFC 4571 framing: datagrams over a byte stream, each after its length in two bytes (ICE-TCP, RFC 6544)."""

from __future__ import annotations

MAX_DATAGRAM = 1500


class FramingError(ValueError):
    """The peer announced a frame longer than any datagram we take; the stream cannot be trusted any more."""


def frame(datagram: bytes) -> bytes:
    """One framed datagram. Raises `FramingError` when it is longer than `MAX_DATAGRAM`."""
    if len(datagram) > MAX_DATAGRAM:
        raise FramingError(f"datagram of {len(datagram)} bytes")
    return len(datagram).to_bytes(2, "big") + datagram


class Deframer:
    """Cuts a stream into datagrams. Holds at most one unfinished frame."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = b""

    @property
    def rest(self) -> bytes:
        """The unfinished frame."""
        return self._buffer

    def feed(self, data: bytes) -> list[bytes]:
        """The datagrams completed by `data`, empty ones left out. Raises `FramingError` for an overlong frame."""
        buffer = self._buffer + data
        datagrams: list[bytes] = []
        offset = 0
        while len(buffer) - offset >= 2:
            size = int.from_bytes(buffer[offset : offset + 2], "big")
            if size > MAX_DATAGRAM:
                raise FramingError(f"frame of {size} bytes")
            end = offset + 2 + size
            if end > len(buffer):
                break
            if size:
                datagrams.append(buffer[offset + 2 : end])
            offset = end
        self._buffer = buffer[offset:]
        return datagrams
