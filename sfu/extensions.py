"""RTP header extensions (RFC 8285): reading both forms, writing the ones that a subscriber negotiated."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

from sfu.plane import ExtensionIds
from sfu.rtp import MalformedPacket

ONE_BYTE = 0xBEDE
TWO_BYTE = 0x1000
"""Profile of the two-byte form; its low four bits are for the application."""

NO_LEVEL = -1

_HEAD = Struct("!HH")


def parse_extensions(profile: int, data: bytes) -> dict[int, bytes]:
    """Values by id; the first of a repeated id wins. Unknown profiles have none. Raises `MalformedPacket`."""
    found: dict[int, bytes] = {}
    position, size = 0, len(data)
    if profile == ONE_BYTE:
        while position < size:
            head = data[position]
            position += 1
            identifier = head >> 4
            if identifier == 0:
                continue  # a padding byte
            if identifier == 15:
                break  # reserved: stop here (section 4.2)
            end = position + (head & 0x0F) + 1
            if end > size:
                raise MalformedPacket("truncated header extension")
            found.setdefault(identifier, data[position:end])
            position = end
    elif profile & 0xFFF0 == TWO_BYTE:
        while position < size:
            identifier = data[position]
            position += 1
            if identifier == 0:
                continue
            if position >= size:
                raise MalformedPacket("truncated header extension")
            end = position + 1 + data[position]
            if end > size:
                raise MalformedPacket("truncated header extension")
            found.setdefault(identifier, data[position + 1 : end])
            position = end
    return found


def build_extensions(values: Sequence[tuple[int, bytes]], long: bool = False) -> tuple[int, bytes]:
    """Profile and padded block for `(id, value)` pairs; the shorter form where it can hold them, unless `long`.

    Raises ValueError for an id outside 1 to 255 or a value over 255 bytes.
    """
    if any(not 1 <= identifier <= 255 or len(value) > 255 for identifier, value in values):
        raise ValueError("header extension ids are 1 to 255, values at most 255 bytes")
    short = not long and all(identifier <= 14 and 1 <= len(value) <= 16 for identifier, value in values)
    block = bytearray()
    for identifier, value in values:
        if short:
            block.append(identifier << 4 | len(value) - 1)
        else:
            block += bytes((identifier, len(value)))
        block += value
    block += bytes(-len(block) % 4)
    return ONE_BYTE if short else TWO_BYTE, bytes(block)


def abs_send_time(now: float) -> bytes:
    """Seconds as 24 bits of 6.18 fixed point: http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time."""
    return (int(now * 262144) & 0xFFFFFF).to_bytes(3, "big")


class HeaderExtensions:
    """The extension block of one outgoing stream: its mid in every packet; audio level, send time and transport
    sequence number where negotiated.

    Blocks are made once for each audio level. `plain` holds those made so far, for a single look-up per packet;
    it is None where every packet differs by its send time or number.
    """

    def __init__(self, ids: ExtensionIds, mid: str, rid: str = "", *, repaired: bool = False) -> None:
        """`rid` names an encoding (RFC 8852); of the retransmission stream where `repaired`."""
        self._level = ids.audio_level
        self._described = ids.dependency_descriptor
        self._timed = ids.abs_send_time
        self._counted = ids.transport_cc
        self._mid = [(ids.mid, mid.encode())] if ids.mid is not None and mid else []
        rid_id = ids.repaired_rid if repaired else ids.rid
        if rid_id is not None and rid:
            self._mid.append((rid_id, rid.encode()))
        self._parts: dict[int, tuple[bytes, bytes, bytes]] = {}
        alike = self._timed is None and self._counted is None and self._described is None
        self.plain: dict[int, bytes] | None = {} if alike else None
        self.number_at = 0
        """Where in a packet without CSRCs the two bytes of the transport sequence number are; 0: nowhere."""
        if self._counted is not None:
            before, middle, _ = self._split(NO_LEVEL)
            self.number_at = 12 + len(before) + (3 if self._timed is not None else 0) + len(middle)

    def _split(self, level: int) -> tuple[bytes, bytes, bytes]:
        """What stands before the send time, between it and the transport sequence number, and after them."""
        values = [(self._timed, b"\0\0\0")] if self._timed is not None else []
        if self._counted is not None:
            values.append((self._counted, b"\0\0"))
        values += self._mid
        if self._level is not None and level != NO_LEVEL:
            values.append((self._level, bytes((level,))))
        if not values:
            return b"", b"", b""
        # Descriptors outgrow the short form; a stream keeps to one, so that all else is found at the same place.
        profile, block = build_extensions(values, self._described is not None)
        whole = _HEAD.pack(profile, len(block) // 4) + block
        head = 1 if profile == ONE_BYTE else 2
        timed = 4 + head if self._timed is not None else 0
        counted = (timed + 3 if timed else 4) + head if self._counted is not None else 0
        if timed and counted:
            return whole[:timed], whole[timed + 3 : counted], whole[counted + 2 :]
        if timed:
            return whole[:timed], b"", whole[timed + 3 :]
        return (whole[:counted], b"", whole[counted + 2 :]) if counted else (whole, b"", b"")

    def describe(self, block: bytes, dependency: bytes) -> bytes:
        """A rendered block with a dependency descriptor added."""
        if not 0 < len(dependency) < 256 or self._described is None:
            return block
        data = block[4:] + bytes((self._described, len(dependency))) + dependency
        data += bytes(-len(data) % 4)
        return _HEAD.pack(TWO_BYTE, len(data) // 4) + data

    def render(self, level: int, sent: bytes, number: int = 0) -> bytes:
        """The block for an RFC 6464 byte (or `NO_LEVEL`), `abs_send_time` and a transport sequence number; empty where
        nothing was negotiated."""
        parts = self._parts.get(level)
        if parts is None:
            parts = self._parts[level] = self._split(level)
            if self.plain is not None:
                self.plain[level] = parts[0]
        if self.plain is not None:
            return parts[0]
        before, middle, after = parts
        if self._timed is not None:
            before += sent
        if self._counted is not None:
            before += middle + (number & 0xFFFF).to_bytes(2, "big")
        return before + after
