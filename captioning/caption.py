"""The caption event: one segment of one speaker's words, in one language, at one revision."""

from __future__ import annotations

import msgspec

from captioning.guard import Doubt


class Caption(msgspec.Struct, frozen=True, rename="camel", omit_defaults=False):
    """Idempotent by (`segment`, `language`, `revision`): a receiver keeps the highest revision and drops the rest.

    `stable` has settled: until `final` only a pause may change it, when what was said up to there is heard in full;
    `tail` changes with every draft. Times are room time in milliseconds.
    `source` is the language spoken, `language` that of the text; they are equal in an original.
    `engine` names what translated (``firefox``, ``nllb``, ``m2m100``, ``madlad``, ``opus``, ``whisper``), None in an
    original; `pivot` is the language it went through, if any. `confidence` is 0 to 1. BCP 47 tags throughout. `guard`
    says what a final translation may have wrong: show the original beside it. `heard` is what was recognised where
    terms of the glossary replaced some of it; `doubtful` are the words of a final original, counted from 0, that the
    recogniser was unsure of. `corrected_by` is the participant who wrote a final anew; `heard` then has the machine's
    words, and its translations are made again. `written_by` is the participant who typed it instead of the machine.
    `channel` is the language that the speaker interprets into: such words are not of the floor, nor translated.
    """

    segment: str
    revision: int
    participant: str
    track: str
    source: str
    language: str
    start: float
    end: float
    stable: str
    tail: str
    final: bool
    engine: str | None = None
    pivot: str | None = None
    confidence: float | None = None
    guard: list[Doubt] = []
    heard: str | None = None
    doubtful: list[int] = []
    corrected_by: str | None = None
    written_by: str | None = None
    channel: str | None = None
