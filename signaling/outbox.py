"""What waits to go out on one socket: bounded, and newer news replaces older news of the same thing."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from itertools import count


class Outbox:
    """A queue of encoded messages. A message with a `key` takes the place of a waiting one with that key.

    `overflowed` becomes true, and stays so, when more than the bounds wait: the client is too slow and must go.
    """

    def __init__(self, messages: int = 1024, size: int = 8_388_608) -> None:
        self._waiting: OrderedDict[object, bytes] = OrderedDict()
        self._numbers = count()
        self._bounds = (messages, size)
        self._size = 0
        self._closed = False
        self._ready = asyncio.Event()
        self.overflowed = False

    def put(self, data: bytes, key: object | None = None) -> None:
        """Queues a message; never waits. Nothing is taken after `close` or an overflow."""
        if self._closed or self.overflowed:
            return
        place = next(self._numbers) if key is None else ("key", key)
        self._size += len(data) - len(self._waiting.get(place, b""))
        self._waiting[place] = data
        if len(self._waiting) > self._bounds[0] or self._size > self._bounds[1]:
            self.overflowed = True
            self._waiting.clear()
            self._size = 0
        self._ready.set()

    def close(self) -> None:
        """What waits still goes out, then `get` returns None."""
        self._closed = True
        self._ready.set()

    async def get(self) -> bytes | None:
        """The next message; None when closed and empty, or overflowed."""
        while not self._waiting:
            if self._closed or self.overflowed:
                return None
            self._ready.clear()
            await self._ready.wait()
        _, data = self._waiting.popitem(last=False)
        self._size -= len(data)
        return data

    def __len__(self) -> int:
        return len(self._waiting)
