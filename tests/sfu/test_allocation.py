"""Who gets which layers: the rules one by one, then their properties for any room and any estimate."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sfu.allocation import (
    EAGER,
    HOLD,
    MARGIN,
    MAX_HOLD,
    Allocation,
    Allocator,
    Encoding,
    Priority,
    Target,
    Watched,
    ladder,
)

QHF = (150_000.0, 500_000.0, 1_500_000.0)


def simulcast(
    track: str, *, rates: Sequence[float] = QHF, active: Sequence[bool] = (True,) * 3
) -> tuple[Encoding, ...]:
    """Three encodings with two temporal layers each, 180, 360 and 720 lines high."""
    return tuple(
        Encoding(f"{track}/{rid}", 320 << i, 180 << i, {(0, 0): r * 0.6, (0, 1): r * 0.4} if on else {}, r, on)
        for i, (rid, r, on) in enumerate(zip("qhf", rates, active, strict=True))
    )


def camera(
    track: str,
    priority: Priority = Priority.THUMBNAIL,
    size: tuple[int, int] = (1280, 720),
    *,
    visible: bool = True,
    encodings: tuple[Encoding, ...] | None = None,
) -> Watched:
    return Watched(track, priority, simulcast(track) if encodings is None else encodings, *size, visible)


def once(tracks: Sequence[Watched], estimate: float | None, audio: float = 0.0) -> Allocation:
    allocator = Allocator()
    if estimate is not None:
        allocator.estimated(estimate, 0.0)
    return allocator.allocate(tracks, audio, 0.0)


def rid(allocation: Allocation, track: str) -> str | None:
    target = allocation.targets[track]
    return None if target is None else target.source.partition("/")[2]


@pytest.mark.parametrize(
    "size, expected",
    [((208, 130), "q"), ((416, 260), "h"), ((640, 360), "h"), ((1280, 720), "f"), ((1920, 1080), "f"), ((0, 0), "f")],
)
def test_a_tile_gets_no_more_pixels_than_it_shows(size: tuple[int, int], expected: str) -> None:
    assert rid(once([camera("a", size=size)], None), "a") == expected


def test_a_picture_of_a_phone_held_upright_is_measured_on_its_side() -> None:
    assert rid(once([camera("a", size=(200, 340))], None), "a") == "q"


def test_what_is_not_visible_is_not_sent() -> None:
    decided = once([camera("a", visible=False), camera("b")], 10e6)
    assert decided.targets["a"] is None and "a" not in decided.wishes
    assert rid(decided, "b") == "f"


def test_the_lowest_layer_is_always_sent() -> None:
    decided = once([camera("a", Priority.SPEAKER), camera("b")], 10_000, audio=40_000)
    assert decided.targets == {"a": Target("a/q", None, 0), "b": Target("b/q", None, 0)}
    assert set(decided.reduced) == {"a", "b"}


def test_audio_comes_before_any_picture() -> None:
    assert rid(once([camera("a")], 700_000), "a") == "h"
    assert rid(once([camera("a")], 700_000, audio=300_000), "a") == "q"


def test_the_pinned_one_then_the_speaker_then_a_screen_then_the_larger_tile() -> None:
    sizes = {"pinned": (640, 360), "speaker": (640, 360), "large": (640, 360), "small": (500, 300)}
    tracks = [
        camera("small", size=sizes["small"]),
        camera("large", size=sizes["large"]),
        camera("speaker", Priority.SPEAKER, sizes["speaker"]),
        camera("pinned", Priority.PINNED, sizes["pinned"]),
    ]
    base = 4 * 150_000 * (1 + MARGIN)
    better = 350_000 * (1 + MARGIN)
    for count, served in enumerate((["pinned"], ["pinned", "speaker"], ["pinned", "speaker", "large"]), 1):
        decided = once(tracks, base + count * better + 1)
        assert [t for t in ("pinned", "speaker", "large", "small") if rid(decided, t) == "h"] == served


def test_tiles_of_one_size_look_alike_before_one_of_them_gets_more() -> None:
    decided = once([camera(name) for name in "abc"], 3 * 500_000 * (1 + MARGIN) + 1)
    assert [rid(decided, name) for name in "abc"] == ["h", "h", "h"]


def test_a_camera_keeps_its_frames_and_gives_up_resolution() -> None:
    names = [(s.target.source, s.target.temporal) for s in ladder(camera("a"))]
    assert names == [("a/q", 0), ("a/q", None), ("a/h", None), ("a/f", None)]


def test_a_screen_keeps_its_resolution_and_gives_up_frames() -> None:
    rates = {(s, t): 100_000.0 * (s + 1) for s in range(2) for t in range(3)}
    screen = Watched("s", Priority.SCREEN, (Encoding("s", 0, 0, rates, 1e6),), 1600, 900, screen=True)
    assert [(s.target.spatial, s.target.temporal) for s in ladder(screen)] == [
        (0, 0),
        (None, 0),
        (None, 1),
        (None, None),
    ]


def test_svc_layers_are_steps_of_one_source() -> None:
    rates = {(s, t): 100_000.0 * 3**s for s in range(3) for t in range(2)}
    svc = Watched("v", Priority.THUMBNAIL, (Encoding("v", 1280, 720, rates, 1.5e6),), 640, 360)
    steps = ladder(svc)
    assert [s.target for s in steps] == [Target("v", 0, 0), Target("v", 0, None), Target("v", 1, None)]
    assert steps[-1].cost == pytest.approx(2 * (100_000 + 300_000))


def test_an_encoding_that_is_not_sent_is_wished_for_but_not_aimed_at() -> None:
    encodings = simulcast("a", active=(True, True, False))
    decided = once([camera("a", Priority.PINNED, encodings=encodings)], 5e6)
    assert rid(decided, "a") == "h" and decided.wishes["a"] == "a/f"
    assert decided.wanted > 1_500_000 and decided.reduced == ()


def test_with_nothing_sent_yet_the_lowest_is_waited_for() -> None:
    encodings = simulcast("a", active=(False, False, False))
    assert rid(once([camera("a", encodings=encodings)], 5e6), "a") == "q"


def test_a_fall_is_followed_at_once_and_a_rise_only_when_it_holds() -> None:
    allocator, tracks = Allocator(), [camera("a")]
    allocator.estimated(3e6, 0.0)
    assert rid(allocator.allocate(tracks, 0, 0.0), "a") == "f"
    allocator.estimated(300_000, 1.0)
    assert rid(allocator.allocate(tracks, 0, 1.0), "a") == "q"
    allocator.estimated(3e6, 10.0)
    assert rid(allocator.allocate(tracks, 0, 10.0 + HOLD - 0.1), "a") == "q"
    assert not allocator.settled
    assert rid(allocator.allocate(tracks, 0, 10.0 + HOLD), "a") == "f"
    assert allocator.settled


def test_a_rise_that_was_a_mistake_makes_the_next_one_wait_longer() -> None:
    allocator, tracks, now = Allocator(), [camera("a")], 0.0
    allocator.estimated(300_000, now)
    allocator.allocate(tracks, 0, now)
    waits = []
    for _ in range(5):
        allocator.estimated(3e6, now)
        start = now
        while rid(allocator.allocate(tracks, 0, now), "a") != "f":
            now += 0.1
        waits.append(now - start)
        now += 1.0
        allocator.estimated(300_000, now)
        allocator.allocate(tracks, 0, now)
        now += 1.0
    assert waits == pytest.approx([EAGER, HOLD, 2 * HOLD, MAX_HOLD, MAX_HOLD], abs=0.2)


def test_a_larger_tile_is_served_at_once_while_there_is_bandwidth() -> None:
    allocator = Allocator()
    allocator.estimated(5e6, 0.0)
    assert rid(allocator.allocate([camera("a", size=(160, 90))], 0, 0.0), "a") == "q"
    assert rid(allocator.allocate([camera("a", Priority.PINNED)], 0, 0.1), "a") == "f"


# --- properties ---------------------------------------------------------------------------------

rate = st.floats(1_000, 4_000_000)
sizes = st.sampled_from([(0, 0), (160, 90), (320, 180), (640, 360), (1280, 720), (1920, 1080)])


@st.composite
def encodings_of(draw: st.DrawFn, track: str) -> tuple[Encoding, ...]:
    count, spatial, temporal = draw(st.sampled_from([(1, 1, 1), (1, 1, 3), (1, 3, 3), (2, 1, 2), (3, 1, 2), (3, 1, 1)]))
    return tuple(
        Encoding(
            f"{track}/{i}",
            320 << i,
            180 << i,
            {(s, t): draw(rate) for s in range(spatial) for t in range(temporal)} if draw(st.booleans()) else {},
            draw(rate),
            draw(st.booleans()),
        )
        for i in range(count)
    )


@st.composite
def rooms(draw: st.DrawFn) -> list[Watched]:
    return [
        Watched(
            f"t{i}",
            draw(st.sampled_from(Priority)),
            draw(encodings_of(f"t{i}")),
            *draw(sizes),
            draw(st.booleans()),
            draw(st.booleans()),
        )
        for i in range(draw(st.integers(0, 6)))
    ]


estimates = st.floats(0, 20e6)


@settings(max_examples=60, deadline=None)
@given(rooms(), estimates, st.floats(0, 200_000))
def test_never_over_budget_but_for_the_guaranteed_minimum(room: list[Watched], estimate: float, audio: float) -> None:
    decided = once(room, estimate, audio)
    assert set(decided.targets) == {t.track for t in room}
    for track in room:
        assert (decided.targets[track.track] is not None) == track.visible
    minimum = audio + sum(ladder(t)[0].cost for t in room if t.visible)
    assert decided.spent <= max(estimate, minimum) * (1 + 1e-9)


@settings(max_examples=60, deadline=None)
@given(rooms(), estimates, estimates)
def test_more_bandwidth_never_takes_from_the_first_in_line(room: list[Watched], one: float, other: float) -> None:
    low, high = once(room, min(one, other)), once(room, max(one, other))
    shown = sorted((t for t in room if t.visible), key=lambda t: (t.priority, -t.width * t.height, t.track))
    if shown and (len(shown) == 1 or shown[0].priority != shown[1].priority):
        steps = [s.target for s in ladder(shown[0])]
        name = shown[0].track
        assert steps.index(_sent(low, name)) <= steps.index(_sent(high, name))
    assert low.wanted == high.wanted


def _sent(decided: Allocation, track: str) -> Target:
    target = decided.targets[track]
    assert target is not None
    return target


@settings(max_examples=60, deadline=None)
@given(rooms())
def test_without_limits_everything_visible_is_at_its_best_and_wanted_covers_it(room: list[Watched]) -> None:
    free = once(room, None)
    assert free.reduced == ()
    assert free.targets == once(room, free.wanted).targets


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32), st.floats(200_000, 6e6), st.floats(0.0, 0.06))
def test_a_noisy_estimate_does_not_make_pictures_flap(seed: int, middle: float, noise: float) -> None:
    chance = random.Random(seed)
    allocator, switches, before = Allocator(), 0, None
    tracks = [camera("a", Priority.SPEAKER), camera("b"), camera("c")]
    for step in range(600):
        now = step * 0.1
        allocator.estimated(middle * (1 + chance.uniform(-noise, noise)), now)
        decided = allocator.allocate(tracks, 40_000, now)
        switches += before is not None and decided.targets != before
        before = decided.targets
    assert switches <= 4  # in a minute


@settings(max_examples=8, deadline=None)
@example(194, 377_421.0)
@example(2_704_755_418, 1_612_271.7793008022)  # 22 switches, before falls without a cause kept things still
@given(st.integers(0, 2**32), st.floats(200_000, 6e6))
def test_noisy_rates_of_the_layers_do_not_make_pictures_flap(seed: int, estimate: float) -> None:
    chance = random.Random(seed)
    allocator, switches, before = Allocator(), 0, None
    allocator.estimated(estimate, 0.0)
    for step in range(600):
        rates = [r * chance.uniform(0.95, 1.05) for r in QHF]
        tracks = [camera(name, encodings=simulcast(name, rates=rates)) for name in "abc"]
        decided = allocator.allocate(tracks, 40_000, step * 0.2)
        switches += before is not None and decided.targets != before
        before = decided.targets
    # A few mistakes, up and down again each, then patience: of 700 rooms one switched 12 times, the others less.
    assert switches <= 16  # in two minutes
