"""What is shown of an open utterance, and where its next draft begins to listen."""

from __future__ import annotations

import numpy as np

from captioning.decode import RATE
from captioning.draft import LONGEST, PIECE, Draft
from captioning.hypothesis import Sure
from captioning.vad import FRAME

SOUND = np.zeros(2 * RATE, np.float32)


def sure(*words: tuple[float, float]) -> list[Sure]:
    return [Sure(probability, end) for probability, end in words]


def test_a_fresh_word_that_is_unsure_waits_until_a_second_draft_says_it() -> None:
    draft = Draft(0)
    heard = sure((0.9, 0.5), (0.1, 1.5), (0.9, 1.9))
    assert draft.update(["a", "grande", "piranha"], heard, SOUND) == ([], ["a"])
    assert draft.update(["a", "grande", "pirâmide"], heard, SOUND) == (["a", "grande"], ["pirâmide"])


def test_an_unsure_word_that_is_old_is_shown_and_so_is_all_where_nothing_is_known() -> None:
    draft = Draft(0)
    assert draft.update(["of", "Sintra"], sure((0.1, 0.3), (0.9, 0.6)), SOUND) == ([], ["of", "Sintra"])
    assert Draft(0).update(["of", "Sintra"], None, SOUND) == ([], ["of", "Sintra"])


def test_a_word_that_may_have_been_cut_off_must_be_surer() -> None:
    heard = sure((0.9, 0.9), (0.6, 1.9))
    assert Draft(0).update(["begin", "character"], heard, SOUND) == ([], ["begin"])
    assert Draft(0).update(["begin", "character"], sure((0.9, 0.9), (0.6, 1.7)), SOUND) == ([], ["begin", "character"])


def test_what_stands_there_goes_for_a_surer_word_or_at_the_second_contradiction() -> None:
    draft = Draft(0)
    assert draft.update(["a", "count", "of"], sure((0.9, 0.5), (0.6, 1.0), (0.9, 1.4)), SOUND)[1] == [
        "a",
        "count",
        "of",
    ]
    doubted = draft.update(["a", "town", "in"], sure((0.9, 0.5), (0.5, 1.0), (0.9, 1.4)), SOUND)
    assert doubted == (["a"], ["count", "of"]), "less sure: what stands there stays"
    assert draft.update(["a", "crown", "in"], sure((0.9, 0.5), (0.5, 1.0), (0.9, 1.4)), SOUND)[1] == ["crown", "in"]
    assert draft.update(["a", "frown", "in"], sure((0.9, 0.5), (0.8, 1.0), (0.9, 1.4)), SOUND)[1] == ["frown", "in"]


def test_at_a_breath_all_is_stable_and_a_piece_that_is_long_enough_ends() -> None:
    draft = Draft(10)
    assert draft.breathe(["However,"], 10 + PIECE - 1) == (["However,"], [])
    assert draft.anchor == 10
    assert draft.breathe(["However", "slow"], 10 + PIECE) == (["However,", "slow"], [])
    assert draft.anchor == 10 + PIECE and draft.kept == ["However,", "slow"]
    assert draft.update(["styles"], None, SOUND) == (["However,", "slow"], ["styles"])


def test_speech_without_a_breath_is_cut_behind_old_words_where_it_is_quietest() -> None:
    draft = Draft(100)
    seconds = LONGEST + 1
    sound = np.full(int(seconds * RATE), 0.1, np.float32)
    quiet = int(3.1 * RATE) // FRAME
    sound[quiet * FRAME : (quiet + 1) * FRAME] = 0.0
    heard = sure((0.9, 1.0), (0.9, 3.0), (0.9, seconds - 0.5))
    assert draft.update(["All", "nouns", "along"], heard, sound) == (["All", "nouns"], ["along"])
    assert draft.anchor == 100 + quiet and draft.kept == ["All", "nouns"]
    assert draft.update(["alongside", "the"], None, SOUND) == (["All", "nouns"], ["alongside", "the"])
    assert draft.update(["alongside", "the"], None, SOUND) == (["All", "nouns", "alongside", "the"], [])


def test_what_the_cut_left_of_a_word_is_not_said_twice() -> None:
    draft = Draft(0)
    sound = np.full(int((LONGEST + 1) * RATE), 0.1, np.float32)
    draft.update(["one", "two", "three"], sure((0.9, 1.0), (0.9, 3.0), (0.9, LONGEST + 0.9)), sound)
    anchor = draft.anchor
    assert 0 < anchor * FRAME / RATE < LONGEST
    stable, tail = draft.update(["two,", "three", "four"], None, SOUND)
    assert [*stable, *tail] == ["one", "two", "three", "four"]


def test_a_full_pass_says_all_of_it_anew() -> None:
    draft = Draft(0)
    draft.breathe(["egípios"], PIECE)
    assert draft.settle(["egípcios", "no", "século"], 200) == (["egípcios", "no", "século"], [])
    assert draft.anchor == 200
