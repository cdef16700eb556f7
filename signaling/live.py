"""The HTTP side of a broadcast: the ticket, how it stands, its events, its HLS.

A link is ``/live/{broadcast}#k={code}``; the code is exchanged once for a cookie of this broadcast's paths, which every
request must carry; whether it is enough says `signaling.admission`. An answer costs the same however many ask:
playlists are written once for each part, what is new is served from memory, events are encoded once. Browsers may keep
media; between them and us a cache must ask `GET /api/live/{broadcast}/pass` whether it may answer
(docs/deploy/nginx.conf); to all others answers are ``private``.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import math
import re
import secrets
import time
from datetime import datetime
from typing import Annotated, Literal

import msgspec
import structlog
from aiohttp import BasicAuth, web
from msgspec import Meta

from community.models import BroadcastRow
from recorder.live import playlist
from recorder.live.segmenter import TARGET_MS
from recorder.live.stream import Rendition, Stream
from signaling import admission
from signaling.admission import Admissions, ticket_of
from signaling.audience import AudienceFull, Viewer
from signaling.broadcast import RoomBroadcast, ticket_code
from signaling.call import LIVE_COOKIE, Call
from signaling.endpoint import ApiError, Body, Table
from signaling.grants import GrantRefused
from signaling.holding import Holding
from signaling.passes import TICKET, share_code
from signaling.refusal import Refusal
from signaling.subtitles import playlist as words_playlist
from signaling.values import QuestionRules

table = Table()
log = structlog.get_logger("live")

COOKIE_SECONDS = 24 * 3600
WAIT_S = 3 * TARGET_MS / 1000
"""Longest that a request for what is to come is held (rfc8216bis 6.2.5.2)."""
BEGIN_S = 10.0
MEDIA_S = 86_400
_NAME = re.compile(r"([vab]|c-[a-zA-Z0-9-]{2,35}-)(?:-init([0-9]{1,6})\.mp4|([0-9]{1,9})(?:\.([0-9]{1,4}))?\.m4s)")
_WORDS = re.compile(r"words\.([a-zA-Z0-9-]{2,35})(?:\.([0-9]{1,9})\.vtt|\.m3u8)")
_NUMBER = re.compile(r"[0-9]{1,9}")
M3U8 = "application/vnd.apple.mpegurl"


class Ticket(Body, kw_only=True, frozen=True):
    """The code of a broadcast's link: what follows ``#k=``. `embed`: a token instead of a cookie, for frames in the
    pages of the sites that the settings name."""

    embed: bool = False
    code: Annotated[str, Meta(min_length=1, max_length=64)]


class Replay(Body, kw_only=True, frozen=True):
    """Where what was live can be seen again: a recording, and the code of a share of it."""

    recording: str
    code: str


class LivePause(Body, kw_only=True, frozen=True):
    """When there was nothing to see, in ms of the programme. `end` is None while it lasts."""

    start: float
    end: float | None = None


class LiveView(Body, kw_only=True, frozen=True):
    """A broadcast as viewers see it. Times in ms since 1970, `now` is the server's clock; `at` is when it goes live
    (``countdown``) or went. `epoch` is the wall clock at the programme's time 0, of which captions and EXT-X-PROGRAM-
    DATE-TIME tell, `origin` the room time there, of which questions tell. `playlist` is its HLS, `whep` where it can be
    had by WebRTC. `languages` are those that captions can be read in; `hands` says whether viewers may raise one,
    `signs` whether a second picture comes by WebRTC now, of who signs; `channels`
    are the languages that interpreters are heard in, by HLS; `image` is that of the holding page. `token` is
    for embeds, which get no cookie: ``Authorization: Bearer``."""

    id: str
    title: str
    about: str
    state: Literal["scheduled", "countdown", "live", "paused", "ending", "ended"]
    now: float
    starts_at: float | None = None
    at: float | None = None
    epoch: float | None = None
    origin: float | None = None
    playlist: str | None = None
    whep: str | None = None
    languages: list[str]
    questions: QuestionRules
    hands: bool = False
    signs: bool = False
    channels: list[str]
    image: str | None = None
    replay: Replay | None = None
    pauses: list[LivePause]
    token: str | None = None


def missing() -> ApiError:
    """The same for what is not there and for whom it is not."""
    return ApiError(404, "not-found", "there is no such broadcast, or this link does not open it")


def _ms(at: datetime | None) -> float | None:
    return at.timestamp() * 1000 if at is not None else None


def _token(call: Call) -> str:
    scheme, _, bearer = call.request.headers.get("Authorization", "").partition(" ")
    return bearer if scheme == "Bearer" else call.request.cookies.get(LIVE_COOKIE, "")


def _admitted(call: Call) -> tuple[int, str]:
    """The number of the link that the asker came by, and who they are. Asks no database. Raises ApiError."""
    token = _token(call)
    try:
        return call.services.grants.check_live(token, call.arg("broadcast"), time.time()) if token else _refuse()
    except GrantRefused as error:
        log.info("live token refused", reason=error.reason)
        raise missing() from None


def _refuse() -> tuple[int, str]:
    raise missing()


def _on_air(call: Call) -> RoomBroadcast | None:
    return call.services.hub.parts.on_air.get(call.arg("broadcast"))


def _admissions(call: Call) -> Admissions:
    return call.services.hub.parts.admissions


async def viewed(call: Call) -> tuple[BroadcastRow, str]:
    """Of any state, and who asks. Raises ApiError."""
    ticket, viewer = _admitted(call)
    on_air = _on_air(call)
    row = on_air.row if on_air is not None else await call.services.store.broadcasts.seen(call.arg("broadcast"))
    if row is None or row.ticket != ticket:
        raise missing()
    await _admissions(call).check(call, row, viewer)
    return row, viewer


async def watching(call: Call, acting: bool = False) -> tuple[RoomBroadcast, str]:
    """The broadcast while there is something of it to see, and who asks; `acting`: while its room is open. Raises
    ApiError."""
    ticket, viewer = _admitted(call)
    on_air = _on_air(call)
    if on_air is None or on_air.row is None or on_air.row.ticket != ticket:
        raise missing()
    await _admissions(call).check(call, on_air.row, viewer)
    if acting and on_air.closed:
        raise ApiError(409, "bad-state", "the meeting is over")
    return on_air, viewer


async def entitled(call: Call) -> tuple[RoomBroadcast, str]:
    """As `watching`, also by a link's own code as a bearer token, or as the password of an address
    (``http://viewer:CODE@...``): a player that is no browser has no cookie."""
    on_air, code = _on_air(call), _token(call)
    with contextlib.suppress(ValueError):
        code = BasicAuth.decode(call.request.headers.get("Authorization", "")).password
    if on_air is not None and on_air.row is not None and code:
        row, secret = on_air.row, call.services.secret
        wanted = ticket_code(secret, row.id, row.ticket)
        if row.audience == "link" and hmac.compare_digest(wanted.encode(), code.encode()):
            return on_air, f"player {call.address}"
        if row.audience == "tickets" and (ticket := ticket_of(secret, code)) is not None:
            return on_air, await _seated(call, row.id, ticket)
    return await watching(call)


async def _seated(call: Call, broadcast: str, ticket: str) -> str:
    """Who comes with a ticket; whoever had its seat is told so. Raises ApiError."""
    viewer = await _admissions(call).seat(call.services.store, ticket, broadcast)
    if viewer is None:
        raise admission.wanted()
    if (on_air := _on_air(call)) is not None:
        on_air.box_office.send_away(ticket, "taken", but=viewer)
    return viewer


def _view(call: Call, row: BroadcastRow, viewer: str) -> LiveView:
    on_air, now = _on_air(call), time.time() * 1000
    realtime = call.services.settings.broadcast.realtime_viewers
    stream = on_air.stream if on_air is not None else None
    at = _ms(row.live_at)
    shown = on_air.shown if on_air is not None else None
    aired = shown is not None and shown.state not in ("scheduled", "countdown")
    if on_air is not None and shown is not None and shown.state == "countdown" and shown.at is not None:
        at = now + shown.at - on_air.now
    at = at + row.delay * 1000 if at is not None else None
    version = Holding(call.services.settings.data).version(row.id)
    replay = None
    over = row.state == "ended" and (on_air is None or (shown is not None and shown.state == "ended"))
    if over and row.share_id is not None and row.recording_id is not None:
        code, ticket = share_code(call.services.secret, row.share_id), admission.held(viewer)
        if ticket is not None:
            code += TICKET + admission.personal_code(call.services.secret, ticket)
        replay = Replay(recording=row.recording_id, code=code)
    waits = on_air is not None or row.state == "scheduled"
    return LiveView(
        id=row.id,
        title=row.title,
        about=row.about,
        state=shown.state if shown is not None else "scheduled" if waits else "ended",
        now=now,
        starts_at=_ms(row.starts_at),
        at=at,
        epoch=_ms(stream.epoch) if stream is not None and aired else None,
        origin=on_air.origin if on_air is not None else None,
        playlist=f"/api/live/{row.id}/hls/master.m3u8" if stream is not None and aired else None,
        whep=f"/api/live/{row.id}/whep" if on_air is not None and on_air.programme.live and realtime else None,
        languages=on_air.languages if on_air is not None else [],
        questions=on_air.rules if on_air is not None else QuestionRules(),
        image=f"/api/live/{row.id}/image?v={version}" if version is not None else None,
        hands=on_air is not None and on_air.hands.open and not on_air.over,
        signs=on_air is not None and on_air.programme.signs,
        channels=sorted(stream.channels) if stream is not None else [],
        replay=replay,
        pauses=[
            LivePause(start=start, end=end if math.isfinite(end) else None)
            for start, end in (on_air.pauses if on_air is not None else [])
        ],
    )


@table.add(
    "POST",
    "/api/live/{broadcast}/access",
    body=Ticket,
    answer=LiveView,
    errors=(401, 403, 404, 429),
    access="link",
    tag="live",
)
async def open_live(call: Call, body: Ticket) -> LiveView:
    """Exchange the code of a broadcast's link, or of one's own ticket, for a cookie that opens it: 401 where one needs
    an account, 403 where one needs a ticket. Who had come with the same ticket is answered 409 from now on."""
    call.throttle(call.services.throttles.ticket)
    broadcast = call.arg("broadcast")
    on_air = _on_air(call)
    row = on_air.row if on_air is not None else await call.services.store.broadcasts.seen(broadcast)
    viewer = await _viewer(call, broadcast, row, body.code)
    if row is None or viewer is None:
        raise missing()
    cookie = call.services.grants.mint_live(broadcast, row.ticket, viewer, time.time(), COOKIE_SECONDS)
    if body.embed:
        if not call.services.settings.broadcast.sites:
            raise missing()
        return msgspec.structs.replace(_view(call, row, viewer), token=cookie)
    call.set_cookie(LIVE_COOKIE, cookie, path=f"/api/live/{broadcast}", age=COOKIE_SECONDS)
    return _view(call, row, viewer)


async def _viewer(call: Call, broadcast: str, row: BroadcastRow | None, code: str) -> str | None:
    """Who comes with this code; None where it is not one of the broadcast's. Raises ApiError where it does not do."""
    secret = call.services.secret
    if row is not None and row.audience == "tickets" and (ticket := ticket_of(secret, code)) is not None:
        return await _seated(call, broadcast, ticket)
    wanted = ticket_code(secret, broadcast, row.ticket if row is not None else 0)
    if not hmac.compare_digest(wanted.encode(), code.encode()) or row is None:
        return None
    if row.audience == "tickets":
        raise admission.wanted()
    if row.audience == "members":
        member = await call.member()
        if member is None:
            raise admission.login()
        return f"m.{member.id}"
    with contextlib.suppress(GrantRefused):  # who comes back stays who they were: their questions and votes are theirs
        return call.services.grants.check_live(_token(call), broadcast, time.time())[1]
    return secrets.token_hex(8)


@table.add("GET", "/api/live/{broadcast}", answer=LiveView, errors=(401, 403, 404, 409), access="broadcast", tag="live")
async def get_live(call: Call) -> LiveView:
    """How a broadcast stands."""
    row, viewer = await viewed(call)
    return _view(call, row, viewer)


@table.add(
    "GET",
    "/api/live/{broadcast}/image",
    media="image/jpeg",
    errors=(401, 403, 404, 409),
    access="broadcast",
    tag="live",
)
async def get_image(call: Call) -> web.StreamResponse:
    """The picture of the holding page."""
    path = Holding(call.services.settings.data).path((await viewed(call))[0].id)
    if not path.is_file():
        raise missing()
    return web.FileResponse(path, headers=_headers("image/jpeg", 0) | {"X-Content-Type-Options": "nosniff"})


@table.add("GET", "/api/live/{broadcast}/pass", media="none", status=204, errors=(403,), access="broadcast", tag="live")
async def get_pass(call: Call) -> web.Response:
    """Whether the asker may see the broadcast: what a cache in front of this server asks before it answers."""
    try:
        await watching(call)
    except ApiError:  # nginx knows 401 and 403 only
        raise ApiError(403, "not-allowed", "this link does not open it") from None
    return web.Response(status=204)


@table.add(
    "GET",
    "/api/live/{broadcast}/events",
    media="text/event-stream",
    errors=(400, 401, 403, 404, 409, 503),
    access="broadcast",
    tag="live",
)
async def live_events(call: Call) -> web.StreamResponse:
    """Captions as they are spoken, questions, and that something ``changed``: then ask how it stands. `?language=` is
    what captions are read in, beside the original, and questions and answers too."""
    on_air, viewer = await watching(call)
    language = call.request.query.get("language") or None
    if language is not None and language not in on_air.languages:
        raise ApiError(400, "language", "there are no captions in this language")
    if on_air.audience.full:
        raise ApiError(503, "full", "too many people watch already")
    headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    headers |= {"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin"}
    response = web.StreamResponse(headers=headers)
    response.enable_chunked_encoding()
    try:
        await response.prepare(call.request)
        await response.write(b"retry: 2000\n\n")
        transport = call.request.transport
        if transport is None:
            return response
        one = Viewer(viewer, language, on_air.who(viewer), transport)
        if (ticket := admission.held(viewer)) is not None:
            on_air.box_office.send_away(ticket, "taken")  # by this page: one at a time
        on_air.audience.join(one)
    except (ConnectionError, AudienceFull):
        return response
    try:
        on_air.greet(one)
        await one.gone.wait()
    finally:
        on_air.audience.leave(one)
    return response


_STATUS = {"not-allowed": 403, "not-found": 404, "bad-state": 409, "too-fast": 429, "unavailable": 503}


def refused(error: Refusal) -> ApiError:
    """A refusal as it is answered over HTTP."""
    return ApiError(_STATUS.get(error.code, 400), error.code, error.message)


def _headers(kind: str, seconds: int) -> dict[str, str]:
    """`X-Accel-Expires` is for the cache of docs/deploy/nginx.conf, which asks `get_pass`; nobody else may keep it."""
    keep = f"private, max-age={seconds}, immutable" if seconds >= MEDIA_S else "private, no-cache"
    return {"Content-Type": kind, "Cache-Control": keep, "X-Accel-Expires": str(seconds)}


@table.add(
    "GET",
    "/api/live/{broadcast}/hls/{name}",
    media="application/octet-stream",
    errors=(400, 401, 403, 404, 409, 503),
    access="broadcast",
    tag="live",
)
async def live_media(call: Call) -> web.Response:
    """HLS (RFC 8216, with low latency as in its second edition): begin at ``master.m3u8``; players that take no Opus
    at ``master-aac.m3u8``, where the server's settings say so."""
    on_air, _ = await watching(call)
    stream, name = on_air.stream, call.arg("name")
    if stream is None:
        raise missing()
    try:
        async with asyncio.timeout(BEGIN_S):
            await stream.begun()
    except TimeoutError:
        raise ApiError(503, "not-yet", "the first pictures are on their way") from None
    if name == "master.m3u8":
        words = [playlist.Subtitles(tag, tag, f"words.{tag}.m3u8") for tag in on_air.languages]
        return web.Response(body=stream.master(words), headers=_headers(M3U8, 1))
    if name == "master-aac.m3u8" and stream.aac is not None:
        words = [playlist.Subtitles(tag, tag, f"words.{tag}.m3u8") for tag in on_air.languages]
        return web.Response(body=stream.master(words, aac=True), headers=_headers(M3U8, 1))
    for rendition in stream.renditions:
        if name == rendition.uri:
            return web.Response(body=await _playlist(call, stream, rendition), headers=_headers(M3U8, 1))
    if (found := _WORDS.fullmatch(name)) is not None:
        return _words(on_air, stream, found)
    if (found := _NAME.fullmatch(name)) is not None:
        body = await _media(stream, found)
        kind = "video/mp4" if found[1] == "v" else "audio/mp4"
        return web.Response(body=body, headers=_headers(kind, MEDIA_S))
    raise missing()


async def _playlist(call: Call, stream: Stream, rendition: Rendition) -> bytes:
    """With ``_HLS_msn`` and ``_HLS_part`` once it tells of that; with ``_HLS_skip`` as a delta update."""
    query = call.request.query
    asked, part = query.get("_HLS_msn"), query.get("_HLS_part")
    if asked is not None or part is not None:
        if asked is None or not all(_NUMBER.fullmatch(one) for one in (asked, part or "0")):
            raise ApiError(400, "malformed", "_HLS_msn and _HLS_part are numbers, and a part is one of a segment")
        if int(asked) > rendition.next[0] + 1:
            raise ApiError(400, "too-far", "this segment is too far ahead")
        try:
            async with asyncio.timeout(WAIT_S):
                await stream.until(rendition, int(asked), int(part) if part is not None else None)
        except TimeoutError:
            raise ApiError(503, "not-yet", "it took too long to come") from None
    return stream.playlist(rendition, query.get("_HLS_skip") in ("YES", "v2"))


async def _media(stream: Stream, found: re.Match[str]) -> bytes:
    try:
        rendition = stream.rendition(found[1])
    except KeyError:
        raise missing() from None
    if found[2] is not None:
        init = rendition.init(int(found[2]))
        if init is None:
            raise missing()
        return init
    number, part = int(found[3]), int(found[4]) if found[4] is not None else None
    if part is not None:
        if (number, part) == rendition.next:  # a preload hint
            try:
                async with asyncio.timeout(WAIT_S):
                    await stream.until(rendition, number, part)
            except TimeoutError:
                raise ApiError(503, "not-yet", "it took too long to come") from None
        data = rendition.part(number, part)
        if data is None:
            raise missing()
        return data
    body = rendition.segment(number)
    if body is None:
        raise missing()
    try:
        return await stream.read(body)
    except OSError:
        raise missing() from None


def _words(on_air: RoomBroadcast, stream: Stream, found: re.Match[str]) -> web.Response:
    language = found[1]
    if language not in on_air.languages:
        raise missing()
    count = on_air.subtitles.write(language, stream.video.begin, stream.video.end)
    if found[2] is None:
        return web.Response(body=words_playlist(language, count, stream.ended), headers=_headers(M3U8, 1))
    body = on_air.subtitles.segment(language, int(found[2]))
    if body is None:
        raise missing()
    return web.Response(body=body, headers=_headers("text/vtt; charset=utf-8", MEDIA_S))
