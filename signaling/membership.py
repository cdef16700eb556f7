"""The HTTP API of accounts: administrators invite people, put them into groups, and take accounts away.

No mail is sent: an invitation is a link that the administrator hands over. It is good for one account, or for a new
password of one, for some days.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import structlog
from msgspec import Meta, field

from community.groups import NameTaken
from community.members import LOGIN_DAYS, LastAdministrator, Taken
from community.models import Invitation, Member
from signaling.api import Done, Email, Me, Password, me_of
from signaling.call import SESSION_COOKIE, Call
from signaling.endpoint import ApiError, Body, Table
from signaling.names import clean
from signaling.values import Id, Name

table = Table()
log = structlog.get_logger("membership")

MOST_INVITATIONS = 500
Account = Literal["admin", "member"]
Ids = Annotated[list[Id], Meta(max_length=1000)]


class MemberListed(Body, kw_only=True, frozen=True):
    """An account; disabled ones cannot log in."""

    id: str
    name: str
    email: str
    role: Account
    disabled: bool
    created_at: datetime


class MemberChange(Body, kw_only=True, frozen=True):
    """What is to be different; what is absent stays."""

    name: Name | None = None
    role: Account | None = None
    disabled: bool | None = None


class NewInvitation(Body, kw_only=True, frozen=True):
    """For a new account with a role and groups; or, with `member`, for a new password of an account. `note` tells
    administrators whom it is for."""

    role: Account = "member"
    note: Annotated[str, Meta(max_length=120)] = ""
    groups: Ids = field(default_factory=list)
    member: Id | None = None


class Invited(Body, kw_only=True, frozen=True):
    """An invitation that nobody has used. `path` is that of its page with the code: told once, when it is made."""

    id: str
    role: Account
    note: str
    member: str | None
    created_at: datetime
    expires_at: datetime
    path: str | None = None


class Invite(Body, kw_only=True, frozen=True):
    """What an invitation is for: `email` and `name` where it is a new password of theirs."""

    email: str | None = None
    name: str | None = None


class Code(Body, kw_only=True, frozen=True):
    """The code of an invitation: what follows ``#k=``."""

    code: Annotated[str, Meta(min_length=1, max_length=64)]


class Acceptance(Body, kw_only=True, frozen=True):
    """`email` and `name` count for a new account only."""

    code: Annotated[str, Meta(min_length=1, max_length=64)]
    password: Password
    email: Email | None = None
    name: Name | None = None


class GroupListed(Body, kw_only=True, frozen=True):
    """A group and the ids of its members."""

    id: str
    name: str
    members: list[str]


class GroupName(Body, kw_only=True, frozen=True):
    """What it is called."""

    name: Annotated[str, Meta(min_length=1, max_length=80)]


class GroupMembers(Body, kw_only=True, frozen=True):
    """Exactly these are in it."""

    members: Ids


def _missing() -> ApiError:
    return ApiError(404, "not-found", "there is no such thing (any more)")


async def _administrator(call: Call) -> Member:
    member = await call.need_member()
    if member.role != "admin":
        raise ApiError(403, "not-allowed", "this is for administrators")
    return member


def _listed(member: Member) -> MemberListed:
    return MemberListed(
        id=member.id, name=member.name, email=member.email, role=member.role,  # type: ignore[arg-type]
        disabled=member.disabled, created_at=member.created_at,
    )  # fmt: skip


def _invited(row: Invitation, path: str | None = None) -> Invited:
    return Invited(
        id=row.code_hash, role=row.role, note=row.note, member=row.member_id,  # type: ignore[arg-type]
        created_at=row.created_at, expires_at=row.expires_at, path=path,
    )  # fmt: skip


async def _audit(call: Call, by: Member, act: str, subject: str) -> None:
    await call.services.store.audit.write(act, f"member:{by.id}", subject=subject)


@table.add("GET", "/api/members", answer=list[MemberListed], errors=(401, 403), access="administrator", tag="accounts")
async def list_members(call: Call) -> list[MemberListed]:
    """Every account, by name. For administrators."""
    await _administrator(call)
    return [_listed(member) for member in await call.services.store.members.all()]


@table.add(
    "PATCH",
    "/api/members/{member}",
    body=MemberChange,
    answer=MemberListed,
    errors=(401, 403, 404, 409),
    access="administrator",
    tag="accounts",
)
async def change_member(call: Call, body: MemberChange) -> MemberListed:
    """Rename an account, change its role, or disable it, which logs it out everywhere. For administrators."""
    by = await _administrator(call)
    name = clean(body.name) if body.name is not None else None
    if name == "":
        raise ApiError(400, "malformed", "the name is empty")
    try:
        found = await call.services.store.members.change(
            call.arg("member"), name=name, role=body.role, disabled=body.disabled
        )
    except LastAdministrator:
        raise ApiError(409, "last-administrator", "nobody could administer this server any more") from None
    if found is None:
        raise _missing()
    await _audit(call, by, "member-change", found.id)
    return _listed(found)


@table.add(
    "POST",
    "/api/invitations",
    body=NewInvitation,
    answer=Invited,
    status=201,
    errors=(401, 403, 404, 409),
    access="administrator",
    tag="accounts",
)
async def invite(call: Call, body: NewInvitation) -> Invited:
    """Make a link to an account, for one person. For administrators."""
    by, members = await _administrator(call), call.services.store.members
    if len(await members.invitations()) >= MOST_INVITATIONS:
        raise ApiError(409, "too-many", "so many invitations are open already: withdraw some")
    if body.member is not None and body.member not in {one.id for one in await members.all() if not one.disabled}:
        raise _missing()
    code, row = await members.invite(body.role, clean(body.note), body.groups, body.member)
    await _audit(call, by, "member-invite", row.code_hash[:12])
    return _invited(row, f"/invitation#k={code}")


