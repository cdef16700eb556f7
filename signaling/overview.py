"""What those who run a broadcast are told once a second: the stage, the audience, the words, the disk.

Only those who ask are told, and while nobody does nothing is measured. It costs as much as there are people on stage,
however many watch.
"""

from __future__ import annotations

import asyncio
import shutil
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from captioning.caption import Caption
from recorder.space import Space
from signaling import protocol
from signaling.people import Participant
from signaling.quality import publish_level

if TYPE_CHECKING:
    from signaling.room import Room

log = structlog.get_logger("overview")

EVERY_S = 1.0
DISK_EVERY_S = 5.0
RECENT_S = 60.0
SILENT, LOUD = 127 - 60, 127 - 12
"""The ends of a level's scale, in the loudness of `sfu.levels`."""
LANGUAGES = 100


def level(loudness: float) -> float:
    """From 0 (silent) to 1 (as loud as speech gets), on a decibel scale."""
    return round(min(1.0, max(0.0, (loudness - SILENT) / (LOUD - SILENT))), 2)


class RoomOverview:
    """Of one room."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._told: set[str] = set()
        self._at = self._disk_at = float("-inf")
        self._lags: dict[str, tuple[float, float]] = {}
        self._shed: deque[tuple[float, int]] = deque()
        self._floor = room.parts.settings.recordings.min_free_mb * 1_000_000
        self._space = Space(self._floor)
        self._free: int | None = None
        self._looking: asyncio.Task[None] | None = None

    def tell(self, participant: str, on: bool) -> None:
        """Whether somebody is told."""
        (self._told.add if on else self._told.discard)(participant)

    def heard(self, caption: Caption) -> None:
        """A line of captions: the newest final one of each language says how far they are behind."""
        if caption.final and (caption.language in self._lags or len(self._lags) < LANGUAGES):
            now = self._room.now
            self._lags[caption.language] = now, max(0.0, now - caption.end)

    def tick(self, now: float) -> None:
        """`now` in seconds, monotonic."""
        if not self._told or now - self._at < EVERY_S * 0.9:  # ticks come twice a second, more or less
            return
        self._at = now
        people = [person for one in self._told if (person := self._room.people.get(one)) and person.may("broadcast")]
        if not people:
            return
        if self._looking is None and now - self._disk_at >= DISK_EVERY_S:
            self._disk_at = now
            self._looking = asyncio.get_running_loop().create_task(self._look(now))
        self._room.broadcast(self._view(now), people, key="overview")

    def close(self) -> None:
        """The meeting is over."""
        if self._looking is not None:
            self._looking.cancel()

    def _view(self, now: float) -> protocol.Overview:
        room, live = self._room, self._room.live
        peaks = room.media.peaks()
        stage = [p for p in room.people.values() if p.may("publish-audio") or p.may("publish-video")]
        realtime, rest = live.tiers
        rate = self._space.rate
        return protocol.Overview(
            seats=[self._seat(person, peaks.get(person.id, 0.0)) for person in stage],
            audience=[live.fared.tier("realtime", realtime), live.fared.tier("hls", rest)],
            words=self._words(),
            shed=self._shedding(now),
            disk_free=self._free,
            disk_s=round(self._free / rate) if self._free is not None and rate > 0 else None,
        )

    def _seat(self, person: Participant, loudness: float) -> protocol.Seat:
        found, incoming = self._room.media.quality(person.id), self._room.media.incoming(person.id)
        pictures = [one for one in incoming if one.track.kind == "video" and one.flows]
        return protocol.Seat(
            participant=person.id,
            level=level(loudness),
            sound=any(one.track.kind == "audio" and one.flows for one in incoming),
            picture=bool(pictures),
            height=max((one.height for one in pictures), default=0),
            bitrate=float(round(sum(one.bitrate for one in incoming), -3)),
            quality=publish_level(found) if person.peer is not None else 0,
            loss=round(found.publish_loss, 4),
            round_trip_ms=found.round_trip_ms,
        )

    def _words(self) -> list[protocol.WordsRead]:
        room = self._room
        recent = {tag for tag, (at, _) in self._lags.items() if room.now - at <= RECENT_S * 1000}
        here = [p.reads for p in room.people.values() if p.reads and p.may("caption")]
        read = {*here, *room.live.audience.languages} & set(room.live.languages)
        return [
            protocol.WordsRead(
                language=tag,
                readers=here.count(tag) + room.live.audience.reading(tag),
                lag_ms=round(self._lags[tag][1]) if tag in recent else None,
            )
            for tag in sorted(recent | read)
        ]

    def _shedding(self, now: float) -> int:
        count = self._room.words.shed
        self._shed.append((now, count))
        while now - self._shed[0][0] > RECENT_S:
            self._shed.popleft()
        return max(0, count - self._shed[0][1])

    async def _look(self, now: float) -> None:
        folder: Path = self._room.parts.settings.recordings_dir
        try:
            free = (await asyncio.to_thread(shutil.disk_usage, folder)).free
            self._space.look(free, now)
            self._free = max(0, free - self._floor)
        except OSError as error:
            self._free = None
            log.warning("the disk of recordings cannot be looked at", error=error.strerror)
        finally:
            self._looking = None
