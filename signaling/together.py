"""What many people send at a moment, stored in few transactions, and acknowledged only then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Together(Generic[T]):
    """Items that come while a transaction runs share the next one."""

    def __init__(self, write: Callable[[list[T]], Awaitable[None]]) -> None:
        """`write` stores all of them or none."""
        self._write = write
        self._lock = asyncio.Lock()
        self._waiting: list[tuple[T, asyncio.Future[None]]] = []

    async def store(self, item: T) -> None:
        """Returns when it is stored; raises what `write` raises."""
        stored = asyncio.get_running_loop().create_future()
        self._waiting.append((item, stored))
        async with self._lock:
            if self._waiting:
                batch, self._waiting = self._waiting, []
                try:
                    await self._write([one for one, _ in batch])
                except BaseException as error:
                    for _, future in batch:
                        if not future.done():
                            future.set_exception(error if isinstance(error, Exception) else ConnectionError())
                            future.exception()  # somebody else's may be nobody's to read
                    raise
                for _, future in batch:
                    if not future.done():
                        future.set_result(None)
        await stored
