"""The words of a finished recording as files to keep: WebVTT, SubRip, text, Word and JSON, one language each.

Pure: a manifest in, bytes out. Text came from people; it is escaped for each format.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from recorder import vtt
from recorder.manifest import Cue, Line, Manifest, Struct
from recorder.vtt import MARK, Shown
from recorder.written import Renderings, written

PENCIL = "\u270e"
"""Before what was written, in files of words."""
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


class SaidLine(Struct, kw_only=True, frozen=True):
    """One line of the JSON file. `original` is there where `text` is a translation; the rest as in `Line`."""

    start: float
    end: float
    participant: str
    name: str
    source: str
    text: str
    original: str | None
    guard: list[str]
    heard: str | None
    doubtful: list[int]
    typed: bool


class WrittenLine(Struct, kw_only=True, frozen=True):
    """Something of the chat, a question, an answer or a poll, `at` ms. `original` is there where `text` is a
    translation from `source`; without one it is as it was written, in whatever language."""

    at: float
    name: str
    source: str | None
    text: str
    original: str | None
    guard: list[str]


class Transcript(Struct, kw_only=True, frozen=True):
    """The JSON file. Times in milliseconds of the recording."""

    recording: str
    title: str
    started_at: str
    duration: float
    language: str
    lines: list[SaidLine]
    written: list[WrittenLine]


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file."""

    content_type: str
    write: Callable[[Manifest, str, Renderings], bytes]


def said(manifest: Manifest, language: str) -> list[SaidLine]:
    """Every line that there is in the language."""
    found = []
    for line in manifest.transcript:
        text = line.texts.get(language, "")
        if text:
            own = language == line.source
            found.append(
                SaidLine(
                    start=line.start,
                    end=line.end,
                    participant=line.participant,
                    name=line.name,
                    source=line.source,
                    text=text,
                    original=None if own else line.texts.get(line.source),
                    guard=line.guard.get(language, []),
                    heard=line.heard if own else None,
                    doubtful=line.doubtful if own else [],
                    typed=line.typed,
                )
            )
    return found


def read(manifest: Manifest, language: str, made: Renderings) -> list[WrittenLine]:
    """All that was written, in the language where that was made, in order of time."""
    there = {one.of: one for one in made.made.get(language, [])}
    found = []
    for one in sorted(written(manifest), key=lambda line: line.at):
        rendered = there.get(one.text)
        found.append(
            WrittenLine(
                at=one.at,
                name=one.name,
                source=rendered.source if rendered else None,
                text=rendered.text if rendered else one.text,
                original=one.text if rendered else None,
                guard=rendered.guard if rendered else [],
            )
        )
    return found


def _shown(manifest: Manifest, language: str) -> list[Shown]:
    """As captions of readable length."""
    cues = [_cue(line, tag) for line in manifest.transcript for tag in line.texts if tag in (language, line.source)]
    names = {line.participant: line.name for line in manifest.transcript}
    return vtt.captions(cues, names, 0.0, manifest.duration).get(language, [])


def _cue(line: Line, language: str) -> Cue:
    return Cue(
        segment=line.segment,
        revision=0,
        participant=line.participant,
        source=line.source,
        language=language,
        start=line.start,
        end=line.end,
        text=line.texts[language],
        guard=line.guard.get(language, []),
        heard=line.heard if language == line.source else None,
        doubtful=line.doubtful if language == line.source else [],
    )


def write_vtt(manifest: Manifest, language: str, made: Renderings) -> bytes:
    """WebVTT, which has what was said and nothing that was `made` of what was written."""
    return vtt.document(_shown(manifest, language), language).encode()


def write_srt(manifest: Manifest, language: str, made: Renderings) -> bytes:
    """SubRip, which has no overlaps and no voices: the name stands before the words when the speaker changes.
    It has what was said and nothing that was `made` of what was written."""
    blocks = []
    speaker = None
    for number, one in enumerate(vtt.flatten(_shown(manifest, language)), 1):
        name = one.speaker if one.speaker and one.speaker != speaker else ""
        speaker = one.speaker
        text = vtt.underlined(one, lambda words: _clean(words).replace("-->", "->"))
        text = f"{_clean(name)}: {text}".replace("-->", "->") if name else text
        blocks.append(f"{number}\r\n{_srt_clock(one.start)} --> {_srt_clock(one.end)}\r\n{text}\r\n")
    return "\r\n".join(blocks).encode()


