"""The HTTP API: rooms, links, accounts, and what the server says of itself. Recordings are in `signaling.replay`."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from datetime import timedelta
from typing import Annotated, Any, Literal

import msgspec
import structlog
from msgspec import Meta
from sqlalchemy.exc import IntegrityError

from community.members import LOGIN_DAYS, AdministratorExists
from community.models import Member
from signaling import __version__
from signaling.call import SESSION_COOKIE, VISITOR_COOKIE, Call
from signaling.captions import caption_state
from signaling.endpoint import ApiError, Body, Table
from signaling.names import clean
from signaling.protocol import VERSION, CaptionState, Permission, Role
from signaling.rights import may_give, permissions

log = structlog.get_logger("api")

table = Table()

ROOM_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
Email = Annotated[str, Meta(min_length=3, max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")]
Password = Annotated[str, Meta(min_length=10, max_length=256)]
NewName = Annotated[str, Meta(min_length=1, max_length=80)]
RoomName = Annotated[str, Meta(min_length=1, max_length=120)]


class NewRoom(Body, kw_only=True, frozen=True):
    """`lobby` makes guests wait until somebody lets them in."""

    name: RoomName
    lobby: bool = False


class Links(Body, kw_only=True, frozen=True):
    """Addresses to give to people; whoever has one may come in that role."""

    host: str
    guest: str
    viewer: str


class RoomMade(Body, kw_only=True, frozen=True):
    """A room and the links to it. The links are shown once; the server keeps only their hashes."""

    room: str
    name: str
    links: Links


class RoomState(Body, kw_only=True, frozen=True):
    """`people` counts those in the meeting now."""

    room: str
    name: str
    lobby: bool
    people: int
    recording: bool


class Redeem(Body, kw_only=True, frozen=True):
    """`name` goes into the grant and is then the name in the room."""

    name: Annotated[str, Meta(max_length=80)] | None = None


class Granted(Body, kw_only=True, frozen=True):
    """`grant` is for Hello, within `expires_in` seconds. `title` is the room's name."""

    room: str
    title: str
    role: Role
    permissions: list[Permission]
    grant: str
    expires_in: int


class NewLink(Body, kw_only=True, frozen=True):
    """`code` is that of a link of one's own; a logged-in owner of the room needs none. `days` None: no expiry."""

    role: Role
    code: Annotated[str, Meta(max_length=64)] | None = None
    days: Annotated[int, Meta(ge=1, le=3650)] | None = None


class LinkMade(Body, kw_only=True, frozen=True):
    """An address to give to somebody."""

    url: str
    role: Role


class RevokeLink(Body, kw_only=True, frozen=True):
    """The code to make useless."""

    code: Annotated[str, Meta(min_length=1, max_length=64)]


class SetUp(Body, kw_only=True, frozen=True):
    """The first administrator."""

    email: Email
    name: NewName
    password: Password


class Credentials(Body, kw_only=True, frozen=True):
    """An account's."""

    email: Annotated[str, Meta(max_length=254)]
    password: Annotated[str, Meta(max_length=256)]


class Me(Body, kw_only=True, frozen=True):
    """Who is logged in."""

    id: str
    name: str
    email: str
    role: Literal["admin", "member"]


class Done(Body, kw_only=True, frozen=True):
    """It is done."""

    done: bool = True


class Limits(Body, kw_only=True, frozen=True):
    """What a client should keep to."""

    people: int
    message_bytes: int
    max_bitrate: int


class Config(Body, kw_only=True, frozen=True):
    """What a client needs to know before anything else. `read`: languages that captions can be had in."""

    version: str
    protocol: int
    captions: bool
    spoken: list[str]
    read: list[str]
    limits: Limits
    may_create_rooms: bool
    needs_setup: bool


class Health(Body, kw_only=True, frozen=True):
    """`ok`, always, when the server answers at all."""

    status: Literal["ok"]
    version: str


def me_of(member: Member) -> Me:
    role: Literal["admin", "member"] = "admin" if member.role == "admin" else "member"
    return Me(id=member.id, name=member.name, email=member.email, role=role)


def may_create(call: Call, member: Member | None) -> bool:
    """Members may; others as `open_rooms` says."""
    rule = call.services.settings.open_rooms
    direct = call.services.origins.is_direct_loopback(call.request.remote, call.request.headers)
    return member is not None or rule == "always" or (rule == "loopback" and direct)


def public_url(call: Call) -> str:
    """Where people reach us: the setting, or as this asker did."""
    if call.services.settings.public_url:
        return call.services.settings.public_url.rstrip("/")
    secure = call.services.origins.is_secure(call.request.remote, call.request.headers)
    return f"{'https' if secure else 'http'}://{call.request.host}"


