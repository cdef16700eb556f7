"""Who watches a broadcast now: a stream of events for each, encoded once for all, bounded for every one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from signaling.outbox import Outbox

MESSAGES, BYTES = 600, 512 * 1024
"""What may wait for one viewer; whoever is slower is let go and comes again."""

_encode = msgspec.json.Encoder().encode


class AudienceFull(Exception):
    """No more viewers are taken."""


def event(name: str, data: Any) -> bytes:
    """As it goes out (HTML standard, 9.2.6): JSON has no line ends."""
    return b"event: " + name.encode() + b"\ndata: " + _encode(data) + b"\n\n"


class Viewer:
    """One open page. `id` is that of its ticket: several pages may have it."""

    def __init__(self, viewer: str, language: str | None) -> None:
        self.id = viewer
        self.language = language
        self.who = ""
        """What their questions and votes go by (`signaling.questions`)."""
        self.outbox = Outbox(MESSAGES, BYTES)

    def send(self, name: str, data: Any) -> None:
        """To this one only."""
        self.outbox.put(event(name, data))


class Audience:
    """The viewers of one broadcast."""

    def __init__(self, most: int, changed: Callable[[], None]) -> None:
        """`changed` is called when other languages are read than before."""
        self._most = most
        self._changed = changed
        self._viewers: set[Viewer] = set()
        self._languages: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._viewers)

    def __iter__(self) -> Iterator[Viewer]:
        return iter(list(self._viewers))

    @property
    def languages(self) -> list[str]:
        """What somebody reads."""
        return [language for language, count in self._languages.items() if count > 0]

    def join(self, viewer: str, language: str | None) -> Viewer:
        """Raises AudienceFull."""
        if len(self._viewers) >= self._most:
            raise AudienceFull
        one = Viewer(viewer, language)
        self._viewers.add(one)
        if language is not None:
            self._languages[language] += 1
            if self._languages[language] == 1:
                self._changed()
        return one

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

    def tell(
        self, name: str, data: Any, key: object | None = None, where: Callable[[Viewer], bool] | None = None
    ) -> None:
        """To everybody, or to those `where`. With a `key` it replaces what waits under that key."""
        encoded = event(name, data)
        for viewer in self._viewers:
            if where is None or where(viewer):
                viewer.outbox.put(encoded, key)

    def dismiss(self) -> None:
        """Ends every stream."""
        for viewer in list(self._viewers):
            viewer.outbox.close()
