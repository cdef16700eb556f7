"""Redundant audio (RFC 2198), as browsers send it under ``red/48000/2``: each packet brings the Opus of one or more
packets before it once more. Pure.

A block tells how much older it is, not whose packet it was; browsers repeat the packets just before, without a gap.
"""

from __future__ import annotations

from sfu.rtp import MalformedPacket

MAX_REDUNDANT = 8
HEADER = 4
"""Bytes that a redundant block costs beside its data; the block that is not redundant costs one."""

Block = tuple[int, bytes]
"""By how many clock units it is older than the packet, and its data."""


def split(payload: bytes, payload_type: int) -> tuple[list[Block], bytes]:
    """The redundant blocks, the oldest first, and the packet's own data, all of which must be of `payload_type`.

    Raises `MalformedPacket`. An empty payload (padding alone) has neither.
    """
    if not payload:
        return [], b""
    headers: list[tuple[int, int]] = []
    position, size = 0, len(payload)
    while True:
        if position >= size or payload[position] & 0x7F != payload_type:
            raise MalformedPacket("redundant audio that is truncated or of another codec")
        if not payload[position] & 0x80:
            position += 1
            break
        if position + HEADER > size or len(headers) == MAX_REDUNDANT:
            raise MalformedPacket("redundant audio with a truncated header or too many blocks")
        packed = int.from_bytes(payload[position + 1 : position + HEADER], "big")
        headers.append((packed >> 10, packed & 0x3FF))
        position += HEADER
    blocks: list[Block] = []
    for offset, length in headers:
        if position + length > size:
            raise MalformedPacket("redundant audio shorter than its blocks")
        blocks.append((offset, payload[position : position + length]))
        position += length
    return blocks, payload[position:]


def retype(payload: bytes, redundant: int, payload_type: int) -> bytes:
    """The same with another payload type in the headers of its `redundant` blocks and of the last one."""
    changed = bytearray(payload)
    for place in range(redundant + 1):
        changed[HEADER * place] = changed[HEADER * place] & 0x80 | payload_type
    return bytes(changed)
