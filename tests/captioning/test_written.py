"""Which language a line of chat is in."""

from __future__ import annotations

import pytest

from captioning.written import language_of


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Please check the potassium before you give it.", "en"),
        ("A dose está errada, não é de manhã.", "pt"),
        ("¿Puede usted venir?", "es"),
        ("Le patient est dans la salle.", "fr"),
        ("Der Patient ist im Zimmer und wartet.", "de"),
        ("Пациент ждёт.", "ru"),
        ("患者在等。", "zh"),
        ("患者さんが待っています。", "ja"),
        ("환자가 기다립니다", "ko"),
        ("المريض ينتظر", "ar"),
        ("بیمار منتظر است، گفتم", "fa"),
        ("मरीज़ इंतज़ार कर रहा है", "hi"),
    ],
)
def test_a_sentence_tells_its_language_whatever_its_writer_said(text: str, language: str) -> None:
    assert language_of(text) == language_of(text, ["it", "en"]) == language


@pytest.mark.parametrize("text", ["5 mg", "Dr. Silva", "metformin 500", "ok"])
def test_what_says_nothing_is_in_the_writers_language(text: str) -> None:
    assert language_of(text, ["pt-BR", "en"]) == "pt"
    assert language_of(text) is None


def test_scripts_that_several_languages_share_are_the_writers() -> None:
    assert language_of("Пацієнт чекає", ["uk"]) == "uk"
    assert language_of("患者", ["ja"]) == "ja"


def test_one_small_word_is_no_reason_to_disbelieve() -> None:
    assert language_of("Go on", ["pt"]) == "pt"
