"""Terms that people in a room use: found in what was said, heard rightly, and kept in translation.

Pure. Matching is by letters and by sound (consonants, with those taken together that recognisers mix up), so that
“met for men” is seen to be metformin. Nothing is replaced where the recogniser was sure of itself.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

import msgspec

from captioning.drugs import same_name
from captioning.numbers import tokens
from captioning.tongues.tongue import plain

Kind = Literal["term", "drug"]

UNSURE = 0.6
"""Probability of a word under which it may be something that only sounds like it."""
UNSURE_SAME = 0.9
"""The same for what is letter by letter a way to say the term."""
SOUNDS = 0.78
"""Likeness from which an unsure span is taken for a term."""
LEAD = 0.04
"""By which a term must be more like it than any other."""
NEAR = 0.62
"""Likeness from which a term is worth telling the recogniser about."""
SHORTEST = 5
"""Letters; shorter terms sound like too much else."""
SPAN = 4
"""Words that one term may have been heard as."""
HOTWORDS, HOTWORD_LETTERS = 12, 160
MOST_BYTES = 400_000
"""Of one room's terms on their way to a worker."""

_CLASSES = str.maketrans("bpvfdtkgqcjszxmn", "ppffttkkkkkssxnn")


class Term(msgspec.Struct, array_like=True, frozen=True):
    """`aliases` are other ways to say or hear it, `translations` by primary language tag. A ``drug`` must be kept in
    translation; for a plain ``term`` it is only tried."""

    term: str
    language: str
    kind: Kind = "term"
    aliases: list[str] = []
    translations: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Correction:
    """Words `at` to `at` + `count` (of what was heard) were `was` and became `now`."""

    at: int
    count: int
    was: str
    now: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """A term found in a text, and how it is to be in the other language."""

    found: str
    form: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to say a term, as it is compared."""

    term: Term
    letters: str
    sound: str


def bounded(terms: Iterable[Term]) -> list[Term]:
    """The first of the terms that fit; of two for the same words the earlier one."""
    kept: dict[tuple[str, str], Term] = {}
    size = 0
    for term in terms:
        key = (term.language, term.term.casefold())
        if key not in kept:
            size += len(msgspec.msgpack.encode(term))
            if size > MOST_BYTES:
                break
            kept[key] = term
    return list(kept.values())


def letters(text: str) -> str:
    """Only the letters and digits, plain."""
    return "".join(c for c in plain(text) if c.isalnum())


def sound(text: str) -> str:
    """The consonants, those alike as one, none twice: ``metformin`` is ``ntfrnn``."""
    word = letters(text).replace("ph", "f").replace("th", "t").replace("ch", "k").translate(_CLASSES)
    return re.sub(r"(.)\1", r"\1", re.sub(r"(?<=.)[aeiouyhw]", "", word))


def likeness(one: str, other: str) -> float:
    """0 to 1: by letters and by sound, half each."""
    a, b = letters(one), letters(other)
    return _alike(a, sound(one), b, sound(other))


def _alike(a: str, a_sound: str, b: str, b_sound: str) -> float:
    if a == b:
        return 1.0
    by_letters = SequenceMatcher(None, a, b, autojunk=False).ratio()
    return (by_letters + SequenceMatcher(None, a_sound, b_sound, autojunk=False).ratio()) / 2


def _grams(text: str) -> set[str]:
    padded = f"^{text}$"
    return {padded[at : at + 2] for at in range(len(padded) - 1)}


class Glossary:
    """The terms of one room, indexed."""

    def __init__(self, terms: Iterable[Term]) -> None:
        self.terms = list(terms)
        self._ways: dict[str, list[_Way]] = {}
        self._index: dict[str, dict[str, list[int]]] = {}
        self._said: dict[str, dict[str, list[tuple[list[str], Term]]]] = {}
        for term in self.terms:
            said = self._said.setdefault(term.language, {})
            pieces = _stems(term.term)
            if pieces:
                said.setdefault(pieces[0], []).append((pieces, term))
            for way in (term.term, *term.aliases):
                self._add(term, way)

    def _add(self, term: Term, way: str) -> None:
        bare = letters(way)
        if len(bare) < SHORTEST:
            return
        ways = self._ways.setdefault(term.language, [])
        index = self._index.setdefault(term.language, {})
        for gram in _grams(bare):
            index.setdefault(gram, []).append(len(ways))
        ways.append(_Way(term, bare, sound(way)))

    def _like(self, span: str, language: str) -> list[tuple[float, Term]]:
        """The terms most like a span, best first, each once."""
        bare, heard = letters(span), sound(span)
        index, ways = self._index.get(language, {}), self._ways.get(language, [])
        if len(bare) < SHORTEST - 1 or not ways:
            return []
        grams = _grams(bare)
        shared = Counter(at for gram in grams for at in index.get(gram, ()))
        best: dict[str, tuple[float, Term]] = {}
        for at, count in shared.most_common(24):
            way = ways[at]
            if count * 4 < len(grams) or abs(len(way.letters) - len(bare)) > max(3, len(bare) // 3):
                continue
            score = _alike(bare, heard, way.letters, way.sound)
            if score > best.get(way.term.term, (0.0, way.term))[0]:
                best[way.term.term] = (score, way.term)
        return sorted(best.values(), key=lambda pair: -pair[0])

    def hotwords(self, text: str, language: str) -> list[str]:
        """Terms that something in `text` sounds like, most alike first: few, because each one draws the recogniser."""
        words = text.split()
        scores: dict[str, float] = {}
        for at in range(len(words)):
            for count in range(1, min(SPAN, len(words) - at) + 1):
                for score, term in self._like("".join(words[at : at + count]), language)[:3]:
                    if score >= NEAR:
                        scores[term.term] = max(score, scores.get(term.term, 0.0))
        chosen: list[str] = []
        for name in sorted(scores, key=lambda name: (-scores[name], name))[:HOTWORDS]:
            if sum(map(len, chosen)) + len(name) <= HOTWORD_LETTERS:
                chosen.append(name)
        return chosen

    def correct(self, words: Sequence[str], sure: Sequence[float], language: str) -> tuple[list[str], list[Correction]]:
        """Put terms right where the recogniser was unsure. `sure` is the probability of every word.

        Returns the words and what was changed; the caller keeps what was heard."""
        if not self._ways.get(language) or len(sure) != len(words):
            return list(words), []
        found = []
        for at in range(len(words)):
            for count in range(1, min(SPAN, len(words) - at) + 1):
                if (better := self._better(words[at : at + count], min(sure[at : at + count]), language)) is not None:
                    found.append((better[0], count, at, better[1]))
        result, corrections, taken = list(words), [], set[int]()
        for _, count, at, now in sorted(found, key=lambda one: (-one[0], one[1], one[2])):
            places = set(range(at, at + count))
            if not places & taken:
                taken |= places
                corrections.append(Correction(at, count, " ".join(words[at : at + count]), now))
        for change in sorted(corrections, key=lambda one: -one.at):
            result[change.at : change.at + change.count] = change.now.split()
        return result, sorted(corrections, key=lambda one: one.at)

    def _better(self, span: Sequence[str], sure: float, language: str) -> tuple[float, str] | None:
        """(likeness, the term as it stands in this place) for a span that should be a term."""
        if sure >= UNSURE_SAME:
            return None
        like = self._like("".join(span), language)
        if not like:
            return None
        score, term = like[0]
        limit = SOUNDS if sure < UNSURE else 1.0
        if score < limit or (len(like) > 1 and score - like[1][0] < LEAD):
            return None
        if f" {' '.join(_stems(term.term))} " in f" {' '.join(_stems(' '.join(span)))} ":
            return None  # it is there already, perhaps in the plural
        begins = re.match(r"^\W*", span[0])
        ends = re.search(r"\W*$", span[-1])
        name = term.term
        if span[0][:1].isupper() and name[:1].islower():
            name = name[:1].upper() + name[1:]
        return score, (begins.group() if begins else "") + name + (ends.group() if ends else "")

    def wanted(self, text: str, source: str, target: str) -> list[Wanted]:
        """The terms in a text that have a translation, longest first where they overlap."""
        found: list[Wanted] = []
        for words, term in self._terms_in(text, source):
            form = term.translations.get(target, "").partition("(")[0].strip()
            form = form or (term.term if term.kind == "drug" else "")
            if form and (term.kind == "drug" or not _verb(form, target)):
                found.append(Wanted(words, form, term.kind))
        return found

    def within(self, text: str, source: str) -> list[Term]:
        """The terms in a text: all that its translation needs of this glossary."""
        return [term for _, term in self._terms_in(text, source)]

    def _terms_in(self, text: str, source: str) -> Iterator[tuple[str, Term]]:
        """Each term in a text with its words there, the longest where they overlap."""
        said = self._said.get(source)
        if not said:
            return
        pieces = [token for token in tokens(text) if token.kind in ("word", "id", "number")]
        stems = [_stem(token.text) for token in pieces]
        at = 0
        while at < len(stems):
            here = [
                (term_stems, term)
                for term_stems, term in said.get(stems[at], [])
                if stems[at : at + len(term_stems)] == term_stems
            ]
            at += 1
            if not here:
                continue
            term_stems, term = max(here, key=lambda pair: len(pair[0]))
            yield " ".join(token.raw for token in pieces[at - 1 : at - 1 + len(term_stems)]), term
            at += len(term_stems) - 1


_INFINITIVES = {"pt": r".+[aei]r", "es": r".+[aei]r", "fr": r".+(er|ir|re)", "it": r".+[aei]re", "de": r"[a-zäöü]+en"}


def _verb(form: str, language: str) -> bool:
    """Whether a form is one word that must be a verb in the infinitive: no sentence can take it as it is."""
    return re.fullmatch(_INFINITIVES.get(language, "(?!)"), form) is not None


def _stem(word: str) -> str:
    """Without the plural's ending, in the languages that have one."""
    return re.sub(r"(?<=[a-z]{3})(?:es|s)$", "", plain(word))


def _stems(text: str) -> list[str]:
    return [_stem(token.text) for token in tokens(text) if token.kind in ("word", "id", "number")]


def holds(text: str, wanted: Wanted) -> bool:
    """Whether the text has the term in this or another ending; a drug also under a name that is the same."""
    have = _stems(text)
    need = _stems(wanted.form)
    for at in range(len(have) - len(need) + 1):
        if all(_same_stem(one, other) for one, other in zip(have[at : at + len(need)], need, strict=True)):
            return True
    return wanted.kind == "drug" and len(need) == 1 and any(same_name(word, wanted.form) for word in have)


def _same_stem(one: str, other: str) -> bool:
    if one == other:
        return True
    shared = max(4, max(len(one), len(other)) - 3)
    return one[:shared] == other[:shared]
