"""From the words spoken to the languages read: Firefox Translations models, models of many languages where the operator
has some (`captioning.multilingual`), and Whisper's own English where there is none of either.

Every translation is made once per language, however many read it. Nothing is fetched: models are loaded from bytes.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from captioning.agreement import plain
from captioning.glossary import Wanted, holds
from captioning.guard import Doubt, Finding, check, doubts
from captioning.retry import ways

LONGEST = 1_200
"""Characters; an utterance has a few hundred at most, and a model's time grows with the text."""
CACHED = 512
COPIED_FROM = 4
"""Fewer words than this may be the same in both languages (names, numbers, “OK”)."""

Engine = Literal["firefox", "whisper", "nllb", "m2m100", "madlad", "opus"]


class SentenceTranslator(Protocol):
    """One direction of one model."""

    def translate_long(self, text: str) -> str: ...


class Many(Protocol):
    """A model of several languages: `captioning.multilingual.Multilingual`."""

    @property
    def engine(self) -> Engine: ...
    def targets(self) -> frozenset[str]: ...
    def reaches(self, source: str, target: str) -> bool: ...
    def translate(self, text: str, source: str, targets: Sequence[str]) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Route:
    """How a language is reached. `english_first`: from Whisper's own translation to English. `legs` are models in
    order, `engine` what the last of them is."""

    english_first: bool
    legs: tuple[tuple[str, str], ...]
    engine: Engine = "firefox"

    @property
    def pivot(self) -> str | None:
        return "en" if len(self.legs) + self.english_first > 1 else None


@dataclass(frozen=True, slots=True)
class Translated:
    """A translation; `doubts` say why it must be shown with the original beside it."""

    text: str
    doubts: tuple[Doubt, ...] = ()


@dataclass(frozen=True, slots=True)
class _Checks:
    """What a translation of one text is held against."""

    text: str
    spoken: str
    read: str
    wanted: Sequence[Wanted]

    def __call__(self, translation: str) -> list[Finding]:
        words = [word for term in self.wanted for word in f"{term.found} {term.form}".split()]
        found = check(self.text, translation, self.spoken, self.read, words)
        missing = (term for term in self.wanted if term.kind == "drug" and not holds(translation, term))
        return found + [Finding("drug", term.found) for term in missing]


