"""What a recording is made of: the typed manifest (`recording.json`), and which of its files may leave the server."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from recorder.sealing import files

VERSION = 1
MANIFEST = "recording.json"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_TYPES = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".mp4": "video/mp4",
    ".vtt": "text/vtt; charset=utf-8",
}


class Struct(msgspec.Struct, rename="camel", kw_only=True, frozen=True):
    """Base: camelCase JSON, as on the wire."""


class Cue(Struct, kw_only=True, frozen=True):
    """Final words of one segment in one language; the highest `revision` of (segment, language) counts.

    `source` is the language spoken, `language` that of `text`. Times are room time in milliseconds. `guard` says what a
    translation may have wrong (`captioning.guard.Doubt`), `heard` what was recognised before terms of the glossary were
    put right, `doubtful` which words of an original the recogniser was unsure of, `typed` that a person wrote the
    original instead of the machine.
    """

    segment: str
    revision: int
    participant: str
    source: str
    language: str
    start: float
    end: float
    text: str
    guard: list[str] = []
    heard: str | None = None
    doubtful: list[int] = []
    typed: bool = False


class Person(Struct, kw_only=True, frozen=True):
    """Somebody who was there. `name` is the last one they had."""

    id: str
    name: str


class Track(Struct, kw_only=True, frozen=True):
    """One recorded track. `opened` and `closed` in milliseconds; `dropped` counts frames lost or undecodable.

    `files` are its fMP4 files. Those of a VP8 track are a VP9 copy, made after the recording's end (MP4 cannot hold
    VP8); what came lives on in its journal, for export.
    """

    index: int
    participant: str
    kind: Literal["audio", "video"]
    source: str
    codec: str
    opened: float
    closed: float
    dropped: int
    files: list[str]


class Line(Struct, kw_only=True, frozen=True):
    """A transcript segment: who said what, in every language there is. Times in milliseconds of the recording. `guard`
    says, by language, what a translation may have wrong; `heard`, `doubtful` and `typed` are those of the original's
    cue."""

    segment: str
    participant: str
    name: str
    source: str
    start: float
    end: float
    texts: dict[str, str]
    guard: dict[str, list[str]] = {}
    heard: str | None = None
    doubtful: list[int] = []
    typed: bool = False


class ChatLine(Struct, kw_only=True, frozen=True):
    """A chat line at `at` milliseconds of the recording."""

    participant: str
    name: str
    text: str
    at: float


class Question(Struct, kw_only=True, frozen=True):
    """A question that was answered while the recording ran: at `at` ms of it its answer began to be spoken, or was
    written (`answer`). `name` is None where it was asked without one."""

    name: str | None
    text: str
    at: float
    votes: int
    answer: str | None = None
    answered_by: str | None = None


class Poll(Struct, kw_only=True, frozen=True):
    """A poll that was opened at `at` ms of the recording, and what came of it; `counts` is None where that was not
    told."""

    text: str
    choices: list[str]
    counts: list[int] | None
    voters: int
    at: float


class Speech(Struct, kw_only=True, frozen=True):
    """`participant` was the active speaker from `start` to `end`, in milliseconds of the recording."""

    participant: str
    start: float
    end: float


class Chapter(Struct, kw_only=True, frozen=True):
    """Something begins at `start` (ms of the recording): somebody's turn, a shared screen, a question, whose words
    `text` has (one that is answered then, or one in the chat), or an item of the agenda, which is nobody's."""

    kind: Literal["speaker", "screen", "question", "agenda"]
    start: float
    participant: str
    name: str
    text: str = ""


class Passage(Struct, kw_only=True, frozen=True):
    """From `start` to `end`, in ms of the recording."""

    start: float
    end: float


class Interpretation(Struct, kw_only=True, frozen=True):
    """`participant` interpreted into `language` from `start` to `end`, in ms of the recording: their microphone is that
    channel then, and not of the floor."""

    language: str
    participant: str
    start: float
    end: float


class LowerThird(Struct, kw_only=True, frozen=True):
    """At `start` (ms of the recording) viewers of the broadcast saw the name of `participant`, who comes from
    `institution` (may be empty)."""

    participant: str
    institution: str
    start: float


