"""Who was told of a recording, who agreed and who refused: kept also when the recording is gone."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import select

from community.database import Database
from community.models import ConsentRow, RecordingRow


class Consents:
    """Append-only; with what the recording was for, since its row goes with its media."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, recording: str, participant: str, name: str, member: str | None, answer: str) -> None:
        """``told``, ``agreed`` or ``refused``, now."""
        async with self._database.begin() as session:
            known = await session.get(RecordingRow, recording)
            session.add(
                ConsentRow(
                    recording_id=recording,
                    participant=participant,
                    name=name,
                    member_id=member,
                    answer=answer,
                    at=datetime.now(UTC),
                    room_id=known.room_id if known else "",
                    title=known.title if known else "",
                    purpose=known.purpose if known else "",
                    started_by=known.started_by if known else "",
                )
            )

    async def latest(self, limit: int, before: int | None = None) -> list[ConsentRow]:
        """Of all recordings, newest first; with `before` those that are older than this one."""
        query = select(ConsentRow).order_by(ConsentRow.id.desc()).limit(limit)
        if before is not None:
            query = query.where(ConsentRow.id < before)
        async with self._database.begin() as session:
            return list((await session.execute(query)).scalars())

    async def of(self, recording: str) -> list[ConsentRow]:
        """Everything of one recording, oldest first."""
        query = select(ConsentRow).where(ConsentRow.recording_id == recording).order_by(ConsentRow.id)
        async with self._database.begin() as session:
            return list((await session.execute(query)).scalars())
