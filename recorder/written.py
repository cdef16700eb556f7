"""What was written in a recording (chat, questions, answers, polls) in other languages, kept beside it.

Kept as `renderings.json` in the recording's folder, by the very words that were translated: other words, after an edit,
have no translation until one is made. Nothing in it cannot be made again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from recorder.manifest import Manifest, Struct, folder
from recorder.sealing import files

WRITTEN = "renderings.json"
MOST_LANGUAGES, MOST_TEXTS, LONGEST = 12, 2_000, 2_000
"""Languages that are kept (the one made longest ago goes first), texts in each, characters of a text."""


class Rendered(Struct, kw_only=True, frozen=True):
    """`of` is what was written, in `source`; `pivot` the language it went through, `guard` what may be wrong with
    `text` (`captioning.guard.Doubt`)."""

    of: str
    source: str
    text: str
    pivot: str | None = None
    guard: list[str] = msgspec.field(default_factory=list)


class Renderings(Struct, kw_only=True, frozen=True):
    """By language, that made longest ago first."""

    made: dict[str, list[Rendered]] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Written:
    """Something that somebody wrote, `at` ms of the recording; without a `participant` where that is not known."""

    at: float
    participant: str
    name: str
    text: str


def written(manifest: Manifest) -> Iterator[Written]:
    """All that was written, chat first."""
    for line in manifest.chat:
        yield Written(line.at, line.participant, line.name, line.text)
    for question in manifest.questions:
        yield Written(question.at, "", question.name or "", question.text)
        if question.answer:
            yield Written(question.at, "", question.answered_by or "", question.answer)
    for poll in manifest.polls:
        for text in (poll.text, *poll.choices):
            yield Written(poll.at, "", "", text)


def with_more(known: Renderings, language: str, more: Sequence[Rendered]) -> Renderings:
    """And these as well, within the bounds."""
    mine = {one.of: one for one in [*known.made.get(language, []), *more]}
    made = {tag: there for tag, there in known.made.items() if tag != language}
    made[language] = list(mine.values())[-MOST_TEXTS:]
    return Renderings(made=dict(list(made.items())[-MOST_LANGUAGES:]))


def load_renderings(root: Path, recording: str) -> Renderings:
    """Empty where there are none, or none that can be read: they are made again. Raises RecordingNotFound."""
    try:
        return msgspec.json.decode(files.read_bytes(folder(root, recording) / WRITTEN), type=Renderings)
    except (OSError, ValueError):
        return Renderings()


def save_renderings(root: Path, recording: str, renderings: Renderings) -> None:
    """Readers see the old file or the new one. Raises OSError."""
    files.write_bytes(folder(root, recording) / WRITTEN, msgspec.json.encode(renderings))
