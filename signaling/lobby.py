"""Who waits to be let in. Pure: it only keeps the order."""

from __future__ import annotations

from collections import OrderedDict

from signaling import protocol
from signaling.people import Participant


class Lobby:
    """People in the order they came."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: OrderedDict[str, tuple[Participant, float]] = OrderedDict()

    @property
    def full(self) -> bool:
        """No more may wait."""
        return len(self._waiting) >= self._limit

    def add(self, person: Participant, since: float) -> None:
        """Puts somebody at the end."""
        self._waiting[person.id] = (person, since)

    def take(self, participant: str) -> Participant | None:
        """Takes somebody out, wherever they stand."""
        entry = self._waiting.pop(participant, None)
        return entry[0] if entry else None

    def take_all(self) -> list[Participant]:
        """Takes everybody out, in order."""
        people = [person for person, _ in self._waiting.values()]
        self._waiting.clear()
        return people

    def view(self) -> list[protocol.WaitingPerson]:
        """For those who may admit."""
        return [
            protocol.WaitingPerson(id=person.id, name=person.name, since=since)
            for person, since in self._waiting.values()
        ]

    def places(self) -> list[tuple[Participant, int]]:
        """Everybody with their position, from 1."""
        return [(person, place) for place, (person, _) in enumerate(self._waiting.values(), 1)]

    def __len__(self) -> int:
        return len(self._waiting)
