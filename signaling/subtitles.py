"""The words of a broadcast on its programme's time, and as WebVTT segments beside its pictures. Pure.

A segment of subtitles is written once, some seconds after its pictures, when most of its words are final. What
becomes final later is repeated in the next one, for whoever goes back.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from captioning.caption import Caption
from recorder.live.segmenter import TARGET_MS

LATE_MS = 4_000
"""How far subtitles stay behind the pictures; players without low latency are further behind than that."""
MOST = 20_000
"""Cues that are kept."""
RECENT = 30
"""Cues that somebody who comes is told."""


class LiveCaption(msgspec.Struct, rename="camel", kw_only=True, frozen=True):
    """Words as viewers get them. Times in ms of the programme. The highest `revision` of a segment and language counts;
    without words it was taken back."""

    segment: str
    revision: int
    language: str
    source: str
    name: str
    color: int
    start: float
    end: float
    text: str
    final: bool


class Subtitles:
    """All words of one broadcast, by segment and language."""

    def __init__(self, origin: float, begin: float = 0.0) -> None:
        """`origin`: the room time at which the programme's is 0; `begin`: from when on it was live, in its own time."""
        self._origin = origin
        self._begin = begin
        self._captions: dict[tuple[str, str], LiveCaption] = {}
        self._written: dict[str, list[bytes]] = {}
        self._sent: dict[str, set[tuple[str, int]]] = {}

    def take(self, caption: Caption, name: str, color: int) -> LiveCaption | None:
        """The words with the programme's times; None where newer ones are known, or they began before it was live."""
        if caption.start - self._origin < self._begin:
            return None
        key = caption.segment, caption.language
        known = self._captions.get(key)
        if known is not None and known.revision > caption.revision:
            return None
        told = LiveCaption(
            segment=caption.segment,
            revision=caption.revision,
            language=caption.language,
            source=caption.source,
            name=name or (known.name if known else ""),
            color=color,
            start=caption.start - self._origin,
            end=caption.end - self._origin,
            text=f"{caption.stable} {caption.tail}".strip(),
            final=caption.final,
        )
        self._captions[key] = told
        if len(self._captions) > MOST:
            del self._captions[next(iter(self._captions))]
        return told

    def recent(self, language: str | None) -> list[LiveCaption]:
        """The last words, in the original and in a language."""
        found = [one for one in self._captions.values() if one.language in (one.source, language)]
        return found[-RECENT:]

    def _in(self, language: str) -> Iterable[LiveCaption]:
        """In this language; what was said in it as it was said."""
        return (one for one in self._captions.values() if one.language == language and one.text)

    def write(self, language: str, begin: int, until: int) -> int:
        """Writes the segments of a language, `begin` being the programme's first moment and `until` how far pictures
        go; returns how many there are. Segments are as long as the target duration."""
        written = self._written.setdefault(language, [])
        sent = self._sent.setdefault(language, set())
        while begin + (len(written) + 1) * TARGET_MS <= until - LATE_MS:
            start = begin + len(written) * TARGET_MS
            cues = [
                one
                for one in self._in(language)
                if one.start < start + TARGET_MS
                and (one.end > start or (one.final and (one.segment, one.revision) not in sent))
            ]
            sent.update((one.segment, one.revision) for one in cues if one.final)
            written.append(document(cues))
        return len(written)

    def segment(self, language: str, number: int) -> bytes | None:
        """One that was written."""
        written = self._written.get(language, [])
        return written[number] if 0 <= number < len(written) else None


def document(cues: Iterable[LiveCaption]) -> bytes:
    """A WebVTT segment (RFC 8216 section 3.5): its times are those of the media, whose clock begins at 0 too."""
    lines = ["WEBVTT", "X-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0", ""]
    for cue in sorted(cues, key=lambda one: one.start):
        lines += [f"{_stamp(cue.start)} --> {_stamp(max(cue.end, cue.start + 500))}", _line(cue), ""]
    return "\n".join(lines).encode()


def playlist(language: str, count: int, ended: bool) -> bytes:
    """The media playlist of `count` segments."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:6", f"#EXT-X-TARGETDURATION:{TARGET_MS // 1000}"]
    lines += ["#EXT-X-MEDIA-SEQUENCE:0", "#EXT-X-PLAYLIST-TYPE:EVENT"]
    for number in range(count):
        lines += [f"#EXTINF:{TARGET_MS / 1000:.3f},", f"words.{language}.{number}.vtt"]
    return "\n".join([*lines, *(["#EXT-X-ENDLIST"] if ended else []), ""]).encode()


def _line(cue: LiveCaption) -> str:
    return f"<v {_escaped(cue.name)}>{_escaped(cue.text)}" if cue.name else _escaped(cue.text)


def _escaped(text: str) -> str:
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _stamp(ms: float) -> str:
    whole = round(ms)
    return f"{whole // 3_600_000:02d}:{whole // 60_000 % 60:02d}:{whole // 1000 % 60:02d}.{whole % 1000:03d}"
