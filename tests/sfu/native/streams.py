"""Publishers' encoders: packets of every codec that tells layers."""

from __future__ import annotations

import random
from typing import ClassVar, NamedTuple

from sfu.dependency import DependencyReader
from tests.sfu.packets.recorded import recorded


class Piece(NamedTuple):
    """One packet; `dependency` is its dependency descriptor, empty without one."""

    sequence: int
    timestamp: int
    marker: bool
    payload: bytes
    dependency: bytes = b""


class Stream:
    """An encoder of VP8, VP9 or AV1. The planes read key frames from the payloads, and layers but those of AV1."""

    def __init__(self, codec: str, ssrc: int, sequence: int) -> None:
        self.codec, self.ssrc, self.sequence = codec, ssrc, sequence
        self.timestamp, self.picture, self.tl0 = sequence * 7919, sequence & 0x7FFF, sequence & 0xFF
        self.frames = sequence

    def frame(self, key: bool, packets: int, dice: random.Random) -> list[Piece]:
        """One picture."""
        self.timestamp += 3000
        self.picture = (self.picture + 1) & 0x7FFF
        temporal = 0 if key else self.picture % 2
        if temporal == 0:
            self.tl0 = (self.tl0 + 1) & 0xFF
        made = []
        layers = 1 if self.codec == "VP8" else 2
        for spatial in range(layers):
            for n in range(packets):
                self.sequence = (self.sequence + 1) & 0xFFFF
                first, last = n == 0, n == packets - 1
                self.frames += first
                dependency = b""
                if self.codec == "AV1":
                    dependency = depends(key, temporal, spatial, first, last, self.frames & 0xFFFF, dice)
                payload = self.describe(key, temporal, spatial, first, last) + dice.randbytes(dice.choice((1, 30, 700)))
                marker = last and spatial == layers - 1
                made.append(Piece(self.sequence, self.timestamp & 0xFFFFFFFF, marker, payload, dependency))
        return made

    def describe(self, key: bool, temporal: int, spatial: int, first: bool, last: bool) -> bytes:
        picture = (0x8000 | self.picture).to_bytes(2, "big")
        if self.codec == "AV1":
            return bytes((0x08 if key and first and spatial == 0 else 0x00, 0x01))
        if self.codec == "VP8":
            frame = bytes((0x00 if key else 0x01,))
            head = bytes((0x80 | (0x10 if first else 0), 0xE0)) + picture
            return head + bytes((self.tl0, temporal << 6 | (0x20 if temporal else 0))) + frame
        flags = 0x80 | 0x20 | (0 if key else 0x40) | (0x08 if first else 0) | (0x04 if last else 0)
        layer = temporal << 5 | (0x10 if temporal else 0) | spatial << 1 | (spatial > 0)
        return bytes((flags,)) + picture + bytes((layer, self.tl0))


def depends(key: bool, temporal: int, spatial: int, first: bool, last: bool, frame: int, dice: random.Random) -> bytes:
    """A dependency descriptor of two spatial and two temporal layers, of which some are broken."""
    layers = [(0, 0), (0, 1), (1, 0), (1, 1)]
    structured = key and first and spatial == 0
    active, custom = dice.random() < 0.2, key
    bits = f"{first:b}{last:b}{layers.index((spatial, temporal)):06b}{frame:016b}"
    if structured or active or custom:
        bits += f"{structured:b}{active:b}0{custom:b}0"
    if structured:
        bits += f"{0:06b}{3:05b}" + "01" + "10" + "01" + "11"
        bits += "".join("10" if s <= S and t <= T else "00" for s, t in layers for S, T in layers)
        for s, t in layers:
            bits += f"1{3 - 2 * t:04b}" + ("10000" if s else "") + "0"
        bits += "00" + "0"
    if active:
        bits += f"{dice.randrange(16):04b}"
    if custom:
        bits += ("010000" if spatial else "") + "00"
    made = int(bits + "0" * (-len(bits) % 8), 2).to_bytes(-(-len(bits) // 8), "big")
    return made if dice.random() < 0.97 else dice.randbytes(dice.choice((2, 3, 5, 40)))


class Described:
    """An encoder of AV1 or H.264 whose layers dependency descriptors tell, with a structure that Chromium sent."""

    KEY: ClassVar = {"AV1": (b"\x28\x16", b"\x08\x0a"), "H264": (b"\x78\x00\x03\x67\x42\xc0", b"\x67\x42\xc0\x1f")}
    DELTA: ClassVar = {"AV1": (b"\x10\x34", b"\x90\x2d"), "H264": (b"\x61\xe0", b"\x7c\x01")}

    def __init__(self, name: str, ssrc: int, sequence: int) -> None:
        line = recorded(name)[0]
        reader = DependencyReader()
        assert reader.read(line.dependency, 1, 1) is not None and reader.structure is not None
        self.codec = "AV1" if "av1" in name else "H264"
        self.structure, self.told = reader.structure, line.dependency[3:]
        self.ssrc, self.sequence, self.timestamp = ssrc, sequence, sequence * 7919
        self.picture = sequence  # the number of the frame
        self.pictures = 0
        templates = self.structure.templates
        self.layers = [max(t.spatial for t in templates) + 1, max(t.temporal for t in templates) + 1]

    def frame(self, key: bool, packets: int, dice: random.Random) -> list[Piece]:
        """One picture, with a structure where it is a key frame, and now and then one that nobody asked for."""
        self.timestamp += 3000
        self.pictures = 0 if key else self.pictures + 1
        pattern = {1: (0,), 2: (0, 1), 3: (0, 2, 1, 2)}[self.layers[1]]
        temporal = pattern[self.pictures % len(pattern)]
        made = []
        for spatial in range(self.layers[0]):
            self.picture = (self.picture + 1) & 0xFFFF
            fitting = [
                n
                for n, template in enumerate(self.structure.templates)
                if (template.spatial, template.temporal) == (spatial, temporal)
            ]
            template = fitting[0] if key else dice.choice(fitting)
            for n in range(packets):
                self.sequence = (self.sequence + 1) & 0xFFFF
                first, last = n == 0, n == packets - 1
                head = dice.choice((self.KEY if key and first and not spatial else self.DELTA)[self.codec])
                told = (key and first and not spatial) or dice.random() < 0.02
                dependency = self.describe(first, last, template, told, dice)
                body = head + dice.randbytes(dice.choice((1, 30, 700)))
                marker = last and spatial == self.layers[0] - 1
                made.append(Piece(self.sequence, self.timestamp & 0xFFFFFFFF, marker, body, dependency))
        return made

    def describe(self, first: bool, last: bool, template: int, told: bool, dice: random.Random) -> bytes:
        number = (template + self.structure.offset) & 0x3F
        dependency = bytes((first << 7 | last << 6 | number,)) + self.picture.to_bytes(2, "big")
        fate = dice.random()
        if told:
            dependency += self.told
        elif fate < 0.1:  # what the frame says for itself: active targets, indications, differences, chains
            dependency += bytes((dice.randrange(0x80),)) + dice.randbytes(dice.randint(0, 9))
        if fate > 0.97:
            dependency = dependency[: dice.randint(0, len(dependency))]
        elif fate > 0.94:
            at = dice.randrange(len(dependency))
            dependency = dependency[:at] + dice.randbytes(1) + dependency[at + 1 :]
        return dependency
