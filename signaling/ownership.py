"""Whose a room is: its owner's, an administrator's, and of whoever holds a link to it that may manage it."""

from __future__ import annotations

from signaling.call import Call
from signaling.endpoint import ApiError
from signaling.rights import permissions


async def owned_room(call: Call) -> tuple[str, str]:
    """(the room of the path, who asks), by session or ``Authorization: Bearer CODE``. Raises ApiError: not theirs."""
    room, store = call.arg("room"), call.services.store
    missing = ApiError(404, "not-found", "there is no such room, or it is not yours")
    given = call.request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
    if given:
        call.throttle(call.services.throttles.link)
        link = await store.links.open(given[:64])
        if link is None or link.room != room or "manage" not in permissions(link.role):  # type: ignore[arg-type]
            raise missing
        return room, "link"
    member, row = await call.need_member(), await store.rooms.get(room)
    if row is None or (member.role != "admin" and row.created_by != member.id):
        raise missing
    return room, f"member:{member.id}"