class Manifest(Struct, kw_only=True, frozen=True):
    """A finished recording. `duration` in milliseconds. `files` maps every name that may be served to its content type.

    `state` is ``repaired`` when the server died while it ran, ``failed`` when it stopped early (`problem` says why).
    `captions` maps a language to its WebVTT file; `master` is the playlist to play. `pending` are the tracks whose
    pictures browsers cannot play as they came (VP8): they show as dark until they are converted.
    `pauses` is when a broadcast paused and nothing of anybody was written: darkness and silence.
    `withdrawn` is what was written before one and cut from the delayed broadcast, so that its viewers never had it.
    `kept` is set where only that much of it may be seen (`recorder.clip`), in order; `shared` where whoever asks may
    not have all of it to take away: of a passage, or without the room's chat. `unheard` is when somebody did not want
    the machine to hear what they say, or their name beside it; None where that was not kept. `channels` is who
    interpreted when, in order of time.
    """

    version: int
    id: str
    room: str
    title: str
    purpose: str
    started_by: str
    started_at: datetime
    duration: float
    state: Literal["complete", "repaired", "failed"]
    problem: str | None
    people: list[Person]
    tracks: list[Track]
    languages: list[str]
    captions: dict[str, str]
    transcript: list[Line]
    chat: list[ChatLine]
    speakers: list[Speech]
    master: str
    files: dict[str, str]
    bytes: int
    pending: list[int] = []
    chapters: list[Chapter] = []
    kept: list[Passage] = []
    shared: bool = False
    questions: list[Question] = []
    polls: list[Poll] = []
    pauses: list[Passage] = []
    withdrawn: list[Passage] = []
    unheard: list[Speech] | None = None
    channels: list[Interpretation] = []
    thirds: list[LowerThird] = []


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A file that may be served, byte ranges included; `sealed`: not as it lies there (`recorder.sealing`)."""

    path: Path
    content_type: str
    size: int
    sealed: bool = False


def cues_of(manifest: Manifest) -> list[Cue]:
    """The transcript as cues on the recording's own time."""
    return [
        Cue(
            segment=line.segment,
            revision=0,
            participant=line.participant,
            source=line.source,
            language=language,
            start=line.start,
            end=line.end,
            text=text,
            guard=line.guard.get(language, []),
            heard=line.heard if language == line.source else None,
            doubtful=line.doubtful if language == line.source else [],
            typed=line.typed,
        )
        for line in manifest.transcript
        for language, text in line.texts.items()
    ]


class RecordingNotFound(LookupError):
    """There is no finished recording with this id."""


def folder(root: Path, recording: str) -> Path:
    """A recording's folder. Raises RecordingNotFound for an id that could not be ours: no path can be smuggled in."""
    if not _ID.fullmatch(recording):
        raise RecordingNotFound(recording[:64])
    return root / recording


def content_type(name: str) -> str:
    if name.startswith(("mix", "audio-")) and name.endswith(".mp4"):
        return "audio/mp4"
    return _TYPES[Path(name).suffix]


def write_atomically(path: Path, data: bytes) -> None:
    """Readers see the old file or the new one, never half of one; on disk when this returns."""
    temporary = path.with_name(path.name + ".new")
    with temporary.open("wb") as opened:
        opened.write(data)
        opened.flush()
        os.fsync(opened.fileno())
    temporary.replace(path)


def save(path: Path, manifest: Manifest) -> None:
    files.write_bytes(path / MANIFEST, msgspec.json.encode(manifest))


def load(root: Path, recording: str) -> Manifest:
    """Raises RecordingNotFound when there is none, or none yet."""
    try:
        data = files.read_bytes(folder(root, recording) / MANIFEST)
    except (FileNotFoundError, NotADirectoryError):
        raise RecordingNotFound(recording) from None
    return msgspec.json.decode(data, type=Manifest)


def media_file(root: Path, recording: str, name: str) -> MediaFile | None:
    """The file if the recording's manifest lists it under exactly this name, else None: nothing else is ever served."""
    try:
        kind = load(root, recording).files.get(name)
    except RecordingNotFound:
        return None
    path = folder(root, recording) / name
    if kind is None or path.parent != folder(root, recording) or path.is_symlink() or not path.is_file():
        return None
    return MediaFile(path, kind, files.size_of(path), files.key_for(path) is not None)
