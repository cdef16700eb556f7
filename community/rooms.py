"""Rooms that links lead to."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import select, update

from community.database import Database
from community.models import RoomRow


class Rooms:
    """Rooms that links lead to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, room: str, name: str, *, lobby: bool = False, member: str | None = None) -> None:
        """Raises sqlalchemy.exc.IntegrityError when the id is taken."""
        async with self._database.begin() as session:
            session.add(RoomRow(id=room, name=name, lobby=lobby, created_by=member, created_at=datetime.now(UTC)))

    async def get(self, room: str) -> RoomRow | None:
        """The room, or None."""
        async with self._database.begin() as session:
            return await session.get(RoomRow, room)

    async def set_lobby(self, room: str, enabled: bool) -> None:
        """Keeps the lobby's state for the next meeting too."""
        async with self._database.begin() as session:
            await session.execute(update(RoomRow).where(RoomRow.id == room).values(lobby=enabled))

    async def set_spoken(self, room: str, languages: list[str]) -> None:
        """Keeps the languages that are spoken there for the next meeting too."""
        async with self._database.begin() as session:
            await session.execute(update(RoomRow).where(RoomRow.id == room).values(spoken=languages))

    async def set_agenda(self, room: str, items: list[str]) -> None:
        """Keeps the agenda for the next meeting too."""
        async with self._database.begin() as session:
            await session.execute(update(RoomRow).where(RoomRow.id == room).values(agenda=items))

    async def visible(self, member: str | None, limit: int = 500) -> list[RoomRow]:
        """The newest ones: of one member, or all when `member` is None."""
        query = select(RoomRow).order_by(RoomRow.created_at.desc()).limit(limit)
        if member is not None:
            query = query.where(RoomRow.created_by == member)
        async with self._database.begin() as session:
            return list((await session.execute(query)).scalars())
