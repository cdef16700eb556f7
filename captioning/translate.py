"""From the words spoken to the languages read: Firefox Translations models, and Whisper's own English where there is
none.

Every translation is made once per language, however many read it. Nothing is fetched: models are loaded from bytes.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from captioning.agreement import plain
from captioning.guard import Doubt, check, doubts
from captioning.retry import ways

LONGEST = 1_200
"""Characters; an utterance has a few hundred at most, and a model's time grows with the text."""
CACHED = 512
COPIED_FROM = 4
"""Fewer words than this may be the same in both languages (names, numbers, “OK”)."""

Engine = Literal["firefox", "whisper"]


class SentenceTranslator(Protocol):
    """One direction of one model."""

    def translate_long(self, text: str) -> str: ...


@dataclass(frozen=True, slots=True)
class Route:
    """How a language is reached. `english_first`: from Whisper's own translation to English. `legs` are models in
    order."""

    english_first: bool
    legs: tuple[tuple[str, str], ...]

    @property
    def engine(self) -> Engine:
        return "firefox" if self.legs else "whisper"

    @property
    def pivot(self) -> str | None:
        return "en" if len(self.legs) + self.english_first > 1 else None


@dataclass(frozen=True, slots=True)
class Translated:
    """A translation; `doubts` say why it must be shown with the original beside it."""

    text: str
    doubts: tuple[Doubt, ...] = ()


class Translator:
    """`pairs` are the models there are; `hears_english`: whether Whisper can give English. Counts in `counters`."""

    def __init__(self, pairs: dict[tuple[str, str], SentenceTranslator], hears_english: bool) -> None:
        self._pairs = pairs
        self._hears_english = hears_english
        self._cache: OrderedDict[tuple[str, str, str], str] = OrderedDict()
        self.counters: Counter[str] = Counter()

    def route(self, source: str, target: str) -> Route | None:
        """The way from a spoken to a read language (primary tags); None if there is none, or nothing to do."""
        if source == target:
            return None
        if (source, target) in self._pairs:
            return Route(False, ((source, target),))
        through = ("en", target) in self._pairs
        if (source, "en") in self._pairs and through:
            return Route(False, ((source, "en"), ("en", target)))
        if source != "en" and self._hears_english:
            if target == "en":
                return Route(True, ())
            if through:
                return Route(True, (("en", target),))
        return None

    def readable(self) -> list[str]:
        """Languages that translation can reach from at least one spoken language."""
        targets = {target for _, target in self._pairs}
        return sorted(targets | {"en"} if self._hears_english else targets)

    def wants_english(self, source: str, targets: Iterable[str]) -> bool:
        """Whether Whisper should translate too, for these readers."""
        routes = (self.route(source, target) for target in targets)
        return any(route.english_first for route in routes if route is not None)

    def translate(
        self, text: str, route: Route, english: str | None = None, *, spoken: str = "", read: str = ""
    ) -> Translated | None:
        """The translation, or None when there is none worth showing (then the original stands).

        With both languages given it is compared with the original (`captioning.guard`), tried again in other ways while
        something is wrong, and marked with what stays wrong."""
        if route.english_first and not english:
            self.counters["translations_missing"] += 1
            return None
        start = english if route.english_first and english else text
        result = Translated(self._legs([start], route))
        if spoken and read:
            result = self._guarded(text, start, result.text, route, spoken, read)
        if not result.text:
            self.counters["translations_empty"] += 1
            return None
        if copied(text, result.text):
            self.counters["translations_copied"] += 1
            return None
        return result

    def _guarded(self, text: str, start: str, current: str, route: Route, spoken: str, read: str) -> Translated:
        self.counters["translations_guarded"] += 1
        best, findings = current, check(text, current, spoken, read)
        if findings and route.legs:
            self.counters["translations_retried"] += 1
            for pieces in ways(start, route.legs[0][0]):
                other = self._legs(pieces, route)
                left = check(text, other, spoken, read)
                if len(left) < len(findings):
                    best, findings = other, left
                if not findings:
                    self.counters["translations_mended"] += 1
                    break
        marks = doubts(findings)
        if marks:
            self.counters["translations_marked"] += 1
            for mark in marks:
                self.counters[f"translations_marked_{mark}"] += 1
        return Translated(best, marks)

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
            result = self._pairs[source, target].translate_long(text).strip()
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # a panic in the Rust engine is no Exception; the original text stands
            self.counters["translations_failed"] += 1
            return ""
        self.counters["translations"] += 1
        self._cache[key] = result
        if len(self._cache) > CACHED:
            self._cache.popitem(last=False)
        return result


def copied(text: str, translation: str) -> bool:
    """Whether the engine gave back what it got."""
    words = [plain(word) for word in text.split()]
    return len(words) >= COPIED_FROM and words == [plain(word) for word in translation.split()]


def load_pair(folder: Path) -> SentenceTranslator:
    """Load one installed Firefox model (`model.bin`, `vocab.spm`, `lex.bin`). Raises ValueError for a malformed one.

    The engine belongs to the thread that loads it and must be used there only."""
    from fxtranslate import Translator as Engine

    vocabulary = (folder / "vocab.spm").read_bytes()
    engine: SentenceTranslator = Engine(
        (folder / "model.bin").read_bytes(), vocabulary, vocabulary, (folder / "lex.bin").read_bytes()
    )
    return engine
