"""The numbers in a text, however they are written: digits, words, words with digits, with the unit that follows them.

Pure. A quantity has alternatives where writing is ambiguous (``8 pm`` is 8 or 20), and is *sure* when a translation
must have it too; a word such as “both” or “second” only may stand for a number.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from captioning.tongues import TONGUES
from captioning.tongues.tongue import SYMBOLS, Tongue, plain

LARGEST_TEXT = 8_000
"""Characters read; what lies behind is not looked at."""

_LETTER = "[A-Za-z\u00c0-\u024f\u0370-\u052f]"
"""Of names with digits in them, such as COVID-19; scripts without spaces write numbers right behind words."""
_TOKEN = re.compile(
    rf"(?P<id>{_LETTER}+[-\u2010\u2011]?\d+(?:[-\u2010\u2011]?(?:{_LETTER}|\d)+)*)"
    r"|(?P<number>\d{1,3}(?:[ \u00a0\u2009\u202f]\d{3})+(?![\d])(?:[.,]\d+)?|\d+(?:[.,'’٫٬]\d+)*)"
    r"|(?P<fraction>[½¼¾⅓⅔⅛])"
    r"|(?P<word>[°º]?[^\W\d_]+(?:['’][^\W\d_]+)*\$?)"
    r"|(?P<symbol>[%‰°º$€£٪])"
    r"|(?P<mark>[^\w\s])"
)
_GROUPED = re.compile(r"\d{1,3}(?:[., '’\u00a0\u2009\u202f٬]\d{3})+")
_ROMAN = re.compile(r"(?=[IVXL]{2,})X{0,3}(?:IX|IV|V?I{0,3})")
_PERCENT = re.compile(r"\b(?:por\s+cento|por\s+ciento|per\s+cento?|pour\s+cent)\b", re.IGNORECASE)
_CONTRACTED = frozenset({"re", "ve", "ll"})
_FRACTIONS = {"½": "1/2", "¼": "1/4", "¾": "3/4", "⅓": "1/3", "⅔": "2/3", "⅛": "1/8"}
_EAST = {
    "万": 10**4, "萬": 10**4, "億": 10**8, "亿": 10**8, "千": 10**3, "百": 10**2, "만": 10**4, "억": 10**8, "천": 10**3,
    "lakh": 10**5, "लाख": 10**5, "crore": 10**7, "करोड़": 10**7,
}  # fmt: skip
_HYPHENS = frozenset("-\u2010\u2011")
_THOUSAND_ALONE = frozenset({"mil", "mille"})
"""A thousand without a number before it; elsewhere it is “a thousand”, which may be meant loosely."""
CONNECT = frozenset(
    ["-", "–", "—", "to", "or", "and", "a", "ou", "e", "o", "u", "y", "et", "bis", "oder", "und", "ate", "hasta"]
)
"""What may stand between two numbers that share one unit."""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of text: `kind` is the name of the pattern that took it, `text` is plain."""

    kind: str
    text: str
    raw: str


@dataclass(frozen=True, slots=True)
class Quantity:
    """`values` are what it may mean; `unit` the name of the unit behind it; `at` the index of its first token, `end`
    that behind its last."""

    values: frozenset[Fraction]
    sure: bool
    at: int
    end: int
    unit: str | None = None


def tokens(text: str) -> list[Token]:
    """The text cut into words, numbers and marks; decimal digits of every script become ASCII ones."""
    ascii_digits = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text[:LARGEST_TEXT])
    found = []
    for match in _TOKEN.finditer(_PERCENT.sub(" % ", ascii_digits)):
        kind = match.lastgroup or "mark"
        raw = match.group()
        begin, elided, rest = raw.replace("’", "'").partition("'")
        if kind == "word" and elided and len(begin) <= 5 and len(rest) > 1 and plain(rest) not in _CONTRACTED:
            found += [Token(kind, plain(begin), begin), Token(kind, plain(rest), rest)]
        else:
            found.append(Token(kind, plain(raw), raw))
    return found


