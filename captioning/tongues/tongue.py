"""What a language's table holds: how it writes numbers, units, dates, sides of the body and denials.

A new language is one module beside this one and one line in `captioning.tongues`. Words are written here without
accents and in lower case, as `plain` makes them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction


def plain(text: str) -> str:
    """Lower case without accents, of the same length for what these tables hold: ``três`` becomes ``tres``."""
    decomposed = unicodedata.normalize("NFD", text.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def counted(words: str, start: int = 0, step: int = 1) -> dict[str, int]:
    """Words that count up from `start`; ``a|b`` are two ways to say the same."""
    return {way: start + index * step for index, word in enumerate(words.split()) for way in word.split("|")}


def named(**forms: str) -> dict[str, str]:
    """Surface forms to the name that they are forms of."""
    return {form: name for name, words in forms.items() for form in words.split()}


@dataclass(frozen=True)
class Tongue:
    """One language. Every set is of single plain words; a `*` at the end matches any ending.

    `cardinals` are words below a hundred and the hundreds that are one word; `hundreds` and `scales` multiply what
    stands before them; `joiners` stand between the parts of a number; `compound` reads a number written as one word.
    `ones` may also be articles. `loose` words carry a number that a good translation may leave out (both, twice, half,
    ordinals); `unsure` numbers are other words too (Italian *venti* are winds); `carriers` are endings behind a number
    inside a word (German *zweistündig*).

    `negators` deny, as do words with `denying_endings`; `excuses` and words with `endings` carry a denial inside their
    meaning (lack, avoid, symptomless), so that they may stand where the other language says not. `idioms` hold a
    negator and deny nothing; `halfway` phrases may be told with a denial or without (not only).

    `left` and `right` mean that for certain, the `maybe` words other things as well. `strange_months` are months that
    are other words too (May, March).
    """

    code: str
    decimal: str
    ones: frozenset[str]
    cardinals: Mapping[str, int]
    hundreds: frozenset[str]
    scales: Mapping[str, int]
    joiners: frozenset[str]
    loose: Mapping[str, tuple[Fraction, ...]]
    units: Mapping[str, str]
    months: Mapping[str, int]
    negators: frozenset[str]
    excuses: frozenset[str]
    left: frozenset[str]
    right: frozenset[str]
    maybe_left: frozenset[str] = frozenset()
    maybe_right: frozenset[str] = frozenset()
    strange_months: frozenset[str] = frozenset()
    denying_endings: tuple[str, ...] = ()
    endings: tuple[str, ...] = ()
    idioms: tuple[str, ...] = ()
    halfway: tuple[str, ...] = ()
    unsure: frozenset[str] = frozenset()
    carriers: tuple[str, ...] = ()
    compound: Callable[[str], int | None] = field(default=lambda word: None)


def words(text: str) -> frozenset[str]:
    """A set of words."""
    return frozenset(text.split())


def among(word: str, known: frozenset[str]) -> bool:
    """Whether the word is in the set, or begins with one of its starred stems."""
    return word in known or any(word[:end] + "*" in known for end in range(2, len(word) + 1))


HALF = (Fraction(1, 2),)


def loosely(**values: str) -> dict[str, tuple[Fraction, ...]]:
    """``n2="both twice"``: these words may stand for 2; ``h`` for a half."""
    made: dict[str, tuple[Fraction, ...]] = {}
    for name, text in values.items():
        value = Fraction(1, 2) if name == "h" else Fraction(int(name[1:]))
        for word in text.split():
            made[word] = (*made.get(word, ()), value)
    return made


SYMBOLS: dict[str, str] = named(
    percent="%",
    microgram="mcg µg μg ug",
    milligram="mg",
    gram="g gr",
    kilogram="kg kgs",
    milliliter="ml cc",
    deciliter="dl",
    liter="l",
    unit="iu ui",
    millimole="mmol",
    nanometer="nm",
    micrometer="µm μm um",
    millimeter="mm",
    centimeter="cm",
    meter="m",
    kilometer="km",
    pressure="mmhg",
    celsius="°c ºc",
    fahrenheit="°f ºf",
    degree="° º",
    hour="h",
    minute="min",
    second="s",
    beat="bpm",
    dollar="$ usd",
    euro="€ eur",
    pound_sterling="£ gbp",
)
"""The same in every language."""
