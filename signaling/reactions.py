"""Reactions: a handful of signs, counted for everybody and told in batches; who sent which is told to nobody."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING

from signaling import protocol
from signaling.bucket import Buckets
from signaling.refusal import Refusal

if TYPE_CHECKING:
    from signaling.room import Room

TELL_AFTER = 0.5
"""Seconds in which they gather before they are told."""
RATE, BURST = 1.0, 5.0
"""What one person may send, a second and at once."""


class RoomReactions:
    """Those of one meeting and the viewers of its broadcast. Nothing of them is kept."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._buckets = Buckets(RATE, BURST)
        self._counts: Counter[protocol.Reaction] = Counter()
        self._telling: asyncio.TimerHandle | None = None

    def add(self, who: str, reaction: protocol.Reaction) -> None:
        """One more, of somebody who is known as `who`. Raises Refusal."""
        if not self._buckets.take(who, time.monotonic()):
            raise Refusal("too-fast", "so many reactions at once say no more than one")
        self._counts[reaction] += 1
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(TELL_AFTER, self._tell)

    def close(self) -> None:
        """The meeting is over."""
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None

    def _tell(self) -> None:
        self._telling = None
        counts, self._counts = dict(self._counts), Counter()
        self._room.broadcast(protocol.Reacted(counts=counts), key="reacted")
        self._room.live.reacted(counts)
