"""The figures of captions: what counts as shown, as stable, as taken back."""

from __future__ import annotations

import numpy as np

from benchmarks._clips import Clip, Offline, normal, word_errors
from benchmarks._shown import Shown

OFFLINE = Offline("the left knee the knee", [("the", 0.5), ("left", 1.0), ("knee", 1.5), ("the", 2.0), ("knee", 2.5)])


def screen() -> Shown:
    shown = Shown(Clip("clip", "en", OFFLINE.text, np.zeros(48_000, np.float32)), began=1_000.0)
    shown.feed(2_000.0, "a", 1_000.0, 2_000.0, "", "The lift", False)
    shown.feed(2_500.0, "a", 1_000.0, 2_500.0, "The", "left knee", False)
    shown.feed(3_500.0, "a", 1_000.0, 3_000.0, "The left knee.", "", True)
    shown.feed(4_000.0, "b", 3_000.0, 4_000.0, "The knee.", "", True)
    return shown


def test_a_word_counts_as_shown_when_as_many_of_it_stand_there_as_were_said() -> None:
    assert screen().first_shown(OFFLINE) == [500.0, 500.0, 0.0, 1_000.0, 500.0]
    assert screen().stable(OFFLINE) == [1_000.0, 1_500.0, 1_000.0, 1_000.0, 500.0]
    assert screen().appeared(OFFLINE) == [500.0, 0.0, 0.0, 1_000.0, 500.0], "a misheard word has appeared too"


def test_what_stands_behind_a_changed_word_was_taken_back() -> None:
    shown = screen()
    assert shown.erased() == (1, 5)
    shown.feed(5_000.0, "b", 3_000.0, 4_000.0, "A knee.", "", True)
    assert shown.erased() == (3, 5)


def test_finals_are_dated_from_the_last_word_in_them() -> None:
    assert screen().final_delays(OFFLINE) == [3_500.0 - 3_000.0, 4_000.0 - 3_500.0]
    assert screen().text == "The left knee. The knee."


def test_case_and_punctuation_are_no_word_errors() -> None:
    assert normal("The LEFT-knee, isn’t it?") == normal("the left knee isn t it")
    assert word_errors(["the left knee"], ["The left knee."]) == 0.0
    assert word_errors(["the left knee"], ["the knee"]) == 0.3333
