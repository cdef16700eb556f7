"""The audit log: every moderating, recording and administrating act. Append-only."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import select

from community.database import Database
from community.models import AuditRow


class Audit:
    """Writes acts; ids only, no names and no words of people."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, act: str, actor: str, *, room: str | None = None, subject: str | None = None) -> None:
        """One act, now."""
        row = AuditRow(at=datetime.now(UTC), room_id=room, actor=actor, act=act, subject=subject)
        async with self._database.begin() as session:
            session.add(row)

    async def of_room(self, room: str, limit: int = 1000) -> list[AuditRow]:
        """A room's acts, oldest first."""
        async with self._database.begin() as session:
            found = await session.execute(
                select(AuditRow).where(AuditRow.room_id == room).order_by(AuditRow.id).limit(limit)
            )
            return list(found.scalars())

    async def latest(self, limit: int = 500) -> list[AuditRow]:
        """The newest acts of all rooms, newest first."""
        async with self._database.begin() as session:
            found = await session.execute(select(AuditRow).order_by(AuditRow.id.desc()).limit(limit))
            return list(found.scalars())
