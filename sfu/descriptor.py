"""What a payload descriptor tells about one packet's place among the layers of its stream, whatever the codec."""

from __future__ import annotations

from typing import NamedTuple


class Descriptor(NamedTuple):
    """`spatial` and `temporal` layer of the frame. A *picture* is all that shares a timestamp, a *frame* one spatial
    layer of it.

    `end`: last packet of its frame. `fresh`: the frame depends on nothing before its picture, so that a spatial layer
    may be taken up here. `raises`: from this picture on, temporal layers up to this one depend on nothing that was not
    in the frame's own and lower ones, so that they may be taken up (-1: none). `sync`: this frame, the first of its
    temporal layer, may itself be taken up by who had only lower ones.

    `picture` and `tl0` are the VP8 and VP9 picture id and TL0PICIDX (-1: none), with the place of their bytes in the
    payload; `picture_bits` 7 or 15.
    """

    spatial: int = 0
    temporal: int = 0
    end: bool = False
    fresh: bool = False
    raises: int = -1
    sync: bool = False
    picture: int = -1
    picture_at: int = 0
    picture_bits: int = 15
    tl0: int = -1
    tl0_at: int = 0


ALL = 7
"""Higher than any layer: three bits hold the spatial and temporal ids of every codec."""


def rewrite(payload: bytes, descriptor: Descriptor, pictures: int, tl0: int) -> bytes:
    """The payload with `pictures` and `tl0` subtracted from its picture id and TL0PICIDX."""
    if descriptor.picture < 0 and descriptor.tl0 < 0:
        return payload
    data = bytearray(payload)
    if descriptor.picture >= 0:
        at = descriptor.picture_at
        if descriptor.picture_bits == 15:
            number = (descriptor.picture - pictures) & 0x7FFF
            data[at], data[at + 1] = 0x80 | number >> 8, number & 0xFF
        else:
            data[at] = (descriptor.picture - pictures) & 0x7F
    if descriptor.tl0 >= 0:
        data[descriptor.tl0_at] = (descriptor.tl0 - tl0) & 0xFF
    return bytes(data)
