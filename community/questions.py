"""Questions asked in meetings, and who wants them answered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select

from community.database import Database
from community.models import QuestionRow, QuestionVote


class Questions:
    """They outlive their meeting, so that those left open can be answered later."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, rows: Sequence[QuestionRow]) -> None:
        """Stores new questions and new states of old ones, all or none."""
        async with self._database.begin() as session:
            for row in rows:
                await session.merge(row)

    async def vote(self, votes: Sequence[tuple[str, str, bool]]) -> None:
        """Stores votes (question, voter, for it or taken back) in one transaction; repeated ones are harmless."""
        last = {(question, voter): up for question, voter, up in votes}
        async with self._database.begin() as session:
            for (question, voter), up in last.items():
                if up:
                    await session.merge(QuestionVote(question_id=question, voter=voter))
                else:
                    there = (QuestionVote.question_id == question) & (QuestionVote.voter == voter)
                    await session.execute(delete(QuestionVote).where(there))

    async def voters(self, question: str) -> set[str]:
        """Who wants it answered."""
        query = select(QuestionVote.voter).where(QuestionVote.question_id == question)
        async with self._database.begin() as session:
            return set((await session.execute(query)).scalars())

    async def of_room(self, room: str) -> list[QuestionRow]:
        """All that was asked in a room, oldest first."""
        query = select(QuestionRow).where(QuestionRow.room_id == room).order_by(QuestionRow.asked_at)
        async with self._database.begin() as session:
            return list((await session.execute(query)).scalars())

    async def forget(self, days: float) -> int:
        """Deletes what was asked longer ago than that; how many."""
        before = datetime.now(UTC) - timedelta(days=days)
        async with self._database.begin() as session:
            found = await session.execute(delete(QuestionRow).where(QuestionRow.asked_at < before))
            return int(found.rowcount)  # type: ignore[attr-defined]
