"""A running server, and rooms whose people are `MediaClient`s."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from sfu.plane.choose import PlaneName
from sfu.server import Sfu, SfuConfig, SfuRoom
from tests.sfu.people import Person, Recorded


@pytest.fixture
def host() -> str:
    """Where the server binds; a module may override it."""
    return "127.0.0.1"


@pytest.fixture
def media_plane() -> PlaneName:
    """Which plane forwards; a module may override it."""
    return "auto"


@pytest.fixture
def threads() -> int:
    """Of the native plane; a module may override it."""
    return 1


@pytest.fixture
async def sfu(host: str, media_plane: PlaneName, threads: int) -> AsyncIterator[Sfu]:
    server = Sfu(SfuConfig(host=host, port=0, plane=media_plane, threads=threads))
    await server.start()
    yield server
    await server.stop()
    assert not server._edge.connections
    assert not server._edge.tasks
    assert not server._edge.handlers
    assert len(server._ice) == 0
    assert server._ice.routes == 0


@pytest.fixture
def events() -> Recorded:
    return Recorded()


@pytest.fixture
def room(sfu: Sfu, events: Recorded) -> SfuRoom:
    return sfu.open_room("room", events)


MakePerson = Callable[..., Person]


@pytest.fixture
async def join(room: SfuRoom, events: Recorded) -> AsyncIterator[MakePerson]:
    people: list[Person] = []

    def make(name: str, **options: object) -> Person:
        people.append(Person(room, events, name, **options))
        return people[-1]

    yield make
    for person in people:
        await person.close()
    assert events.failures == []
