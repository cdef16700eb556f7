"""The writer thread's side of a live programme: pieces from parts and mix go in, segments and parts come out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from recorder.live.aac import Aac
from recorder.live.delay import News, letter_of
from recorder.live.director import Director
from recorder.live.segmenter import Part, Piece, Segment, Segmenter
from recorder.parts import MediaFileInfo

AUDIO_SEGMENT_MS = 2_000
KEPT = 8
LAG_MS = 400
"""How far the mix stays behind the clock while somebody listens live: a voice that comes later is left out of it."""


class Edge:
    """One live programme, from `begin` (ms of the recording) on."""

    def __init__(self, begin: int, folder: Path | None = None) -> None:
        """With a `folder` its sound is AAC too, by a file in there. Raises OSError."""
        self._news: list[News] = []
        self._begin = begin
        self._video = Segmenter(lambda one: self._out("v", one))
        self._audio = Segmenter(lambda one: self._out("a", one), AUDIO_SEGMENT_MS)
        self._other = Segmenter(lambda one: self._out("b", one), AUDIO_SEGMENT_MS)
        self._starts: dict[int, int] = {}
        """Of the mix's last segments, the number by the beginning."""
        self._channels: list[Segmenter] = []
        self.aac = Aac(folder, begin * 48, self._also) if folder is not None else None
        self.director = Director(begin, self._video.add)

    def _out(self, letter: str, one: Part | Segment) -> None:
        self._news.append((letter, one))

    def picture(self, track: int) -> Callable[[MediaFileInfo, int, bytes, int, int, bool], None]:
        """What a video track's parts are to tell."""
        return lambda *frame: self.director.piece(track, Piece(*frame))

    def sound(self, file: MediaFileInfo, offset: int, data: bytes, start: int, end: int) -> None:
        """A fragment of the mix, which has no holes. Times in ms."""
        if start >= self._begin:
            self._audio.add(Piece(file, offset, data, start, end, True))
            if self._audio.first == start:
                self._starts[start] = self._audio.number
                self._starts = dict(list(self._starts.items())[-KEPT:])

    def channel(self, language: str) -> Callable[[MediaFileInfo, int, bytes, int, int], None]:
        """What an interpreters' channel is to tell of its fragments, which are as long as the mix's and come after
        them. It begins with a segment of the mix, and has its number."""
        segmenter: Segmenter | None = None

        def sound(file: MediaFileInfo, offset: int, data: bytes, start: int, end: int) -> None:
            nonlocal segmenter
            if segmenter is None:
                if start not in self._starts:
                    return
                segmenter = Segmenter(lambda one: self._out(letter_of(language), one), AUDIO_SEGMENT_MS)
                segmenter.number = self._starts[start]
                self._channels.append(segmenter)
            segmenter.add(Piece(file, offset, data, start, end, True))

        return sound

    def _also(self, file: MediaFileInfo, offset: int, data: bytes, start: int, end: int) -> None:
        self._other.add(Piece(file, offset, data, start, end, True))

    def advance(self, now: int) -> None:
        """`now` in ms of the recording."""
        self.director.advance(now)

    def close(self) -> None:
        """Ends the last segments."""
        self._video.close()
        self._audio.close()
        for channel in self._channels:
            channel.close()
        if self.aac is not None:
            self.aac.close()
            self._other.close()

    def drain(self) -> list[News]:
        """What is finished since the last time."""
        news, self._news = self._news, []
        return news
