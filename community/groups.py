"""Groups of members: whom recordings are shared with, by name."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from community.database import Database
from community.models import Group, GroupMember, Member


class NameTaken(Exception):
    """Another group is called so."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A group and the ids of its members."""

    id: str
    name: str
    members: list[str]


class Groups:
    """A member may be in any number of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, name: str) -> str:
        """Its id. Raises NameTaken."""
        group = secrets.token_hex(8)
        try:
            async with self._database.begin() as session:
                session.add(Group(id=group, name=name, created_at=datetime.now(UTC)))
        except IntegrityError:
            raise NameTaken from None
        return group

    async def rename(self, group: str, name: str) -> bool:
        """False when there is none. Raises NameTaken."""
        try:
            async with self._database.begin() as session:
                found = await session.execute(update(Group).where(Group.id == group).values(name=name))
                return bool(getattr(found, "rowcount", 0))
        except IntegrityError:
            raise NameTaken from None

    async def remove(self, group: str) -> bool:
        """With every way to a recording that was opened for it; false when there is none."""
        async with self._database.begin() as session:
            found = await session.execute(delete(Group).where(Group.id == group))
            return bool(getattr(found, "rowcount", 0))

    async def set_members(self, group: str, members: Iterable[str]) -> bool:
        """Exactly these are in it from now on; unknown ones are left out. False when there is no such group."""
        wanted = set(members)
        async with self._database.begin() as session:
            if await session.get(Group, group) is None:
                return False
            known = set((await session.execute(select(Member.id).where(Member.id.in_(wanted)))).scalars())
            await session.execute(delete(GroupMember).where(GroupMember.group_id == group))
            session.add_all([GroupMember(group_id=group, member_id=member) for member in sorted(known)])
        return True

    async def all(self) -> list[Listed]:
        """By name."""
        async with self._database.begin() as session:
            groups = (await session.execute(select(Group).order_by(Group.name))).scalars().all()
            places = (await session.execute(select(GroupMember.group_id, GroupMember.member_id))).all()
        of: dict[str, list[str]] = {}
        for group, member in places:
            of.setdefault(group, []).append(member)
        return [Listed(one.id, one.name, sorted(of.get(one.id, []))) for one in groups]

    async def has(self, group: str | None, member: str) -> bool:
        """Whether somebody is in it now."""
        if group is None:
            return False
        async with self._database.begin() as session:
            return await session.get(GroupMember, (group, member)) is not None
