"""Who watches a broadcast now: a stream of events for each, encoded once for all, bounded for every one.

News goes straight to the transports: with thousands of viewers a task to wake for each of them costs more than what is
told. A viewer whose network takes nothing any more is let go and comes again by itself.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import msgspec

BYTES = 256 * 1024
"""What may wait for one viewer."""
KEEPALIVE_S = 10.0

_encode = msgspec.json.Encoder().encode


class AudienceFull(Exception):
    """No more viewers are taken."""


class Transport(Protocol):
    """`asyncio.WriteTransport`, as far as it is needed."""

    def write(self, data: bytes) -> None: ...
    def is_closing(self) -> bool: ...
    def get_write_buffer_size(self) -> int: ...
    def abort(self) -> None: ...


def chunk(data: bytes) -> bytes:
    """RFC 9112 section 7.1."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(name: str, data: Any) -> bytes:
    """As it goes out (HTML standard, 9.2.6), in a chunk of its own: JSON has no line ends."""
    return chunk(b"event: %b\ndata: %b\n\n" % (name.encode(), _encode(data)))


class Viewer:
    """One open page. `id` is that of its ticket: several pages may have it. `who` is what their questions and votes go
    by (`signaling.questions`)."""

    def __init__(self, viewer: str, language: str | None, who: str, transport: Transport) -> None:
        self.id = viewer
        self.language = language
        self.who = who
        self.gone = asyncio.Event()
        self._transport = transport

    def put(self, encoded: bytes) -> None:
        """What `event` made."""
        if self._transport.is_closing():
            self.gone.set()
        elif self._transport.get_write_buffer_size() > BYTES:
            self._transport.abort()
            self.gone.set()
        else:
            self._transport.write(encoded)

    def send(self, name: str, data: Any) -> None:
        """To this one only."""
        self.put(event(name, data))

    def look(self) -> None:
        """Notices that they are gone."""
        if self._transport.is_closing():
            self.gone.set()


class Audience:
    """The viewers of one broadcast."""

    def __init__(self, most: int, changed: Callable[[], None]) -> None:
        """`changed` is called when other languages are read than before."""
        self._most = most
        self._changed = changed
        self._viewers: set[Viewer] = set()
        self._languages: Counter[str] = Counter()
        self._kept_at = 0.0

    def __len__(self) -> int:
        return len(self._viewers)

    def __iter__(self) -> Iterator[Viewer]:
        return iter(list(self._viewers))

    @property
    def full(self) -> bool:
        """Whether no more are taken."""
        return len(self._viewers) >= self._most

    @property
    def languages(self) -> list[str]:
        """What somebody reads."""
        return [language for language, count in self._languages.items() if count > 0]

    def reading(self, language: str) -> int:
        """How many read it."""
        return self._languages[language]

    def join(self, one: Viewer) -> None:
        """Raises AudienceFull."""
        if self.full:
            raise AudienceFull
        self._viewers.add(one)
        if one.language is not None:
            self._languages[one.language] += 1
            if self._languages[one.language] == 1:
                self._changed()

    def leave(self, one: Viewer) -> None:
        """They closed the page, or were let go."""
        if one not in self._viewers:
            return
        self._viewers.discard(one)
        if one.language is not None:
            self._languages[one.language] -= 1
            if not self._languages[one.language]:
                del self._languages[one.language]
                self._changed()

    def tell(self, name: str, data: Any, where: Callable[[Viewer], bool] | None = None) -> None:
        """To everybody, or to those `where`."""
        encoded = event(name, data)
        for viewer in self._viewers:
            if where is None or where(viewer):
                viewer.put(encoded)

    def tick(self, now: float) -> None:
        """Notices who is gone; says to all others now and then that it is still there. `now` in seconds."""
        remind = now - self._kept_at >= KEEPALIVE_S
        if remind:
            self._kept_at = now
        for viewer in self._viewers:
            viewer.put(_STILL_HERE) if remind else viewer.look()

    def dismiss(self) -> None:
        """Ends every stream."""
        for viewer in self._viewers:
            viewer.gone.set()


_STILL_HERE = chunk(b": still here\n\n")
