"""What viewers of a delayed broadcast are told: everything in the order in which it happened, some seconds later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Behind:
    """A line of things to do. With no delay and an empty line they are done at once."""

    def __init__(self) -> None:
        self.delay = 0.0
        """Seconds. Not to be changed while anything waits."""
        self._waiting: set[asyncio.TimerHandle] = set()

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, handle: asyncio.TimerHandle) -> bool:
        return handle in self._waiting

    def later(self, act: Callable[[], None], since: float = 0.0) -> asyncio.TimerHandle | None:
        """Does it in time; `since` is how many seconds ago it happened. Returns what calls it off, None where it is
        done."""
        wait = self.delay - since
        if wait <= 0:
            act()
            return None
        handle: asyncio.TimerHandle | None = None

        def run() -> None:
            if handle is not None:
                self._waiting.discard(handle)
            act()

        handle = asyncio.get_running_loop().call_later(wait, run)
        self._waiting.add(handle)
        return handle

    def call_off(self, handle: asyncio.TimerHandle) -> None:
        """One that `later` returned; nothing where it is done already."""
        handle.cancel()
        self._waiting.discard(handle)

    def close(self) -> None:
        """Nothing of it is done."""
        for handle in list(self._waiting):
            self.call_off(handle)
