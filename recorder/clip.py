"""What may be seen of a recording: a passage that was shared, without what was cut out of it. Nothing is copied.

Pictures can be cut where a key frame is, and sound where a segment ends. A *passage* is generous: its media begins up
to one segment earlier (4 s mostly) and ends up to one later. A *cut* is strict: a segment that holds any of it is left
out whole, so that nobody hears what was taken out. What is left out stays on the timeline as gaps (EXT-X-GAP), so that
all times are those of the recording; `kept` says which of it is there, and `timed` tells the times without the gaps.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from recorder import playlist, vtt
from recorder.index import known_index
from recorder.manifest import Manifest, Passage, cues_of
from recorder.sealing import files

_MAP = re.compile(r'#EXT-X-MAP:URI="([^"]+)",BYTERANGE="(\d+)@(\d+)"')
_RANGE = re.compile(r"#EXT-X-BYTERANGE:(\d+)@(\d+)")
_EXTINF = re.compile(r"#EXTINF:([\d.]+),")
_TARGET = re.compile(r"#EXT-X-TARGETDURATION:(\d+)")


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be seen: `passage` is all of it (None: everything), without `cuts`, which are in order and apart."""

    passage: Passage | None = None
    cuts: tuple[Passage, ...] = ()

    def __bool__(self) -> bool:
        return self.passage is not None or bool(self.cuts)

    def shows(self, start: float, end: float) -> bool:
        """Whether something from `start` to `end` is seen: some of it in the passage, none of it cut out."""
        inside = self.passage is None or _meets(start, end, self.passage)
        return inside and not any(_meets(start, end, one) for one in self.cuts)

    def shows_at(self, time: float) -> bool:
        """Whether a moment is seen."""
        inside = self.passage is None or self.passage.start <= time < self.passage.end
        return inside and not any(one.start <= time < one.end for one in self.cuts)


def _meets(start: float, end: float, passage: Passage) -> bool:
    return start < passage.end and end > passage.start


@dataclass(frozen=True, slots=True)
class Cut:
    """A media playlist cut to what may be seen, and the byte intervals [start, end) of each file that it leads to."""

    text: str
    allowed: dict[str, list[tuple[int, int]]]


def _segments(text: str) -> Iterator[tuple[float, float]]:
    at = 0.0
    for found in _EXTINF.finditer(text):
        length = round(float(found[1]) * 1000)
        yield at, at + length
        at += length


def widened(texts: Iterable[str], cuts: Sequence[Passage]) -> tuple[Passage, ...]:
    """What is really missing for `cuts`: every segment of the media playlists `texts` that holds any of one. In order,
    apart; ms of the recording."""
    missing = [(one.start, one.end) for one in cuts]
    for text in texts:
        missing += [part for part in _segments(text) if any(_meets(*part, one) for one in cuts)]
    joined: list[tuple[float, float]] = []
    for start, end in sorted(missing):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((start, end))
    return tuple(Passage(start=start, end=end) for start, end in joined)


def narrowed(texts: Iterable[str], passage: Passage) -> Passage | None:
    """As much of `passage` as can be cut out of the media playlists `texts` without anything beyond it; ms."""
    start, end = passage.start, passage.end
    for text in texts:
        inside = [part for part in _segments(text) if part[0] >= passage.start - 1 and part[1] <= passage.end + 1]
        if not inside:
            return None
        start, end = max(start, inside[0][0]), min(end, inside[-1][1])
    return Passage(start=start, end=end) if end > start else None


def without(whole: Passage, missing: Sequence[Passage]) -> list[Passage]:
    """What is left of `whole`. `missing` in order and apart."""
    left: list[Passage] = []
    at = whole.start
    for one in missing:
        if one.start > at:
            left.append(Passage(start=at, end=min(one.start, whole.end)))
        at = max(at, one.end)
        if at >= whole.end:
            break
    if at < whole.end:
        left.append(Passage(start=at, end=whole.end))
    return [one for one in left if one.end > one.start]


def cut(text: str, limits: Limits) -> Cut:
    """`text` is a media playlist of ours (`recorder.playlist`)."""
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
            if limits.shows(at, at + length):
                lines += gaps(skipped, target)
                skipped = 0.0
                if head and head != shown_head:
                    lines.append(head)
                    shown_head = head
                    _allow(allowed, *mapped)
                lines += [*pending, line]
                _allow(allowed, line, offset, offset + size)
            else:
                skipped += length
            at += length
    return Cut("\n".join([*lines, "#EXT-X-ENDLIST", ""]), allowed)


def gaps(length: float, target: int) -> list[str]:
    """Nothing for `length` ms, in segments of at most `target` ms."""
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
def _cut_file(path: Path, changed: int, limits: Limits) -> Cut:
    return cut(files.read_bytes(path).decode(), limits)


def playlist_of(folder: Path, name: str, limits: Limits) -> Cut:
    """The playlist `name` cut to what may be seen. Raises OSError."""
    path = folder / name
    return _cut_file(path, path.stat().st_mtime_ns, limits)


