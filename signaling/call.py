"""One HTTP request with what handlers need: the services, the asker, the cookies."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from community.links import hashed
from community.models import Member
from community.store import Store
from signaling.bucket import Buckets
from signaling.endpoint import ApiError
from signaling.grants import Grants
from signaling.origin import Origins
from signaling.settings import Settings

if TYPE_CHECKING:
    from signaling.captions import CaptionSource
    from signaling.exports import Exports
    from signaling.hub import Hub
    from signaling.library import Library
    from signaling.retranscriptions import Retranscriptions
    from signaling.thumbnails import Sheets

SESSION_COOKIE = "consilium_session"
REPLAY_COOKIE = "consilium_replay"
LIVE_COOKIE = "consilium_live"
VISITOR_COOKIE = "consilium_visitor"


@dataclass
class Throttles:
    """Attempts per address: so many per second, so many at once. `question` and `report` are one viewer's, `questions`
    and `reports` those of an address, behind which there may be many."""

    login: Buckets
    link: Buckets
    room: Buckets
    export: Buckets
    search: Buckets
    ticket: Buckets
    question: Buckets
    questions: Buckets
    vote: Buckets
    reaction: Buckets
    report: Buckets
    reports: Buckets

    @classmethod
    def standard(cls) -> Throttles:
        """The bounds in force."""
        return cls(
            login=Buckets(0.1, 10),
            link=Buckets(2, 60),
            room=Buckets(0.2, 20),
            export=Buckets(0.1, 10),
            search=Buckets(3, 20),
            # An audience may sit behind one address.
            ticket=Buckets(20, 500),
            question=Buckets(0.2, 10),
            questions=Buckets(1, 100),
            vote=Buckets(10, 200),
            reaction=Buckets(50, 500),
            report=Buckets(0.2, 4),
            reports=Buckets(200, 2_000),
        )


@dataclass
class Services:
    """What handlers work with."""

    settings: Settings
    store: Store
    grants: Grants
    hub: Hub
    captions: CaptionSource
    exports: Exports
    origins: Origins
    throttles: Throttles
    setup_code: str
    library: Library
    retranscriptions: Retranscriptions
    secret: str
    sheets: Sheets


class Call:
    """A request being handled."""

    def __init__(self, request: web.Request, services: Services) -> None:
        self.request = request
        self.services = services
        self.cookies: list[tuple[str, str, str, int]] = []
        self.address = services.origins.address(request.remote, request.headers)

    def arg(self, name: str) -> str:
        """A part of the path."""
        return self.request.match_info[name]

    async def member(self) -> Member | None:
        """Who is logged in, if anybody."""
        token = self.request.cookies.get(SESSION_COOKIE)
        return await self.services.store.members.of_token(token) if token else None

    async def need_member(self) -> Member:
        """Who is logged in; raises ApiError."""
        member = await self.member()
        if member is None:
            raise ApiError(401, "login", "log in first")
        return member

    def throttle(self, buckets: Buckets, key: str | None = None) -> None:
        """Raises ApiError when the asker asked too often."""
        if not buckets.take(key or self.address, time.monotonic()):
            raise ApiError(429, "too-fast", "too many attempts; wait a little")

    def visitor(self) -> str | None:
        """The hash of the browser's cookie."""
        cookie = self.request.cookies.get(VISITOR_COOKIE)
        return hashed(cookie)[:32] if cookie else None

    def set_cookie(self, name: str, value: str, path: str = "/", age: int = 14 * 86400) -> None:
        """HttpOnly, SameSite=Strict, Secure on HTTPS; `age` 0 deletes it."""
        self.cookies.append((name, value, path, age))

    def finish(self, response: web.StreamResponse) -> None:
        """Puts the cookies on the answer."""
        secure = self.services.origins.is_secure(self.request.remote, self.request.headers)
        for name, value, path, age in self.cookies:
            response.set_cookie(name, value, path=path, max_age=age, httponly=True, samesite="Strict", secure=secure)
