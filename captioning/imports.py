"""Glossaries from files: CSV as people keep it in a spreadsheet, and TBX (ISO 30042). Hostile bytes are expected.

A CSV has either one row a term with a column for each language (``term,language,kind,aliases,pt,es``; aliases are
separated by ``|``), or one row a pair as the TICO-19 terminologies have it (``sourceLang,targetLang,sourceString,
targetString``). Pure; raises `GlossaryError` with a text for the person who sent the file.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from typing import Any
from xml.parsers import expat

from captioning.glossary import Kind, Term
from captioning.language import base

LARGEST = 2 << 20
MOST = 5_000
LONGEST = 120
ALIASES = 12
LANGUAGES = 40
_TAG = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")


class GlossaryError(ValueError):
    """Why the file cannot be taken."""


def parse(data: bytes) -> list[Term]:
    """Either kind, told by its beginning."""
    if len(data) > LARGEST:
        raise GlossaryError(f"the file is larger than {LARGEST >> 20} MiB")
    return parse_tbx(data) if data.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<") else parse_csv(data)


def checked(term: str, language: str, kind: Kind, aliases: Iterable[str], translations: dict[str, str]) -> Term:
    """One term that somebody typed, within the same bounds. Raises GlossaryError."""
    others = {_language(tag, 0): _text(text, 0) for tag, text in translations.items() if text.strip()}
    if len(others) > LANGUAGES:
        raise GlossaryError(f"a term has translations into {LANGUAGES} languages at most")
    heard = list(dict.fromkeys(filter(None, (_text(alias, 0) for alias in aliases))))
    if len(heard) > ALIASES:
        raise GlossaryError(f"a term has {ALIASES} aliases at most")
    text, spoken = _text(term, 0), _language(language, 0)
    if not text:
        raise GlossaryError("the term is empty")
    return Term(text, spoken, kind, heard, {tag: word for tag, word in others.items() if tag != spoken})


def parse_csv(data: bytes) -> list[Term]:
    """See the module text."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise GlossaryError("the file is not UTF-8 text") from None
    if "\0" in text:
        raise GlossaryError("the file is not text")
    first = text.split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
        rows, names = list(reader), reader.fieldnames or []
    except csv.Error as error:
        raise GlossaryError(f"the file is no CSV: {error}") from None
    if len(rows) > MOST:
        raise GlossaryError(f"more than {MOST} rows")
    columns = [(name or "").strip() for name in names]
    if {"sourceLang", "targetLang", "sourceString", "targetString"} <= set(columns):
        return _merged(_pair(row, number) for number, row in enumerate(rows, 2))
    if "term" not in columns:
        raise GlossaryError("the first line must name a column “term”, or be that of a TICO-19 terminology")
    return _merged(_wide(row, number) for number, row in enumerate(rows, 2))


def _pair(row: dict[str, Any], number: int) -> Term:
    source, target = _language(row.get("sourceLang"), number), _language(row.get("targetLang"), number)
    term, translation = _text(row.get("sourceString"), number), _text(row.get("targetString"), number)
    return Term(term, source, translations={target: translation} if translation and source != target else {})


def _wide(row: dict[str, Any], number: int) -> Term:
    values = {(key or "").strip(): value for key, value in row.items() if isinstance(value, str) and value.strip()}
    kind = values.pop("kind", "term").strip().lower()
    if kind not in ("term", "drug"):
        raise GlossaryError(f"line {number}: the kind is “term” or “drug”")
    known: Kind = "drug" if kind == "drug" else "term"
    term = _text(values.pop("term", ""), number)
    language = _language(values.pop("language", "en"), number)
    aliases = [alias for part in values.pop("aliases", "").split("|") if (alias := _text(part, number))]
    translations = {base(key): _text(value, number) for key, value in values.items() if _TAG.fullmatch(key)}
    translations.pop(language, None)
    return Term(term, language, known, aliases[:ALIASES], translations)


def _language(value: object, number: int) -> str:
    tag = value.strip().replace("_", "-") if isinstance(value, str) else ""
    if not _TAG.fullmatch(tag):
        raise GlossaryError(f"line {number}: “{str(value)[:20]}” is no language")
    return base(tag)


def _text(value: object, number: int) -> str:
    text = " ".join(value.split()) if isinstance(value, str) else ""
    if len(text) > LONGEST:
        raise GlossaryError(f"line {number}: longer than {LONGEST} characters")
    if any(not c.isprintable() for c in text):
        raise GlossaryError(f"line {number}: control characters")
    return text


def _merged(terms: Iterable[Term]) -> list[Term]:
    """One of each (language, term); later lines add to earlier ones, the first translation stays."""
    kept: dict[tuple[str, str], Term] = {}
    for term in terms:
        if not term.term:
            continue
        known = kept.get(key := (term.language, term.term.casefold()))
        if known is not None:
            aliases = list(dict.fromkeys([*known.aliases, *term.aliases]))[:ALIASES]
            kind: Kind = "drug" if "drug" in (known.kind, term.kind) else "term"
            term = Term(known.term, known.language, kind, aliases, {**term.translations, **known.translations})
        if len(term.translations) > LANGUAGES:
            raise GlossaryError(f"“{term.term}” has more than {LANGUAGES} languages")
        kept[key] = term
    if not kept:
        raise GlossaryError("there are no terms in the file")
    return list(kept.values())


class _Tbx:
    """Concepts of a TBX file: by concept, (language, term) in order."""

    def __init__(self) -> None:
        self.concepts: list[list[tuple[str, str]]] = []
        self._language = ""
        self._text: list[str] | None = None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2]
        if name in ("termEntry", "conceptEntry"):
            if len(self.concepts) >= MOST:
                raise GlossaryError(f"more than {MOST} concepts")
            self.concepts.append([])
        elif name in ("langSet", "langSec"):
            self._language = attributes.get("xml:lang") or attributes.get("lang") or ""
        elif name == "term":
            self._text = []

    def end(self, name: str) -> None:
        if name.rpartition(":")[2] == "term" and self._text is not None and self.concepts:
            text = _text("".join(self._text), 0)
            if text and len(self.concepts[-1]) < LANGUAGES * 4:
                self.concepts[-1].append((_language(self._language, 0), text))
            self._text = None

    def data(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)


def parse_tbx(data: bytes) -> list[Term]:
    """Every language of a concept is a term with the others as translations; further terms of a language are its
    aliases."""
    found = _Tbx()
    parser = expat.ParserCreate()
    parser.StartElementHandler = found.start
    parser.EndElementHandler = found.end
    parser.CharacterDataHandler = found.data
    parser.EntityDeclHandler = _no_entities
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise GlossaryError(f"the file is no TBX: {error}") from None
    except GlossaryError:
        raise
    except (LookupError, ValueError) as error:  # of an encoding that is declared and not known, or not taken
        raise GlossaryError(f"the file is no TBX: {error}") from None
    terms = []
    for concept in found.concepts:
        first: dict[str, str] = {}
        for language, text in concept:
            first.setdefault(language, text)
        for language, text in first.items():
            aliases = [other for tag, other in concept if tag == language and other != text]
            translations = {tag: other for tag, other in first.items() if tag != language}
            terms.append(Term(text, language, "term", aliases[:ALIASES], translations))
    return _merged(terms)


def _no_entities(*_: object) -> None:
    raise GlossaryError("the file declares entities, which are not taken")
