"""The HTTP API of sharing recordings: ways in, their audience, expiry, password, passage, and sites that may embed.

A link is ``/replay/{recording}#k={code}`` (``&t=`` seconds to start elsewhere), an embed ``/embed/{share}#k={code}``:
the code stays behind ``#``, which browsers send to nobody. Which sites may show an embed is said by the page itself
(``frame-ancestors``), from the share that its path names.
"""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta
from typing import Annotated, Literal

from msgspec import Meta, field

from community.models import RecordingRow, Share
from recorder import service as recorder
from recorder.manifest import Passage
from signaling.admission import ticket_of
from signaling.api import Done
from signaling.call import REPLAY_COOKIE, Call
from signaling.endpoint import ApiError, Body, Table
from signaling.passes import (
    FOR_MEMBERS,
    SHARE,
    TICKET,
    for_member,
    for_ticket,
    missing,
    owned,
    passage_of,
    share_code,
    share_of,
)
from signaling.values import Id

table = Table()

COOKIE_SECONDS = 12 * 3600
MOST = 100
MOST_SITES = 20
_SITE = re.compile(r"https?://(\*\.)?[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?")

Audience = Literal["link", "members", "group", "public"]
_SHOWN = {"viewers": "link", "viewers-members": "members", "viewers-tickets": "tickets"}
"""What the audiences of a broadcast's own shares are called."""
Site = Annotated[str, Meta(max_length=300)]


class NewShare(Body, kw_only=True, frozen=True):
    """`group` with the audience of that name, `days` until it ends (absent: it does not), `start` in ms, `passage` for
    a clip, `sites` that may embed it, as origins: ``https://example.org``, ``https://*.example.org``."""

    audience: Audience
    group: Id | None = None
    label: Annotated[str, Meta(max_length=80)] = ""
    days: Annotated[int, Meta(ge=1, le=3650)] | None = None
    password: Annotated[str, Meta(min_length=4, max_length=200)] | None = None
    start: Annotated[float, Meta(ge=0)] = 0.0
    passage: Passage | None = None
    sites: Annotated[list[Site], Meta(max_length=MOST_SITES)] = field(default_factory=list)


class Shared(Body, kw_only=True, frozen=True):
    """A share. `path` is the link's path with its code; `embed` that of the frame, None where no site may show it."""

    id: str
    audience: Audience | Literal["tickets"]
    label: str
    path: str
    embed: str | None
    created_at: datetime
    expires_at: datetime | None
    password: bool
    start: float
    passage: Passage | None
    sites: list[str]
    uses: int
    group: str | None = None


class SharedWithMe(Body, kw_only=True, frozen=True):
    """A recording, or a passage of it, that was shared with a group that one is in. `path` is its page."""

    id: str
    title: str
    path: str
    started_at: datetime
    passage: Passage | None


class Access(Body, kw_only=True, frozen=True):
    """The code of a replay link (what follows ``#k=``), absent for a public recording, with a ticket's behind ``~``
    where viewers of the broadcast had their own; the password, where one is wanted."""

    code: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    password: Annotated[str, Meta(max_length=200)] | None = None


class Opened(Body, kw_only=True, frozen=True):
    """Where playing begins, in ms; `token` is for embeds, which get no cookie: ``Authorization: Bearer``."""

    recording: str
    start: float = 0.0
    token: str | None = None


def _shared(call: Call, share: Share) -> Shared:
    code = share_code(call.services.secret, share.id)
    key = "" if share.audience == "public" else f"#k={code}"
    return Shared(
        id=share.id,
        audience=_SHOWN.get(share.audience, share.audience),  # type: ignore[arg-type]
        label=share.label,
        # Of a clip the public link needs its code all the same: another share may show more.
        path=f"/replay/{share.recording_id}" + (f"#k={code}" if share.clip_start is not None else key),
        embed=f"/embed/{share.id}{key}" if share.sites else None,
        created_at=share.created_at,
        expires_at=share.expires_at,
        password=share.password_hash is not None,
        start=share.start,
        passage=passage_of(share),
        sites=share.sites,
        uses=share.uses,
        group=share.group_id,
    )