@table.add("GET", "/api/invitations", answer=list[Invited], errors=(401, 403), access="administrator", tag="accounts")
async def list_invitations(call: Call) -> list[Invited]:
    """Invitations that nobody has used, newest first. For administrators."""
    await _administrator(call)
    return [_invited(row) for row in await call.services.store.members.invitations()]


@table.add(
    "DELETE",
    "/api/invitations/{invitation}",
    answer=Done,
    errors=(401, 403, 404),
    access="administrator",
    tag="accounts",
)
async def withdraw(call: Call) -> Done:
    """Make an invitation useless. For administrators."""
    by = await _administrator(call)
    if not await call.services.store.members.withdraw(call.arg("invitation")):
        raise _missing()
    await _audit(call, by, "member-uninvite", call.arg("invitation")[:12])
    return Done()


@table.add("POST", "/api/invitation", body=Code, answer=Invite, errors=(404, 429), access="link", tag="accounts")
async def look_at_invitation(call: Call, body: Code) -> Invite:
    """What an invitation is for. Does not use it up."""
    call.throttle(call.services.throttles.login)
    row = await call.services.store.members.invited(body.code)
    if row is None:
        raise _missing()
    if row.member_id is None:
        return Invite()
    found = next((one for one in await call.services.store.members.all() if one.id == row.member_id), None)
    if found is None or found.disabled:
        raise _missing()
    return Invite(email=found.email, name=found.name)


@table.add(
    "POST",
    "/api/invitation/accept",
    body=Acceptance,
    answer=Me,
    status=201,
    errors=(404, 409, 429),
    access="link",
    tag="accounts",
)
async def accept(call: Call, body: Acceptance) -> Me:
    """Use an invitation up, once, and log in."""
    call.throttle(call.services.throttles.login)
    members = call.services.store.members
    row = await members.invited(body.code)
    if row is None:
        raise _missing()
    name, email = clean(body.name or ""), (body.email or "").strip()
    if row.member_id is None and not (name and email):
        raise ApiError(400, "malformed", "a new account needs an address and a name")
    try:
        member = await members.accept(body.code, email, name, body.password)
    except Taken:
        raise ApiError(409, "taken", "somebody has an account with this address") from None
    if member is None:
        raise _missing()
    await _audit(call, member, "member-join" if row.member_id is None else "member-password", member.id)
    call.set_cookie(SESSION_COOKIE, await members.log_in(member.id), age=LOGIN_DAYS * 86400)
    return me_of(member)


@table.add("GET", "/api/groups", answer=list[GroupListed], errors=(401,), access="member", tag="accounts")
async def list_groups(call: Call) -> list[GroupListed]:
    """Every group, by name; who is in it is told to administrators only."""
    member = await call.need_member()
    groups = await call.services.store.groups.all()
    seen = member.role == "admin"
    return [GroupListed(id=one.id, name=one.name, members=one.members if seen else []) for one in groups]


@table.add(
    "POST",
    "/api/groups",
    body=GroupName,
    answer=GroupListed,
    status=201,
    errors=(401, 403, 409),
    access="administrator",
    tag="accounts",
)
async def create_group(call: Call, body: GroupName) -> GroupListed:
    """A new group. For administrators."""
    by, name = await _administrator(call), clean(body.name)
    if not name:
        raise ApiError(400, "malformed", "the name is empty")
    try:
        group = await call.services.store.groups.create(name)
    except NameTaken:
        raise ApiError(409, "taken", "there is a group of this name") from None
    await _audit(call, by, "group-create", group)
    return GroupListed(id=group, name=name, members=[])


@table.add(
    "PATCH",
    "/api/groups/{group}",
    body=GroupName,
    answer=Done,
    errors=(401, 403, 404, 409),
    access="administrator",
    tag="accounts",
)
async def rename_group(call: Call, body: GroupName) -> Done:
    """Another name. For administrators."""
    by, name = await _administrator(call), clean(body.name)
    if not name:
        raise ApiError(400, "malformed", "the name is empty")
    try:
        if not await call.services.store.groups.rename(call.arg("group"), name):
            raise _missing()
    except NameTaken:
        raise ApiError(409, "taken", "there is a group of this name") from None
    await _audit(call, by, "group-rename", call.arg("group"))
    return Done()


@table.add(
    "PUT",
    "/api/groups/{group}/members",
    body=GroupMembers,
    answer=Done,
    errors=(401, 403, 404),
    access="administrator",
    tag="accounts",
)
async def set_group(call: Call, body: GroupMembers) -> Done:
    """Say who is in a group; who is not any more loses what was shared with it, at once. For administrators."""
    by = await _administrator(call)
    if not await call.services.store.groups.set_members(call.arg("group"), body.members):
        raise _missing()
    await _audit(call, by, "group-members", call.arg("group"))
    return Done()


@table.add("DELETE", "/api/groups/{group}", answer=Done, errors=(401, 403, 404), access="administrator", tag="accounts")
async def remove_group(call: Call) -> Done:
    """Remove a group and what was shared with it. For administrators."""
    by = await _administrator(call)
    if not await call.services.store.groups.remove(call.arg("group")):
        raise _missing()
    await _audit(call, by, "group-remove", call.arg("group"))
    return Done()
