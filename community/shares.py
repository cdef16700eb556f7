"""Ways to recordings that people chose to open: for whom, until when, with which password, embedded where."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

from sqlalchemy import select, update

from community.database import Database
from community.models import GroupMember, Share
from community.passwords import Passwords

_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"


class Shares:
    """Makes, finds and revokes them."""

    def __init__(self, database: Database, passwords: Passwords) -> None:
        self._database = database
        self._passwords = passwords

    async def create(
        self,
        recording: str,
        *,
        audience: str,
        label: str = "",
        password: str | None = None,
        start: float = 0.0,
        clip: tuple[float, float] | None = None,
        sites: list[str] | None = None,
        member: str | None = None,
        group: str | None = None,
        lifetime: timedelta | None = None,
    ) -> Share:
        """A new one. Of the password only a hash is kept."""
        now = datetime.now(UTC)
        share = Share(
            id="".join(secrets.choice(_ALPHABET) for _ in range(12)),
            recording_id=recording,
            audience=audience,
            label=label,
            password_hash=await self._passwords.hash(password) if password else None,
            start=start,
            clip_start=clip[0] if clip else None,
            clip_end=clip[1] if clip else None,
            sites=sites or [],
            member_id=member,
            group_id=group,
            created_at=now,
            expires_at=now + lifetime if lifetime else None,
            revoked=False,
            uses=0,
        )
        async with self._database.begin() as session:
            session.add(share)
        return share

    async def get(self, share: str) -> Share | None:
        """It, if it is good now."""
        now = datetime.now(UTC)
        query = select(Share).where(Share.id == share, Share.revoked.is_(False))
        query = query.where((Share.expires_at.is_(None)) | (Share.expires_at > now))
        async with self._database.begin() as session:
            return (await session.execute(query)).scalar_one_or_none()

    async def of(self, recording: str) -> list[Share]:
        """All of a recording that are not revoked, the newest first."""
        query = select(Share).where(Share.recording_id == recording, Share.revoked.is_(False))
        async with self._database.begin() as session:
            return list((await session.execute(query.order_by(Share.created_at.desc()).limit(200))).scalars())

    async def public(self, recording: str) -> Share | None:
        """One that needs no link, if there is one that is good now: of several the one that shows most."""
        found = [share for share in await self.of(recording) if share.audience == "public"]
        now = datetime.now(UTC)
        good = [share for share in found if share.expires_at is None or share.expires_at > now]
        return min(good, key=lambda s: (s.clip_end is not None, s.password_hash is not None), default=None)

    async def with_member(self, member: str) -> list[Share]:
        """Those that are good now for a group that somebody is in, the newest first."""
        now = datetime.now(UTC)
        query = (
            select(Share)
            .join(GroupMember, GroupMember.group_id == Share.group_id)
            .where(GroupMember.member_id == member, Share.audience == "group", Share.revoked.is_(False))
            .where((Share.expires_at.is_(None)) | (Share.expires_at > now))
            .order_by(Share.created_at.desc())
        )
        async with self._database.begin() as session:
            return list((await session.execute(query.limit(500))).scalars())

    async def used(self, share: str) -> None:
        """Counts that somebody came by it."""
        async with self._database.begin() as session:
            await session.execute(update(Share).where(Share.id == share).values(uses=Share.uses + 1))

    async def password_is(self, share: Share, password: str) -> bool:
        """Whether this opens it."""
        return share.password_hash is None or await self._passwords.verify(share.password_hash, password)

    async def revoke(self, recording: str, share: str) -> bool:
        """Useless from now on; False when there was none."""
        query = update(Share).where(Share.id == share, Share.recording_id == recording, Share.revoked.is_(False))
        async with self._database.begin() as session:
            return bool(getattr(await session.execute(query.values(revoked=True)), "rowcount", 0))