def write_txt(manifest: Manifest, language: str, made: Renderings) -> bytes:
    """A line each; what may be wrong has its original beneath, words not heard clearly have ``(?)`` behind them.

    What was written comes last, with a pencil."""
    parts = [_clean(manifest.title), f"{manifest.started_at:%Y-%m-%d %H:%M} UTC", ""]
    for line in said(manifest, language):
        mark = f"{MARK} " if line.guard else ""
        words = _clean(line.text).split()
        text = " ".join(f"{word}(?)" if at in line.doubtful else word for at, word in enumerate(words))
        name = f"{_clean(line.name)}: " if line.name else ""
        parts.append(f"[{_clock(line.start)}] {name}{mark}{text}")
        if line.guard and line.original:
            parts.append(f"    ({line.source}: {_clean(line.original)})")
        if line.heard:
            parts.append(f"    (heard: {_clean(line.heard)})")
    notes = read(manifest, language, made)
    parts += [""] if notes else []
    for note in notes:
        name = f"{_clean(note.name)}: " if note.name else ""
        parts.append(f"[{_clock(note.at)}] {PENCIL} {name}{f'{MARK} ' if note.guard else ''}{_flat(note.text)}")
        if note.guard and note.original:
            parts.append(f"    ({note.source}: {_flat(note.original)})")
    return ("\n".join(parts) + "\n").encode()


def write_json(manifest: Manifest, language: str, made: Renderings) -> bytes:
    transcript = Transcript(
        recording=manifest.id,
        title=manifest.title,
        started_at=manifest.started_at.isoformat(),
        duration=manifest.duration,
        language=language,
        lines=said(manifest, language),
        written=read(manifest, language, made),
    )
    return msgspec.json.format(msgspec.json.encode(transcript), indent=1)


def write_docx(manifest: Manifest, language: str, made: Renderings) -> bytes:
    """A Word document (ISO/IEC 29500): doubtful words are underlined with dots, doubtful translations carry the
    mark and their original in italics."""
    from docx import Document
    from docx.enum.text import WD_UNDERLINE

    document = Document()
    document.core_properties.title = _clean(manifest.title)[:255]
    document.core_properties.author = ""
    document.add_heading(_clean(manifest.title), 1)
    document.add_paragraph(f"{manifest.started_at:%Y-%m-%d %H:%M} UTC")
    for line in said(manifest, language):
        paragraph = document.add_paragraph()
        paragraph.add_run(f"{_clean(line.name)}  ").bold = True
        paragraph.add_run(f"{_clock(line.start)}\n")
        if line.guard:
            paragraph.add_run(f"{MARK} ").bold = True
        for at, word in enumerate(_clean(line.text).split()):
            run = paragraph.add_run(word)
            if at in line.doubtful:
                run.font.underline = WD_UNDERLINE.DOTTED
            paragraph.add_run(" ")
        if line.guard and line.original:
            paragraph.add_run(f"\n{_clean(line.original)}").italic = True
        if line.heard:
            paragraph.add_run(f"\n(heard: {_clean(line.heard)})").italic = True
    for note in read(manifest, language, made):
        paragraph = document.add_paragraph()
        paragraph.add_run(f"{PENCIL} {_clean(note.name)}  ").bold = True
        paragraph.add_run(f"{_clock(note.at)}\n")
        if note.guard:
            paragraph.add_run(f"{MARK} ").bold = True
        paragraph.add_run(_clean(note.text))
        if note.guard and note.original:
            paragraph.add_run(f"\n{_clean(note.original)}").italic = True
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


FORMATS: dict[str, Format] = {
    "vtt": Format("text/vtt; charset=utf-8", write_vtt),
    "srt": Format("application/x-subrip; charset=utf-8", write_srt),
    "txt": Format("text/plain; charset=utf-8", write_txt),
    "json": Format("application/json", write_json),
    "docx": Format("application/vnd.openxmlformats-officedocument.wordprocessingml.document", write_docx),
}


def _clean(text: str) -> str:
    """Without what no text file and no XML can hold."""
    return _UNPRINTABLE.sub(" ", text)


def _flat(text: str) -> str:
    """On one line: nobody's words may look like somebody else's."""
    return " ".join(_clean(text).split())


def _clock(ms: float) -> str:
    seconds = int(ms // 1000)
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def _srt_clock(ms: int) -> str:
    seconds, millis = divmod(ms, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d},{millis:03d}"
