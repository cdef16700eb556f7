"""The HTTP API of glossaries: terms of the organisation, and of one room.

The organisation's are an administrator's to change. A room's are its owner's, and those of whoever holds a link to it
that may manage it (``Authorization: Bearer CODE``, the part of the link behind ``/j/``). A change reaches meetings that
run at once.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from captioning.imports import LARGEST, GlossaryError, checked, parse
from community.glossary import ORGANISATION, GlossaryFull, NewTerm
from community.models import GlossaryRow
from community.store import Store
from signaling.api import Done
from signaling.call import Call
from signaling.captions import terms_for
from signaling.endpoint import ApiError, Body, Table
from signaling.hub import Hub
from signaling.ownership import owned_room
from signaling.values import Language

table = Table()


class TermListed(Body, kw_only=True, frozen=True):
    """A term. `kind` ``drug``: it must be kept in translation. `translations` by language."""

    id: str
    term: str
    language: str
    kind: Literal["term", "drug"]
    aliases: list[str]
    translations: dict[str, str]


class TermWritten(Body, kw_only=True, frozen=True):
    """A term as somebody writes it. `aliases` are what it may be heard as."""

    term: Annotated[str, Meta(min_length=1, max_length=120)]
    language: Language
    kind: Literal["term", "drug"] = "term"
    aliases: Annotated[list[Annotated[str, Meta(max_length=120)]], Meta(max_length=12)] = msgspec.field(
        default_factory=list
    )
    translations: Annotated[dict[Language, Annotated[str, Meta(max_length=120)]], Meta(max_length=40)] = msgspec.field(
        default_factory=dict
    )


class Imported(Body, kw_only=True, frozen=True):
    """How many terms are new, how many were there and gained something, how many there are now."""

    added: int
    changed: int
    terms: int


async def refresh(store: Store, hub: Hub, scope: str) -> None:
    """Meetings that run get the terms as they are now."""
    for room in list(hub.rooms.values()):
        if scope in (ORGANISATION, room.id):
            room.words.glossary(await terms_for(store, room.id))


async def _refresh(call: Call, scope: str) -> None:
    await refresh(call.services.store, call.services.hub, scope)


async def _administrator(call: Call) -> str:
    member = await call.need_member()
    if member.role != "admin":
        raise ApiError(403, "not-allowed", "only administrators may change the organisation's terms")
    return f"member:{member.id}"


async def _list(call: Call, scope: str) -> list[TermListed]:
    rows = await call.services.store.glossary.all(scope)
    return [_listed(row) for row in rows]


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


def _listed(row: GlossaryRow) -> TermListed:
    return TermListed(
        id=row.id,
        term=row.term,
        language=row.language,
        kind="drug" if row.kind == "drug" else "term",
        aliases=list(row.aliases),
        translations=dict(row.translations),
    )


async def keep(store: Store, hub: Hub, scope: str, actor: str, written: TermWritten, term: str | None) -> TermListed:
    """Adds a term or writes one anew, and tells the meetings that run. Raises ApiError."""
    try:
        new = checked(written.term, written.language, written.kind, written.aliases, written.translations)
        made = NewTerm(new.language, new.term, new.kind, new.aliases, new.translations)
        row = await store.glossary.write(scope, made, term)
    except GlossaryError as error:
        raise ApiError(400, "malformed", str(error).removeprefix("line 0: ")) from None
    except KeyError:
        raise ApiError(404, "not-found", "there is no such term") from None
    except ValueError:
        raise ApiError(409, "conflict", "this term is there already") from None
    except GlossaryFull as error:
        raise ApiError(409, "full", str(error)) from None
    await store.audit.write("glossary-term", actor, room=scope or None, subject=row.id)
    await refresh(store, hub, scope)
    return _listed(row)


async def _write(call: Call, scope: str, actor: str, written: TermWritten, term: str | None = None) -> TermListed:
    call.throttle(call.services.throttles.room)
    return await keep(call.services.store, call.services.hub, scope, actor, written, term)


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


@table.add(
    "POST",
    "/api/glossary/terms",
    body=TermWritten,
    answer=TermListed,
    errors=(400, 401, 403, 409, 429),
    access="administrator",
    tag="glossary",
)
async def add_term(call: Call, body: TermWritten) -> TermListed:
    """Add one term to the organisation's."""
    return await _write(call, ORGANISATION, await _administrator(call), body)


@table.add(
    "POST",
    "/api/glossary/terms/{term}",
    body=TermWritten,
    answer=TermListed,
    errors=(400, 401, 403, 404, 409, 429),
    access="administrator",
    tag="glossary",
)
async def write_term(call: Call, body: TermWritten) -> TermListed:
    """Write one of the organisation's terms anew."""
    return await _write(call, ORGANISATION, await _administrator(call), body, call.arg("term"))


@table.add(
    "POST",
    "/api/rooms/{room}/glossary/terms",
    body=TermWritten,
    answer=TermListed,
    errors=(400, 401, 404, 409, 429),
    access="link",
    tag="glossary",
)
async def add_room_term(call: Call, body: TermWritten) -> TermListed:
    """Add one term to a room's own."""
    room, actor = await owned_room(call)
    return await _write(call, room, actor, body)


@table.add(
    "POST",
    "/api/rooms/{room}/glossary/terms/{term}",
    body=TermWritten,
    answer=TermListed,
    errors=(400, 401, 404, 409, 429),
    access="link",
    tag="glossary",
)
async def write_room_term(call: Call, body: TermWritten) -> TermListed:
    """Write one of a room's own terms anew."""
    room, actor = await owned_room(call)
    return await _write(call, room, actor, body, call.arg("term"))


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
