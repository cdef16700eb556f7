"""A passage of a recording, shared without copying anything: which words, and which bytes, belong to it.

Pictures can be cut where a key frame is, so a clip's media begins up to one group earlier (4 s mostly) and ends up to
one later. What lies outside stays on the timeline as gaps (EXT-X-GAP), so that all times are those of the recording.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path

import msgspec

from recorder import playlist, vtt
from recorder.manifest import Manifest, Passage, cues_of

_MAP = re.compile(r'#EXT-X-MAP:URI="([^"]+)",BYTERANGE="(\d+)@(\d+)"')
_RANGE = re.compile(r"#EXT-X-BYTERANGE:(\d+)@(\d+)")
_EXTINF = re.compile(r"#EXTINF:([\d.]+),")
_TARGET = re.compile(r"#EXT-X-TARGETDURATION:(\d+)")


@dataclass(frozen=True, slots=True)
class Cut:
    """A media playlist cut to a clip, and the byte intervals [start, end) of each file that it leads to."""

    text: str
    allowed: dict[str, list[tuple[int, int]]]


def cut(text: str, start: float, end: float) -> Cut:
    """`text` is a media playlist of ours (`recorder.playlist`); `start` and `end` in ms of the recording."""
    lines: list[str] = []
    allowed: dict[str, list[tuple[int, int]]] = {}
    head: str | None = None
    mapped = "", 0, 0
    shown_head: str | None = None
    pending: list[str] = []
    at = length = 0.0
    skipped = 0.0
    size = offset = 0
    found = _TARGET.search(text)
    target = int(found[1]) * 1000 if found else 10_000
    for line in text.splitlines():
        if map_tag := _MAP.match(line):
            head = line
            mapped = map_tag[1], int(map_tag[3]), int(map_tag[3]) + int(map_tag[2])
        elif extinf := _EXTINF.match(line):
            length = round(float(extinf[1]) * 1000)
            pending = [line]
        elif byte_range := _RANGE.match(line):
            size, offset = int(byte_range[1]), int(byte_range[2])
            pending.append(line)
        elif line.startswith("#EXT-X-ENDLIST"):
            break
        elif line.startswith("#") or not line:
            lines.append(line)
        else:
            if at < end and at + length > start:
                lines += _gaps(skipped, target)
                skipped = 0.0
                if head and head != shown_head:
                    lines.append(head)
                    shown_head = head
                    _allow(allowed, *mapped)
                lines += [*pending, line]
                _allow(allowed, line, offset, offset + size)
            elif at < end:
                skipped += length
            at += length
    return Cut("\n".join([*lines, "#EXT-X-ENDLIST", ""]), allowed)


def _gaps(length: float, target: int) -> list[str]:
    lines: list[str] = []
    while length > 0:
        part = min(length, target)
        lines += ["#EXT-X-GAP", f"#EXTINF:{part / 1000:.3f},", "gap.mp4"]
        length -= part
    return lines


def _allow(allowed: dict[str, list[tuple[int, int]]], name: str, start: int, end: int) -> None:
    intervals = allowed.setdefault(name, [])
    if intervals and intervals[-1][1] == start:
        intervals[-1] = intervals[-1][0], end
    else:
        intervals.append((start, end))


@functools.lru_cache(maxsize=64)
def _cut_file(path: Path, changed: int, start: float, end: float) -> Cut:
    return cut(path.read_text(), start, end)


def playlist_of(folder: Path, name: str, passage: Passage) -> Cut:
    """The playlist `name` cut to a passage. Raises OSError."""
    path = folder / name
    return _cut_file(path, path.stat().st_mtime_ns, passage.start, passage.end)


def may_read(folder: Path, name: str, start: int, end: int, passage: Passage) -> bool:
    """Whether the bytes [start, end) of a media file belong to a passage. Raises OSError."""
    return any(
        first <= start < end <= last
        for source in (playlist.VIDEO, playlist.AUDIO)
        for first, last in playlist_of(folder, source, passage).allowed.get(name, ())
    )


def clip(manifest: Manifest, passage: Passage) -> Manifest:
    """What somebody may know of a recording who may see only a passage of it."""
    start, end = passage.start, passage.end

    def within(begins: float, ends: float) -> bool:
        return begins < end and ends > start

    transcript = [line for line in manifest.transcript if within(line.start, line.end)]
    chat = [line for line in manifest.chat if start <= line.at < end]
    speakers = [
        msgspec.structs.replace(one, start=max(one.start, start), end=min(one.end, end))
        for one in manifest.speakers
        if within(one.start, one.end)
    ]
    chapters = [one for one in manifest.chapters if start <= one.start < end]
    there = {one.participant for group in (transcript, chat, speakers, chapters) for one in group}
    served = (playlist.MASTER, playlist.VIDEO, playlist.AUDIO, *manifest.captions.values())
    return msgspec.structs.replace(
        manifest,
        duration=min(manifest.duration, end),
        people=[person for person in manifest.people if person.id in there],
        tracks=[],
        transcript=transcript,
        chat=chat,
        speakers=speakers,
        chapters=chapters,
        files={name: kind for name, kind in manifest.files.items() if name in served},
        bytes=0,
        passage=passage,
        questions=[one for one in manifest.questions if start <= one.at < end],
    )


def captions(manifest: Manifest, language: str) -> str:
    """The WebVTT file of a clip, times as in the recording. `manifest` as `clip` gives it."""
    names = {line.participant: line.name for line in manifest.transcript}
    cues = [cue for cue in vtt.latest(cues_of(manifest)) if cue.language == language]
    return vtt.document(vtt.captions(cues, names, 0, manifest.duration).get(language, []), language)


def without_chat(manifest: Manifest) -> Manifest:
    """For who was not in the room: nothing of its chat, questions in it included."""
    # A chapter that began as a line of the chat has somebody who wrote it; one from the board does not.
    chapters = [one for one in manifest.chapters if one.kind != "question" or not one.participant]
    return msgspec.structs.replace(manifest, chat=[], chapters=chapters)
