"""Final cues into WebVTT, one file per language, and into the transcript."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from recorder.manifest import Cue, Line

LINE = 42
LINES = 2
MARK = "[?]"
"""Before a translation that may be wrong, in every format."""
MIN_MS = 1_000
MAX_MS = 7_000
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")  # becomes part of a file name


@dataclass(frozen=True, slots=True)
class Shown:
    """One caption on the screen: at most two lines, for one to seven seconds; ms of the recording. `note` goes beside
    it in formats that can hold one; `doubtful` are its words, counted from 0, that the recogniser was unsure of."""

    start: int
    end: int
    speaker: str
    text: str
    note: str = ""
    doubtful: frozenset[int] = frozenset()


def latest(cues: Iterable[Cue]) -> list[Cue]:
    """The highest revision of each (segment, language), in order of time; what was revised to nothing is gone."""
    best: dict[tuple[str, str], Cue] = {}
    for cue in cues:
        known = best.get((cue.segment, cue.language))
        if known is None or cue.revision >= known.revision:
            best[cue.segment, cue.language] = cue
    kept = [cue for cue in best.values() if cue.text.strip() and _LANGUAGE.fullmatch(cue.language)]
    return sorted(kept, key=lambda cue: (cue.start, cue.end, cue.segment))


def wrap(text: str) -> list[str]:
    """Lines of at most `LINE` characters, broken at spaces; a longer word (or a script without spaces) is cut."""
    return [" ".join(piece for piece, _ in line) for line in _laid(text)]


def _laid(text: str) -> list[list[tuple[str, int]]]:
    """The lines as pieces, each with the number of the word that it is of."""
    lines: list[list[tuple[str, int]]] = []
    line: list[tuple[str, int]] = []
    length = -1
    for number, word in enumerate(text.split()):
        while True:
            if length + 1 + len(word) <= LINE:
                line.append((word, number))
                length += 1 + len(word)
                break
            if line:
                lines.append(line)
                line, length = [], -1
            else:
                lines.append([(word[:LINE], number)])
                word = word[LINE:]
    if line:
        lines.append(line)
    return lines


def recue(cue: Cue, speaker: str, origin: float, duration: float, original: str = "") -> list[Shown]:
    """A segment as captions of readable length: time is shared out by characters. A translation with doubts begins with
    `MARK`, and its first caption's note has the doubts and the `original`."""
    note = f"check ({', '.join(cue.guard)}); {cue.source}: {original}" if cue.guard else ""
    if cue.heard is not None and cue.language == cue.source:
        note = "; ".join(filter(None, (note, f"heard: {cue.heard}")))
    lines = _laid(f"{MARK} {cue.text}" if cue.guard else cue.text)
    blocks = [lines[at : at + LINES] for at in range(0, len(lines), LINES)]
    texts = ["\n".join(" ".join(piece for piece, _ in line) for line in block) for block in blocks]
    start = min(max(0.0, cue.start - origin), duration)
    end = min(max(start + MIN_MS, cue.end - origin), max(duration, start + 1))
    total = sum(map(len, texts)) or 1
    shown: list[Shown] = []
    done = 0
    for block, text in zip(blocks, texts, strict=True):
        begins = start + (end - start) * done / total
        done += len(text)
        ends = start + (end - start) * done / total
        ends = max(round(begins) + 1, round(min(ends, begins + MAX_MS)))
        pieces = [number for line in block for _, number in line]
        doubtful = frozenset(at for at, number in enumerate(pieces) if number in cue.doubtful)
        shown.append(Shown(round(begins), ends, speaker, text, "" if shown else note, doubtful))
    return shown


def captions(cues: Iterable[Cue], names: Mapping[str, str], origin: float, duration: float) -> dict[str, list[Shown]]:
    """Captions by language, in order of time. `cues` as `latest` gives them; what ended before `origin` is left out."""
    result: dict[str, list[Shown]] = {}
    cues = list(cues)
    originals = {cue.segment: cue.text for cue in cues if cue.language == cue.source}
    for cue in cues:
        if cue.end > origin and cue.start < origin + duration:
            name = names.get(cue.participant, "")
            shown_cues = recue(cue, name, origin, duration, originals.get(cue.segment, ""))
            result.setdefault(cue.language, []).extend(shown_cues)
    for shown in result.values():
        shown.sort(key=lambda one: (one.start, one.end))
    return result


