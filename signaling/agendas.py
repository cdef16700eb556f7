"""The HTTP API of a room's agenda: prepared before the meeting by whoever manages the room."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from community.models import Member, RoomRow
from signaling.agenda import Agenda
from signaling.api import owned_room
from signaling.call import Call
from signaling.endpoint import ApiError, Body, Table
from signaling.refusal import Refusal
from signaling.values import AgendaItem

table = Table()


class AgendaItems(Body, kw_only=True, frozen=True):
    """What a meeting is about, in order; empty: no agenda."""

    items: Annotated[list[AgendaItem], Meta(max_length=50)]


async def _room(call: Call) -> tuple[Member, RoomRow]:
    await call.need_member()
    member = await owned_room(call, call.arg("room"))
    row = await call.services.store.rooms.get(call.arg("room"))
    if member is None or row is None:
        raise ApiError(404, "not-found", "there is no such room")
    return member, row


@table.add("GET", "/api/rooms/{room}/agenda", answer=AgendaItems, errors=(401, 404), access="member", tag="rooms")
async def get_agenda(call: Call) -> AgendaItems:
    """The agenda of a room of one's own."""
    _, row = await _room(call)
    running = call.services.hub.rooms.get(row.id)
    return AgendaItems(items=running.agenda.view().items if running else row.agenda)


@table.add(
    "PUT",
    "/api/rooms/{room}/agenda",
    body=AgendaItems,
    answer=AgendaItems,
    errors=(400, 401, 404),
    access="member",
    tag="rooms",
)
async def put_agenda(call: Call, body: AgendaItems) -> AgendaItems:
    """Write the agenda of a room of one's own. Where a meeting runs there, everybody sees it at once, and what is being
    dealt with stays so."""
    member, row = await _room(call)
    running = call.services.hub.rooms.get(row.id)
    agenda = running.agenda if running else Agenda(row.agenda)
    try:
        changed = agenda.write(body.items)
    except Refusal as refusal:
        raise ApiError(400, refusal.code, refusal.message) from None
    if changed:
        if running:
            running.agenda_changed()
        await call.services.store.rooms.set_agenda(row.id, agenda.items)
        subject = str(len(agenda.items))
        await call.services.store.audit.write("agenda", f"member:{member.id}", room=row.id, subject=subject)
    return AgendaItems(items=list(agenda.items))
