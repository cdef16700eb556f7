"""Tickets to a broadcast: each opens it for one viewer at a time."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import func, select, update

from community.database import Database
from community.models import BroadcastRow, Ticket

MOST = 500
"""Of one broadcast, revoked ones aside."""


class TooManyTickets(Exception):
    """The broadcast would have more than `MOST`."""


class Tickets:
    """Their codes are made from their ids and the server's secret (`signaling.admission`)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def issue(self, broadcast: str, names: Sequence[str]) -> None:
        """One for each name, all or none. Raises TooManyTickets."""
        now = datetime.now(UTC)
        count = select(func.count()).where(Ticket.broadcast_id == broadcast, Ticket.revoked.is_(False))
        async with self._database.begin() as session:
            if (await session.execute(count)).scalar_one() + len(names) > MOST:
                raise TooManyTickets
            session.add_all(
                Ticket(id=secrets.token_hex(8), broadcast_id=broadcast, name=name, created_at=now, revoked=False)
                for name in names
            )

    async def of(self, broadcast: str) -> list[Ticket]:
        """Those that are good, in order of names."""
        query = select(Ticket).where(Ticket.broadcast_id == broadcast, Ticket.revoked.is_(False))
        async with self._database.begin() as session:
            return list((await session.execute(query.order_by(Ticket.name, Ticket.id))).scalars())

    async def good(self, ticket: str, broadcast: str) -> bool:
        """Whether it opens this broadcast now."""
        query = select(Ticket.id).where(Ticket.id == ticket, Ticket.broadcast_id == broadcast)
        async with self._database.begin() as session:
            return (await session.execute(query.where(Ticket.revoked.is_(False)))).scalar_one_or_none() is not None

    async def opens(self, ticket: str, share: str) -> bool:
        """Whether it is good for the replay that is this share."""
        query = select(Ticket.id).join(BroadcastRow, BroadcastRow.id == Ticket.broadcast_id)
        query = query.where(Ticket.id == ticket, Ticket.revoked.is_(False), BroadcastRow.share_id == share)
        async with self._database.begin() as session:
            return (await session.execute(query)).scalar_one_or_none() is not None

    async def used(self, ticket: str) -> None:
        """Somebody came with it; the first time is kept."""
        change = update(Ticket).where(Ticket.id == ticket, Ticket.used_at.is_(None))
        async with self._database.begin() as session:
            await session.execute(change.values(used_at=datetime.now(UTC)))

    async def revoke(self, ticket: str, broadcast: str) -> bool:
        """It opens nothing any more; false where there is no such one."""
        change = update(Ticket).where(Ticket.id == ticket, Ticket.broadcast_id == broadcast, Ticket.revoked.is_(False))
        async with self._database.begin() as session:
            return bool(getattr(await session.execute(change.values(revoked=True)), "rowcount", 0))
