"""The HTTP API of glossaries: terms of the organisation, and of one room.

The organisation's are an administrator's to change. A room's are its owner's, and those of whoever holds a link to it
that may manage it (``Authorization: Bearer CODE``, the part of the link behind ``/j/``). A change reaches meetings that
run at once.
"""

from __future__ import annotations

import asyncio
from typing import Literal

from aiohttp import web

from captioning.imports import LARGEST, GlossaryError, parse
from community.glossary import ORGANISATION, GlossaryFull, NewTerm
from signaling.api import Done
from signaling.call import Call
from signaling.captions import terms_for
from signaling.endpoint import ApiError, Body, Table
from signaling.ownership import owned_room

table = Table()


class TermListed(Body, kw_only=True, frozen=True):
    """A term. `kind` ``drug``: it must be kept in translation. `translations` by language."""

    id: str
    term: str
    language: str
    kind: Literal["term", "drug"]
    aliases: list[str]
    translations: dict[str, str]


class Imported(Body, kw_only=True, frozen=True):
    """How many terms are new, how many were there and gained something, how many there are now."""

    added: int
    changed: int
    terms: int


async def _refresh(call: Call, scope: str) -> None:
    """Meetings that run get the terms as they are now."""
    for room in list(call.services.hub.rooms.values()):
        if scope in (ORGANISATION, room.id):
            room.words.glossary(await terms_for(call.services.store, room.id))


async def _administrator(call: Call) -> str:
    member = await call.need_member()
    if member.role != "admin":
        raise ApiError(403, "not-allowed", "only administrators may change the organisation's terms")
    return f"member:{member.id}"


async def _list(call: Call, scope: str) -> list[TermListed]:
    rows = await call.services.store.glossary.all(scope)
    return [
        TermListed(
            id=row.id,
            term=row.term,
            language=row.language,
            kind="drug" if row.kind == "drug" else "term",
            aliases=list(row.aliases),
            translations=dict(row.translations),
        )
        for row in rows
    ]


async def _file(request: web.Request) -> bytes:
    data = bytearray()
    async for chunk in request.content.iter_chunked(1 << 16):
        data += chunk
        if len(data) > LARGEST:
            raise ApiError(413, "too-large", f"at most {LARGEST} bytes")
    return bytes(data)


async def _import(call: Call, scope: str, actor: str) -> Imported:
    call.throttle(call.services.throttles.room)
    data = await _file(call.request)
    try:
        terms = await asyncio.to_thread(parse, data)
    except GlossaryError as error:
        raise ApiError(400, "malformed", str(error)) from None
    new = [NewTerm(t.language, t.term, t.kind, t.aliases, t.translations) for t in terms]
    store = call.services.store
    try:
        added, changed = await store.glossary.put(scope, new)
    except GlossaryFull as error:
        raise ApiError(409, "full", str(error)) from None
    await store.audit.write("glossary-import", actor, room=scope or None, subject=f"{added} new, {changed} changed")
    await _refresh(call, scope)
    return Imported(added=added, changed=changed, terms=await store.glossary.count(scope))


async def _delete(call: Call, scope: str, actor: str, term: str | None) -> Done:
    store = call.services.store
    gone = await store.glossary.delete(scope, term)
    if term is not None and not gone:
        raise ApiError(404, "not-found", "there is no such term")
    await store.audit.write("glossary-delete", actor, room=scope or None, subject=term or f"all {gone}")
    await _refresh(call, scope)
    return Done()


@table.add("GET", "/api/glossary", answer=list[TermListed], errors=(401,), access="member", tag="glossary")
async def list_terms(call: Call) -> list[TermListed]:
    """The organisation's terms."""
    await call.need_member()
    return await _list(call, ORGANISATION)


@table.add(
    "POST",
    "/api/glossary",
    answer=Imported,
    errors=(400, 401, 403, 409, 413, 429),
    access="administrator",
    tag="glossary",
)
async def import_terms(call: Call) -> Imported:
    """Add terms to the organisation's, from a CSV or TBX file as the body.

    CSV: ``term,language,kind,aliases,pt,es`` (aliases separated by ``|``; kind ``term`` or ``drug``), or as the TICO-19
    terminologies have it. A term that is known gains what is new.
    """
    return await _import(call, ORGANISATION, await _administrator(call))


@table.add("DELETE", "/api/glossary", answer=Done, errors=(401, 403), access="administrator", tag="glossary")
async def delete_terms(call: Call) -> Done:
    """Delete all of the organisation's terms."""
    return await _delete(call, ORGANISATION, await _administrator(call), None)


@table.add(
    "DELETE", "/api/glossary/{term}", answer=Done, errors=(401, 403, 404), access="administrator", tag="glossary"
)
async def delete_term(call: Call) -> Done:
    """Delete one of the organisation's terms."""
    return await _delete(call, ORGANISATION, await _administrator(call), call.arg("term"))


@table.add(
    "GET",
    "/api/rooms/{room}/glossary",
    answer=list[TermListed],
    errors=(401, 404, 429),
    access="link",
    tag="glossary",
)
async def list_room_terms(call: Call) -> list[TermListed]:
    """A room's own terms, for its owner and its hosts."""
    room, _ = await owned_room(call)
    return await _list(call, room)


@table.add(
    "POST",
    "/api/rooms/{room}/glossary",
    answer=Imported,
    errors=(400, 401, 404, 409, 413, 429),
    access="link",
    tag="glossary",
)
async def import_room_terms(call: Call) -> Imported:
    """Add terms to a room's own, from a CSV or TBX file as the body; see the organisation's."""
    room, actor = await owned_room(call)
    return await _import(call, room, actor)


@table.add("DELETE", "/api/rooms/{room}/glossary", answer=Done, errors=(401, 404, 429), access="link", tag="glossary")
async def delete_room_terms(call: Call) -> Done:
    """Delete all of a room's own terms."""
    room, actor = await owned_room(call)
    return await _delete(call, room, actor, None)


@table.add(
    "DELETE", "/api/rooms/{room}/glossary/{term}", answer=Done, errors=(401, 404, 429), access="link", tag="glossary"
)
async def delete_room_term(call: Call) -> Done:
    """Delete one of a room's own terms."""
    room, actor = await owned_room(call)
    return await _delete(call, room, actor, call.arg("term"))
