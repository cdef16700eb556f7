"""Live playlists: RFC 8216 and, for low latency, its second edition (draft-pantos-hls-rfc8216bis). Pure text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from recorder.live.segmenter import PART_MS, TARGET_MS
from recorder.parts import MediaFileInfo

PART_HOLD_BACK_S = 3 * PART_MS / 1000
HOLD_BACK_S = 3 * TARGET_MS / 1000
SKIP_UNTIL_S = 6 * TARGET_MS / 1000
PARTS_FOR_MS = 3 * TARGET_MS
"""Partial segments are listed so far from the end."""


@dataclass(frozen=True, slots=True)
class PartEntry:
    """A partial segment as a playlist tells it. Times in ms."""

    uri: str
    start: int
    end: int
    independent: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """A segment as a playlist tells it; `map` is the address of its init segment, None where it needs none."""

    uri: str
    map: str | None
    start: int
    end: int
    parts: Sequence[PartEntry] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """How far another rendition is: its last segment and, of it, the last part (None: it has no parts)."""

    uri: str
    number: int
    part: int | None


def media_playlist(
    segments: Sequence[Entry],
    unfinished: Entry | None,
    *,
    epoch: datetime,
    ended: bool,
    hint: str | None = None,
    reports: Sequence[Report] = (),
    skip: bool = False,
    low_latency: bool = True,
) -> str:
    """All segments from the first on (EVENT), then the parts of the one that is being made (`unfinished`).

    `epoch` is the wall clock at 0 ms. With `skip` it is a delta update, if there is enough to skip.
    """
    lines = ["#EXTM3U", "#EXT-X-VERSION:9", f"#EXT-X-TARGETDURATION:{TARGET_MS // 1000}"]
    if low_latency:
        lines += [
            f"#EXT-X-PART-INF:PART-TARGET={PART_MS / 1000:.3f}",
            f"#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL={SKIP_UNTIL_S:.1f},"
            f"PART-HOLD-BACK={PART_HOLD_BACK_S:.3f},HOLD-BACK={HOLD_BACK_S:.1f}",
        ]
    lines += ["#EXT-X-MEDIA-SEQUENCE:0", "#EXT-X-PLAYLIST-TYPE:EVENT"]
    end = unfinished.parts[-1].end if unfinished and unfinished.parts else segments[-1].end if segments else 0
    skipped = 0
    if skip:
        skipped = sum(segment.end < end - SKIP_UNTIL_S * 1000 for segment in segments)
    if skipped:
        lines.append(f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}")
    mapped: str | None = None
    for segment in segments[skipped:]:
        mapped = _begin(lines, segment, mapped, epoch)
        if low_latency and segment.end > end - PARTS_FOR_MS:
            lines += [_part(part) for part in segment.parts]
        lines += [f"#EXTINF:{(segment.end - segment.start) / 1000:.3f},", segment.uri]
    if ended:
        return "\n".join([*lines, "#EXT-X-ENDLIST", ""])
    if low_latency and unfinished and unfinished.parts:
        _begin(lines, unfinished, mapped, epoch)
        lines += [_part(part) for part in unfinished.parts]
    if low_latency and hint:
        lines.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{hint}"')
    for report in reports if low_latency else ():
        last = "" if report.part is None else f",LAST-PART={report.part}"
        lines.append(f'#EXT-X-RENDITION-REPORT:URI="{report.uri}",LAST-MSN={report.number}{last}')
    return "\n".join([*lines, ""])


def _begin(lines: list[str], segment: Entry, mapped: str | None, epoch: datetime) -> str | None:
    if segment.map is not None and segment.map != mapped:
        lines.append(f'#EXT-X-MAP:URI="{segment.map}"')
    at = epoch + timedelta(milliseconds=segment.start)
    lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z")
    return segment.map


def _part(part: PartEntry) -> str:
    independent = ",INDEPENDENT=YES" if part.independent else ""
    return f'#EXT-X-PART:DURATION={(part.end - part.start) / 1000:.3f},URI="{part.uri}"{independent}'


@dataclass(frozen=True, slots=True)
class Subtitles:
    """A caption rendition; `name` is the language's own name."""

    language: str
    name: str
    uri: str


@dataclass(frozen=True, slots=True)
class Sound:
    """An interpreters' channel; `name` is the language's own name."""

    language: str
    name: str
    uri: str


def master_playlist(
    video: str,
    audio: str,
    pictures: Sequence[MediaFileInfo],
    bandwidth: int,
    subtitles: Sequence[Subtitles] = (),
    sound: str = "opus",
    channels: Sequence[Sound] = (),
) -> str:
    """One variant. CODECS names the largest picture of the first codec shown so far; more comes with EXT-X-MAP."""
    first = pictures[0].codec_name
    codec = max(
        (one for one in pictures if one.codec_name == first), key=lambda one: (one.width * one.height, one.codec)
    )
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:9",
        f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="mix",NAME="Mix",DEFAULT=YES,AUTOSELECT=YES,URI="{audio}"',
    ]
    lines += [
        f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="mix",NAME="{one.name}",LANGUAGE="{one.language}",DEFAULT=NO,'
        f'AUTOSELECT=NO,URI="{one.uri}"'
        for one in channels
    ]
    lines += [
        f'#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="words",NAME="{one.name}",LANGUAGE="{one.language}",DEFAULT=NO,'
        f'AUTOSELECT=YES,URI="{one.uri}"'
        for one in subtitles
    ]
    words = ',SUBTITLES="words"' if subtitles else ""
    lines.append(
        f'#EXT-X-STREAM-INF:BANDWIDTH={bandwidth},CODECS="{codec.codec},{sound}",'
        f'RESOLUTION={codec.width}x{codec.height},AUDIO="mix"{words},CLOSED-CAPTIONS=NONE'
    )
    return "\n".join([*lines, video, ""])
