"""Edits of a finished recording, as instructions beside it: what is cut out, names, words. What was recorded stays.

Kept as `edits.json` in the recording's folder. Whoever opens the recording gets it edited; its owner can see what was
recorded, and take every instruction back.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from recorder.clip import narrowed, renditions, without
from recorder.manifest import Line, Manifest, Passage, Struct, folder
from recorder.sealing import files

EDITS = "edits.json"
MOST_CUTS, MOST_WORDS = 200, 5_000
LONGEST_TEXT, LONGEST_NAME, LONGEST_TITLE = 2_000, 80, 200
LEAST_LEFT = 1_000.0
"""Milliseconds of a recording that must be left."""


class Correction(Struct, kw_only=True, frozen=True):
    """What a line says in a language, instead of what is there; empty: nothing, the line is taken out."""

    segment: str
    language: str
    text: str


class Rendering(Struct, kw_only=True, frozen=True):
    """What the machine made in `language` of a line whose original was put right and now says `of`; `guard` is what may
    be wrong with it (`captioning.guard.Doubt`)."""

    segment: str
    language: str
    of: str
    text: str
    guard: list[str] = msgspec.field(default_factory=list)


class Edits(Struct, kw_only=True, frozen=True):
    """`revision` counts changes: who saves says which one they started from. `cuts` in ms of the recording, `names` by
    participant. `title` (empty: as it was recorded) and `translations` are the server's; what is sent of them with an
    edit counts for nothing."""

    revision: int = 0
    cuts: list[Passage] = msgspec.field(default_factory=list)
    names: dict[str, str] = msgspec.field(default_factory=dict)
    words: list[Correction] = msgspec.field(default_factory=list)
    translations: list[Rendering] = msgspec.field(default_factory=list)
    title: str = ""

    def __bool__(self) -> bool:
        return bool(self.cuts or self.names or self.words or self.title)


class EditError(ValueError):
    """An instruction that cannot be followed; the message says which."""


def load_edits(root: Path, recording: str) -> Edits:
    """None were made: empty. Raises RecordingNotFound, and ValueError or OSError for a file that cannot be read, as
    nobody may be shown what was cut out because of that."""
    try:
        data = files.read_bytes(folder(root, recording) / EDITS)
    except FileNotFoundError:
        return Edits()
    return msgspec.json.decode(data, type=Edits)


def save_edits(root: Path, recording: str, edits: Edits) -> None:
    """Raises OSError."""
    files.write_bytes(folder(root, recording) / EDITS, msgspec.json.encode(edits))


def checked(edits: Edits, manifest: Manifest) -> Edits:
    """In order, without repetition, and of this recording (as it was recorded). Raises EditError."""
    if len(edits.cuts) > MOST_CUTS or len(edits.words) > MOST_WORDS:
        raise EditError(f"more than {MOST_CUTS} cuts or {MOST_WORDS} corrections")
    cuts: list[Passage] = []
    for one in sorted(edits.cuts, key=lambda cut: cut.start):
        if not 0 <= one.start < one.end <= manifest.duration:
            raise EditError("a cut lies within the recording and ends after it begins")
        if cuts and one.start <= cuts[-1].end:
            cuts[-1] = Passage(start=cuts[-1].start, end=max(cuts[-1].end, one.end))
        else:
            cuts.append(one)
    left = without(Passage(start=0.0, end=manifest.duration), cuts)
    if cuts and sum(one.end - one.start for one in left) < LEAST_LEFT:
        raise EditError("nothing would be left: delete the recording instead")
    title = " ".join(edits.title.split())
    if len(title) > LONGEST_TITLE:
        raise EditError(f"a title has at most {LONGEST_TITLE} characters")
    people = {person.id: person.name for person in manifest.people}
    names = {who: " ".join(name.split()) for who, name in edits.names.items()}
    if not names.keys() <= people.keys():
        raise EditError("a name for somebody who is not in the recording")
    if not all(0 < len(name) <= LONGEST_NAME for name in names.values()):
        raise EditError(f"a name has 1 to {LONGEST_NAME} characters")
    lines = {line.segment: line for line in manifest.transcript}
    words: dict[tuple[str, str], Correction] = {}
    for word in edits.words:
        line = lines.get(word.segment)
        if line is None or (word.language not in line.texts and word.language != line.source):
            raise EditError("a correction of a line that is not in the recording, or not in this language")
        text = " ".join(word.text.split())
        if len(text) > LONGEST_TEXT:
            raise EditError(f"a line has at most {LONGEST_TEXT} characters")
        if text != line.texts.get(word.language):
            words[word.segment, word.language] = Correction(segment=word.segment, language=word.language, text=text)
    changed = {who: name for who, name in names.items() if name != people[who]}
    made = {
        (one.segment, one.language): one
        for one in edits.translations
        if one.text and len(one.text) <= LONGEST_TEXT and one.segment in lines
        if (original := words.get((one.segment, lines[one.segment].source))) is not None and original.text == one.of
        if one.language in lines[one.segment].texts and one.language != original.language
    }
    return Edits(
        revision=edits.revision,
        cuts=cuts,
        names=changed,
        words=[words[key] for key in sorted(words)],
        translations=[made[key] for key in sorted(made)],
        title=title if title != manifest.title else "",
    )


def without_pauses(folder: Path, manifest: Manifest) -> Edits:
    """What a recording begins with: a broadcast's pauses, in which nothing was recorded, are cut out of it, as far as
    that leaves all else; and what was withdrawn, whole. Raises OSError."""
    if not manifest.pauses and not manifest.withdrawn:
        return Edits()
    texts = [files.read_bytes(folder / name).decode() for name in renditions(folder)]
    cuts = [cut for one in manifest.pauses if (cut := narrowed(texts, one)) is not None]
    # What nobody was to have comes first, should there be more than can be cut.
    cuts = [*manifest.withdrawn, *cuts][:MOST_CUTS]
    try:
        return checked(Edits(revision=1, cuts=cuts), manifest)
    except EditError:  # it was hardly more than a pause
        return Edits(revision=1, cuts=manifest.withdrawn) if manifest.withdrawn else Edits()


@dataclass(frozen=True, slots=True)
class Untranslated:
    """A line whose original was put right, and the languages that it was there in."""

    segment: str
    source: str
    text: str
    languages: list[str]


def untranslated(manifest: Manifest, edits: Edits) -> list[Untranslated]:
    """What `edited` would leave out: translations of other words, neither corrected nor made again yet."""
    words = {(one.segment, one.language): one.text for one in edits.words}
    there = words.keys() | {(one.segment, one.language) for one in edits.translations}
    found = []
    for line in manifest.transcript:
        if text := words.get((line.segment, line.source)):
            languages = [tag for tag in line.texts if tag != line.source and (line.segment, tag) not in there]
            if languages:
                found.append(Untranslated(line.segment, line.source, text, languages))
    return found


def edited(manifest: Manifest, edits: Edits) -> Manifest:
    """The recording with the title, names and words of its edits; what is cut out is `recorder.clip`'s to leave out."""
    replace, names = msgspec.structs.replace, edits.names
    words: dict[str, dict[str, str]] = {}
    for one in edits.words:
        words.setdefault(one.segment, {})[one.language] = one.text
    made: dict[str, list[Rendering]] = {}
    for rendering in edits.translations:
        made.setdefault(rendering.segment, []).append(rendering)
    transcript = [
        _corrected(line, words.get(line.segment, {}), made.get(line.segment, [])) for line in manifest.transcript
    ]
    return replace(
        manifest,
        title=edits.title or manifest.title,
        people=[replace(one, name=names.get(one.id, one.name)) for one in manifest.people],
        transcript=[
            replace(one, name=names.get(one.participant, one.name)) for one in transcript if any(one.texts.values())
        ],
        chat=[replace(one, name=names.get(one.participant, one.name)) for one in manifest.chat],
        chapters=[replace(one, name=names.get(one.participant, one.name)) for one in manifest.chapters],
    )


def _corrected(line: Line, texts: dict[str, str], made: list[Rendering]) -> Line:
    """Translations of what was not said are worse than none: where the original is put right, those that were neither
    put right nor made again are taken out."""
    if not texts:
        return line
    known, doubts = line.texts, line.guard
    if line.source in texts:
        again = [one for one in made if one.of == texts[line.source]]
        known = {one.language: one.text for one in again}
        doubts = {one.language: one.guard for one in again if one.guard}
    return msgspec.structs.replace(
        line,
        texts={language: text for language, text in {**known, **texts}.items() if text},
        guard={language: marks for language, marks in doubts.items() if language not in texts and language in known},
        doubtful=[] if line.source in texts else line.doubtful,
    )
