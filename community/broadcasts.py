"""Broadcasts: planned, live, over. One that is not over yet belongs to its room's next meeting."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from datetime import UTC, datetime

from sqlalchemy import select, update

from community.database import Database
from community.models import BroadcastRow

SEEN_S = 1.0
MOST_SEEN = 256


class Broadcasts:
    """At most one of a room is not over."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: OrderedDict[str, tuple[float, BroadcastRow | None]] = OrderedDict()

    async def seen(self, broadcast: str) -> BroadcastRow | None:
        """As it was within the last second: an audience that waits asks over and over. Not to be changed."""
        kept, now = self._seen.get(broadcast), time.monotonic()
        if kept is not None and now - kept[0] < SEEN_S:
            return kept[1]
        row = await self.get(broadcast)
        self._seen[broadcast] = now, row
        while len(self._seen) > MOST_SEEN:
            self._seen.popitem(last=False)
        return row

    async def plan(
        self,
        room: str,
        title: str,
        about: str,
        starts_at: datetime | None,
        delay: int = 0,
        audience: str = "link",
    ) -> BroadcastRow:
        """A new one."""
        row = BroadcastRow(
            id=secrets.token_hex(8),
            room_id=room,
            title=title,
            about=about,
            starts_at=starts_at,
            state="scheduled",
            ticket=1,
            recording_id=None,
            share_id=None,
            live_from=None,
            delay=delay,
            audience=audience,
            created_at=datetime.now(UTC),
            live_at=None,
            ended_at=None,
        )
        async with self._database.begin() as session:
            session.add(row)
        return row

    async def get(self, broadcast: str) -> BroadcastRow | None:
        """One of any state."""
        async with self._database.begin() as session:
            return await session.get(BroadcastRow, broadcast)

    async def of_room(self, room: str) -> BroadcastRow | None:
        """The one that is not over, if there is one."""
        query = select(BroadcastRow).where(BroadcastRow.room_id == room, BroadcastRow.state != "ended")
        async with self._database.begin() as session:
            return (await session.execute(query.order_by(BroadcastRow.created_at.desc()).limit(1))).scalar_one_or_none()

    async def interrupted(self) -> list[BroadcastRow]:
        """Those that were live when the server died."""
        async with self._database.begin() as session:
            return list((await session.execute(select(BroadcastRow).where(BroadcastRow.state == "live"))).scalars())

    async def save(self, row: BroadcastRow) -> None:
        """Stores what was changed."""
        values = {column.name: getattr(row, column.name) for column in BroadcastRow.__table__.columns}
        async with self._database.begin() as session:
            await session.execute(update(BroadcastRow).where(BroadcastRow.id == row.id).values(values))
