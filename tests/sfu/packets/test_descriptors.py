"""Payload and dependency descriptors: as browsers send them, as they may be cut, as anybody may send them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu import vp8, vp9
from sfu.dependency import DependencyReader
from sfu.descriptor import ALL, Descriptor, rewrite
from tests.sfu.packets.recorded import recorded

PICTURES = {
    "chromium-vp8-l1t2": (vp8.describe, [0, 1]),
    "firefox-vp8-simulcast": (vp8.describe, [0, 1]),
    "chromium-vp9-l1t2": (vp9.describe, [0, 1]),
    "firefox-vp9-simulcast": (vp9.describe, [0, 1]),
    "chromium-vp9-l3t3": (vp9.describe, [0, 2, 1, 2]),
    "chromium-vp9-l3t3-key": (vp9.describe, [0, 2, 1, 2]),
}


@pytest.mark.parametrize("name", PICTURES)
def test_browsers_payload_descriptors_are_understood(name):
    describe, pattern = PICTURES[name]
    lines = recorded(name)
    pictures: dict[int, list[Descriptor]] = {}
    for line in lines:
        pictures.setdefault(line.timestamp, []).append(describe(line.payload))
    first = next(iter(pictures.values()))
    assert first[0].fresh and first[0].raises == ALL
    temporal, place = [], 0
    for descriptors in pictures.values():
        assert len({d.picture for d in descriptors}) == len({d.temporal for d in descriptors}) == 1
        temporal.append(descriptors[0].temporal)
        place = 0 if descriptors[0].fresh else place + 1
        assert descriptors[0].temporal == pattern[place % len(pattern)]
    ids = [d[0].picture for d in pictures.values()]
    assert [b - a for a, b in pairwise(ids)] == [1] * (len(ids) - 1)
    if describe is vp9.describe:
        assert all(d[-1].end for d in list(pictures.values())[:-1])
    if "l3t3" in name:
        assert [d.spatial for d in first] == sorted(d.spatial for d in first) and first[-1].spatial == 1
        later = [d for d in list(pictures.values())[1:] if len(d) > 1]
        assert later and not any(d.fresh for descriptors in later for d in descriptors)


# (spatial, temporal, end, fresh, raises) of the first packets.
DESCRIBED = {
    "chromium-av1-l3t3": [
        (0, 0, True, True, 2),
        (1, 0, False, True, 2),
        (1, 0, True, True, 2),
        (0, 2, True, False, -1),
        (1, 2, True, False, -1),
        (0, 1, True, False, 2),
        (1, 1, True, False, 2),
    ],
    "chromium-av1-l2t2-key": [
        (0, 0, True, True, 1),
        (1, 0, True, True, 1),
        (0, 1, True, False, -1),
        (1, 1, True, False, -1),
        (0, 0, True, False, 1),
        (1, 0, True, False, 1),
    ],
    "chromium-h264-l1t3": [
        (0, 0, True, True, 2),
        (0, 2, True, False, -1),
        (0, 1, True, False, 2),
        (0, 2, True, False, -1),
        (0, 0, True, False, 2),
    ],
}


@pytest.mark.parametrize("name", DESCRIBED)
def test_chromiums_dependency_descriptors_are_understood(name):
    reader = DependencyReader()
    found = [reader.read(line.dependency, line.sequence, line.timestamp) for line in recorded(name)]
    assert None not in found
    told = [(d.spatial, d.temporal, d.end, d.fresh, d.raises) for d in found]
    assert told[: len(DESCRIBED[name])] == DESCRIBED[name]
    assert reader.structure.sizes == {"chromium-h264-l1t3": ()}.get(name, ((320, 180), (640, 360)))


def test_dependency_descriptors_mean_nothing_before_their_structure():
    lines = recorded("chromium-av1-l3t3")
    reader = DependencyReader()
    assert reader.read(lines[1].dependency, lines[1].sequence, lines[1].timestamp) is None
    assert reader.read(lines[0].dependency, lines[0].sequence, lines[0].timestamp) is not None
    assert reader.read(lines[1].dependency, lines[1].sequence, lines[1].timestamp) is not None


def test_a_late_structure_does_not_take_the_place_of_a_newer_one():
    first, second = (recorded(name)[0].dependency for name in ("chromium-av1-l3t3", "chromium-h264-l1t3"))
    reader = DependencyReader()
    reader.read(second, 10, 3000)
    newer = reader.structure
    assert reader.read(first, 5, 1000) is not None
    assert reader.structure is newer


def test_custom_indications_and_differences_count():
    reader = DependencyReader()
    reader.read(recorded("chromium-h264-l1t3")[0].dependency, 1, 0)
    # Template 3 (temporal layer 2), frame 9; custom indications S S S, custom difference 300 in 12 bits.
    bits = "11" + f"{3:06b}" + f"{9:016b}" + "00110" + "101010" + "11" + f"{299:012b}" + "00"
    data = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    assert reader.read(data, 2, 3000) == Descriptor(temporal=2, end=True, fresh=False, raises=2)


def test_picture_ids_are_moved_in_place():
    for name, (describe, _) in PICTURES.items():
        for line in recorded(name)[:10]:
            before = describe(line.payload)
            moved = rewrite(line.payload, before, 20000, 200)
            after = describe(moved)
            assert after.picture == (before.picture - 20000) & 0x7FFF
            assert after.tl0 == ((before.tl0 - 200) & 0xFF if before.tl0 >= 0 else -1)
            assert after._replace(picture=before.picture, tl0=before.tl0) == before
            assert moved[8:] == line.payload[8:]


def test_short_picture_ids_stay_short():
    payload = bytes((0x90, 0x80, 0x7F, 0x00))
    descriptor = vp8.describe(payload)
    assert (descriptor.picture, descriptor.picture_bits) == (127, 7)
    assert vp8.describe(rewrite(payload, descriptor, 120, 0)).picture == 7
    assert vp8.describe(rewrite(payload, descriptor, -1, 0)).picture == 0


@pytest.mark.parametrize("describe", [vp8.describe, vp9.describe])
def test_cut_descriptors_are_none(describe):
    whole = {vp8.describe: b"\x90\xf0\x81\x02\x03\x40\x00", vp9.describe: b"\xa8\x81\x02\x40\x03\x00"}[describe]
    assert describe(whole) is not None
    for size in range(len(whole)):
        assert describe(whole[:size]) is None


@given(payload=st.binary(max_size=40), pictures=st.integers(0, 0x7FFF), tl0=st.integers(0, 255))
def test_any_payload_is_described_or_not_and_moved_without_harm(payload, pictures, tl0):
    for describe in (vp8.describe, vp9.describe):
        descriptor = describe(payload)
        if descriptor is not None:
            moved = rewrite(payload, descriptor, pictures, tl0)
            assert len(moved) == len(payload)
            assert rewrite(moved, describe(moved), -pictures, -tl0) == payload


@given(
    values=st.lists(st.tuples(st.binary(max_size=80), st.integers(0, 50), st.integers(0, 10)), max_size=8),
    cut=st.integers(0, 60),
    flip=st.integers(0, 400),
)
def test_any_dependency_descriptor_is_read_or_not(values, cut, flip):
    reader = DependencyReader()
    real = bytearray(recorded("chromium-av1-l3t3")[0].dependency)
    reader.read(bytes(real[:cut]), 0, 0)
    real[flip // 8 % len(real)] ^= 1 << flip % 8
    for data, sequence, timestamp in [(bytes(real), 1, 1), *values]:
        descriptor = reader.read(data, sequence, timestamp)
        if descriptor is not None:
            assert 0 <= descriptor.spatial <= 3 and 0 <= descriptor.temporal <= 7


@pytest.mark.parametrize("name", ["chromium-av1-l3t3", "chromium-av1-l2t2-key"])
@pytest.mark.parametrize("limits", [None, (0, 0), (1, 0), (1, 1), (7, 7)])
def test_dependency_descriptors_are_passed_on_with_fewer_targets(name, limits):
    """Read again they say the same, but for the frame's number and the targets that are left."""
    before, after = DependencyReader(), DependencyReader()
    for line in recorded(name):
        told = before.read(line.dependency, line.sequence, line.timestamp)
        whole = before.whole
        again = whole.rewrite(1000, limits)
        assert after.read(again, line.sequence, line.timestamp) == told
        assert after.whole.number == (whole.number - 1000) & 0xFFFF
        assert after.structure == before.structure
        if limits is None:
            assert len(again) == len(line.dependency) and after.whole.masked is None
        else:
            left = {target for n, target in enumerate(whole.targets) if after.whole.masked >> n & 1}
            assert left == {(s, t) for s, t in whole.targets if s <= limits[0] and t <= limits[1]}
            narrower = after.whole.rewrite(0, (0, 0))
            after.read(narrower, line.sequence, line.timestamp)
            assert after.whole.masked == 1 << whole.targets.index((0, 0)), "a mask that is there is made smaller"
