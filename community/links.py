"""Links: random codes that open a room in a role, or one replay. Only hashes are stored."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select, update

from community.database import Database
from community.models import Link


def new_code() -> str:
    """128 random bits, 22 characters that are safe in a URL."""
    return secrets.token_urlsafe(16)


def hashed(code: str) -> str:
    """What is stored of a code or token."""
    return hashlib.sha256(code.encode()).hexdigest()


@dataclass(frozen=True)
class OpenedLink:
    """A link that is good: of a room (`room`, `role`), or of a replay (`recording`)."""

    code_hash: str
    room: str | None
    recording: str | None
    role: str


def _usable(now: datetime) -> tuple[object, ...]:
    return (Link.revoked.is_(False), (Link.expires_at.is_(None)) | (Link.expires_at > now))


class Links:
    """Makes, opens and revokes links."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self,
        *,
        role: str,
        room: str | None = None,
        recording: str | None = None,
        lifetime: timedelta | None = None,
        code: str | None = None,
    ) -> str:
        """A new link; returns its code, which nobody can read back. A given `code` is made anew."""
        code = code or new_code()
        now = datetime.now(UTC)
        row = Link(
            code_hash=hashed(code),
            room_id=room,
            recording_id=recording,
            role=role,
            created_at=now,
            expires_at=now + lifetime if lifetime else None,
            revoked=False,
            uses=0,
        )
        async with self._database.begin() as session:
            await session.execute(delete(Link).where(Link.code_hash == row.code_hash))
            session.add(row)
        return code

    async def open(self, code: str, *, count: bool = False) -> OpenedLink | None:
        """The link with this code if it is good now; `count` notes the use."""
        return await self.open_hash(hashed(code), count=count)

    async def open_hash(self, code_hash: str, *, count: bool = False) -> OpenedLink | None:
        """The same, by the stored hash."""
        async with self._database.begin() as session:
            row = (
                await session.execute(
                    select(Link).where(Link.code_hash == code_hash, *_usable(datetime.now(UTC)))  # type: ignore[arg-type]
                )
            ).scalar_one_or_none()
            if row is None:
                return None
            if count:
                await session.execute(update(Link).where(Link.code_hash == code_hash).values(uses=Link.uses + 1))
            return OpenedLink(row.code_hash, row.room_id, row.recording_id, row.role)

    async def revoke(self, code: str) -> bool:
        """Makes a link useless from now on."""
        async with self._database.begin() as session:
            found = await session.execute(update(Link).where(Link.code_hash == hashed(code)).values(revoked=True))
            return bool(getattr(found, "rowcount", 0))
