"""A live programme as those who serve it see it. Belongs to the event loop; the writer thread's news come by `take`.

What is new is kept in memory, so that thousands of viewers of the same moment cost no read; what is older is read from
the recording's own files. A playlist is written once for each part, whoever asks.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from recorder.fmp4 import init_segment
from recorder.languages import name_of
from recorder.live.delay import Delay, News, language_of
from recorder.live.playlist import (
    PARTS_FOR_MS,
    Entry,
    PartEntry,
    Report,
    Sound,
    Subtitles,
    master_playlist,
    media_playlist,
)
from recorder.live.segmenter import Part, Segment, patch
from recorder.parts import MediaFileInfo
from recorder.playlist import FILLER
from recorder.sealing import files

KEPT_MS = PARTS_FOR_MS + 8_000
"""Media so far from the end is kept in memory: everything that has parts in a playlist, and a margin."""
EARLY_S = 0.02
"""What is due so soon goes out too."""
BANDWIDTH = 300_000
"""At least so much is announced: the peak of what is to come is not known."""


@dataclass(frozen=True, slots=True)
class Body:
    """Bytes, or where they lie in a file: `size` bytes at `offset` of `file`, patched."""

    data: bytes | None
    file: str = ""
    offset: int = 0
    size: int = 0
    patches: tuple[tuple[int, bytes], ...] = ()


class Rendition:
    """One media playlist and what it leads to. Addresses: ``v7.m4s``, part 2 of it ``v7.2.m4s``, ``v-init0.mp4``."""

    def __init__(self, letter: str, uri: str) -> None:
        self.letter, self.uri = letter, uri
        self.files: list[MediaFileInfo] = []
        self.entries: list[Entry] = []
        self.peak = 0
        self.version = 0
        self._bodies: list[Body] = []
        self._recent: deque[int] = deque()
        self._parts: dict[tuple[int, int], bytes] = {}
        self._unfinished: list[PartEntry] = []
        self._map: str | None = None

    def branch(self, letter: str, uri: str, number: int) -> Rendition:
        """Another one that is this one until segment `number`."""
        other = Rendition(letter, uri)
        other.entries, other._bodies = self.entries[:number], self._bodies[:number]
        other._recent = deque(one for one in self._recent if one < number)
        other.peak = self.peak
        return other

    def take(self, news: Part | Segment) -> None:
        """Parts in order, then the segment that they make up."""
        self.version += 1
        self._map = self._init(news.file)
        if isinstance(news, Part):
            self._parts[news.number, news.index] = news.data
            self._unfinished.append(PartEntry(self._part(news), news.start, news.end, news.independent))
            return
        entry = Entry(f"{self.letter}{news.number}.m4s", self._map, news.start, news.end, tuple(self._unfinished))
        self.entries.append(entry)
        self._bodies.append(Body(news.data, news.file.name, news.offset, news.size, news.patches))
        self._recent.append(news.number)
        self._unfinished = []
        if news.end - news.start >= 500:
            self.peak = max(self.peak, news.size * 8000 // (news.end - news.start))
        while self.entries[self._recent[0]].end < news.end - KEPT_MS:
            self._forget(self._recent.popleft())

    def _forget(self, number: int) -> None:
        for index in range(len(self.entries[number].parts)):
            self._parts.pop((number, index), None)
        self.entries[number] = replace(self.entries[number], parts=())
        if self._bodies[number].offset >= 0:
            self._bodies[number] = replace(self._bodies[number], data=None)

    def _part(self, part: Part) -> str:
        return f"{self.letter}{part.number}.{part.index}.m4s"

    def _init(self, file: MediaFileInfo) -> str:
        if file not in self.files:
            self.files.append(file)
        return f"{self.letter}-init{self.files.index(file)}.mp4"

    @property
    def next(self) -> tuple[int, int]:
        """The segment and part that come next."""
        return len(self.entries), len(self._unfinished)

    @property
    def unfinished(self) -> Entry | None:
        """The segment that is being made, as far as it is."""
        if not self._unfinished:
            return None
        number, parts = len(self.entries), self._unfinished
        return Entry(f"{self.letter}{number}.m4s", self._map, parts[0].start, parts[-1].end, tuple(parts))

    @property
    def begin(self) -> int:
        """Milliseconds at which it begins."""
        return self.entries[0].start if self.entries else 0

    @property
    def end(self) -> int:
        """Milliseconds up to which there is something."""
        if self._unfinished:
            return self._unfinished[-1].end
        return self.entries[-1].end if self.entries else 0

    def report(self) -> Report | None:
        """For the playlist of another rendition; None while there is nothing."""
        number, part = self.next
        if part:
            return Report(self.uri, number, part - 1)
        if not number:
            return None
        parts = len(self.entries[-1].parts)
        return Report(self.uri, number - 1, parts - 1 if parts else None)

    def has(self, number: int, part: int | None) -> bool:
        """Whether a playlist tells of it; a part beyond a segment's last stands for the next segment's first."""
        have, have_part = self.next
        return number < have or (part is not None and number == have and part < have_part)

    def init(self, number: int) -> bytes | None:
        """An init segment."""
        return init_segment(self.files[number].config) if 0 <= number < len(self.files) else None

    def segment(self, number: int) -> Body | None:
        """A whole segment."""
        return self._bodies[number] if 0 <= number < len(self._bodies) else None

    def part(self, number: int, index: int) -> bytes | None:
        """A partial segment, while playlists tell of it."""
        return self._parts.get((number, index))


class Stream:
    """The programme: `video` cut from the speakers' own parts, `audio` the mix, `aac` the same for some players."""

    def __init__(self, folder: Path, epoch: datetime, aac: bool = False, delay: float = 0.0) -> None:
        """`epoch`: the wall clock when the recording's time was 0; `delay`: seconds that everything waits."""
        self.epoch = epoch
        self.video, self.audio = Rendition("v", "video.m3u8"), Rendition("a", "audio.m3u8")
        self.aac = Rendition("b", "aac.m3u8") if aac else None
        self.channels: dict[str, Rendition] = {}
        """The interpreters', by language: the mix until somebody first interpreted."""
        self.ended = False
        self.on_news: list[Callable[[News | None], object]] = []
        """Told what viewers can get from now on, and of its end (None)."""
        self.on_channel: Callable[[], object] = lambda: None
        """Told when there is a channel more."""
        self._folder = folder
        self._delay = Delay(delay) if delay else None
        self._timer: asyncio.TimerHandle | None = None
        self._last: float | None = None
        """When it ends, on the loop's clock; None while that is not known."""
        self._changed = asyncio.Event()
        self._written: dict[tuple[str, bool], tuple[int, bytes]] = {}

    @property
    def started(self) -> bool:
        """Whether there is something to play."""
        return bool(self.video.entries) and bool(self.audio.entries)

    async def begun(self) -> None:
        """Waits until there is something to play."""
        while not self.started and not self.ended:
            await self._changed.wait()

    @property
    def renditions(self) -> list[Rendition]:
        """All that there are."""
        return [one for one in (self.video, self.audio, self.aac, *self.channels.values()) if one is not None]

    def rendition(self, letter: str) -> Rendition:
        """By its letter. Raises KeyError."""
        return {one.letter: one for one in self.renditions}[letter]

    def take(self, news: Sequence[News]) -> None:
        """What the writer finished, in order."""
        if self._delay is None:
            return self._publish(news)
        now = asyncio.get_running_loop().time()
        for letter, one in news:
            self._delay.put(letter, one, now)
        self._wait()

    def finish(self) -> None:
        """Nothing more comes in."""
        if self._delay is None:
            return self._end()
        self._last = asyncio.get_running_loop().time() + self._delay.seconds
        self._wait()

    def cut(self, until: int) -> int | None:
        """Nothing that waits is ever to be seen or heard, nor what still comes of the time before `until`, in ms of the
        recording. Returns from when on, in the same; None where nothing waits."""
        return self._delay.cut(until) if self._delay is not None else None

    def _wait(self) -> None:
        """Wakes up when something is due."""
        if self._timer is not None or self._delay is None:
            return
        due = self._delay.next if self._delay.next is not None else self._last
        if due is not None:
            self._timer = asyncio.get_running_loop().call_at(due, self._release)

    def _release(self) -> None:
        self._timer = None
        assert self._delay is not None
        now = asyncio.get_running_loop().time()
        # The loop may call a little early: by no more than its clock's resolution.
        if news := self._delay.due(now + EARLY_S):
            self._publish(news)
        if self._delay.next is None and self._last is not None and self._last <= now + EARLY_S:
            return self._end()
        self._wait()

    def _publish(self, news: Sequence[News]) -> None:
        for letter, one in news:
            language = language_of(letter)
            if language is not None and language not in self.channels:
                self.channels[language] = self.audio.branch(letter, f"audio.{language}.m3u8", one.number)
                self.on_channel()
            self.rendition(letter).take(one)
            for told in self.on_news:
                told((letter, one))
        self._wake()

    def _end(self) -> None:
        self.ended = True
        for told in self.on_news:
            told(None)
        self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def until(self, rendition: Rendition, number: int, part: int | None = None) -> bool:
        """Waits until there is this segment or part of it; False when there will be none."""
        while not rendition.has(number, part):
            if self.ended:
                return False
            await self._changed.wait()
        return True

    def playlist(self, rendition: Rendition, skip: bool) -> bytes:
        """As it is now."""
        version = rendition.version * 2 + self.ended
        key = rendition.letter, skip
        kept = self._written.get(key)
        if kept is not None and kept[0] == version:
            return kept[1]
        number, part = rendition.next
        other = self.audio if rendition is self.video else self.video
        report = other.report()
        text = media_playlist(
            rendition.entries,
            rendition.unfinished,
            epoch=self.epoch,
            ended=self.ended,
            hint=f"{rendition.letter}{number}.{part}.m4s",
            reports=[report] if report else [],
            skip=skip and not self.ended,
        ).encode()
        self._written[key] = version, text
        return text

    def master(self, subtitles: Sequence[Subtitles] = (), aac: bool = False) -> bytes:
        """The multivariant playlist, with AAC instead of Opus where that is wanted. There must be something to play."""
        seen = [file for file in self.video.files if not file.name.startswith(FILLER)] or self.video.files
        loudest = max(one.peak for one in (self.audio, *self.channels.values()))
        bandwidth = max(self.video.peak + loudest, BANDWIDTH)
        sound, codec = (self.aac, "mp4a.40.2") if aac and self.aac is not None else (self.audio, "opus")
        channels = [
            Sound(language, name_of(language)[1], one.uri)
            for language, one in sorted(self.channels.items())
            if codec == "opus"
        ]
        return master_playlist(self.video.uri, sound.uri, seen, bandwidth, subtitles, codec, channels).encode()

    async def read(self, body: Body) -> bytes:
        """The bytes. Raises OSError when the recording is gone."""
        return body.data if body.data is not None else await asyncio.to_thread(self._read, body)

    # Once the recording is finished the edit of the replay may have changed the length of a frame here and there.
    def _read(self, body: Body) -> bytes:
        data = files.read_range(self._folder / body.file, body.offset, body.offset + body.size, torn=True)
        if len(data) != body.size:
            raise OSError("the file is shorter than the programme")
        return patch(data, body.patches)
