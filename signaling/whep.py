"""WHEP (draft-ietf-wish-whep, with the rules of RFC 9725): a viewer is sent a live broadcast by WebRTC.

The viewer offers to receive one picture and one sound; it is admitted as to the HLS of the broadcast. Players that are
no browsers have the code of the viewers' link as their bearer token.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from dataclasses import dataclass, field

import structlog
from aiohttp import web

from sfu.interface import ConnectionState, SdpError
from sfu.watching import Unacceptable
from signaling.broadcast import RoomBroadcast
from signaling.call import Call
from signaling.endpoint import ApiError, Table
from signaling.live import entitled
from signaling.turn import ice_servers
from signaling.whip import FRAGMENT, fragment_of, read_fragment, read_text, with_credentials

log = structlog.get_logger("whep")
table = Table()

CONNECT_WITHIN = 10.0
"""Seconds in which a new session, or one whose connection failed, must have a connection."""
PER_VIEWER = 4
"""Sessions that one viewer may have at a time: pages that are loaded again leave one behind for a moment."""
LATER = {"Retry-After": "15"}
"""When a player may try again that came too early, or was refused for want of room."""


@dataclass
class WhepSession:
    """One viewer. `viewer` says who it is, `id` is its secret."""

    id: str
    broadcast: str
    viewer: str
    on_air: RoomBroadcast
    sessions: WhepSessions
    offer: str
    etag: str = field(default_factory=lambda: secrets.token_hex(8))
    _deadline: asyncio.TimerHandle | None = None

    def begin(self) -> str:
        """Opens the connection; returns the answer. Raises SdpError."""
        answer = self.on_air.programme.watch(self.id, self.viewer, self.offer, self._told, self.leave)
        self._wait(CONNECT_WITHIN)
        return answer

    def restart(self, offer: str) -> str:
        """ICE begins anew; returns the answer. Raises SdpError."""
        answer = self.on_air.programme.restart(self.id, offer)
        self.offer, self.etag = offer, secrets.token_hex(8)
        return answer

    def _told(self, state: ConnectionState) -> None:
        if state == "connected":
            self._wait(None)
        elif state == "closed":
            self._wait(0.0)
        elif self._deadline is None:
            self._wait(CONNECT_WITHIN)

    def leave(self) -> None:
        """Ends it."""
        self._wait(None)
        if self.sessions.forget(self):
            self.on_air.programme.leave(self.id)

    def _wait(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if seconds is not None:
            self._deadline = asyncio.get_running_loop().call_later(seconds, self.leave)


class WhepSessions:
    """All of this server's, by their secret ids; at most `most`."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._sessions: dict[str, WhepSession] = {}
        self._of: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def full(self) -> bool:
        """Nobody else is taken."""
        return len(self._sessions) >= self.most

    def find(self, broadcast: str, session: str) -> WhepSession:
        """Raises ApiError."""
        found = self._sessions.get(session)
        if found is None or found.broadcast != broadcast:
            raise ApiError(404, "not-found", "there is no such session (any more)")
        return found

    def open(self, broadcast: str, viewer: str, on_air: RoomBroadcast, offer: str) -> tuple[WhepSession, str]:
        """A new session and its answer. Raises ApiError."""
        if self._of[viewer] >= PER_VIEWER:
            raise ApiError(429, "too-many", "this viewer has too many sessions")
        session = WhepSession(secrets.token_urlsafe(24), broadcast, viewer, on_air, self, offer)
        try:
            answer = session.begin()
        except Unacceptable as error:
            raise ApiError(422, "codecs", str(error)) from None
        except SdpError as error:
            raise ApiError(400, "bad-sdp", str(error)) from None
        self._sessions[session.id] = session
        self._of[viewer] += 1
        there, takes = on_air.programme.codecs, on_air.programme.takes(session.id)
        if takes and there and not set(there) & set(takes):
            session.leave()
            shown = f"the programme is in {', '.join(there)}, this player decodes {', '.join(takes)} only"
            raise ApiError(422, "codecs", shown)
        return session, answer

    def forget(self, session: WhepSession) -> bool:
        """Whether it was there."""
        if self._sessions.pop(session.id, None) is None:
            return False
        self._of[session.viewer] -= 1
        if not self._of[session.viewer]:
            del self._of[session.viewer]
        return True


