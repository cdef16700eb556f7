"""The journal: any prefix is a journal, and damage ends it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.journal import MAGIC, JournalFile, bodies, pack, packets, read, record, unpack, valid_size
from sfu.taps import TapPacket

BODIES = [bytes([number]) * (number * 7 % 50 + 1) for number in range(20)]
WHOLE = MAGIC + b"".join(map(record, BODIES))


@given(st.integers(0, len(WHOLE)))
def test_torn_at_any_byte_a_prefix_is_read(size: int) -> None:
    found = [body for _, body in read(WHOLE[:size])]
    assert found == BODIES[: len(found)]
    lengths = [len(MAGIC) + sum(len(record(body)) for body in BODIES[:count]) for count in range(len(BODIES) + 1)]
    assert len(found) == max([count for count, length in enumerate(lengths) if length <= size], default=0)


@given(st.integers(len(MAGIC), len(WHOLE) - 1), st.integers(1, 255))
def test_a_flipped_byte_ends_reading_there(at: int, flip: int) -> None:
    data = bytearray(WHOLE)
    data[at] ^= flip
    found = [body for _, body in read(bytes(data))]
    assert found == BODIES[: len(found)] and len(found) < len(BODIES)


@settings(max_examples=40)
@given(st.integers(0, len(WHOLE)))
def test_appending_goes_on_after_the_last_whole_record(tmp_path_factory: pytest.TempPathFactory, size: int) -> None:
    path = tmp_path_factory.mktemp("journal") / "torn"
    path.write_bytes(WHOLE[:size])
    kept = list(bodies(path))
    journal = JournalFile(path)
    journal.append([b"after"])
    journal.close()
    assert list(bodies(path)) == [*kept, b"after"]
    assert valid_size(path) == path.stat().st_size


@given(
    st.floats(allow_nan=False),
    st.integers(0, 2**40),
    st.integers(-(2**40), 2**40),
    st.booleans(),
    st.booleans(),
    st.integers(0, 10**6),
    st.binary(max_size=1500),
)
def test_a_packet_survives(
    room: float, sequence: int, timestamp: int, marker: bool, key: bool, lost: int, payload: bytes
) -> None:
    packet = TapPacket("t", sequence, timestamp, room, room - 1, marker, key, min(lost, 65535), payload)
    assert unpack("t", pack(packet)) == packet


def test_a_missing_or_foreign_file_has_no_packets(tmp_path: Path) -> None:
    assert list(packets(tmp_path / "none", "t")) == []
    (tmp_path / "text").write_bytes(b"not a journal at all")
    assert list(packets(tmp_path / "text", "t")) == []
