"""A live programme some seconds later than it happens, and what is taken out of it in time. Pure, time is an argument.

What was cut is darkness and silence of the same length: the timeline has no hole, and no byte of it leaves.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TypeVar

from recorder.fmp4 import Sample, fragment, read_fragments
from recorder.live.segmenter import Part, Segment
from recorder.live.stillness import SILENT, dark_file
from recorder.playlist import dark_frame

News = tuple[str, Part | Segment]
"""Of which rendition (``v``, ``a``, ``b`` for AAC, or an interpreters' channel's `letter_of`), and what."""
CHANNEL = "c-"
KEPT = 8
_One = TypeVar("_One", Part, Segment)


def letter_of(language: str) -> str:
    """What the addresses of an interpreters' channel begin with."""
    return f"{CHANNEL}{language}-"


def language_of(letter: str) -> str | None:
    """The language of a channel; None for what is no channel's."""
    return letter.removeprefix(CHANNEL)[:-1] if letter.startswith(CHANNEL) else None


@dataclass(slots=True)
class _Held:
    due: float
    letter: str
    news: Part | Segment
    cut: bool = False


@dataclass(slots=True)
class _Course:
    """One rendition as it goes out: numbers are its own, for a cut ends a segment early."""

    number: int = 0
    end: int = 0
    parts: list[Part] = field(default_factory=list)
    spoilt: int | None = None
    """Of the segments that came in, the one of which something was cut."""


class Delay:
    """What goes in comes out `seconds` later, in order."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._held: deque[_Held] = deque()
        self._courses: dict[str, _Course] = {}
        self._until = 0
        self._starts: dict[int, int] = {}
        """Of the mix's last segments that went out, the number by the beginning: a channel begins with one."""

    @property
    def next(self) -> float | None:
        """When something is due; None: nothing waits."""
        return self._held[0].due if self._held else None

    def put(self, letter: str, news: Part | Segment, now: float) -> None:
        """`now` in seconds, and never less than before."""
        self._held.append(_Held(now + self.seconds, letter, news, cut=news.start < self._until))

    def cut(self, until: int) -> int:
        """Nothing that waits is to be seen or heard, nor what comes of the time before `until`, in ms of the recording.
        Returns from when on, in the same."""
        self._until = max(self._until, until)
        for one in self._held:
            one.cut = True
        return min((course.end for course in self._courses.values()), default=0)

    def due(self, now: float) -> list[News]:
        """What may go out by now."""
        out: list[News] = []
        while self._held and self._held[0].due <= now:
            one = self._held.popleft()
            if one.letter not in self._courses:
                number = 0 if language_of(one.letter) is None else self._starts.get(one.news.start)
                if number is None:
                    continue
                self._courses[one.letter] = _Course(number)
            passed = _passed(self._courses[one.letter], one, one.letter == "v")
            out += [(one.letter, news) for news in passed]
            if one.letter == "a":
                self._starts |= {
                    news.start: news.number for news in passed if isinstance(news, Segment) or not news.index
                }
                self._starts = dict(list(self._starts.items())[-KEPT:])
        return out


def _passed(course: _Course, one: _Held, video: bool) -> list[Part | Segment]:
    news = one.news
    out: list[Part | Segment] = []
    if one.cut:
        course.spoilt = news.number
    spoilt = course.spoilt == news.number
    if isinstance(news, Segment) and news.parts:
        # Where nothing was cut it is as it came; else what went out of it is what it is.
        if not spoilt:
            out.append(replace(news, number=course.number))
            course.number, course.parts = course.number + 1, []
        else:
            out += _closed(course)
    elif isinstance(news, Segment):
        out += _closed(course)
        out.append(replace(_still(news, video) if spoilt else news, number=course.number))
        course.number += 1
    else:
        part = _still(news, video) if spoilt else news
        if course.parts and (not news.index or course.parts[-1].file != part.file):
            out += _closed(course)
        part = replace(part, number=course.number, index=len(course.parts))
        course.parts.append(part)
        out.append(part)
    course.end = max(course.end, news.end)
    return out


def _closed(course: _Course) -> list[Part | Segment]:
    """The segment that the parts which went out make up, if there are any; only memory has it."""
    if not course.parts:
        return []
    parts, course.parts = course.parts, []
    data = b"".join(part.data for part in parts)
    number, course.number = course.number, course.number + 1
    return [Segment(number, parts[0].file, parts[0].start, parts[-1].end, -1, len(data), (), len(parts), data)]


def _still(news: _One, video: bool) -> _One:
    if video:
        picture = fragment(news.start, [Sample(news.start, news.end - news.start, True, dark_frame()[1])])
        file = dark_file()
    else:
        file = news.file
        picture = b"".join(
            fragment(news.start, _silence(one.time, [duration for duration, _, _ in one.samples], file.codec_name))
            for one in read_fragments(news.data)
        )
    if isinstance(news, Part):
        return replace(news, file=file, independent=True, data=picture)
    return replace(news, file=file, offset=-1, size=len(picture), patches=(), data=picture)


def _silence(time: int, durations: list[int], codec: str) -> list[Sample]:
    samples: list[Sample] = []
    for duration in durations:
        samples.append(Sample(time, duration, True, SILENT[codec]))
        time += duration
    return samples
