"""The VP8 payload descriptor (RFC 7741, section 4.2)."""

from __future__ import annotations

from sfu.descriptor import ALL, Descriptor

_BARE, _KEY = Descriptor(), Descriptor(fresh=True, raises=ALL)


def describe(payload: bytes) -> Descriptor | None:
    """None for a truncated one."""
    size = len(payload)
    if size < 2:
        return None
    picture = tl0 = -1
    picture_at = tl0_at = temporal = 0
    bits, sync = 15, False
    position = 1
    if payload[0] & 0x80:
        flags = payload[1]
        position = 2
        if flags & 0x80:
            if size < position + 2:
                return None
            picture_at = position
            if payload[position] & 0x80:
                picture = (payload[position] & 0x7F) << 8 | payload[position + 1]
                position += 2
            else:
                picture, bits = payload[position], 7
                position += 1
        if flags & 0x40:
            if size <= position:
                return None
            tl0, tl0_at = payload[position], position
            position += 1
        if flags & 0x30:
            if size <= position:
                return None
            if flags & 0x20:
                temporal, sync = payload[position] >> 6, bool(payload[position] & 0x20)
            position += 1
    if size <= position:
        return None
    # The frame tag's first bit, in the first packet of a frame: after a key frame nothing depends on what was before.
    key = payload[0] & 0x17 == 0x10 and payload[position] & 0x01 == 0
    if not payload[0] & 0x80:
        return _KEY if key else _BARE
    # By position: once per packet, names would double the cost.
    return Descriptor(0, temporal, False, key, ALL if key else -1, sync, picture, picture_at, bits, tl0, tl0_at)
