"""Members and their logins."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError

from community.database import Database
from community.links import hashed
from community.models import Group, GroupMember, Invitation, Login, Member
from community.passwords import Passwords

LOGIN_DAYS = 14


INVITED_DAYS = 14


class Taken(Exception):
    """Somebody has this address already."""


class LastAdministrator(Exception):
    """Nobody could administer any more."""


class AdministratorExists(Exception):
    """There is a first administrator already."""


class Members:
    """Accounts."""

    def __init__(self, database: Database, passwords: Passwords) -> None:
        self._database = database
        self._passwords = passwords
        self._decoy: str | None = None
        self._first = asyncio.Lock()

    async def have_administrator(self) -> bool:
        """Whether anybody can administer."""
        async with self._database.begin() as session:
            found = await session.execute(select(func.count()).select_from(Member).where(Member.role == "admin"))
            return bool(found.scalar_one())

    async def first_administrator(self, email: str, name: str, password: str) -> Member:
        """Makes the first administrator; raises AdministratorExists when there is one."""
        async with self._first:
            if await self.have_administrator():
                raise AdministratorExists
            member = Member(
                id=secrets.token_hex(8),
                email=email.strip().lower(),
                name=name,
                role="admin",
                password_hash=await self._passwords.hash(password),
                created_at=datetime.now(UTC),
                disabled=False,
            )
            try:
                async with self._database.begin() as session:
                    session.add(member)
            except IntegrityError:
                raise AdministratorExists from None
            return member

    async def all(self) -> list[Member]:
        """By name."""
        async with self._database.begin() as session:
            return list((await session.execute(select(Member).order_by(Member.name, Member.id))).scalars())

    async def change(self, member: str, *, name: str | None, role: str | None, disabled: bool | None) -> Member | None:
        """What is not None; None when there is no such member. Who is disabled is logged out everywhere. Raises
        LastAdministrator."""
        async with self._first, self._database.begin() as session:
            found = await session.get(Member, member)
            if found is None:
                return None
            if name is not None:
                found.name = name
            if role is not None:
                found.role = role
            if disabled is not None:
                found.disabled = disabled
            others = select(func.count()).select_from(Member)
            others = others.where(Member.role == "admin", Member.disabled.is_(False), Member.id != member)
            if (found.role != "admin" or found.disabled) and not (await session.execute(others)).scalar_one():
                raise LastAdministrator
            if found.disabled:
                await session.execute(delete(Login).where(Login.member_id == member))
            return found

    async def invite(self, role: str, note: str, groups: list[str], member: str | None) -> tuple[str, Invitation]:
        """The code of a link to a new account, or with `member` to a new password of theirs; only its hash is kept."""
        code, now = secrets.token_urlsafe(18), datetime.now(UTC)
        row = Invitation(
            code_hash=hashed(code), role=role, note=note, groups=groups, member_id=member, created_at=now,
            expires_at=now + timedelta(days=INVITED_DAYS),
        )  # fmt: skip
        async with self._database.begin() as session:
            await session.execute(delete(Invitation).where(Invitation.expires_at < now))
            session.add(row)
        return code, row

    async def invitations(self) -> list[Invitation]:
        """Those that nobody has used and that are still good, the newest first."""
        query = select(Invitation).where(Invitation.expires_at > datetime.now(UTC))
        async with self._database.begin() as session:
            return list((await session.execute(query.order_by(Invitation.created_at.desc()))).scalars())

    async def withdraw(self, code_hash: str) -> bool:
        """It opens nothing any more; false when there is none."""
        async with self._database.begin() as session:
            found = await session.execute(delete(Invitation).where(Invitation.code_hash == code_hash))
            return bool(getattr(found, "rowcount", 0))

    async def invited(self, code: str) -> Invitation | None:
        """The invitation, while it is good."""
        query = select(Invitation).where(
            Invitation.code_hash == hashed(code), Invitation.expires_at > datetime.now(UTC)
        )
        async with self._database.begin() as session:
            return (await session.execute(query)).scalar_one_or_none()

    async def accept(self, code: str, email: str, name: str, password: str) -> Member | None:
        """Uses an invitation up: the new account, or the old one with its new password, which is logged out everywhere
        else. None when there is no such invitation (any more). Raises Taken; the invitation stays good then."""
        if await self.invited(code) is None:  # before the costly hash
            return None
        password_hash = await self._passwords.hash(password)
        try:
            async with self._database.begin() as session:
                query = delete(Invitation).where(
                    Invitation.code_hash == hashed(code), Invitation.expires_at > datetime.now(UTC)
                )
                row = (await session.execute(query.returning(Invitation))).scalar_one_or_none()
                if row is None:
                    return None
                if row.member_id is not None:
                    member = await session.get(Member, row.member_id)
                    if member is None or member.disabled:
                        return None
                    member.password_hash = password_hash
                    await session.execute(delete(Login).where(Login.member_id == member.id))
                    return member
                member = Member(
                    id=secrets.token_hex(8), email=email.strip().lower(), name=name, role=row.role,
                    password_hash=password_hash, created_at=datetime.now(UTC), disabled=False,
                )  # fmt: skip
                session.add(member)
                await session.flush()
                known = set((await session.execute(select(Group.id).where(Group.id.in_(row.groups)))).scalars())
                session.add_all([GroupMember(group_id=group, member_id=member.id) for group in sorted(known)])
                return member
        except IntegrityError:
            raise Taken from None

    async def authenticate(self, email: str, password: str) -> Member | None:
        """The member, or None. Takes the same time whether the address is known or not."""
        async with self._database.begin() as session:
            found = await session.execute(select(Member).where(Member.email == email.strip().lower()))
            member = found.scalar_one_or_none()
        if self._decoy is None:
            self._decoy = await self._passwords.hash(secrets.token_hex(16))
        good = await self._passwords.verify(member.password_hash if member else self._decoy, password)
        return member if member is not None and good and not member.disabled else None

    async def log_in(self, member: str) -> str:
        """A new login; returns its token, of which only the hash is kept."""
        token, now = secrets.token_urlsafe(32), datetime.now(UTC)
        async with self._database.begin() as session:
            await session.execute(delete(Login).where(Login.expires_at < now))
            session.add(
                Login(
                    token_hash=hashed(token),
                    member_id=member,
                    created_at=now,
                    expires_at=now + timedelta(days=LOGIN_DAYS),
                )
            )
        return token

    async def of_token(self, token: str) -> Member | None:
        """Who is logged in with this token."""
        query = (
            select(Member)
            .join(Login, Login.member_id == Member.id)
            .where(Login.token_hash == hashed(token), Login.expires_at > datetime.now(UTC), Member.disabled.is_(False))
        )
        async with self._database.begin() as session:
            return (await session.execute(query)).scalar_one_or_none()

    async def log_out(self, token: str) -> None:
        """Forgets a login."""
        async with self._database.begin() as session:
            await session.execute(delete(Login).where(Login.token_hash == hashed(token)))
