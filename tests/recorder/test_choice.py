"""Who is shown to those who are sent a programme as it happens."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from recorder.live.choice import Candidate, Choice

ANA, BEN = Candidate("a", "ana", False, True), Candidate("b", "ben", False, True)
SLIDES = Candidate("s", "ben", True, True)


def test_the_speaker_is_shown_and_stays_for_a_while() -> None:
    choice = Choice()
    assert choice.order([ANA, BEN], "ben", None, 0)[0] == "b"
    assert choice.order([ANA, BEN], "ana", None, 1_000)[0] == "b", "not so soon"
    assert choice.order([ANA, BEN], "ana", None, 2_000)[0] == "a"
    assert choice.order([ANA, BEN], None, None, 9_000)[0] == "a", "in a silence nothing changes"


def test_a_screen_and_the_spotlight_come_at_once() -> None:
    choice = Choice()
    choice.order([ANA, BEN], "ana", None, 0)
    assert choice.order([ANA, BEN, SLIDES], "ana", None, 100)[0] == "s"
    assert choice.order([ANA, BEN, SLIDES], "ben", "ana", 200) == ["a", "s", "b"]
    assert choice.order([ANA, BEN], "ana", "ben", 300)[0] == "b"


def test_who_sends_nothing_is_not_shown_and_a_still_screen_has_time() -> None:
    choice = Choice()
    choice.order([ANA, SLIDES], "ana", None, 0)
    still = replace(SLIDES, flows=False)
    assert choice.order([ANA, still], "ana", None, 2_000)[0] == "s"
    assert choice.order([ANA, still], "ana", None, 2_001) == ["a"]
    assert choice.order([replace(ANA, flows=False)], "ana", None, 2_100) == []
    assert choice.shown is None


FLOWS = st.lists(st.booleans(), min_size=3, max_size=3)


@given(st.lists(st.tuples(st.integers(0, 3000), st.sampled_from("xyz"), FLOWS)))
def test_every_flowing_picture_is_in_the_order_once(steps: list[tuple[int, str, list[bool]]]) -> None:
    choice, now = Choice(), 0
    for passed, speaker, flows in steps:
        now += passed
        there = [Candidate(t, t, t == "z", on) for t, on in zip("xyz", flows, strict=True)]
        order = choice.order(there, speaker, None, now)
        assert len(set(order)) == len(order) and {c.track for c in there if c.flows} <= set(order)
        assert choice.shown == (order[0] if order else None)