def read_digits(text: str, decimal: str | None) -> frozenset[Fraction]:
    """What a number written in digits means. Only where the decimal sign is unknown does one group of three have two
    readings: ``1.500`` is 1.5 in English and 1,500 in Portuguese, which is what must not be mixed up."""
    text = text.replace("٫", ".").replace("٬", ",")
    bare = re.sub(r"[ '’\u00a0\u2009\u202f]", "", text)
    signs = [c for c in bare if c in ".,"]
    whole = Fraction(int(re.sub(r"\D", "", bare)))
    if not signs:
        return frozenset({whole})
    head, _, tail = bare.rpartition(signs[-1])
    pointed = Fraction(int(re.sub(r"\D", "", head) or 0)) + Fraction(int(tail), 10 ** len(tail))
    if len(set(signs)) == 2:
        return frozenset({pointed})
    if len(signs) > 1:
        return frozenset(
            {whole} if _GROUPED.fullmatch(text) else {Fraction(int(part)) for part in bare.split(signs[0])}
        )
    if len(tail) != 3 or head == "0" or len(head) > 3:
        return frozenset({pointed})
    if decimal is None:
        return frozenset({pointed, whole})
    return frozenset({pointed if signs[0] == decimal else whole})


def quantities(pieces: Sequence[Token], language: str) -> list[Quantity]:
    """Every number in order. Languages without a table have their digits read, and no words."""
    tongue = TONGUES.get(language)
    found: list[Quantity] = []
    at = 0
    while at < len(pieces):
        quantity = _words(pieces, at, tongue) if tongue is not None else None
        quantity = quantity or _digits(pieces, at, tongue) or _loose(pieces, at, tongue)
        if quantity is None:
            at += 1
            continue
        found.append(_with_unit(pieces, quantity, tongue))
        at = quantity.end
    return _shared_units(pieces, found)


def mentions(pieces: Sequence[Token], language: str) -> frozenset[str]:
    """Names of all units that occur as words, also without a number."""
    tongue = TONGUES.get(language)
    return frozenset(unit for token in pieces if (unit := _unit(token.text, tongue)) is not None)


@dataclass(frozen=True, slots=True)
class _Part:
    """A piece of a number written in words: a smaller number than `floor` may be added to it. `sure` as in Quantity."""

    value: Fraction
    floor: int
    end: int
    sure: bool = True


def _simple(word: str, tongue: Tongue) -> int | None:
    value = tongue.cardinals.get(word)
    return value if value is not None else tongue.compound(word)


def _floor(value: int, tongue: Tongue) -> int:
    """A smaller number than this may be added: 20 takes 1 to 9."""
    if tongue.code == "fr" and value in (10, 60, 80):
        return 10 if value == 10 else 20  # dix-sept, soixante-dix, quatre-vingt-dix
    if value % 100 == 0 and value:
        return 100
    return 10 if value % 10 == 0 and 20 <= value < 100 else 1


def _small(pieces: Sequence[Token], at: int, tongue: Tongue) -> _Part | None:
    """One word below a thousand, with “hundred” behind it where that is a word of its own."""
    if at >= len(pieces) or pieces[at].kind != "word":
        return None
    word = pieces[at].text
    value = _simple(word, tongue)
    if value is None:
        return _Part(Fraction(100), 100, at + 1) if word in tongue.hundreds else None
    behind = _skip_hyphen(pieces, at + 1)
    following = pieces[behind].text if behind < len(pieces) else ""
    if value == 4 and tongue.code == "fr" and following in ("vingt", "vingts"):
        return _Part(Fraction(80), 20, behind + 1)
    if value < 100 and following in tongue.hundreds:
        return _Part(Fraction(value * 100), 100, behind + 1)
    return _Part(Fraction(value), _floor(value, tongue), at + 1, word not in tongue.ones and word not in tongue.unsure)