def transcript(cues: Iterable[Cue], names: Mapping[str, str], origin: float, duration: float) -> list[Line]:
    """One line per segment with its text in every language."""
    lines: dict[str, Line] = {}
    for cue in cues:
        if cue.end <= origin or cue.start >= origin + duration:
            continue
        known = lines.get(cue.segment)
        texts = {**(known.texts if known else {}), cue.language: cue.text.strip()}
        guard = {**(known.guard if known else {}), **({cue.language: cue.guard} if cue.guard else {})}
        start = max(0.0, cue.start - origin)
        lines[cue.segment] = Line(
            segment=cue.segment,
            participant=cue.participant,
            name=names.get(cue.participant, ""),
            source=cue.source,
            start=known.start if known else start,
            end=known.end if known else min(max(start, cue.end - origin), duration),
            texts=texts,
            guard=guard,
            heard=cue.heard if cue.language == cue.source else known.heard if known else None,
            doubtful=cue.doubtful if cue.language == cue.source else known.doubtful if known else [],
            typed=cue.typed or (known is not None and known.typed),
        )
    return sorted(lines.values(), key=lambda line: line.start)


def document(shown: Iterable[Shown], language: str) -> str:
    """A WebVTT file (https://www.w3.org/TR/webvtt1/) with voice spans. Text is escaped: it came from people."""
    parts = [f"WEBVTT\n\nNOTE language: {_tag(language)}\n"]
    for number, one in enumerate(shown, 1):
        if one.note:
            parts.append(f"NOTE {_escape(one.note)}\n")
        parts.append(f"{number}\n{_clock(one.start)} --> {_clock(one.end)}\n{payload(one)}\n")
    return "\n".join(parts)


def payload(one: Shown) -> str:
    """A cue's text, one voice span over its lines; words that were not heard clearly are underlined."""
    voice = f"<v {_escape(_annotation(one.speaker))}>" if one.speaker.strip() else ""
    return voice + underlined(one, _escape)


def underlined(one: Shown, clean: Callable[[str], str]) -> str:
    """The text after `clean`, doubtful words in ``<u>``, which WebVTT has and players of SubRip know."""
    lines = []
    at = 0
    for line in one.text.split("\n"):
        if not one.doubtful:
            lines.append(clean(line))
            continue
        words = []
        for word in line.split():
            words.append(f"<u>{clean(word)}</u>" if at in one.doubtful else clean(word))
            at += 1
        lines.append(" ".join(words))
    return "\n".join(lines)


def flatten(shown: Sequence[Shown]) -> list[Shown]:
    """Without overlaps, for formats that cannot have them: one ends where the next begins, or both are shown."""
    result: list[Shown] = []
    for one in shown:
        if result and one.start < result[-1].end:
            last = result.pop()
            if one.start > last.start:
                result.append(Shown(last.start, one.start, last.speaker, last.text, doubtful=last.doubtful))
            else:
                first, second = _named(last), _named(one)
                before = len(first.text.split())
                doubtful = first.doubtful | {before + at for at in second.doubtful}
                one = Shown(one.start, max(one.end, last.end), "", f"{first.text}\n{second.text}", doubtful=doubtful)
        result.append(one)
    return result


def _named(one: Shown) -> Shown:
    """With the speaker's name before the words."""
    if not one.speaker:
        return one
    by = len(one.speaker.split())
    return replace(one, text=f"{one.speaker}: {one.text}", doubtful=frozenset(at + by for at in one.doubtful))


def _tag(language: str) -> str:
    return re.sub(r"[^A-Za-z0-9-]", "", language)


def _escape(text: str) -> str:
    return html.escape(_CONTROL.sub(" ", text), quote=False)


def _annotation(name: str) -> str:
    return " ".join(name.split())


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _clock(ms: int) -> str:
    seconds, millis = divmod(ms, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{millis:03d}"
