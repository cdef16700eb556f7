"""Translations of open utterances stand still."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from captioning.steady import HELD_BACK, Steady

WORDS = st.lists(st.sampled_from(["a", "dose", "A", "dose,", "não", "é", "cinco."]), max_size=8).map(" ".join)


def test_what_two_translations_agree_on_stands_and_their_last_words_wait() -> None:
    steady = Steady()
    assert steady.show("Tome cinco comprimidos agora.") == ("", "Tome cinco")
    assert steady.show("Tome cinco miligramas de morfina hoje.") == ("Tome cinco", "miligramas de")
    assert steady.show("Tome cinco miligramas de morfina à noite.") == ("Tome cinco miligramas de morfina", "")


def test_what_contradicts_what_stands_waits_for_the_final() -> None:
    steady = Steady()
    for _ in range(2):
        steady.show("O doente não tem febre hoje.")
    assert steady.show("A paciente não tem febre nem tosse hoje.") is None
    assert steady.show("O doente não tem febre nem tosse hoje.") == ("O doente não tem", "febre nem")


@given(st.lists(WORDS, max_size=8))
def test_what_stands_only_grows(translations: list[str]) -> None:
    steady, before = Steady(), ""
    for translation in translations:
        if (shown := steady.show(translation)) is None:
            continue
        stands, tail = shown
        assert stands.startswith(before)
        assert len(f"{stands} {tail}".split()) <= max(len(before.split()), len(translation.split()) - HELD_BACK)
        before = stands
