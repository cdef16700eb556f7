"""RTP time on the room clock: before and after sender reports, over drift, clocks that are set, and nonsense."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.timing import PublisherTiming

START = 5000.0


def play(track, rate, *, seconds, delay, captured=0.0, step=0.02, dice=None, jitter=0.0, stamp=777_000, speed=1.0):
    """Feeds packets captured every `step`; yields (capture in s of room time, media_ms)."""
    for n in range(int(seconds / step)):
        at = captured + n * step
        late = delay + (dice.random() * jitter if dice else 0.0)
        yield at, track.media_ms(stamp + round(at * rate * speed), START + at + late)


def test_before_a_report_the_least_delayed_packet_counts_as_undelayed():
    track = PublisherTiming(START).track(48000)
    errors = [
        ms - at * 1000 for at, ms in play(track, 48000, seconds=30, delay=0.03, dice=random.Random(1), jitter=0.05)
    ]
    assert max(abs(error - 30) for error in errors[500:]) < 2


def test_reports_line_up_the_tracks_of_a_publisher():
    publisher = PublisherTiming(START)
    audio, video = publisher.track(48000), publisher.track(90000)
    differences = []
    for n in range(3000):  # a minute; the video is 180 ms slower through encoder and pacer
        at = n * 0.02
        a = audio.media_ms(1000 + round(at * 48000), START + at + 0.04)
        v = video.media_ms(70 + round(at * 90000), START + at + 0.22)
        if n % 50 == 10:
            audio.report(3.9e9 + at, 1000 + round(at * 48000), START + at + 0.04)
            video.report(3.9e9 + at, 70 + round(at * 90000), START + at + 0.22)
        differences.append(v - a)
    assert differences[5] == pytest.approx(180, abs=1), "nothing is known yet"
    assert max(abs(d) for d in differences[600:]) < 1


@pytest.mark.parametrize("ppm", [-100, 100])
def test_drift_of_the_publishers_clock_is_followed(ppm):
    publisher = PublisherTiming(START)
    track = publisher.track(48000)
    speed = 1 + ppm / 1e6
    worst = 0.0
    for at, ms in play(track, 48000, seconds=1200, delay=0.02, step=0.1, speed=speed):
        if round(at * 10) % 20 == 0:
            track.report(3.9e9 + at * speed, 777_000 + round(at * 48000 * speed), START + at + 0.02)
        if at > 60:
            worst = max(worst, abs(ms - at * 1000 - 20))
    assert worst < 5


@pytest.mark.parametrize("step", [-86400, -2, 2, 1e9])
def test_a_publisher_whose_clock_is_set_is_met_anew_without_a_jump(step):
    publisher = PublisherTiming(START)
    audio, video = publisher.track(48000), publisher.track(90000)
    before = {}
    for n in range(2000):
        at = n * 0.02
        ntp = 3.9e9 + at + (step if at > 20 else 0)
        for name, track, rate, delay in (("a", audio, 48000, 0.04), ("v", video, 90000, 0.2)):
            ms = track.media_ms(round(at * rate), START + at + delay)
            if name in before:
                assert -1 < ms - before[name] < 60
                assert at < 10 or ms - at * 1000 == pytest.approx(40, abs=200)
            before[name] = ms
            if n % 100 == 20:
                track.report(ntp, round(at * rate), START + at + delay)
    assert abs(before["a"] - before["v"]) < 1


@pytest.mark.parametrize(
    ("ntp", "timestamp"),
    [(0.0, 48000), (-5.0, 48000), (3.9e9, 2**40), (3.9e9, -(2**40))],
)
def test_reports_that_make_no_sense_change_nothing(ntp, timestamp):
    track = PublisherTiming(START).track(48000)
    for n in range(500):
        ms = track.media_ms(n * 960, START + n * 0.02)
        track.report(ntp, timestamp, START + n * 0.02)
        assert ms == pytest.approx(n * 20, abs=0.01)


def test_timestamps_that_jump_start_anew():
    track = PublisherTiming(START).track(90000)
    assert track.media_ms(0, START) == 0
    assert track.media_ms(2**31, START + 1) == pytest.approx(1000)
    assert track.media_ms(2**31 + 90000, START + 2) == pytest.approx(2000)
    assert track.media_ms(5, START + 3) == pytest.approx(3000)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 0.5), st.integers(-5000, 50_000), st.none() | st.floats(-1e10, 1e10)),
        min_size=1,
        max_size=60,
    )
)
def test_never_back_while_timestamps_go_on_and_never_after_arrival(steps):
    publisher = PublisherTiming(0.0)
    track = publisher.track(48000)
    now, stamp = 100.0, 0
    newest, result = None, 0.0
    for wait, ahead, ntp in steps:
        now += wait
        stamp += ahead
        ms = track.media_ms(stamp, now)
        assert ms <= now * 1000 + 1e-3
        if newest is None or stamp > newest:
            assert newest is None or ms >= result
            newest, result = stamp, ms
        if ntp is not None:
            track.report(ntp, stamp, now)
