"""Rooms that links lead to."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import update

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
