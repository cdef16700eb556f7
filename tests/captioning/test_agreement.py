"""LocalAgreement-2: what two hypotheses in a row agree on stays."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from captioning.agreement import Agreement, plain


def test_words_become_stable_when_the_next_hypothesis_repeats_them() -> None:
    agreement = Agreement()
    assert agreement.update(["She", "has"]) == ([], ["She", "has"])
    assert agreement.update(["She", "has", "no", "pain."]) == (["She", "has"], ["no", "pain."])
    assert agreement.update(["She", "has", "no", "pain", "in"]) == (["She", "has", "no", "pain"], ["in"])


def test_case_and_punctuation_do_not_break_agreement_and_stable_words_keep_their_form() -> None:
    agreement = Agreement()
    agreement.update(["Good", "morning."])
    agreement.update(["good", "morning,", "everyone"])
    assert agreement.update(["Good", "morning!", "Everyone,", "our"]) == (["good", "morning,", "Everyone,"], ["our"])


def test_stable_words_stay_though_a_later_hypothesis_tells_them_differently() -> None:
    agreement = Agreement()
    agreement.update(["the", "patient", "is", "well"])
    stable, _ = agreement.update(["the", "patient", "is", "well", "today"])
    assert stable == ["the", "patient", "is", "well"]
    assert agreement.update(["a", "patient", "is", "well", "today", "and"]) == ([*stable, "today"], ["and"])
    assert agreement.update(["patient", "was", "well", "today", "and", "happy"])[0][:5] == [*stable, "today"]


def test_a_shorter_hypothesis_takes_nothing_back() -> None:
    agreement = Agreement()
    agreement.update(["one", "two", "three"])
    agreement.update(["one", "two", "three"])
    assert agreement.update(["one"]) == (["one", "two", "three"], [])


def test_plain_drops_punctuation_but_never_everything() -> None:
    assert plain("“Yes,”") == "yes"
    assert plain("…") == "…"
    assert plain("39.2") == "392"


@given(st.lists(st.lists(st.sampled_from(["a", "b", "c", "A,", "d."]), max_size=8), max_size=10))
def test_the_stable_beginning_only_grows(hypotheses: list[list[str]]) -> None:
    agreement = Agreement()
    before: list[str] = []
    for words in hypotheses:
        stable, _ = agreement.update(words)
        assert stable[: len(before)] == before
        before = stable
