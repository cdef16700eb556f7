"""The dependency descriptor header extension (AV1 RTP specification 1.0, appendix A), for AV1 and H.264.

The template structure comes with key frames and is kept; the other packets refer to one of its templates. Towards
viewers a descriptor is passed on with two changes: the frame's number, so that numbers go on from one source to the
next, and which decode targets there still are where layers are left out. Gaps in frame numbers stay, as frames refer
to each other by their distance.
"""

from __future__ import annotations

from dataclasses import dataclass

from sfu.descriptor import Descriptor

MAX_TEMPLATES = 64
SWITCH = 2
"""Decode target indications: 0 not present, 1 discardable, 2 switch, 3 required."""


class _Malformed(Exception):
    pass


class _Bits:
    """Reads bits, the most significant first."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise _Malformed
        return self._value >> self._left & ((1 << count) - 1)

    @property
    def left(self) -> int:
        """How many there still are."""
        return self._left

    def below(self, limit: int) -> int:
        """``ns(n)``: a number below `limit` in as few bits as it takes."""
        width = limit.bit_length()
        short = (1 << width) - limit
        value = self.take(width - 1)
        return value if value < short else (value << 1) - short + self.take(1)


@dataclass(frozen=True, slots=True)
class _Template:
    spatial: int
    temporal: int
    indications: tuple[int, ...]
    differences: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Structure:
    """Templates, and the highest (spatial, temporal) layer of each decode target. `sizes` are width and height of each
    spatial layer where the stream tells them."""

    offset: int
    templates: tuple[_Template, ...]
    targets: tuple[tuple[int, int], ...]
    chains: int
    sizes: tuple[tuple[int, int], ...]


@dataclass(slots=True)
class Dependency:
    """One descriptor as it came: the `number` of its frame, the layers of the decode `targets`, the mask of those that
    are active (None: not told), and the bit `after` which the mask ends or would stand."""

    data: bytes
    number: int
    targets: tuple[tuple[int, int], ...]
    masked: int | None
    after: int

    def rewrite(self, moved: int, limits: tuple[int, int] | None) -> bytes:
        """The descriptor with `moved` subtracted from its frame number and, with `limits` (the highest spatial and
        temporal layer that is forwarded), without the decode targets above them."""
        data = self.data[:1] + ((self.number - moved) & 0xFFFF).to_bytes(2, "big") + self.data[3:]
        if limits is None:
            return data
        mask = 0
        for place, (spatial, temporal) in enumerate(self.targets):
            if spatial <= limits[0] and temporal <= limits[1]:
                mask |= 1 << place
        if self.masked is not None:
            mask &= self.masked
        if not mask:
            return data
        if len(data) == 3:
            data += b"\0"
        whole, count = int.from_bytes(data, "big"), len(self.targets)
        rest = 8 * len(data) - self.after
        head, tail = whole >> rest, whole & ((1 << rest) - 1)
        if self.masked is not None:
            head >>= count
        size = (self.after if self.masked is not None else self.after + count) + rest
        made = ((head << count | mask) << rest | tail) << -size % 8
        size += -size % 8
        return (made | 1 << size - 26).to_bytes(size // 8, "big")


class DependencyReader:
    """Reads the descriptors of one stream. Never raises, whatever the bytes are."""

    def __init__(self) -> None:
        self.structure: Structure | None = None
        self.whole: Dependency | None = None
        """The last that could be read, for passing on."""
        self._since = -1
        self._time = -1
        self._first = 0

    def read(self, data: bytes, sequence: int, timestamp: int) -> Descriptor | None:
        """Descriptor of a packet by its unwrapped sequence and timestamp; None without a structure that fits."""
        self.whole = None
        try:
            return self._read(_Bits(data), data, sequence, timestamp)
        except _Malformed:
            return None

    def _read(self, bits: _Bits, data: bytes, sequence: int, timestamp: int) -> Descriptor | None:
        size = len(data)
        bits.take(1)
        end = bool(bits.take(1))
        identifier, number = bits.take(6), bits.take(16)
        structure = self.structure
        custom_indications = custom_differences = False
        masked: int | None = None
        if size > 3:
            fresh_structure, active = bits.take(1), bits.take(1)
            custom_indications, custom_differences = bool(bits.take(1)), bool(bits.take(1))
            bits.take(1)  # custom chains stand at the end
            if fresh_structure:
                structure = _structure(bits)
                if sequence > self._since:  # a late one must not take the place of a newer one
                    self.structure, self._since = structure, sequence
            if structure is None:
                return None
            if active:
                masked = bits.take(len(structure.targets))
        after = 8 * size - bits.left if size > 3 else 29  # after five flags that there would be
        if structure is None:
            return None
        index = (identifier - structure.offset) & 0x3F
        if index >= len(structure.templates):
            return None
        template = structure.templates[index]
        indications, differences = template.indications, template.differences
        if custom_indications:
            indications = tuple(bits.take(2) for _ in structure.targets)
        if custom_differences:
            differences = _custom_differences(bits)
        if timestamp > self._time:
            self._time, self._first = timestamp, number
        within = (number - self._first) & 0xFFFF if timestamp == self._time else -1
        whole = Dependency(data, number, structure.targets, masked, after)
        raises = -1
        for indication, (spatial, temporal) in zip(indications, structure.targets, strict=True):
            if indication == SWITCH and spatial == template.spatial:
                raises = max(raises, temporal)
        self.whole = whole
        return Descriptor(
            spatial=template.spatial,
            temporal=template.temporal,
            end=end,
            fresh=within < 0x8000 and all(difference <= within for difference in differences),
            raises=raises,
        )


def _structure(bits: _Bits) -> Structure:
    offset, count = bits.take(6), bits.take(5) + 1
    layers = [(0, 0)]
    while (step := bits.take(2)) != 3:
        spatial, temporal = layers[-1]
        layers.append((spatial, temporal + 1) if step == 1 else (spatial + 1, 0) if step == 2 else (spatial, temporal))
        if len(layers) > MAX_TEMPLATES or layers[-1][0] > 3 or layers[-1][1] > 7:
            raise _Malformed
    indications = [tuple(bits.take(2) for _ in range(count)) for _ in layers]
    differences = []
    for _ in layers:
        found: list[int] = []
        while bits.take(1):
            found.append(bits.take(4) + 1)
        differences.append(tuple(found))
    chains = bits.below(count + 1)
    if chains:
        for _ in range(count):
            bits.below(chains)
        bits.take(4 * chains * len(layers))
    sizes: list[tuple[int, int]] = []
    if bits.take(1):
        sizes = [(bits.take(16) + 1, bits.take(16) + 1) for _ in range(layers[-1][0] + 1)]
    targets = []
    for target in range(count):
        present = [layer for layer, shown in zip(layers, indications, strict=True) if shown[target]]
        targets.append((max((s for s, _ in present), default=0), max((t for _, t in present), default=0)))
    templates = tuple(
        _Template(spatial, temporal, shown, told)
        for (spatial, temporal), shown, told in zip(layers, indications, differences, strict=True)
    )
    return Structure(offset, templates, tuple(targets), chains, tuple(sizes))


def _custom_differences(bits: _Bits) -> tuple[int, ...]:
    found: list[int] = []
    while size := bits.take(2):
        found.append(bits.take(4 * size) + 1)
    return tuple(found)
