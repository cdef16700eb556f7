"""The guard: what must not change in translation, compared between source and target.

Numbers with their units, dates, percentages, drug names, denials, left and right. What it cannot say for certain it
marks; it never changes a text. Pure: two texts, two languages in, doubts out. What a language writes how stands in
`captioning.tongues`; without a table only what needs none is compared (digits, copied text, loops, length).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from captioning.drugs import is_drug, same_name
from captioning.guards import looping
from captioning.numbers import Quantity, Token, mentions, quantities, tokens
from captioning.tongues import TONGUES
from captioning.tongues.tongue import Tongue, among, plain, words

Doubt = Literal[
    "number", "dose", "percentage", "unit", "date", "drug", "negation", "side", "copied", "empty", "length", "loop"
]
"""Why a translation is marked, in the words of the caption event."""

DOSE_UNITS = frozenset({
    "microgram", "milligram", "gram", "milliliter", "deciliter", "unit", "millimole", "tablet", "drop", "pressure",
})  # fmt: skip
SPELT = Fraction(12)
"""A number up to this may be spelt out in a language whose words we do not know."""
SHORT = 24
"""Weight of a text from which its length is compared."""
RATIO = (0.4, 2.6)
"""Weight of the translation over that of the source; see `weight`."""
COPIED_RUN = 4
"""So many words in a row left as they were are not a name."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One mismatch. `detail` is for tests; it holds what was said, so it never goes to a log."""

    doubt: Doubt
    detail: str


def check(source: str, target: str, spoken: str, read: str, known: Collection[str] = ()) -> list[Finding]:
    """Every mismatch between `source` in the language `spoken` and `target` in `read` (primary tags).

    `known` are words of glossary terms, whose translation somebody else answers for.
    """
    if not target.strip():
        return [Finding("empty", "")] if source.strip() else []
    ours, theirs = tokens(source), tokens(target)
    found = [
        *_lengths(source, target),
        *_copied(ours, theirs),
        *_numbers(ours, theirs, spoken, read),
    ]
    if looping(target.split()) and not looping(source.split()):
        found.append(Finding("loop", ""))
    here, there = TONGUES.get(spoken), TONGUES.get(read)
    if here is not None and there is not None:
        found += [
            *_months(ours, theirs, here, there),
            *_drugs(ours, theirs, known),
            *_negation(ours, theirs, here, there),
        ]
        found += _sides(ours, theirs, here, there)
    return found


def doubts(findings: Iterable[Finding]) -> tuple[Doubt, ...]:
    """The kinds, once each, in the order found."""
    return tuple(dict.fromkeys(finding.doubt for finding in findings))


# --- numbers and units ---


def _numbers(ours: list[Token], theirs: list[Token], spoken: str, read: str) -> list[Finding]:
    source, target = quantities(ours, spoken), quantities(theirs, read)
    found: list[Finding] = []
    left = _missing(source, target, ours, theirs, TONGUES.get(read))
    right = _missing(target, source, theirs, ours, TONGUES.get(spoken))
    for quantity in left + right:
        found.append(Finding(_kind(quantity), "/".join(map(str, sorted(quantity.values)))))
    found += _units(source, target, mentions(ours, spoken), mentions(theirs, read), read in TONGUES)
    return found


def _kind(quantity: Quantity) -> Doubt:
    if quantity.unit == "percent":
        return "percentage"
    return "dose" if quantity.unit in DOSE_UNITS else "number"


def _missing(
    ours: list[Quantity], theirs: list[Quantity], pieces: list[Token], others: list[Token], their_tongue: Tongue | None
) -> list[Quantity]:
    """Sure numbers of ours that are nowhere in theirs. Words left as they were (Six Flags) are names."""
    missing = []
    names = {token.raw for token in others if token.kind == "word"}
    free = list(theirs)
    for quantity in ours:
        if not quantity.sure:
            continue
        match = next((other for other in free if quantity.values & other.values), None)
        if match is not None:
            free.remove(match)
            continue
        if their_tongue is None and all(value <= SPELT for value in quantity.values):
            continue
        raw = [token.raw for token in pieces[quantity.at : quantity.end]]
        if not any(word[:1].isupper() and word in names for word in raw):
            missing.append(quantity)
    return missing


