"""The VP9 payload descriptor (RFC 9628, section 4.2), as far as it concerns layers."""

from __future__ import annotations

from sfu.descriptor import ALL, Descriptor


def describe(payload: bytes) -> Descriptor | None:
    """None for a truncated one."""
    size = len(payload)
    if size < 2:
        return None
    first = payload[0]
    picture = tl0 = -1
    picture_at = tl0_at = spatial = temporal = 0
    bits, up = 15, False
    position = 1
    if first & 0x80:
        picture_at = position
        if payload[position] & 0x80:
            if size < position + 2:
                return None
            picture = (payload[position] & 0x7F) << 8 | payload[position + 1]
            position += 2
        else:
            picture, bits = payload[position], 7
            position += 1
    if first & 0x20:
        if size <= position:
            return None
        layers = payload[position]
        temporal, up, spatial = layers >> 5, bool(layers & 0x10), layers >> 1 & 7
        position += 1
        if not first & 0x10:
            if size <= position:
                return None
            tl0, tl0_at = payload[position], position
            position += 1
    if size <= position:
        return None
    fresh = not first & 0x40
    raises = ALL if up or (fresh and spatial == 0) else -1
    end = bool(first & 0x04)
    # By position: once per packet, names would double the cost.
    return Descriptor(spatial, temporal, end, fresh, raises, False, picture, picture_at, bits, tl0, tl0_at)