def check_sites(sites: list[str]) -> list[str]:
    """As they go into a header. Raises ApiError: nothing but origins may."""
    found = [site.strip().lower().rstrip("/") for site in sites]
    for site in found:
        if not _SITE.fullmatch(site):
            raise ApiError(400, "site", f"not the address of a site: {site[:80]!r}; write https://example.org")
    return list(dict.fromkeys(found))


@table.add(
    "POST",
    "/api/recordings/{recording}/shares",
    body=NewShare,
    answer=Shared,
    status=201,
    errors=(401, 404, 409),
    access="member",
    tag="sharing",
)
async def create_share(call: Call, body: NewShare) -> Shared:
    """Open a way to a recording, or to a passage of it: an administrator's, or its starter's right."""
    member, row = await owned(call)
    if row.state != "ready":
        raise ApiError(409, "not-yet", "this recording is not finished yet")
    if len(await call.services.store.shares.of(row.id)) >= MOST:
        raise ApiError(409, "too-many", f"at most {MOST} ways to one recording: end some")
    sites = check_sites(body.sites)
    group = body.group if body.audience == "group" else None
    if (body.audience == "group") != (group in {one.id for one in await call.services.store.groups.all()}):
        raise ApiError(400, "group", "there is no such group (any more)")
    if sites and body.audience in ("members", "group"):
        raise ApiError(400, "audience", "inside another site nobody is known to be a member")
    duration = await _duration(call, row)
    passage = body.passage
    if passage is not None and not 0 <= passage.start <= passage.end - 1000 <= duration:
        raise ApiError(400, "passage", "a passage lies within the recording and lasts at least a second")
    share = await call.services.store.shares.create(
        row.id,
        audience=body.audience,
        label=body.label,
        password=body.password,
        start=min(body.start, duration),
        clip=(passage.start, min(passage.end, duration)) if passage else None,
        sites=sites,
        member=member.id,
        group=group,
        lifetime=timedelta(days=body.days) if body.days else None,
    )
    await call.services.store.audit.write("share-create", f"member:{member.id}", room=row.room_id, subject=share.id)
    return _shared(call, share)


async def _duration(call: Call, row: RecordingRow) -> float:
    try:
        return (await call.services.library.manifest(row.id)).duration
    except recorder.RecordingNotFound:
        raise ApiError(409, "not-yet", "this recording has no replay") from None


@table.add(
    "GET",
    "/api/recordings/{recording}/shares",
    answer=list[Shared],
    errors=(401, 404),
    access="member",
    tag="sharing",
)
async def list_shares(call: Call) -> list[Shared]:
    """Every way to a recording that was opened and not ended, newest first."""
    _, row = await owned(call)
    return [_shared(call, share) for share in await call.services.store.shares.of(row.id)]


@table.add("GET", "/api/shared", answer=list[SharedWithMe], errors=(401,), access="member", tag="sharing")
async def shared_with_me(call: Call) -> list[SharedWithMe]:
    """What was shared with groups that one is in, newest first."""
    member, found = await call.need_member(), []
    for share in await call.services.store.shares.with_member(member.id):
        row = await call.services.store.recordings.get(share.recording_id)
        if row is not None and row.state == "ready":
            found.append(
                SharedWithMe(
                    id=share.id,
                    title=share.label or row.title,
                    path=_shared(call, share).path,
                    started_at=row.started_at,
                    passage=passage_of(share),
                )
            )
    return found


@table.add(
    "DELETE",
    "/api/recordings/{recording}/shares/{share}",
    answer=Done,
    errors=(401, 404),
    access="member",
    tag="sharing",
)
async def end_share(call: Call) -> Done:
    """End a way to a recording, at once, for those who are watching too."""
    member, row = await owned(call)
    if not await call.services.store.shares.revoke(row.id, call.arg("share")):
        raise missing()
    await call.services.store.audit.write(
        "share-end", f"member:{member.id}", room=row.room_id, subject=call.arg("share")
    )
    return Done()


