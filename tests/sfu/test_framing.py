"""RFC 4571 framing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.framing import MAX_DATAGRAM, Deframer, FramingError, frame


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=10), st.integers(1, 50))
def test_frames_survive_any_cutting_of_the_stream(datagrams: list[bytes], cut: int) -> None:
    stream = b"".join(map(frame, datagrams))
    deframer = Deframer()
    found = [d for at in range(0, len(stream), cut) for d in deframer.feed(stream[at : at + cut])]
    assert found == datagrams


def test_empty_frames_are_skipped() -> None:
    assert Deframer().feed(b"\0\0" + frame(b"x") + b"\0\0") == [b"x"]


def test_overlong_frame_ends_the_stream() -> None:
    with pytest.raises(FramingError):
        Deframer().feed((MAX_DATAGRAM + 1).to_bytes(2, "big"))
    with pytest.raises(FramingError):
        frame(bytes(MAX_DATAGRAM + 1))
