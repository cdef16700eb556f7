"""Utterances from speech probabilities, frame by frame."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.segmenter import Breath, Ended, Event, Lull, Opened, Segmenter, SegmenterSettings, frames

S = SegmenterSettings()


def run(segmenter: Segmenter, *stretches: tuple[float, int], energy: float = 0.01) -> list[Event]:
    """Stretches of (probability, frames)."""
    return [e for p, count in stretches for _ in range(count) for e in segmenter.feed(p, energy)]


def test_speech_opens_with_a_little_before_it_breathes_and_ends_at_a_pause() -> None:
    events = run(Segmenter(), (0.0, 50), (0.9, 40), (0.0, 30))
    start = 50 - frames(S.before)
    assert events == [Opened(start), Breath(90), Lull(90), Ended(start, 90 + frames(S.after), False)]


def test_a_click_is_not_an_utterance() -> None:
    segmenter = Segmenter()
    assert run(segmenter, (0.0, 20), (0.9, frames(S.least_speech) - 1), (0.0, 40)) == []
    assert not segmenter.speaking


def test_a_short_pause_does_not_end_an_utterance_and_breath_comes_again() -> None:
    events = run(Segmenter(), (0.9, 30), (0.0, frames(S.pause) - 1), (0.9, 30), (0.0, 40))
    assert [type(e) for e in events] == [Opened, Breath, Lull, Breath, Lull, Ended]
    assert events[3] == Breath(30 + frames(S.pause) - 1 + 30)


def test_doubtful_frames_go_on_but_do_not_begin() -> None:
    assert run(Segmenter(), (0.4, 100)) == []
    events = run(Segmenter(), (0.9, 10), (0.4, 60), (0.0, 40))
    assert [type(e) for e in events] == [Opened, Breath, Lull, Ended]
    assert isinstance(events[-1], Ended) and events[-1].end > 70


def test_a_long_utterance_is_cut_where_it_is_quietest() -> None:
    segmenter = Segmenter()
    longest = frames(S.longest)
    quiet = longest - 40
    events: list[Event] = []
    for index in range(longest + 50):
        events += segmenter.feed(0.9, 0.0001 if abs(index - quiet) <= 1 else 0.01)
    opened, ended, again = events
    assert opened == Opened(0)
    assert ended == Ended(0, quiet, True)
    assert again == Opened(quiet)


def test_flush_ends_what_is_open_and_nothing_else() -> None:
    segmenter = Segmenter()
    assert segmenter.flush() == []
    run(segmenter, (0.9, 30))
    assert segmenter.flush() == [Ended(0, 30, False)]
    assert segmenter.flush() == []


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 200)), max_size=40))
def test_utterances_never_overlap_and_none_is_too_long(stretches: list[tuple[float, int]]) -> None:
    segmenter = Segmenter()
    events = run(segmenter, *stretches) + segmenter.flush()
    ends = [e for e in events if isinstance(e, Ended)]
    assert len(ends) == sum(isinstance(e, Opened) for e in events)
    floor = 0
    for ended in ends:
        assert floor <= ended.start < ended.end <= segmenter.position
        assert ended.end - ended.start <= frames(S.longest)
        floor = ended.end


@pytest.mark.parametrize("milliseconds", [0, 32, 550, 14_000])
def test_frames_round_to_the_nearest(milliseconds: float) -> None:
    assert abs(frames(milliseconds) * 32 - milliseconds) <= 16
