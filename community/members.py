"""Members and their logins."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError

from community.database import Database
from community.links import hashed
from community.models import Login, Member
from community.passwords import Passwords

LOGIN_DAYS = 14


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