async def _let_in(call: Call, share: Share | None, body: Access) -> Share:
    """The share, if it lets the asker in. Raises ApiError."""
    if share is None:
        raise missing()
    if share.audience in FOR_MEMBERS:
        member = await call.member()
        if member is None:
            raise ApiError(401, "login", "this is for people with an account: log in first")
        if not await for_member(call, share, member):
            raise ApiError(403, "not-in-group", "this was shared with a group that you are not in")
    if not await for_ticket(call, share, _ticket(call, body) or ""):
        raise ApiError(403, "ticket", "this needs the ticket that the broadcast was watched with")
    if share.password_hash is not None:
        if body.password is None:
            raise ApiError(403, "password", "this needs a password")
        call.throttle(call.services.throttles.login, f"{share.id} {call.address}")
        if not await call.services.store.shares.password_is(share, body.password):
            raise ApiError(403, "wrong-password", "this is not the password")
    return share


def _parts(body: Access) -> tuple[str, str]:
    """The share's code, and the ticket's."""
    code, _, ticket = (body.code or "").partition(TICKET)
    return code, ticket


def _ticket(call: Call, body: Access) -> str | None:
    code = _parts(body)[1]
    return ticket_of(call.services.secret, code) if code else None


async def _opened(call: Call, share: Share, ticket: str | None = None) -> str:
    store = call.services.store
    await store.shares.used(share.id)
    await store.audit.write("recording-open", f"share:{share.id}", subject=share.recording_id)
    way = SHARE + share.id + (TICKET + ticket if ticket else "")
    return call.services.grants.mint_replay(share.recording_id, way, time.time(), COOKIE_SECONDS)


@table.add(
    "POST",
    "/api/recordings/{recording}/access",
    body=Access,
    answer=Opened,
    errors=(401, 403, 404, 429),
    access="link",
    tag="recordings",
)
async def open_replay(call: Call, body: Access) -> Opened:
    """Exchange the code of a replay link, or nothing where a recording is public, for a cookie that opens it."""
    call.throttle(call.services.throttles.link)
    recording, store = call.arg("recording"), call.services.store
    start = 0.0
    if body.code is not None and "." not in body.code:
        link = await store.links.open(body.code, count=True)
        if link is None or link.recording != recording:
            raise missing()
        cookie = call.services.grants.mint_replay(recording, link.code_hash, time.time(), COOKIE_SECONDS)
        await store.audit.write("recording-open", f"link:{link.code_hash[:12]}", subject=recording)
    else:
        found = None
        if body.code is None:
            found = await store.shares.public(recording)
        elif (share_id := share_of(call.services.secret, _parts(body)[0])) is not None:
            found = await store.shares.get(share_id)
        share = await _let_in(call, found if found is not None and found.recording_id == recording else None, body)
        cookie, start = await _opened(call, share, _ticket(call, body)), share.start
    call.set_cookie(REPLAY_COOKIE, cookie, path=f"/api/recordings/{recording}", age=COOKIE_SECONDS)
    return Opened(recording=recording, start=start)


@table.add(
    "POST",
    "/api/embeds/{share}/access",
    body=Access,
    answer=Opened,
    errors=(403, 404, 429),
    access="link",
    tag="sharing",
)
async def open_embed(call: Call, body: Access) -> Opened:
    """Exchange the code of an embed for a token: inside another site browsers keep cookies away."""
    call.throttle(call.services.throttles.link)
    store = call.services.store
    share = await store.shares.get(call.arg("share"))
    genuine = share is not None and (
        share.audience == "public" or (body.code is not None and share_of(call.services.secret, body.code) == share.id)
    )
    share = await _let_in(call, share if genuine and share is not None and share.sites else None, body)
    return Opened(recording=share.recording_id, start=share.start, token=await _opened(call, share))


async def ancestors(call: Call) -> str:
    """What may frame an embed's page, for its header: the share's sites, or nothing."""
    share = await call.services.store.shares.get(call.arg("share"))
    return " ".join(share.sites) if share is not None and share.sites else "'none'"
