"""Who is shown when: a pure edit of the recording, cut on key frames that are already there.

A shared screen wins over a camera, then the active speaker, then whoever is on, then anybody with video. A picture
stays at least `DWELL_MS`, unless it ends. A change waits for the next key frame of what is to come, so no frame is ever
made or re-encoded to show who spoke. Where nobody has video nothing is shown, and the playlist puts a dark picture; a
gap of up to `FREEZE_MS` is bridged by the last picture instead.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from recorder.manifest import Speech

DWELL_MS = 2_000
FREEZE_MS = 1_000


@dataclass(frozen=True, slots=True)
class Span:
    """A key frame and what depends on it, `start` to `end` in ms; spans that touch can be shown without a break."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Source:
    """One video track: where it has pictures, in order."""

    track: int
    participant: str
    screen: bool
    spans: Sequence[Span]


@dataclass(frozen=True, slots=True)
class Shot:
    """What is shown from `start` to `end`: a track, or nothing (None). Begins at a key frame of the track."""

    track: int | None
    start: int
    end: int


class _Availability:
    """A source's spans joined into runs."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.starts: list[int] = []
        self.ends: list[int] = []
        for span in source.spans:
            if self.ends and span.start <= self.ends[-1]:
                self.ends[-1] = max(self.ends[-1], span.end)
            else:
                self.starts.append(span.start)
                self.ends.append(span.end)

    def until(self, time: int) -> int | None:
        """The end of the run that covers `time`; None when none does."""
        run = bisect_right(self.starts, time) - 1
        return self.ends[run] if run >= 0 and time < self.ends[run] else None


def changes(speeches: Sequence[Speech]) -> list[tuple[float, str | None]]:
    """(time in ms, active speaker from then on), as `edit` wants it, of who spoke from when to when."""
    result: list[tuple[float, str | None]] = []
    for speech in speeches:
        if result and result[-1][0] == speech.start:
            result.pop()
        result += [(speech.start, speech.participant), (speech.end, None)]
    return result


def edit(sources: Iterable[Source], speakers: Sequence[tuple[float, str | None]], duration: int) -> list[Shot]:
    """Shots that cover 0 to `duration`, touching. `speakers`: (time in ms, active speaker from then on)."""
    available = {source.track: _Availability(source) for source in sources}
    keys = sorted(
        (span.start, track)
        for track, one in available.items()
        for span in one.source.spans
        if 0 <= span.start < duration
    )
    times = [time for time, _ in speakers]
    shots: list[Shot] = []
    current: int | None = None
    since = 0

    def end_current(at: int) -> None:
        nonlocal since
        if at > since:
            shots.append(Shot(current, since, at))
        since = at

    for time, track in keys:
        if current is not None:
            end = available[current].until(since)
            if end is not None and end <= time:
                end_current(time if time - end <= FREEZE_MS else end)
                current = None
        heard = bisect_right(times, time) - 1
        speaker = speakers[heard][1] if heard >= 0 else None
        if track == current:
            continue
        if current is not None:
            if 0 < time - since < DWELL_MS and not _better(available[track].source, available[current].source):
                continue
            if _wanted(available, time, speaker, current) != track:
                continue
        end_current(time)
        current = track
    if current is not None:
        end = available[current].until(since)
        if end is not None and end < duration - FREEZE_MS:
            end_current(end)
            current = None
    end_current(duration)
    return shots


def _better(one: Source, other: Source) -> bool:
    return one.screen and not other.screen


def _wanted(available: dict[int, _Availability], time: int, speaker: str | None, current: int) -> int | None:
    def rank(one: _Availability) -> tuple[bool, bool, bool, int]:
        source = one.source
        return source.screen, source.participant == speaker, source.track == current, -source.track

    there = [one for one in available.values() if one.until(time) is not None]
    return max(there, key=rank).source.track if there else None
