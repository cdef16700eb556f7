"""WHIP (RFC 9725): a program such as OBS or GStreamer publishes into a room, with the code of a link as its token.

Its picture and sound are those of a participant like any other, who only has no page: shown, captioned, recorded, muted
and removed like everybody else.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from dataclasses import dataclass, field

import structlog
from aiohttp import web

from sfu import sdp
from sfu.interface import ConnectionKind, ConnectionState, SdpError, TrackLabel
from signaling import protocol
from signaling.call import Call
from signaling.endpoint import ApiError, Table
from signaling.hub import Hub
from signaling.names import clean
from signaling.people import Participant
from signaling.refusal import Turned
from signaling.rights import TO_PUBLISH
from signaling.room import Room
from signaling.turn import ice_servers

log = structlog.get_logger("whip")
table = Table()

FRAGMENT = "application/trickle-ice-sdpfrag"
CONNECT_WITHIN = 30.0
"""Seconds in which a new session, or one whose connection failed, must have a connection."""
NAME = "Broadcast"
STATUS: dict[str, int] = {"full": 503, "shutdown": 503, "removed": 403, "denied": 403}
"""HTTP statuses of reasons to be turned away; what is not listed is 401."""

RETRY_S = 10
"""Seconds after which a publisher may ask again where there was no place (RFC 9725, section 4.2)."""
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Accept-Patch, Accept-Post, ETag, Link, Location, Retry-After",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
"""On every answer under /whip/: pages of other sites may publish too, for a bearer token is all that counts there.
Cookies are not looked at, and ``*`` keeps browsers from sending them."""
METHODS, METHODS_OF_SESSION = ("OPTIONS", "POST"), ("DELETE", "OPTIONS", "PATCH")

_CREDENTIAL = re.compile(r"^a=(ice-ufrag|ice-pwd):(.+)$", re.MULTILINE)


@dataclass
class WhipSession:
    """One publisher; the `Peer` of its participant. Messages of the room do not interest it, its end does."""

    id: str
    hub: Hub
    sessions: dict[str, WhipSession]
    room: Room | None = None
    person: Participant | None = None
    offer: str = ""
    labels: list[TrackLabel] = field(default_factory=list)
    etag: str = field(default_factory=lambda: secrets.token_hex(8))
    _deadline: asyncio.TimerHandle | None = None

    def send(self, message: protocol.Message, key: object | None = None) -> None:
        """Nobody reads it."""

    def send_encoded(self, data: bytes, key: object | None = None) -> None:
        """Nobody reads it."""

    def connection(self, connection: ConnectionKind, state: ConnectionState) -> None:
        """The media connection's state; a session without a connection ends after a while."""
        if state == "connected":
            self._wait(None)
        elif state == "closed":
            self._wait(0.0)
        elif self._deadline is None:
            self._wait(CONNECT_WITHIN)

    def close(self, closed: protocol.Closed) -> None:
        """The room is over, or a moderator removed it: media ends with the participant."""
        self._wait(None)
        if self.sessions.pop(self.id, None) is not None:
            log.info("ended", reason=closed.reason)

    def leave(self, reason: str) -> None:
        """Out of the room."""
        self._wait(None)
        if self.sessions.pop(self.id, None) is not None and self.room is not None and self.person is not None:
            self.room.leave(self.person, reason)

    def begin(self) -> None:
        """The connection must come up from now on."""
        self._wait(CONNECT_WITHIN)

    def _wait(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if seconds is not None:
            self._deadline = asyncio.get_running_loop().call_later(seconds, self.leave, "lost")

    async def publish(self, offer: str) -> str:
        """The answer to an offer, the first or one after an ICE restart. Raises SdpError."""
        assert self.room is not None and self.person is not None
        published = await self.room.media.publish(self.person.id, offer, self.labels)
        if not published.tracks:
            raise SdpError("nothing in the offer can be taken: Opus, VP9, H.264, VP8 or AV1 is needed")
        self.offer = offer
        return published.sdp


class WhipSessions:
    """All of this server's, by their secret ids."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._sessions: dict[str, WhipSession] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def find(self, room: str, session: str) -> WhipSession:
        """Raises ApiError."""
        found = self._sessions.get(session)
        if found is None or found.room is None or found.room.id != room:
            raise ApiError(404, "not-found", "there is no such session (any more)")
        return found

    async def open(self, room: str, grant: str, name: str, visitor: str, offer: str) -> tuple[WhipSession, str]:
        """Joins and publishes; returns the session and its answer. Raises ApiError."""
        labels = labels_of(offer)
        session = WhipSession(secrets.token_urlsafe(24), self._hub, self._sessions, labels=labels)
        hello = protocol.Hello(version=protocol.VERSION, grant=grant, name=name)
        try:
            session.room, session.person = await self._hub.join(
                room, hello, session, visitor, time.time(), watches=False
            )
        except Turned as turned:
            reason = turned.closed.reason
            status = STATUS.get(reason, 401)
            later = {"Retry-After": str(RETRY_S)} if status == 503 else None
            raise ApiError(status, reason, turned.closed.message, later) from None
        self._sessions[session.id] = session
        session.begin()
        try:
            for label in labels:
                if not session.person.may(TO_PUBLISH[label.source]):
                    raise ApiError(403, "not-allowed", f"this link does not allow to publish {label.source}")
            answer = await session.publish(offer)
        except SdpError as error:
            session.leave("left")
            raise ApiError(400, "bad-sdp", str(error)) from None
        except ApiError:
            session.leave("left")
            raise
        return session, answer


SESSIONS = web.AppKey("whip", WhipSessions)


def install(app: web.Application, sessions: WhipSessions) -> None:
    """Gives the application what the handlers need."""
    app[SESSIONS] = sessions


def labels_of(offer: str) -> list[TrackLabel]:
    """What the m-lines of an offer carry: microphone and camera, then the sound and picture of a screen.

    WHIP has no words for it (RFC 9725, section 4.4: one stream of at most one audio and one video is the rule). Raises
    ApiError.
    """
    sources: dict[str, list[protocol.Source]] = {"audio": ["microphone", "screen-audio"], "video": ["camera", "screen"]}
    labels: list[TrackLabel] = []
    try:
        for media in sdp.parse(offer).media:
            if media.direction not in ("sendonly", "sendrecv") or media.stopped or media.kind not in sources:
                continue
            if not sources[media.kind]:
                raise ApiError(400, "bad-sdp", f"at most two m-lines of {media.kind}")
            labels.append(TrackLabel(media.mid, sources[media.kind].pop(0)))
    except SdpError as error:
        raise ApiError(400, "bad-sdp", str(error)) from None
    if not labels:
        raise ApiError(400, "bad-sdp", "the offer sends nothing")
    return labels


def with_credentials(offer: str, fragment: str) -> str | None:
    """The offer with the ICE credentials of a fragment (RFC 8840); None where the fragment has none."""
    found = dict(_CREDENTIAL.findall(fragment.replace("\r", "")))
    if set(found) != {"ice-ufrag", "ice-pwd"}:
        return None
    return _CREDENTIAL.sub(lambda match: f"a={match[1]}:{found[match[1]]}", offer.replace("\r", ""))


def fragment_of(answer: str) -> str:
    """The answer's ICE credentials and candidates, as a fragment."""
    lines = answer.replace("\r", "").split("\n")
    wanted = ("a=ice-ufrag:", "a=ice-pwd:", "a=ice-lite", "a=candidate:", "a=end-of-candidates")
    media = next(line for line in lines if line.startswith("m=") and line.split()[1] != "0")
    section = lines[lines.index(media) :]
    mid = next(line for line in section if line.startswith("a=mid:"))
    session = [line for line in lines[: lines.index(media)] if line.startswith("a=ice")]
    kept = [line for line in section if line.startswith(wanted)]
    credentials = [line for line in kept if line.startswith("a=ice-")]
    return "\r\n".join([*session, *credentials, media, mid, *[x for x in kept if x not in credentials]]) + "\r\n"


async def read_text(call: Call, kind: str) -> str:
    """The body, of this content type. Raises ApiError."""
    request, limit = call.request, call.services.settings.limits.body_bytes
    if request.content_type != kind:
        raise ApiError(415, "content-type", f"send Content-Type: {kind}")
    if request.content_length is not None and request.content_length > limit:
        raise ApiError(413, "too-large", f"at most {limit} bytes")
    try:
        return (await request.read()).decode()
    except web.HTTPRequestEntityTooLarge:
        raise ApiError(413, "too-large", f"at most {limit} bytes") from None
    except UnicodeError:
        raise ApiError(400, "malformed", "not UTF-8") from None


async def read_fragment(call: Call) -> str:
    """The body of a PATCH (RFC 8840, section 9): lines of attributes and media. Raises ApiError."""
    fragment = await read_text(call, FRAGMENT)
    if any(not line.startswith(("a=", "m=")) for line in fragment.replace("\r", "").split("\n") if line):
        raise ApiError(400, "malformed", "a fragment has only lines of a= and m=")
    return fragment


def _bearer(call: Call) -> str:
    scheme, _, token = call.request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _allowed(of: tuple[str, ...], **more: str) -> web.Response:
    methods = ", ".join(of)
    preflight = {
        "Access-Control-Allow-Methods": methods,
        "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
        "Access-Control-Max-Age": "600",
    }
    return web.Response(status=204, headers={"Allow": methods, **preflight, **more})


@table.add("OPTIONS", "/whip/{room}", status=204, media="none", tag="whip")
async def whip_options(call: Call) -> web.Response:
    """What can be posted here, also to pages of other sites that ask first (RFC 9725, section 4.2)."""
    return _allowed(METHODS, **{"Accept-Post": "application/sdp"})


@table.add("OPTIONS", "/whip/{room}/{session}", status=204, media="none", tag="whip")
async def whip_session_options(call: Call) -> web.Response:
    """What a session takes; the same whether it is there or not."""
    return _allowed(METHODS_OF_SESSION, **{"Accept-Patch": FRAGMENT})


@table.add(
    "POST",
    "/whip/{room}",
    status=201,
    errors=(400, 401, 403, 413, 415, 429, 503),
    access="link",
    media="application/sdp",
    tag="whip",
)
async def whip_publish(call: Call) -> web.Response:
    """Publish into the room by WHIP (RFC 9725).

    The bearer token is the code of a link to the room (the last part of its address). `?name=` is what people read
    under the picture.
    """
    call.throttle(call.services.throttles.link)
    offer = await read_text(call, "application/sdp")
    code = _bearer(call)
    link = await call.services.store.links.open(code, count=True) if code else None
    if link is None or link.room != call.arg("room"):
        wanted = {"WWW-Authenticate": 'Bearer realm="whip"'}
        raise ApiError(401, "token", "the bearer token must be the code of a link to this room", wanted)
    name = clean(call.request.query.get("name", "")[:80]) or NAME
    # Whom a moderator removes stays removed: the link's hash stands for the browser that this publisher does not have.
    visitor = f"whip:{link.code_hash[:26]}"
    grant = call.services.grants.mint(link.room, link.role, time.time(), name=name, visitor=visitor)  # type: ignore[arg-type]
    session, answer = await call.request.app[SESSIONS].open(link.room, grant, name, visitor, offer)
    assert session.person is not None
    headers = {
        "Location": f"/whip/{link.room}/{session.id}",
        "ETag": f'"{session.etag}"',
        "Accept-Patch": FRAGMENT,
    }
    response = web.Response(status=201, body=answer.encode(), content_type="application/sdp", headers=headers)
    for server in ice_servers(call.services.settings.turn, session.person.id):
        for url in server.urls:
            credentials = f'username="{server.username}"; credential="{server.credential}"; credential-type="password"'
            response.headers.add("Link", f'<{url}>; rel="ice-server"; {credentials}')
    return response


@table.add(
    "PATCH",
    "/whip/{room}/{session}",
    errors=(400, 404, 412, 413, 415, 428),
    access="link",
    media=FRAGMENT,
    tag="whip",
)
async def whip_patch(call: Call) -> web.Response:
    """Trickled candidates (answered 204: they are not needed, this server learns them from checks) or an ICE restart.

    A restart has `If-Match: *` and new credentials, and is answered with ours (RFC 9725, section 4.3).
    """
    session = call.request.app[SESSIONS].find(call.arg("room"), call.arg("session"))
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
        answer = await session.publish(offer)
    except SdpError as error:
        raise ApiError(400, "bad-sdp", str(error)) from None
    session.etag = secrets.token_hex(8)
    headers = {"ETag": f'"{session.etag}"'}
    return web.Response(body=fragment_of(answer).encode(), content_type=FRAGMENT, headers=headers)


@table.add("DELETE", "/whip/{room}/{session}", errors=(404,), access="link", media="none", tag="whip")
async def whip_delete(call: Call) -> web.Response:
    """End the session. Its address is its secret: who knows it may end it."""
    call.request.app[SESSIONS].find(call.arg("room"), call.arg("session")).leave("left")
    return web.Response(status=200)
