"""Who may watch a broadcast: whoever has its link, members who have it, or who has a ticket of their own.

A viewer's id says how they came in: ``m.MEMBER`` with an account, ``t.TICKET.SEAT`` with a ticket, anything else with
the link alone. A ticket has one seat: who comes in with it again takes the seat, and the page before is told so. What
the database knows is asked again after `FRESH_S`, since an audience asks for media many times a second; a ticket that
is revoked here is refused at once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict

from community.links import hashed
from community.models import BroadcastRow
from community.store import Store
from signaling.call import SESSION_COOKIE, Call
from signaling.endpoint import ApiError

FRESH_S = 30.0
MOST_KNOWN = 20_000


def personal_code(secret: str, ticket: str) -> str:
    """What a personal ticket's link carries: shown again whenever it is asked for, and stored nowhere."""
    mac = hmac.digest(secret.encode(), f"consilium personal ticket {ticket}".encode(), hashlib.sha256)
    return f"{ticket}.{base64.urlsafe_b64encode(mac[:18]).decode()}"


def ticket_of(secret: str, code: str) -> str | None:
    """The ticket's id if the code is genuine."""
    ticket = code.partition(".")[0]
    return ticket if hmac.compare_digest(personal_code(secret, ticket).encode(), code.encode()) else None


def person(viewer: str) -> str:
    """What stays the same of a viewer's id when they come in again."""
    return viewer.rpartition(".")[0] if viewer.startswith("t.") else viewer


def held(viewer: str) -> str | None:
    """The ticket that a viewer came with."""
    return viewer.split(".")[1] if viewer.startswith("t.") and viewer.count(".") == 2 else None


class Admissions:
    """What is known of those who were let in, of all broadcasts of this server."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, float] = OrderedDict()
        self._seats: dict[str, str] = {}

    async def seat(self, store: Store, ticket: str, broadcast: str) -> str | None:
        """A viewer's id for somebody who comes with a ticket, which is theirs alone from now on; None where it opens
        nothing."""
        if not await store.tickets.good(ticket, broadcast):
            return None
        self._seats[ticket] = secrets.token_hex(4)
        await store.tickets.used(ticket)
        return f"t.{ticket}.{self._seats[ticket]}"

    def forget(self, ticket: str) -> None:
        """It was revoked."""
        self._known.pop(f"ticket {ticket}", None)
        self._seats.pop(ticket, None)

    async def check(self, call: Call, row: BroadcastRow, viewer: str) -> None:
        """Raises ApiError where the broadcast is not for this viewer, or not any more."""
        if row.audience == "members":
            await self._member(call, viewer)
        elif row.audience == "tickets":
            await self._ticket(call.services.store, row.id, viewer)

    async def _member(self, call: Call, viewer: str) -> None:
        token = call.request.cookies.get(SESSION_COOKIE)
        if not token or not viewer.startswith("m."):
            raise login()
        key = f"{viewer} {hashed(token)}"
        if not self._fresh(key):
            member = await call.member()
            if member is None or viewer != f"m.{member.id}":
                raise login()
            self._keep(key)

    async def _ticket(self, store: Store, broadcast: str, viewer: str) -> None:
        ticket = held(viewer)
        if ticket is None:
            raise wanted()
        if not self._fresh(f"ticket {ticket}"):
            if not await store.tickets.good(ticket, broadcast):
                raise wanted()
            self._keep(f"ticket {ticket}")
        if self._seats.setdefault(ticket, viewer.rpartition(".")[2]) != viewer.rpartition(".")[2]:
            raise taken()

    def _fresh(self, key: str) -> bool:
        return time.monotonic() - self._known.get(key, -FRESH_S) < FRESH_S

    def _keep(self, key: str) -> None:
        self._known[key] = time.monotonic()
        self._known.move_to_end(key)
        while len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)


def login() -> ApiError:
    """They have the link, and no account here."""
    return ApiError(401, "login", "this broadcast is for people with an account: log in first")


def wanted() -> ApiError:
    """They have no ticket, or one that is good no more."""
    return ApiError(403, "ticket", "this broadcast needs a ticket of your own; yours may have been withdrawn")


def taken() -> ApiError:
    """Somebody else came in with the same ticket."""
    return ApiError(409, "taken", "this ticket is being used in another place")