async def make_links(call: Call, room: str) -> Links:
    """The three links of a new room."""
    base, links = public_url(call), call.services.store.links
    host, guest, viewer = [await links.create(role=role, room=room) for role in ("host", "participant", "viewer")]
    return Links(host=f"{base}/j/{host}", guest=f"{base}/j/{guest}", viewer=f"{base}/j/{viewer}")


@table.add("POST", "/api/rooms", body=NewRoom, answer=RoomMade, status=201, errors=(401, 429), tag="rooms")
async def create_room(call: Call, body: NewRoom) -> RoomMade:
    """Make a room.

    Members may; others only as the setting `open_rooms` says (by default people on the server's own machine).
    """
    member = await call.member()
    if not may_create(call, member):
        raise ApiError(401, "login", "log in to make rooms")
    call.throttle(call.services.throttles.room)
    name = clean(body.name, 120)
    if not name:
        raise ApiError(400, "malformed", "the name is empty")
    for _ in range(3):
        room = secrets.token_hex(6)
        try:
            await call.services.store.rooms.create(
                room, name, lobby=body.lobby, member=member.id if member is not None else None
            )
        except IntegrityError:
            continue
        actor = f"member:{member.id}" if member is not None else "server"
        await call.services.store.audit.write("room-create", actor, room=room)
        return RoomMade(room=room, name=name, links=await make_links(call, room))
    raise ApiError(503, "unavailable", "no free room id was found")


async def owned_room(call: Call, room: str) -> Member | None:
    """The asker, if they are logged in and the room is theirs (every room is an administrator's)."""
    member = await call.member()
    row = await call.services.store.rooms.get(room)
    if member is None or row is None:
        return None
    return member if member.role == "admin" or row.created_by == member.id else None


@table.add("GET", "/api/rooms/{room}", answer=RoomState, errors=(401, 404), access="member", tag="rooms")
async def get_room(call: Call) -> RoomState:
    """A room of one's own, and whether a meeting runs in it."""
    await call.need_member()
    room = call.arg("room")
    row = await call.services.store.rooms.get(room) if await owned_room(call, room) else None
    if row is None:
        raise ApiError(404, "not-found", "there is no such room")
    running = call.services.hub.rooms.get(room)
    return RoomState(
        room=row.id,
        name=row.name,
        lobby=running.lobby_on if running else row.lobby,
        people=len(running.people) if running else 0,
        recording=running is not None and running.recording.state.state == "recording",
    )


def _grant(call: Call, room: str, title: str, role: Role, name: str | None, member: str | None = None) -> Granted:
    if call.visitor() is None:
        call.set_cookie(VISITOR_COOKIE, secrets.token_urlsafe(16), age=365 * 86400)
    grants = call.services.grants
    grant = grants.mint(room, role, time.time(), name=clean(name or "") or None, visitor=call.visitor(), member=member)
    return Granted(
        room=room,
        title=title,
        role=role,
        permissions=sorted(permissions(role)),
        grant=grant,
        expires_in=grants.lifetime,
    )


@table.add(
    "POST", "/api/rooms/{room}/grants", body=Redeem, answer=Granted, errors=(401, 404), access="member", tag="rooms"
)
async def grant_own_room(call: Call, body: Redeem) -> Granted:
    """Come into a room of one's own as its host, without a link."""
    await call.need_member()
    member = await owned_room(call, call.arg("room"))
    row = await call.services.store.rooms.get(call.arg("room")) if member else None
    if row is None or member is None:
        raise ApiError(404, "not-found", "there is no such room")
    return _grant(call, row.id, row.name, "host", body.name or member.name, member.id)


@table.add(
    "POST",
    "/api/rooms/{room}/links",
    body=NewLink,
    answer=LinkMade,
    status=201,
    errors=(403, 404, 429),
    access="link",
    tag="rooms",
)
async def create_link(call: Call, body: NewLink) -> LinkMade:
    """Make another link to a room.

    By the code of a link that may manage the room, or as its logged-in owner; never to a role above one's own.
    """
    call.throttle(call.services.throttles.link)
    room, store = call.arg("room"), call.services.store
    own = await store.links.open(body.code) if body.code else None
    giver: Role | None = None
    if own is not None and own.room == room:
        giver = own.role  # type: ignore[assignment]
    elif await owned_room(call, room):
        giver = "host"
    if giver is None:
        raise ApiError(404, "not-found", "there is no such room, or it is not yours")
    if not may_give(giver, body.role):
        raise ApiError(403, "not-allowed", "nobody can give what they do not hold")
    lifetime = timedelta(days=body.days) if body.days else None
    code = await store.links.create(role=body.role, room=room, lifetime=lifetime)
    await store.audit.write("link-create", "link" if own else "member", room=room, subject=body.role)
    return LinkMade(url=f"{public_url(call)}/j/{code}", role=body.role)


