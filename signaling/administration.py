"""The HTTP API of administration: what there is, in lists."""

from __future__ import annotations

from datetime import datetime

from signaling.call import Call
from signaling.endpoint import ApiError, Body, Table

table = Table()


class RoomListed(Body, kw_only=True, frozen=True):
    """A room in a list."""

    id: str
    name: str
    lobby: bool
    created_at: datetime


class Act(Body, kw_only=True, frozen=True):
    """One line of the audit log: `actor` did `act` to `subject`. Ids only."""

    at: datetime
    room: str | None
    actor: str
    act: str
    subject: str | None


@table.add("GET", "/api/rooms", answer=list[RoomListed], errors=(401,), access="member", tag="rooms")
async def list_rooms(call: Call) -> list[RoomListed]:
    """Rooms that the member made; all of them for an administrator. Newest first, at most 500."""
    member = await call.need_member()
    rows = await call.services.store.rooms.visible(None if member.role == "admin" else member.id)
    return [RoomListed(id=row.id, name=row.name, lobby=row.lobby, created_at=row.created_at) for row in rows]


@table.add("GET", "/api/audit", answer=list[Act], errors=(401, 403), access="administrator", tag="server")
async def read_audit(call: Call) -> list[Act]:
    """The newest 500 acts of everybody, newest first. For administrators."""
    member = await call.need_member()
    if member.role != "admin":
        raise ApiError(403, "not-allowed", "this is for administrators")
    rows = await call.services.store.audit.latest()
    return [Act(at=row.at, room=row.room_id, actor=row.actor, act=row.act, subject=row.subject) for row in rows]