@functools.lru_cache(maxsize=64)
def _widened_file(folder: Path, changed: tuple[int, ...], cuts: tuple[Passage, ...]) -> tuple[Passage, ...]:
    return widened((files.read_bytes(folder / name).decode() for name in renditions(folder)), cuts)


def missing(folder: Path, cuts: tuple[Passage, ...]) -> tuple[Passage, ...]:
    """What of a recording's media nobody gets, for `cuts`. Raises OSError."""
    changed = tuple((folder / name).stat().st_mtime_ns for name in renditions(folder))
    return _widened_file(folder, changed, cuts) if cuts else ()


def renditions(folder: Path) -> tuple[str, ...]:
    """Every media playlist of a recording's programme. Raises OSError."""
    return playlist.VIDEO, playlist.AUDIO, *map(playlist.sound_of, known_index(folder).channels)


def may_read(folder: Path, name: str, start: int, end: int, limits: Limits) -> bool:
    """Whether the bytes [start, end) of a media file may be seen. Raises OSError."""
    return any(
        first <= start < end <= last
        for source in renditions(folder)
        for first, last in playlist_of(folder, source, limits).allowed.get(name, ())
    )


def clip(manifest: Manifest, limits: Limits, missing: Sequence[Passage] = ()) -> Manifest:
    """What somebody may know of a recording who may see no more than `limits`; `missing` is what its cuts take."""
    whole = limits.passage or Passage(start=0.0, end=manifest.duration)
    kept = without(Passage(start=whole.start, end=min(whole.end, manifest.duration)), missing)
    transcript = [line for line in manifest.transcript if limits.shows(line.start, line.end)]
    chat = [line for line in manifest.chat if limits.shows_at(line.at)]
    speakers = [
        msgspec.structs.replace(one, start=max(one.start, part.start), end=min(one.end, part.end))
        for one in manifest.speakers
        for part in kept
        if _meets(one.start, one.end, part)
    ]
    chapters = [one for one in manifest.chapters if limits.shows_at(one.start)]
    thirds = [one for one in manifest.thirds if limits.shows_at(one.start)]
    there = {one.participant for group in (transcript, chat, speakers, chapters, thirds) for one in group}
    sounds = (playlist.sound_of(one.language) for one in manifest.channels)
    served = (playlist.MASTER, playlist.VIDEO, playlist.AUDIO, *sounds, *manifest.captions.values())
    return msgspec.structs.replace(
        manifest,
        duration=min(manifest.duration, whole.end),
        people=[person for person in manifest.people if person.id in there],
        tracks=[],
        transcript=transcript,
        chat=chat,
        speakers=speakers,
        chapters=chapters,
        files={name: kind for name, kind in manifest.files.items() if name in served},
        bytes=0,
        kept=kept,
        shared=limits.passage is not None,
        questions=[one for one in manifest.questions if limits.shows_at(one.at)],
        polls=[one for one in manifest.polls if limits.shows_at(one.at)],
        thirds=thirds,
    )


class Times:
    """From the recording's time to that of what is `kept` of it, gaps closed; in ms. With nothing given, the same."""

    def __init__(self, kept: Sequence[Passage]) -> None:
        self._kept = tuple(kept)

    def __call__(self, time: float) -> float:
        """A moment in a gap is the end of what is before it."""
        if not self._kept:
            return time
        return sum(min(max(0.0, time - one.start), one.end - one.start) for one in self._kept)

    def within(self, time: float) -> bool:
        """Whether there is media at that moment."""
        return not self._kept or any(one.start <= time < one.end for one in self._kept)


def timed(manifest: Manifest) -> Manifest:
    """The recording on the time of what is kept of it, as one sees it who plays it: for files to take away."""
    times, replace = Times(manifest.kept), msgspec.structs.replace
    if not manifest.kept:
        return manifest
    return replace(
        manifest,
        duration=times(manifest.duration),
        transcript=[replace(one, start=times(one.start), end=times(one.end)) for one in manifest.transcript],
        chat=[replace(one, at=times(one.at)) for one in manifest.chat],
        speakers=[replace(one, start=times(one.start), end=times(one.end)) for one in manifest.speakers],
        chapters=[replace(one, start=times(one.start)) for one in manifest.chapters],
        questions=[replace(one, at=times(one.at)) for one in manifest.questions],
        polls=[replace(one, at=times(one.at)) for one in manifest.polls],
        thirds=[replace(one, start=times(one.start)) for one in manifest.thirds],
        kept=[],
    )


def captions(manifest: Manifest, language: str) -> str:
    """The WebVTT file of a recording as `clip` gives it, times as in the recording."""
    names = {line.participant: line.name for line in manifest.transcript}
    cues = [cue for cue in vtt.latest(cues_of(manifest)) if cue.language == language]
    return vtt.document(vtt.captions(cues, names, 0, manifest.duration).get(language, []), language)


def without_chat(manifest: Manifest) -> Manifest:
    """For who was not in the room: nothing of its chat, questions in it included."""
    # A chapter that began as a line of the chat has somebody who wrote it; one from the board does not.
    chapters = [one for one in manifest.chapters if one.kind != "question" or not one.participant]
    return msgspec.structs.replace(manifest, chat=[], chapters=chapters, shared=True)