def _skip_hyphen(pieces: Sequence[Token], at: int) -> int:
    return at + 1 if at < len(pieces) and pieces[at].text in _HYPHENS else at


def _skip_joiner(pieces: Sequence[Token], at: int, tongue: Tongue) -> int:
    at = _skip_hyphen(pieces, at)
    if at < len(pieces) and pieces[at].text in tongue.joiners:
        at = _skip_hyphen(pieces, at + 1)
    return at


def _below_thousand(pieces: Sequence[Token], at: int, tongue: Tongue) -> _Part | None:
    """Words that add up: two hundred and twenty-five."""
    whole = _small(pieces, at, tongue)
    while whole is not None and whole.floor > 1:
        more = _small(pieces, _skip_joiner(pieces, whole.end, tongue), tongue)
        if more is None or not 0 < more.value < whole.floor:
            break
        whole = _Part(whole.value + more.value, more.floor if more.value < 100 else 1, more.end)
    return whole


def _scaled(pieces: Sequence[Token], at: int, tongue: Tongue) -> _Part | None:
    """A number below a thousand, or digits, with thousands or millions behind it; or such a word alone."""
    if at >= len(pieces):
        return None
    if pieces[at].kind == "number":
        values = read_digits(pieces[at].raw, tongue.decimal)
        part = _Part(min(values), 1, at + 1) if len(values) == 1 else None
    else:
        part = _below_thousand(pieces, at, tongue)
    behind = at if part is None else _skip_hyphen(pieces, part.end)
    scale, end = 1, behind
    while end < len(pieces) and tongue.scales.get(pieces[end].text, 0) > (scale if scale > 1 else 0):
        scale *= tongue.scales[pieces[end].text]  # “mil milhões” is a thousand million
        end += 1
    if scale == 1:
        return None if part is None or pieces[at].kind == "number" else part
    if part is None:
        return _Part(Fraction(scale), scale, end, scale == 1_000 and pieces[at].text in _THOUSAND_ALONE)
    return _Part(part.value * scale, scale, end)


def _words(pieces: Sequence[Token], at: int, tongue: Tongue) -> Quantity | None:
    """A number that begins here and has a number word in it."""
    whole = _scaled(pieces, at, tongue)
    if whole is None:
        return None
    value, lowest, end, sure = whole.value, whole.floor, whole.end, whole.sure
    while lowest >= 1_000:
        more = _scaled(pieces, _skip_joiner(pieces, end, tongue), tongue)
        if more is None or more.value >= lowest:
            break
        value, lowest, end, sure = value + more.value, more.floor, more.end, True
    values = {value, value + Fraction(1, 2)} if _half_follows(pieces, end, tongue) else {value}
    return Quantity(frozenset(values), sure and value > 1, at, end)


def _half_follows(pieces: Sequence[Token], at: int, tongue: Tongue) -> bool:
    behind = [token.text for token in pieces[at : at + 3]]
    return any(Fraction(1, 2) in tongue.loose.get(word, ()) for word in behind)