SESSIONS = web.AppKey("whep", WhepSessions)


def install(app: web.Application, sessions: WhepSessions) -> None:
    """Gives the application what the handlers need."""
    app[SESSIONS] = sessions


@table.add("OPTIONS", "/api/live/{broadcast}/whep", status=204, media="none", tag="whep")
async def whep_options(call: Call) -> web.Response:
    """What can be posted here."""
    return web.Response(status=204, headers={"Accept-Post": "application/sdp", "Allow": "OPTIONS, POST"})


@table.add(
    "POST",
    "/api/live/{broadcast}/whep",
    status=201,
    errors=(400, 401, 403, 404, 409, 413, 415, 422, 429, 503),
    access="broadcast",
    media="application/sdp",
    tag="whep",
)
async def whep_watch(call: Call) -> web.Response:
    """Watch by WebRTC: an offer that receives at most one picture (VP9, H.264, VP8, AV1) and one sound (Opus).

    A player without the cookie sends the code of the viewers' link (what follows ``#k=``) as its bearer token, or as
    the password of the address. 409
    before the broadcast is live, 503 where no more viewers are sent WebRTC: there is HLS for as many as come.
    """
    on_air, viewer = await entitled(call)
    call.throttle(call.services.throttles.ticket)
    offer = await read_text(call, "application/sdp")
    sessions = call.request.app[SESSIONS]
    if not on_air.programme.live:
        raise ApiError(409, "bad-state", "this broadcast is not live", LATER)
    if sessions.full:
        raise ApiError(503, "full", "no more viewers are sent WebRTC; there is HLS", LATER)
    session, answer = sessions.open(call.arg("broadcast"), viewer, on_air, offer)
    headers = {
        "Location": f"/api/live/{session.broadcast}/whep/{session.id}",
        "ETag": f'"{session.etag}"',
        "Accept-Patch": FRAGMENT,
        "Cache-Control": "no-store",
    }
    response = web.Response(status=201, body=answer.encode(), content_type="application/sdp", headers=headers)
    for server in ice_servers(call.services.settings.turn, session.id[:16]):
        for url in server.urls:
            credentials = f'username="{server.username}"; credential="{server.credential}"; credential-type="password"'
            response.headers.add("Link", f'<{url}>; rel="ice-server"; {credentials}')
    return response


@table.add(
    "PATCH",
    "/api/live/{broadcast}/whep/{session}",
    errors=(400, 404, 412, 413, 415, 428),
    access="broadcast",
    media=FRAGMENT,
    tag="whep",
)
async def whep_patch(call: Call) -> web.Response:
    """Trickled candidates (answered 204: they are not needed, this server learns them from checks) or an ICE restart.

    A restart has `If-Match: *` and new credentials, and is answered with ours (RFC 9725, section 4.3).
    """
    session = call.request.app[SESSIONS].find(call.arg("broadcast"), call.arg("session"))
    match = call.request.headers.get("If-Match")
    if match is None:
        raise ApiError(428, "if-match", "send If-Match with the ETag of the session")
    if match != "*" and match != f'"{session.etag}"':
        raise ApiError(412, "if-match", "the ICE session is another one by now")
    fragment = await read_fragment(call)
    if match != "*":
        return web.Response(status=204)
    offer = with_credentials(session.offer, fragment)
    if offer is None:
        raise ApiError(400, "malformed", "an ICE restart needs a=ice-ufrag and a=ice-pwd")
    try:
        answer = session.restart(offer)
    except SdpError as error:
        raise ApiError(400, "bad-sdp", str(error)) from None
    headers = {"ETag": f'"{session.etag}"'}
    return web.Response(body=fragment_of(answer).encode(), content_type=FRAGMENT, headers=headers)


@table.add(
    "DELETE", "/api/live/{broadcast}/whep/{session}", errors=(404,), access="broadcast", media="none", tag="whep"
)
async def whep_delete(call: Call) -> web.Response:
    """End the session. Its address is its secret: who knows it may end it."""
    call.request.app[SESSIONS].find(call.arg("broadcast"), call.arg("session")).leave()
    return web.Response(status=200)
