"""Who is shown in a live programme, decided as the frames come: pure, time is an argument.

The rules are those of the replay (`recorder.programme`), without its knowledge of what comes next: a spotlight wins,
then a shared screen, then the active speaker, then whoever is on. A change waits for a key frame, so nothing is ever
encoded again. The timeline has no hole: a picture that comes late begins where the last one ended, and where nobody
has a picture a dark one stands in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from recorder.fmp4 import Sample, fragment
from recorder.live.segmenter import PART_MS, Piece, retimed
from recorder.live.stillness import dark_file
from recorder.playlist import dark_frame
from recorder.programme import DWELL_MS, FREEZE_MS

BEGIN_MS = 1_500
"""So long the first picture is waited for."""
PATIENCE_MS, SCREEN_PATIENCE_MS = 1_500, 3_500
"""A camera that is silent for so long is gone. A screen that does not change sends about a picture a second."""
BEHIND_MS = 250
"""The dark picture follows the clock at this distance, so that it is not ahead of whoever comes."""


@dataclass(slots=True)
class _Source:
    participant: str
    screen: bool


class Director:
    """From the pieces of all video tracks to one sequence without holes."""

    def __init__(self, begin: int, out: Callable[[Piece], None]) -> None:
        """Nothing from before `begin` (ms of the recording) is shown."""
        self.end: int | None = None
        self.speaker: str | None = None
        self.spotlight: str | None = None
        self._begin = begin
        self._out = out
        self._sources: dict[int, _Source] = {}
        self._current: int | None = None
        self._since = begin
        self._dark = False
        self._filled = 0

    @property
    def shown(self) -> str | None:
        """Whose picture it is."""
        return None if self._current is None else self._sources[self._current].participant

    def opened(self, track: int, participant: str, screen: bool) -> None:
        """A video track that may be shown."""
        self._sources[track] = _Source(participant, screen)

    def stopped(self, track: int) -> None:
        """Muted or closed: its next picture is a key frame, if there is one."""
        if track == self._current:
            self._current = None

    def piece(self, track: int, piece: Piece) -> None:
        """The next picture of a track."""
        source = self._sources[track]
        if piece.start < self._begin:
            return
        if track != self._current:
            if not piece.key or not self._takes(track, source, piece.start):
                return
            self._current, self._since, self._dark = track, max(piece.start, self.end or 0), False
        self._append(piece)

    def _takes(self, track: int, source: _Source, time: int) -> bool:
        if self._current is None:
            return True
        current = self._sources[self._current]
        better = self._rank(track, source) > self._rank(self._current, current)
        at_once = (source.screen and not current.screen) or source.participant == self.spotlight
        return better and (at_once or time - self._since >= DWELL_MS)

    def _rank(self, track: int, source: _Source) -> tuple[bool, bool, bool, bool, int]:
        return (
            self.spotlight is not None and source.participant == self.spotlight,
            source.screen,
            source.participant == self.speaker,
            track == self._current,
            -track,
        )

    def _append(self, piece: Piece) -> None:
        start = piece.start if self.end is None else self.end
        end = max(piece.end, start + 1)
        self.end = end
        self._out(retimed(piece, start, end))

    def advance(self, now: int) -> None:
        """`now` in ms of the recording."""
        if self.end is None:
            if now - self._begin < BEGIN_MS:
                return
            self.end, self._dark = self._begin, True
        if self._current is not None:
            screen = self._sources[self._current].screen
            if now - self.end > (SCREEN_PATIENCE_MS if screen else PATIENCE_MS):
                self._current, self._dark = None, True
        elif not self._dark and now - self.end > FREEZE_MS:
            self._dark = True
        while self._dark and self.end + PART_MS <= now - BEHIND_MS:
            self._append(self._fill(self.end))

    def _fill(self, start: int) -> Piece:
        self._filled += 1
        data = fragment(self._filled, [Sample(start, PART_MS, True, dark_frame()[1])])
        return Piece(dark_file(), -1, data, start, start + PART_MS, True)
