"""Who may open a recording: decided anew for every request, each byte range included.

An administrator; the member who started it; whoever holds its replay link (told to everybody who was in the room when
it stopped); and whoever a share lets in (`signaling.shares`), to all of it or to a passage. Links and shares are
exchanged for a token: a cookie of this recording's paths or, inside other sites, where browsers keep cookies away, a
bearer token. Either is only as good as its link or share is at the moment.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from dataclasses import dataclass

import structlog

from community.models import Member, RecordingRow, Share
from recorder.manifest import Passage
from signaling.call import REPLAY_COOKIE, Call
from signaling.endpoint import ApiError
from signaling.grants import GrantRefused

log = structlog.get_logger("replay")

SHARE, TICKET = "share:", "~"
"""How a way in by a share begins; behind the second, in its code too, is the ticket of a broadcast that it needs."""
VIEWERS_OF = {"link": "viewers", "members": "viewers-members", "tickets": "viewers-tickets"}
"""The audience of a share that a broadcast made, by whom that was for: without what was written in the room."""
VIEWERS = frozenset(VIEWERS_OF.values())
FOR_MEMBERS = ("members", "group", "viewers-members")
"""Audiences that one is in by an account."""


@dataclass(frozen=True)
class Pass:
    """The way in to one recording. `actor` as in the audit log; `passage` is all that may be seen, None: everything;
    without `chat` nothing that was written in the room."""

    row: RecordingRow
    actor: str
    passage: Passage | None = None
    chat: bool = True


def missing() -> ApiError:
    """The same for what is not there and for what is not theirs."""
    return ApiError(404, "not-found", "there is no such recording, or you may not open it")


def share_code(secret: str, share: str) -> str:
    """What a share's link carries: made from the server's secret, so it can be shown again and is stored nowhere."""
    mac = hmac.digest(secret.encode(), f"consilium share {share}".encode(), hashlib.sha256)
    return f"{share}.{base64.urlsafe_b64encode(mac[:18]).decode()}"


def share_of(secret: str, code: str) -> str | None:
    """The share's id if the code is genuine."""
    share = code.partition(".")[0]
    return share if hmac.compare_digest(share_code(secret, share).encode(), code.encode()) else None


def passage_of(share: Share) -> Passage | None:
    """The clip, if it is one."""
    if share.clip_start is None or share.clip_end is None:
        return None
    return Passage(start=share.clip_start, end=share.clip_end)


def owns(member: Member | None, row: RecordingRow) -> bool:
    """Whether it is theirs to see, to share and to delete."""
    return member is not None and (member.role == "admin" or member.id == row.member_id)


def _token(call: Call) -> str | None:
    scheme, _, bearer = call.request.headers.get("Authorization", "").partition(" ")
    return bearer if scheme == "Bearer" and bearer else call.request.cookies.get(REPLAY_COOKIE)


async def for_member(call: Call, share: Share, member: Member | None) -> bool:
    """Whether a share is for somebody, as far as its audience says: asked on every request, so that who leaves a group
    is out at once."""
    if share.audience not in FOR_MEMBERS:
        return True
    if member is None:
        return False
    return share.audience != "group" or await call.services.store.groups.has(share.group_id, member.id)


async def for_ticket(call: Call, share: Share, ticket: str) -> bool:
    """Whether a share is for who has this ticket, where it needs one."""
    return share.audience != VIEWERS_OF["tickets"] or await call.services.store.tickets.opens(ticket, share.id)


async def _by_token(call: Call, row: RecordingRow, member: Member | None) -> Pass | None:
    token = _token(call)
    if not token:
        return None
    try:
        way = call.services.grants.check_replay(token, row.id, time.time())
    except GrantRefused as error:
        log.info("replay token refused", reason=error.reason)
        return None
    store = call.services.store
    if way.startswith(SHARE):
        known, _, ticket = way.removeprefix(SHARE).partition(TICKET)
        share = await store.shares.get(known)
        if share is None or share.recording_id != row.id or not await for_member(call, share, member):
            return None
        if not await for_ticket(call, share, ticket):
            return None
        return Pass(row, f"share:{share.id}", passage_of(share), share.audience not in VIEWERS)
    link = await store.links.open_hash(way)
    return Pass(row, f"link:{way[:12]}") if link is not None and link.recording == row.id else None


async def authorised(call: Call, *, whole: bool = False) -> Pass:
    """The way in, if there is one for the asker. With `whole`, only for those who may see everything.

    Raises ApiError, the same for a recording that is not there.
    """
    row = await call.services.store.recordings.get(call.arg("recording"))
    if row is None:
        raise missing()
    member = await call.member()
    if member is not None and owns(member, row):
        return Pass(row, f"member:{member.id}")
    found = await _by_token(call, row, member)
    if found is None or (whole and (found.passage is not None or not found.chat)):
        raise missing()
    return found


async def owned(call: Call) -> tuple[Member, RecordingRow]:
    """The asker and the recording, if it is theirs; raises ApiError."""
    member = await call.need_member()
    row = await call.services.store.recordings.get(call.arg("recording"))
    if row is None or not owns(member, row):
        raise missing()
    return member, row
