"""The edit: who is shown when."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from recorder.programme import DWELL_MS, Shot, Source, Span, edit


def spans(start: int, end: int, every: int = 4000) -> list[Span]:
    return [Span(at, min(at + every, end)) for at in range(start, end, every)]


def camera(track: int, person: str, start: int, end: int, every: int = 4000) -> Source:
    return Source(track, person, False, spans(start, end, every))


def test_the_active_speaker_is_shown_from_their_next_key_frame() -> None:
    sources = [camera(0, "ann", 0, 20_000), camera(1, "bob", 0, 20_000)]
    shots = edit(sources, [(0, "ann"), (5_000, "bob")], 20_000)
    assert shots == [Shot(0, 0, 8_000), Shot(1, 8_000, 20_000)]


def test_a_shared_screen_wins_and_gives_way_when_it_ends() -> None:
    sources = [camera(0, "ann", 0, 20_000), Source(1, "bob", True, spans(3_000, 9_000))]
    shots = edit(sources, [(0, "ann")], 20_000)
    assert shots == [Shot(0, 0, 3_000), Shot(1, 3_000, 9_000), Shot(None, 9_000, 12_000), Shot(0, 12_000, 20_000)]


def test_a_short_gap_keeps_the_last_picture() -> None:
    sources = [camera(0, "ann", 0, 5_000), camera(1, "bob", 5_600, 9_000)]
    assert edit(sources, [(0, "ann")], 9_000) == [Shot(0, 0, 5_600), Shot(1, 5_600, 9_000)]


def test_a_speaker_without_video_leaves_who_is_on() -> None:
    sources = [camera(0, "ann", 0, 9_000), camera(1, "bob", 0, 9_000)]
    assert edit(sources, [(0, "bob"), (3_000, "eve")], 9_000) == [Shot(1, 0, 9_000)]


def test_quick_changes_of_speaker_do_not_flicker() -> None:
    sources = [camera(0, "ann", 0, 30_000, 500), camera(1, "bob", 0, 30_000, 500)]
    speakers = [(at * 300.0, "ann" if at % 2 else "bob") for at in range(100)]
    shots = edit(sources, speakers, 30_000)
    assert all(shot.end - shot.start >= DWELL_MS for shot in shots[:-1])


def test_nobody_with_video_is_one_dark_shot() -> None:
    assert edit([], [(0, "ann")], 7_000) == [Shot(None, 0, 7_000)]


runs = st.lists(st.tuples(st.integers(0, 30_000), st.integers(1, 9_000), st.integers(200, 5_000)), max_size=4)


@given(
    st.lists(st.tuples(runs, st.booleans()), max_size=4),
    st.lists(st.tuples(st.integers(0, 30_000), st.sampled_from("0123x")), max_size=12),
)
def test_shots_touch_cover_everything_and_begin_on_key_frames(
    tracks: list[tuple[list[tuple[int, int, int]], bool]], speech: list[tuple[int, str]]
) -> None:
    sources = []
    for number, (parts, screen) in enumerate(tracks):
        known: list[Span] = []
        for start, length, every in sorted(parts):
            if not known or start > known[-1].end:
                known += spans(start, start + length, every)
        sources.append(Source(number, str(number), screen, known))
    duration = 30_000
    shots = edit(sources, sorted(speech), duration)
    assert shots[0].start == 0 and shots[-1].end == duration
    assert all(a.end == b.start for a, b in pairwise(shots))
    assert all(shot.end > shot.start for shot in shots)
    for shot in shots:
        if shot.track is not None:
            assert shot.start in {span.start for span in sources[shot.track].spans}