@table.add(
    "POST",
    "/api/rooms/{room}/links/revoke",
    body=RevokeLink,
    answer=Done,
    errors=(401, 404),
    access="member",
    tag="rooms",
)
async def revoke_link(call: Call, body: RevokeLink) -> Done:
    """Make a link useless from now on."""
    await call.need_member()
    link = await call.services.store.links.open(body.code)
    if link is None or link.room != call.arg("room") or not await owned_room(call, call.arg("room")):
        raise ApiError(404, "not-found", "there is no such link")
    await call.services.store.links.revoke(body.code)
    await call.services.store.audit.write("link-revoke", "member", room=link.room)
    return Done()


@table.add("POST", "/api/links/{code}", body=Redeem, answer=Granted, errors=(404, 429), access="link", tag="links")
async def redeem_link(call: Call, body: Redeem) -> Granted:
    """Redeem a link: its room, the role, and a short-lived grant to join."""
    call.throttle(call.services.throttles.link)
    link = await call.services.store.links.open(call.arg("code"), count=True)
    row = await call.services.store.rooms.get(link.room) if link is not None and link.room is not None else None
    if link is None or row is None:
        raise ApiError(404, "link", "this link does not work (any more)")
    member = await call.member()
    return _grant(call, row.id, row.name, link.role, body.name, member.id if member else None)  # type: ignore[arg-type]


@table.add("POST", "/api/setup/{code}", body=SetUp, answer=Me, status=201, errors=(404, 429), tag="accounts")
async def set_up(call: Call, body: SetUp) -> Me:
    """Make the first administrator, once, with the code that the server printed at its start."""
    call.throttle(call.services.throttles.login)
    if not secrets.compare_digest(call.arg("code").encode(), call.services.setup_code.encode()):
        raise ApiError(404, "link", "this link does not work (any more)")
    name = clean(body.name)
    if not name:
        raise ApiError(400, "malformed", "the name is empty")
    members = call.services.store.members
    try:
        member = await members.first_administrator(body.email, name, body.password)
    except AdministratorExists:
        raise ApiError(404, "link", "this link does not work (any more)") from None
    await call.services.store.audit.write("setup", f"member:{member.id}")
    call.set_cookie(SESSION_COOKIE, await members.log_in(member.id), age=LOGIN_DAYS * 86400)
    return me_of(member)


@table.add("POST", "/api/login", body=Credentials, answer=Me, errors=(401, 429), tag="accounts")
async def login(call: Call, body: Credentials) -> Me:
    """Log in. The session is a cookie."""
    call.throttle(call.services.throttles.login)
    call.throttle(call.services.throttles.login, "account:" + body.email.strip().lower())
    members = call.services.store.members
    member = await members.authenticate(body.email, body.password)
    if member is None:
        log.info("login refused")
        raise ApiError(401, "credentials", "the address or the password is wrong")
    call.set_cookie(SESSION_COOKIE, await members.log_in(member.id), age=LOGIN_DAYS * 86400)
    await call.services.store.audit.write("login", f"member:{member.id}")
    return me_of(member)


@table.add("POST", "/api/logout", answer=Done, access="member", tag="accounts")
async def logout(call: Call) -> Done:
    """Log out; harmless when nobody is logged in."""
    token = call.request.cookies.get(SESSION_COOKIE)
    if token:
        await call.services.store.members.log_out(token)
    call.set_cookie(SESSION_COOKIE, "", age=0)
    return Done()


@table.add("GET", "/api/me", answer=Me, errors=(401,), access="member", tag="accounts")
async def me(call: Call) -> Me:
    """Who is logged in."""
    return me_of(await call.need_member())


def _captions(call: Call) -> CaptionState:
    return caption_state(call.services.captions.status(), call.services.settings.captions.languages)


@table.add("GET", "/api/captions/status", answer=CaptionState, tag="server")
async def captions_status(call: Call) -> CaptionState:
    """Whether words can be had now, and in which languages."""
    return _captions(call)


@table.add("GET", "/api/config", answer=Config, tag="server")
async def config(call: Call) -> Config:
    """What a client needs to know before anything else."""
    settings, words = call.services.settings, _captions(call)
    administered, member = await asyncio.gather(call.services.store.members.have_administrator(), call.member())
    return Config(
        version=__version__,
        protocol=VERSION,
        captions=words.state != "off",
        spoken=words.spoken,
        read=words.read,
        limits=Limits(
            people=settings.limits.people,
            message_bytes=settings.limits.message_bytes,
            max_bitrate=settings.media.max_bitrate,
        ),
        may_create_rooms=may_create(call, member),
        needs_setup=not administered,
    )


@table.add("GET", "/healthz", answer=Health, tag="server")
async def healthz(call: Call) -> Health:
    """For load balancers and container health checks."""
    return Health(status="ok", version=__version__)


@table.add("GET", "/api/openapi.json", answer=dict[str, Any], tag="server")
async def openapi_json(call: Call) -> msgspec.Raw:
    """This document."""
    from signaling.app import openapi

    return msgspec.Raw(openapi())
