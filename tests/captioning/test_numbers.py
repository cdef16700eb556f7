"""Numbers as people write and say them, in six languages and in the digits of any."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.numbers import quantities, tokens
from captioning.tongues import TONGUES


def read(language: str, text: str) -> list[tuple[list[float], str | None, bool]]:
    found = quantities(tokens(text), language)
    return [(sorted(map(float, quantity.values)), quantity.unit, quantity.sure) for quantity in found]


@pytest.mark.parametrize(
    ("language", "text", "value", "unit"),
    [
        ("en", "two hundred and twenty-five milligrams", 225, "milligram"),
        ("en", "one hundred and five thousand three hundred and two", 105_302, None),
        ("en", "2.5 million people", 2_500_000, None),
        ("en", "1,500 mg", 1_500, "milligram"),
        ("en", "1.500 mg", 1.5, "milligram"),
        ("pt", "1.500 mg", 1_500, "milligram"),
        ("pt", "1,5 mg", 1.5, "milligram"),
        ("pt", "mil novecentos e noventa", 1_990, None),
        ("pt", "duzentos e vinte e cinco miligramas", 225, "milligram"),
        ("pt", "vinte por cento", 20, "percent"),
        ("es", "treinta y cinco días", 35, "day"),
        ("es", "dos mil quinientos", 2_500, None),
        ("fr", "quatre-vingt-dix-sept gouttes", 97, "drop"),
        ("fr", "soixante-quinze", 75, None),
        ("fr", "12 500 ml", 12_500, "milliliter"),
        ("de", "zweihundertfünfundzwanzig Milligramm", 225, "milligram"),
        ("de", "tausendzweihundert", 1_200, None),
        ("it", "duecentocinquanta milligrammi", 250, "milligram"),
        ("it", "ventotto giorni", 28, "day"),
        ("ar", "٣٥", 35, None),
        ("hi", "३५ mg", 35, "milligram"),
    ],
)
def test_a_number_is_read_with_its_unit(language: str, text: str, value: float, unit: str | None) -> None:
    assert read(language, text) == [([float(value)], unit, True)]


def test_two_numbers_that_share_a_unit_both_have_it() -> None:
    assert [(q[0], q[1]) for q in read("en", "5 to 10 mg")] == [([5.0], "milligram"), ([10.0], "milligram")]
    assert [(q[0], q[1]) for q in read("pt", "duas a três semanas")] == [([2.0], "week"), ([3.0], "week")]


def test_what_only_may_be_a_number_is_not_sure() -> None:
    assert read("en", "both lungs") == [([2.0], None, False)]
    assert read("it", "venti forti") == [([20.0], None, False)], "winds, or twenty"
    assert read("en", "one patient") == [([1.0], None, False)]
    assert read("de", "zweistündig") == [([2.0], None, False)]


def test_ambiguous_writing_has_its_alternatives() -> None:
    assert read("en", "8 pm")[0][0] == [8.0, 20.0]
    assert read("en", "the 1990s")[0][0] == [90.0, 1990.0]
    assert read("ru", "1.500")[0][0] == [1.5, 1500.0], "the decimal sign of a language without a table is unknown"
    assert read("zh", "150万人")[0][0] == [150.0, 1_500_000.0]


@given(st.text(max_size=200), st.sampled_from([*TONGUES, "zh"]))
def test_no_text_can_break_it(text: str, language: str) -> None:
    for quantity in quantities(tokens(text), language):
        assert quantity.at < quantity.end and quantity.values


@given(st.integers(2, 999_999_999))
def test_grouped_digits_are_the_same_number_in_every_language(number: int) -> None:
    for language, tongue in TONGUES.items():
        written = f"{number:,}" if tongue.decimal == "." else f"{number:,}".replace(",", ".")
        assert [q.values for q in quantities(tokens(written), language)] == [frozenset({Fraction(number)})]