def _units(
    source: list[Quantity], target: list[Quantity], ours: frozenset[str], theirs: frozenset[str], known: bool
) -> list[Finding]:
    """Numbers that both have, with another unit behind them. Whether one is gone can be told only where the units of
    the language that is read are `known`."""
    found = []
    for one in source:
        same = [two for two in target if one.values & two.values and one.sure and two.sure]
        if not same or one.unit is None or any(two.unit == one.unit for two in same):
            continue
        others = {two.unit for two in same if two.unit is not None}
        if others:
            found.append(Finding("unit", f"{one.unit} became {' '.join(sorted(others))}"))
        elif known and one.unit in DOSE_UNITS | {"percent"} and one.unit not in theirs:
            found.append(Finding("unit", f"{one.unit} is gone"))
    return found


# --- dates ---


def _months(ours: list[Token], theirs: list[Token], here: Tongue, there: Tongue) -> list[Finding]:
    sure_ours, all_ours = _month_set(ours, here)
    sure_theirs, all_theirs = _month_set(theirs, there)
    digits = {int(token.text) for token in ours + theirs if token.kind == "number" and token.text.isdecimal()}
    names = {token.raw for token in ours} & {token.raw for token in theirs}
    spelt = {month for tongue in (here, there) for word, month in tongue.months.items() if word in map(plain, names)}
    wrong = ((sure_ours - all_theirs) | (sure_theirs - all_ours)) - spelt
    return [Finding("date", f"month {month}") for month in sorted(wrong) if month not in digits]


def _month_set(pieces: list[Token], tongue: Tongue) -> tuple[set[int], set[int]]:
    """(months that are certain, all that may be meant)."""
    sure, every = set(), set()
    for index, token in enumerate(pieces):
        month = tongue.months.get(token.text)
        if month is not None:
            every.add(month)
            beside = [piece.kind for piece in (*pieces[max(0, index - 1) : index], *pieces[index + 1 : index + 2])]
            if token.text not in tongue.strange_months or "number" in beside:
                sure.add(month)
    return sure, every


# --- names ---


def _drugs(ours: list[Token], theirs: list[Token], known: Collection[str]) -> list[Finding]:
    """A drug must have its like on the other side: in either direction, so that none appears from nowhere."""
    words = [t.raw for t in ours if t.kind in ("word", "id")], [t.raw for t in theirs if t.kind in ("word", "id")]
    names = {plain(word) for word in known}
    found = []
    for here, there in (words, words[::-1]):
        for word in here:
            if is_drug(word) and plain(word) not in names and not any(same_name(word, other) for other in there):
                found.append(Finding("drug", word))
    return found


# --- denials ---


def _negation(ours: list[Token], theirs: list[Token], here: Tongue, there: Tongue) -> list[Finding]:
    """One side denies and the other does not, nor holds more words with a denial inside than the first does."""
    our_no, our_soft = _denials(ours, here)
    their_no, their_soft = _denials(theirs, there)
    if (our_no and not their_no) or (our_no >= 2 > their_no):
        return [Finding("negation", "lost")] if their_soft <= our_soft else []
    if their_no and not our_no:
        return [Finding("negation", "added")] if our_soft <= their_soft else []
    if their_no > our_no and their_no + their_soft > our_no + our_soft + 1:
        return [Finding("negation", "added")]
    return []