def _digits(pieces: Sequence[Token], at: int, tongue: Tongue | None) -> Quantity | None:
    token = pieces[at]
    if token.kind == "fraction":
        return Quantity(frozenset({Fraction(_FRACTIONS[token.raw])}), False, at, at + 1)
    if token.kind == "id":
        numbers = re.findall(r"\d+", token.raw)
        values = {Fraction(int(n)) for n in numbers}
        return Quantity(frozenset(values | {value + 2000 for value in values if value < 100}), False, at, at + 1)
    if token.kind != "number":
        return None
    values = set(read_digits(token.raw, tongue.decimal if tongue else None))
    end = at + 1
    behind = pieces[end].text if end < len(pieces) else ""
    if tongue is None and (factor := _east(behind)) > 1:
        values |= {value * factor for value in values}
    if behind == "s" and tongue is not None and tongue.code == "en":  # the 1990s, the 90s
        values |= {Fraction(int(value) % 100) for value in values if value.denominator == 1}
        end += 1
    if _afternoon(pieces, end):
        values |= {value + 12 for value in values if value <= 12}
    if (
        at >= 2
        and pieces[at - 1].text in "-–\u2010\u2011/"
        and pieces[at - 2].text.isdecimal()
        and len(pieces[at - 2].text) == 4
    ):
        values |= {value + int(pieces[at - 2].text) // 100 * 100 for value in values if value < 100}  # 2010-11
    if tongue is not None and _half_follows(pieces, end, tongue):
        values |= {value + Fraction(1, 2) for value in values}
    # “Once a day” is 1日1回 in Japanese: without a table a one may be an article elsewhere.
    sure = values != {0} and (tongue is not None or values != {1})
    return Quantity(frozenset(values), sure, at, end)


def _east(text: str) -> int:
    """What the signs at the beginning of a text multiply by: 千万 is ten million."""
    factor, rest = 1, text
    while sign := next((sign for sign in _EAST if rest.startswith(plain(sign))), None):
        factor, rest = factor * _EAST[sign], rest[len(plain(sign)) :]
    return factor


def _afternoon(pieces: Sequence[Token], at: int) -> bool:
    """Whether am or pm follows, perhaps behind minutes."""
    behind = [token.text for token in pieces[at : at + 5]]
    if behind[:1] == [":"]:
        behind = behind[2:]
    return behind[:1] in (["am"], ["pm"]) or behind[:3] in (["a", ".", "m"], ["p", ".", "m"])


def _loose(pieces: Sequence[Token], at: int, tongue: Tongue | None) -> Quantity | None:
    token = pieces[at]
    if token.kind != "word":
        return None
    if _ROMAN.fullmatch(token.raw):
        return Quantity(frozenset({Fraction(_roman(token.raw))}), False, at, at + 1)
    if tongue is None:
        return None
    values = tongue.loose.get(token.text)
    if values is None and tongue.carriers:
        for carrier in tongue.carriers:
            begin, found, _ = token.text.partition(carrier)
            number = _simple(begin, tongue) if found else None
            if number is not None:
                values = (Fraction(number),)
    return Quantity(frozenset(values), False, at, at + 1) if values else None


def _roman(text: str) -> int:
    worth = [{"I": 1, "V": 5, "X": 10, "L": 50}[c] for c in text]
    return sum(-a if a < b else a for a, b in zip(worth, [*worth[1:], 0], strict=True))


def _unit(text: str, tongue: Tongue | None) -> str | None:
    known = tongue.units.get(text) if tongue is not None else None
    return known or SYMBOLS.get(text)


def _with_unit(pieces: Sequence[Token], quantity: Quantity, tongue: Tongue | None) -> Quantity:
    at = quantity.end
    if at < len(pieces) and pieces[at].text in _HYPHENS:
        at += 1
    unit = _unit(pieces[at].text, tongue) if at < len(pieces) else None
    if unit is None and quantity.at > 0 and pieces[quantity.at - 1].kind == "symbol":
        unit = SYMBOLS.get(pieces[quantity.at - 1].text) if pieces[quantity.at - 1].text in "$€£" else None
    values = quantity.values
    if unit == "hour":  # 11.29 Uhr
        times = {value for value in values if value.denominator > 1 and value < 24}
        values |= {part for value in times for part in (Fraction(int(value)), (value - int(value)) * 100)}
    return replace(quantity, values=values, unit=unit)


def _shared_units(pieces: Sequence[Token], found: list[Quantity]) -> list[Quantity]:
    """Of ``10-14 days`` and ``5 or 10 mg`` both numbers have the unit."""
    result = list(found)
    for index in range(len(result) - 2, -1, -1):
        here, behind = result[index], result[index + 1]
        between = [token.text for token in pieces[here.end : behind.at]]
        if here.unit is None and len(between) == 1 and between[0] in CONNECT:
            result[index] = replace(here, unit=behind.unit)
    return result
