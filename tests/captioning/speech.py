"""Helpers of the captioning tests: a room whose captions are kept, and waiting for them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks._speech import FRAME, Clock, Samples, microphone, opus, read, tap_packet
from captioning.agreement import plain
from captioning.caption import Caption
from captioning.service import CaptionService, RoomCaptions

ASSETS = Path(__file__).parent.parent / "assets"
CLIPS: dict[str, str] = {clip["file"]: clip["text"] for clip in json.loads((ASSETS / "clips.json").read_text())}


def silence(seconds: float) -> Samples:
    return np.zeros(int(seconds * 48_000), np.float32)


def clip(name: str, quiet_after: float = 1.0) -> list[bytes]:
    """A committed clip as Opus packets, with silence behind it."""
    return opus(np.concatenate([silence(0.4), read(ASSETS / name), silence(quiet_after)]))


def words(text: str) -> list[str]:
    return [plain(word) for word in text.split()]


def missing(said: str, heard: str) -> list[str]:
    """Words of the reference that were not heard."""
    there = set(words(heard))
    return [word for word in words(said) if word not in there]


@dataclass
class Room:
    """A room of the service; `captions` is everything it said, `news` wakes those who wait."""

    service: CaptionService
    captions: list[Caption] = field(default_factory=list)
    clock: Clock = field(default_factory=Clock)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.room: RoomCaptions = self.service.open_room("room", self._hear, self.clock)
        self._sent: dict[str, int] = {}

    def _hear(self, caption: Caption) -> None:
        self.captions.append(caption)
        self.news.set()

    def open(self, participant: str, track: str) -> None:
        self.room.track_opened(microphone(participant, track), self.clock.now())
        self._sent[track] = 0

    def send(self, track: str, packets: list[bytes], loss: Callable[[int], bool] = lambda index: False) -> None:
        """All at once, on the track's own time line that begins at 1 s."""
        first = self._sent[track]
        self._sent[track] += len(packets)
        tapped = [tap_packet(track, first + i, p, 1000.0) for i, p in enumerate(packets) if not loss(i)]
        for begin in range(0, len(tapped), 50):
            self.room.packets(tapped[begin : begin + 50])

    def pause(self, track: str, seconds: float) -> None:
        """Nothing is sent for so long, as by discontinuous transmission."""
        self._sent[track] += int(seconds * 48_000 / FRAME)

    async def finish(self) -> None:
        """Everybody stops; waits for all that was said, however busy the machine is, and closes the room."""
        for track in self._sent:
            self.room.track_closed(track, self.clock.now())
        await eventually(lambda: not self.room._voices, 120)
        await self.room.close()

    async def until(self, true: Callable[[], bool], seconds: float = 90.0) -> None:
        async with asyncio.timeout(seconds):
            while not true():
                self.news.clear()
                await self.news.wait()

    def finals(self, language: str, participant: str | None = None) -> list[Caption]:
        return [
            c
            for c in self.captions
            if c.final and c.stable and c.language == language and participant in (None, c.participant)
        ]

    def text(self, language: str, participant: str | None = None) -> str:
        return " ".join(c.stable for c in self.finals(language, participant))


async def state(service: CaptionService, *wanted: str, seconds: float = 60.0) -> None:
    """Wait for a state of the service; it is asked, as signaling does."""
    await eventually(lambda: service.status().state in wanted, seconds)


async def eventually(true: Callable[[], bool], seconds: float = 60.0) -> None:
    """For what the service only answers when asked."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