def _denials(pieces: list[Token], tongue: Tongue) -> tuple[int, int]:
    """(words that deny, words that hold a denial)."""
    flat = " " + " ".join("#" if token.kind == "number" else token.text for token in pieces) + " "
    for idiom in tongue.idioms:
        flat = flat.replace(f" {idiom} ", " ")
    half = sum(flat.count(f" {phrase} ") for phrase in tongue.halfway)
    for phrase in tongue.halfway:
        flat = flat.replace(f" {phrase} ", " ")
    words = flat.split()
    strong = sum(word in tongue.negators or word.endswith(tongue.denying_endings or ("\0",)) for word in words)
    soft = sum(among(word, tongue.excuses) for word in words)
    return strong, half + soft + sum(word.endswith(tongue.endings or ("\0",)) for word in words)


# --- left and right ---


def _sides(ours: list[Token], theirs: list[Token], here: Tongue, there: Tongue) -> list[Finding]:
    ours_sure, ours_all = _side_list(ours, here)
    theirs_sure, theirs_all = _side_list(theirs, there)
    lost = set(ours_sure) - set(theirs_all)
    new = set(theirs_sure) - set(ours_all)
    if lost or new:
        return [Finding("side", " ".join(sorted(lost | new)))]
    both = set(ours_sure) == set(theirs_all) == {"left", "right"}
    if both and len(ours_sure) == len(theirs_all) and ours_sure != theirs_all:
        return [Finding("side", "another order")]
    return []


_BODY = words(
    "side hand arm leg knee lung kidney eye ear breast foot hip shoulder wrist ankle elbow thigh calf ventricle"
    " ventricular atrium atrial lobe lower upper hemisphere ovary testicle carotid femoral temple cheek jaw flank groin"
    " toe finger thumb heel rib clavicle tonsil adrenal ureter bronchus hemithorax iliac nostril eyelid cornea retina"
    " coronary heart hemicolon"
)
"""What “left” and “right” in English are a side of, when they stand before it."""


def _side_list(pieces: list[Token], tongue: Tongue) -> tuple[list[str], list[str]]:
    """(sides that are certain, all that may be meant), in order."""
    sure, every = [], []
    for index, token in enumerate(pieces):
        certain = "left" if among(token.text, tongue.left) else "right" if among(token.text, tongue.right) else None
        maybe = "left" if token.text in tongue.maybe_left else "right" if token.text in tongue.maybe_right else None
        if certain is None and maybe is not None and tongue.code == "en":
            behind = [t.text.removesuffix("s") for t in pieces[index + 1 : index + 3]]
            certain = maybe if any(word in _BODY for word in behind) else None
        if certain or maybe:
            every.append(certain or maybe or "")
        if certain:
            sure.append(certain)
    # Who speaks of one side means the other words of sides so too; English “left” and “right” stay what they are.
    return (every if sure and tongue.code != "en" else sure), every


# --- the text as a whole ---


def weight(text: str) -> int:
    """Length of a text so that scripts can be compared: a Chinese or Japanese sign says as much as three letters."""
    return sum(3 if "\u3040" <= c <= "\u9fff" else 2 if "\uac00" <= c <= "\ud7af" else 1 for c in text)


def _lengths(source: str, target: str) -> list[Finding]:
    ours, theirs = weight(source), weight(target)
    low, high = RATIO
    if max(ours, theirs) >= SHORT and not low <= theirs / max(1, ours) <= high:
        return [Finding("length", f"{theirs / max(1, ours):.2f}")]
    return []


def _copied(ours: list[Token], theirs: list[Token]) -> list[Finding]:
    """Words in a row that are left as they were; names (in capitals) and numbers do not count."""
    source = [token.text for token in ours]
    runs = {tuple(source[at : at + COPIED_RUN]) for at in range(len(source) - COPIED_RUN + 1)}
    for at in range(len(theirs) - COPIED_RUN + 1):
        run = theirs[at : at + COPIED_RUN]
        if all(t.kind == "word" and t.raw == t.raw.lower() for t in run) and tuple(t.text for t in run) in runs:
            return [Finding("copied", " ".join(t.text for t in run))]
    return []


__all__ = ["Doubt", "Finding", "check", "doubts", "plain", "weight"]
