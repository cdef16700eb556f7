"""Polls of meetings and what people chose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select

from community.database import Database
from community.models import BallotRow, PollRow


class Polls:
    """They outlive their meeting, so that their results can be taken away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, row: PollRow) -> None:
        """A new poll, or the new state of one."""
        async with self._database.begin() as session:
            await session.merge(row)

    async def remove(self, poll: str) -> None:
        """With all its ballots."""
        async with self._database.begin() as session:
            await session.execute(delete(PollRow).where(PollRow.id == poll))

    async def forget(self, days: float) -> int:
        """Deletes what was made longer ago than that; how many."""
        before = datetime.now(UTC) - timedelta(days=days)
        async with self._database.begin() as session:
            found = await session.execute(delete(PollRow).where(PollRow.made_at < before))
            return int(found.rowcount)  # type: ignore[attr-defined]

    async def cast(self, ballots: Sequence[tuple[str, str, tuple[int, ...]]]) -> None:
        """Ballots (poll, voter, choices; none: taken back) in one transaction; repeated ones are harmless."""
        last = {(poll, voter): choices for poll, voter, choices in ballots}
        async with self._database.begin() as session:
            for (poll, voter), choices in last.items():
                if choices:
                    await session.merge(BallotRow(poll_id=poll, voter=voter, choices=list(choices)))
                else:
                    there = (BallotRow.poll_id == poll) & (BallotRow.voter == voter)
                    await session.execute(delete(BallotRow).where(there))

    async def of_room(self, room: str) -> list[tuple[PollRow, list[int], int]]:
        """A room's polls, oldest first: how often each choice was taken, and by how many people."""
        wanted = select(PollRow).where(PollRow.room_id == room).order_by(PollRow.made_at)
        found = []
        async with self._database.begin() as session:
            for row in (await session.execute(wanted)).scalars().all():
                cast = select(BallotRow.choices).where(BallotRow.poll_id == row.id)
                ballots = (await session.execute(cast)).scalars().all()
                counts = Counter(one for choices in ballots for one in choices)
                found.append((row, [counts[one] for one in range(len(row.choices))], len(ballots)))
        return found
