"""What is known of recordings beside their files."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import delete, select, update

from community.database import Database
from community.models import Link, RecordingRow, Share
from community.search import forget


class Recordings:
    """What is known of recordings beside their files."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, row: RecordingRow) -> None:
        """A recording that has begun."""
        async with self._database.begin() as session:
            session.add(row)

    async def get(self, recording: str) -> RecordingRow | None:
        """The recording, or None."""
        async with self._database.begin() as session:
            row = await session.get(RecordingRow, recording)
            return row if row is not None and row.state != "deleting" else None

    async def there(self, recordings: set[str]) -> set[str]:
        """Which of these are not deleted."""
        query = select(RecordingRow.id).where(RecordingRow.id.in_(recordings), RecordingRow.state != "deleting")
        async with self._database.begin() as session:
            return set((await session.execute(query)).scalars())

    async def ended(self, recording: str, state: str, problem: str | None = None) -> None:
        """It is ``ready`` or ``failed``."""
        values = {"state": state, "problem": problem, "ended_at": datetime.now(UTC)}
        async with self._database.begin() as session:
            await session.execute(update(RecordingRow).where(RecordingRow.id == recording).values(**values))

    async def unfinished(self) -> list[str]:
        """Those that a crash left ``recording``."""
        async with self._database.begin() as session:
            found = await session.execute(select(RecordingRow.id).where(RecordingRow.state == "recording"))
            return list(found.scalars())

    async def visible(self, member: str | None, limit: int = 200) -> list[RecordingRow]:
        """The newest ones: of one member, or all when `member` is None."""
        query = select(RecordingRow).where(RecordingRow.state != "deleting")
        query = query.order_by(RecordingRow.started_at.desc()).limit(limit)
        if member is not None:
            query = query.where(RecordingRow.member_id == member)
        async with self._database.begin() as session:
            return list((await session.execute(query)).scalars())

    async def keep(self, recording: str, until: datetime | None) -> None:
        """When it will be deleted; None: never."""
        async with self._database.begin() as session:
            await session.execute(update(RecordingRow).where(RecordingRow.id == recording).values(keep_until=until))

    async def rename(self, recording: str, title: str) -> None:
        """What it is called in lists and on cards."""
        async with self._database.begin() as session:
            await session.execute(update(RecordingRow).where(RecordingRow.id == recording).values(title=title))

    async def overdue(self, now: datetime) -> list[RecordingRow]:
        """What has been kept long enough, and what somebody began to delete."""
        query = select(RecordingRow).where(
            (RecordingRow.state == "deleting")
            | ((RecordingRow.keep_until <= now) & RecordingRow.state.in_(("ready", "failed")))
        )
        async with self._database.begin() as session:
            return list((await session.execute(query)).scalars())

    async def doom(self, recording: str) -> None:
        """Nobody can open it from now on; what is left is deleted at the next start at the latest."""
        async with self._database.begin() as session:
            await session.execute(update(RecordingRow).where(RecordingRow.id == recording).values(state="deleting"))

    async def delete(self, recording: str) -> None:
        """Forgets it, its links, its shares and its words; the files are the recorder's."""
        async with self._database.begin() as session:
            await forget(session, recording)
            for table in (Link, Share):
                await session.execute(delete(table).where(table.recording_id == recording))
            await session.execute(delete(RecordingRow).where(RecordingRow.id == recording))