class Translator:
    """`pairs` are the models there are of one direction each, `many` those of several languages, which come second
    unless `many_first`; `hears_english`: whether Whisper can give English. Counts in `counters`."""

    def __init__(
        self,
        pairs: Mapping[tuple[str, str], SentenceTranslator],
        hears_english: bool,
        many: Sequence[Many] = (),
        many_first: bool = False,
    ) -> None:
        self._pairs = pairs
        self._many = many
        self._many_first = many_first
        self._hears_english = hears_english
        self._cache: OrderedDict[tuple[str, str, str], str] = OrderedDict()
        self.counters: Counter[str] = Counter()

    def route(self, source: str, target: str) -> Route | None:
        """The way from a spoken to a read language (primary tags); None if there is none, or nothing to do."""
        if source == target:
            return None
        if (engine := self._engine(source, target)) is not None:
            return Route(False, ((source, target),), engine)
        through = self._engine("en", target)
        if through is not None and self._engine(source, "en") is not None:
            return Route(False, ((source, "en"), ("en", target)), through)
        if source != "en" and self._hears_english:
            if target == "en":
                return Route(True, (), "whisper")
            if through is not None:
                return Route(True, (("en", target),), through)
        return None

    def _engine(self, source: str, target: str) -> Engine | None:
        """What translates this way directly."""
        many = self._model(source, target)
        if (source, target) in self._pairs and not (many is not None and self._many_first):
            return "firefox"
        return many.engine if many is not None else None

    def _model(self, source: str, target: str) -> Many | None:
        return next((one for one in self._many if one.reaches(source, target)), None)

    def readable(self) -> list[str]:
        """Languages that translation can reach from at least one spoken language."""
        targets = {target for _, target in self._pairs}.union(*(one.targets() for one in self._many))
        return sorted(targets | {"en"} if self._hears_english else targets)

    def ahead(self, text: str, source: str, targets: Iterable[str], english: str | None = None) -> None:
        """What `translate` will be asked for next, in all languages at once where one model has several of them."""
        wanted: dict[tuple[str, str], list[str]] = {}
        for target in dict.fromkeys(targets):
            route = self.route(source, target)
            if route is None or not route.legs or route.engine == "firefox":
                continue
            begin, language = text, source
            if route.english_first:
                begin, language = english or "", "en"
            elif len(route.legs) > 1:
                begin, language = self._leg(text, *route.legs[0]), "en"
            if begin and len(begin) <= LONGEST and (language, target, begin) not in self._cache:
                wanted.setdefault((begin, language), []).append(target)
        for (begin, language), languages in wanted.items():
            for one in self._many:
                theirs = [target for target in languages if self._model(language, target) is one]
                if len(theirs) > 1:
                    self._batch(one, begin, language, theirs)

    def _batch(self, model: Many, text: str, source: str, targets: list[str]) -> None:
        try:
            results = model.translate(text, source, targets)
        except RuntimeError:  # of the engine; `translate` then tries one by one
            self.counters["translations_failed"] += 1
            return
        self.counters["translation_batches"] += 1
        for target, result in zip(targets, results, strict=True):
            self._keep((source, target, text), result)

    def wants_english(self, source: str, targets: Iterable[str]) -> bool:
        """Whether Whisper should translate too, for these readers."""
        routes = (self.route(source, target) for target in targets)
        return any(route.english_first for route in routes if route is not None)

    def translate(
        self,
        text: str,
        route: Route,
        english: str | None = None,
        *,
        spoken: str = "",
        read: str = "",
        wanted: Sequence[Wanted] = (),
    ) -> Translated | None:
        """The translation, or None when there is none worth showing (then the original stands).

        Lines of what was written stay lines. With both languages given it is compared with the original
        (`captioning.guard`), tried again in other ways while
        something is wrong, and marked with what stays wrong. `wanted` are the terms of the glossary in the text: they
        are put in where that can be done without harm, and a drug that is missing is marked."""
        passages = [line for line in text.split("\n") if line.strip()]
        if len(passages) > 1 and not route.english_first:
            made = [self.translate(line, route, spoken=spoken, read=read, wanted=wanted) for line in passages]
            if all(one is None for one in made):
                return None
            lines = [passage if one is None else one.text for passage, one in zip(passages, made, strict=True)]
            return Translated("\n".join(lines), tuple(dict.fromkeys(d for one in made if one for d in one.doubts)))
        if route.english_first and not english:
            self.counters["translations_missing"] += 1
            return None
        start = english if route.english_first and english else text
        result = Translated(self._legs([start], route))
        if spoken and read:
            result = self._guarded(start, result.text, route, _Checks(text, spoken, read, wanted))
        if not result.text:
            self.counters["translations_empty"] += 1
            return None
        if copied(text, result.text):
            self.counters["translations_copied"] += 1
            return None
        return result

    def _guarded(self, start: str, current: str, route: Route, checks: _Checks) -> Translated:
        self.counters["translations_guarded"] += 1
        best, marks = current, checks(current)
        if marks and route.legs:
            self.counters["translations_retried"] += 1
            for pieces in ways(start, route.legs[0][0]):
                other = self._legs(pieces, route)
                left = checks(other)
                if len(left) < len(marks) and not copied(" ".join(pieces), other, least=1):
                    best, marks = other, left
                if not marks:
                    self.counters["translations_mended"] += 1
                    break
        best, marks = self._with_terms(start, best, marks, route, checks)
        kinds = doubts(marks)
        if kinds:
            self.counters["translations_marked"] += 1
            for kind in kinds:
                self.counters[f"translations_marked_{kind}"] += 1
        return Translated(best, kinds)

    def _with_terms(
        self, start: str, best: str, marks: list[Finding], route: Route, checks: _Checks
    ) -> tuple[str, list[Finding]]:
        """The glossary's terms put in: in place of what was left as it was, or by saying them in the source already."""
        missing = [term for term in checks.wanted if not holds(best, term)]
        self.counters["glossary_kept"] += len(checks.wanted) - len(missing)
        for term in missing:
            tries = [replaced(best, term.found, term.form)]
            if not route.english_first and route.legs:
                tries.append(self._legs([replaced(start, term.found, term.form)], route))
            for other in tries:
                left = checks(other)
                if holds(other, term) and len(left) <= len(marks) and not stranded(start, other, term):
                    best, marks = other, left
                    self.counters["glossary_mended"] += 1
                    break
            else:
                self.counters["glossary_missed"] += 1
        return best, marks

    def _legs(self, pieces: list[str], route: Route) -> str:
        """Every piece through all legs, joined."""
        done = []
        for piece in pieces:
            for source, target in route.legs:
                piece = self._leg(piece, source, target)
            done.append(piece)
        return " ".join(filter(None, done))

    def _leg(self, text: str, source: str, target: str) -> str:
        if not text or len(text) > LONGEST:
            return ""
        key = (source, target, text)
        if (known := self._cache.get(key)) is not None:
            self._cache.move_to_end(key)
            return known
        try:
            if self._engine(source, target) == "firefox":
                result = self._pairs[source, target].translate_long(text).strip()
            elif (model := self._model(source, target)) is not None:
                (result,) = model.translate(text, source, [target])
            else:
                return ""
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # a panic in the Rust engine is no Exception; the original text stands
            self.counters["translations_failed"] += 1
            return ""
        self._keep(key, result)
        return result

    def _keep(self, key: tuple[str, str, str], result: str) -> None:
        self.counters["translations"] += 1
        self._cache[key] = result
        if len(self._cache) > CACHED:
            self._cache.popitem(last=False)


def replaced(text: str, old: str, new: str) -> str:
    """With every whole `old` as `new`, in any case."""
    return re.sub(rf"(?<!\w){re.escape(old)}(?!\w)", lambda _: new, text, flags=re.IGNORECASE)


def stranded(source: str, translation: str, term: Wanted) -> bool:
    """Whether the word before the term is the one that stood before it in the source: “the gotículas”."""

    def before(text: str, words: str) -> set[str]:
        return {found.lower() for found in re.findall(rf"(\w+)\s+{re.escape(words)}(?!\w)", text, re.IGNORECASE)}

    return bool(before(source, term.found) & before(translation, term.form))


def copied(text: str, translation: str, least: int = COPIED_FROM) -> bool:
    """Whether the engine gave back what it got, of `least` words or more."""
    words = [plain(word) for word in text.split()]
    return len(words) >= least and words == [plain(word) for word in translation.split()]
