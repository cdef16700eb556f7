"""Chat lines of running meetings."""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from community.database import Database
from community.models import ChatRow


class Chat:
    """Keeps lines for as long as their meeting runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, row: ChatRow) -> bool:
        """Stores a line; False when the meeting has one of this participant with this key already."""
        try:
            async with self._database.begin() as session:
                session.add(row)
        except IntegrityError:
            return False
        return True

    async def of_meeting(self, meeting: str) -> list[ChatRow]:
        """All lines, oldest first."""
        async with self._database.begin() as session:
            found = await session.execute(select(ChatRow).where(ChatRow.meeting == meeting).order_by(ChatRow.at))
            return list(found.scalars())

    async def forget(self, meeting: str | None) -> None:
        """Deletes a meeting's lines; those of every meeting when None (what a crash left)."""
        query = delete(ChatRow) if meeting is None else delete(ChatRow).where(ChatRow.meeting == meeting)
        async with self._database.begin() as session:
            await session.execute(query)
