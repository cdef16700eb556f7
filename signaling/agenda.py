"""The agenda of a meeting: its items in order, and which of them is being dealt with. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from signaling import protocol
from signaling.names import clean
from signaling.refusal import Refusal


class Agenda:
    """`current` is a place in `items`, None before the first and after the last; `since` is the room time, in ms, at
    which it began."""

    def __init__(self, items: Sequence[str] = ()) -> None:
        self.items = list(items)
        self.current: int | None = None
        self.since = 0.0

    @property
    def item(self) -> str | None:
        """What is being dealt with."""
        return None if self.current is None else self.items[self.current]

    def view(self) -> protocol.Agenda:
        """As everybody sees it."""
        return protocol.Agenda(items=list(self.items), current=self.current)

    def write(self, items: Sequence[str]) -> bool:
        """Other items; False: nothing changes. What is being dealt with stays so wherever it has moved; where no item
        was added or removed it has other words now. Raises Refusal for an item without anything to read."""
        wanted = [clean(" ".join(item.split()), protocol.AGENDA_ITEM) for item in items]
        if not all(wanted):
            raise Refusal("malformed", "an item of the agenda is empty")
        if wanted == self.items:
            return False
        self.current, self.items = self._follow(wanted), wanted
        return True

    def _follow(self, items: list[str]) -> int | None:
        at, item = self.current, self.item
        if at is None or item is None:
            return None
        if len(items) == len(self.items) and items[:at] == self.items[:at] and items[at + 1 :] == self.items[at + 1 :]:
            return at
        places = [place for place, other in enumerate(items) if other == item]
        return min(places, key=lambda place: abs(place - at), default=None)

    def mark(self, at: int | None, words: str | None, now: float) -> bool:
        """Goes to the item at this place, which whoever asks for it reads as `words`; None: to none. False: it is being
        dealt with already. Raises Refusal (conflict) where something else stands there."""
        if at is not None and (at >= len(self.items) or self.items[at] != words):
            raise Refusal("conflict", "the agenda changed meanwhile: look again")
        if at == self.current:
            return False
        self.current, self.since = at, now
        return True
