"""One mix of all voices, close behind the clock, for those who are sent it as it is spoken. Pure: time is an argument.

Each voice is decoded once and added at its place on the room's clock; what is sent is encoded once, however many
listen. How far the mix stays behind follows how late packets come: a late one makes it wait longer, at once, and it
comes nearer again once all have been early for a while. That moves only when frames are made, never their times.
"""

from __future__ import annotations

from recorder.mix import FRAME, RATE, Encoder, Sum, Voice
from recorder.parts import AudioClock
from sfu.taps import TapPacket

LAG, MOST_LAG, STEP = 40.0, 240.0, 20.0
"""Milliseconds behind the clock: at first and at least, at most, and how much more for a late packet."""
SPARE, CALM = 30.0, 2_000.0
"""Where all packets of so many milliseconds came earlier than was needed by more than `SPARE`, it comes nearer by half
of what is too much, at most `STEP`."""
FRAME_MS = FRAME * 1000 / RATE
MOST_BEHIND = 1_000.0
"""Milliseconds: after a standstill, older frames are not made up for."""


class _Talker:
    def __init__(self) -> None:
        self.voice = Voice()
        self.clock = AudioClock(0.0)


class Sound:
    """Packets in, Opus packets of 20 ms out. Positions are samples at 48 kHz of room time."""

    def __init__(self, room_ms: float) -> None:
        self.lag = LAG
        self._sum = Sum(int(room_ms * 48) // FRAME * FRAME)
        self._encoder = Encoder()
        self._talkers: dict[str, _Talker] = {}
        self._least = float("inf")
        """By how much packets came earlier than was needed, in ms, since `_since`."""
        self._since = room_ms

    @property
    def late(self) -> int:
        """Packets that came too late to be heard."""
        return self._sum.late

    def packet(self, packet: TapPacket) -> None:
        """The next one of a track."""
        talker = self._talkers.get(packet.track)
        if talker is None:
            talker = self._talkers[packet.track] = _Talker()
        position = talker.clock.place(packet.timestamp, packet.media_ms, packet.room_ms)
        early = (position - self._sum.position) / 48
        if early > -MOST_LAG:  # later than that is a standstill: no waiting would have helped
            self._least = min(self._least, early)
        self._sum.add(position, talker.voice.decode(packet.payload))

    def due(self, room_ms: float) -> float:
        """Milliseconds until the next packet can be made."""
        return (self._sum.position + FRAME) / 48 + self.lag - room_ms

    def closed(self, track: str) -> None:
        """The track is gone."""
        self._talkers.pop(track, None)

    def advance(self, room_ms: float) -> list[tuple[int, bytes]]:
        """What is to be sent by now: (position, packet), each of 20 ms."""
        if self._least < 0:
            self.lag = min(MOST_LAG, self.lag + STEP)
            self._least, self._since = float("inf"), room_ms
        elif room_ms - self._since >= CALM:
            if SPARE < self._least < float("inf"):
                self.lag = max(LAG, self.lag - min(STEP, (self._least - SPARE) / 2))
            self._least, self._since = float("inf"), room_ms
        until = int((room_ms - self.lag) * 48)
        if until - self._sum.position > MOST_BEHIND * 48:
            skipped = until - FRAME - self._sum.position
            for _ in self._sum.take(self._sum.position + skipped):
                pass
        made: list[tuple[int, bytes]] = []
        position = self._sum.position
        for block in self._sum.take(until):
            made.append((position, self._encoder.encode(block, position)))
            position += FRAME
        return made
