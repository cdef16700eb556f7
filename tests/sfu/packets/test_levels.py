"""Who counts as speaking."""

from __future__ import annotations

import itertools
import random

from sfu.levels import Speakers


def run(speakers, seconds, levels, since=0.0, voice=True):
    """Levels by name each 20 ms, an update each 100 ms; all the lists that came out."""
    out = []
    for n in range(int(seconds * 50)):
        now = since + n * 0.02
        for name, level in levels.items():
            speakers.heard(name, level(now) if callable(level) else level, voice, now)
        if n % 5 == 4:
            out.append(speakers.update(now))
    return out


def test_silence_has_no_speaker():
    assert run(Speakers(), 5, {"a": 127, "b": 70}) == [[]] * 50


def test_a_voice_is_found_within_half_a_second_and_let_go_after_two():
    speakers = Speakers()
    assert run(speakers, 0.6, {"a": 30})[-1] == ["a"]
    lists = run(speakers, 3, {"a": 127}, since=0.6)
    assert lists[5] == ["a"] and lists[-1] == []


def test_a_click_is_not_a_speaker():
    assert run(Speakers(), 4, {"a": lambda now: 10 if 1 <= now < 1.1 else 127}) == [[]] * 40


def test_pauses_for_breath_do_not_end_a_turn():
    lists = run(Speakers(), 10, {"a": lambda now: 30 if now % 1.5 < 0.9 else 90})
    assert all(now == ["a"] for now in lists[10:])


def test_a_slightly_louder_voice_does_not_take_over_but_a_clearly_louder_does():
    speakers = Speakers()
    run(speakers, 2, {"a": 35})
    lists = run(speakers, 5, {"a": 35, "b": 32}, since=2)
    assert lists[-1] == ["a", "b"]
    lists = run(speakers, 3, {"a": 35, "b": 15}, since=7)
    assert lists[3] == ["a", "b"] and lists[-1] == ["b", "a"]


def test_two_equally_loud_voices_do_not_flap():
    dice = random.Random(3)
    lists = run(Speakers(), 30, {"a": lambda _: dice.randrange(20, 40), "b": lambda _: dice.randrange(20, 40)})
    settled = lists[10:]
    assert sum(x != y for x, y in itertools.pairwise(settled)) <= 1


def test_noise_that_is_no_voice_must_be_louder():
    assert run(Speakers(), 3, {"a": 45}, voice=False)[-1] == []
    assert run(Speakers(), 3, {"a": 45}, voice=True)[-1] == ["a"]


def test_a_track_that_goes_quiet_by_dtx_or_leaves_is_let_go():
    speakers = Speakers()
    assert run(speakers, 2, {"a": 20, "b": 20})[-1] == ["a", "b"]
    speakers.remove("b")
    assert speakers.update(2.0) == ["a"]
    for n in range(50):
        last = speakers.update(2.1 + n * 0.1)
    assert last == []
