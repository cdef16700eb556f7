"""The HTTP side of `/check`: open a check, try its paths, measure bandwidth; `signaling.loopback` does it."""

from __future__ import annotations

import asyncio
import secrets
import time
from functools import cache
from typing import Annotated

from aiohttp import web
from msgspec import Meta

from sfu.interface import SdpError
from signaling.bucket import Buckets
from signaling.call import Call
from signaling.endpoint import ApiError, Body, Table
from signaling.loopback import SECONDS, Busy, Check, Checks, Kind

table = Table()

LARGEST = 4 << 20
"""Bytes of one transfer."""
UPLOAD_WITHIN = 20.0
CHECKS = web.AppKey("checks", Checks)
OPENINGS = web.AppKey("check_openings", Buckets)

Sdp = Annotated[str, Meta(min_length=1, max_length=32_768)]


class CheckPath(Body, kw_only=True, frozen=True):
    """`url` and its credentials are those of the TURN server to force, for a relay."""

    id: str
    kind: Kind
    url: str | None = None
    username: str | None = None
    credential: str | None = None


class CheckOpened(Body, kw_only=True, frozen=True):
    """The check ends by itself after `seconds`."""

    check: str
    seconds: int
    paths: list[CheckPath]


class CheckOffer(Body, kw_only=True, frozen=True):
    """An offer that sends one audio track, and the mid of its m-line."""

    sdp: Sdp
    mid: Annotated[str, Meta(min_length=1, max_length=16)]


class CheckBegun(Body, kw_only=True, frozen=True):
    """`answer` belongs to the offer; `offer` is for a second connection, on which the same sound comes back."""

    answer: str
    offer: str
    revision: int


class CheckAnswer(Body, kw_only=True, frozen=True):
    """The answer to the `offer` of that revision."""

    sdp: Sdp
    revision: Annotated[int, Meta(ge=1, le=1000)]


class CheckUploaded(Body, kw_only=True, frozen=True):
    """What arrived, and in how many seconds from its first byte to its last."""

    bytes: int
    seconds: float


class CheckDone(Body, kw_only=True, frozen=True):
    """It is done."""

    done: bool = True


def install(app: web.Application, checks: Checks) -> None:
    """Gives the application what the handlers need."""
    app[CHECKS] = checks
    app[OPENINGS] = Buckets(0.1, 12)


def _find(call: Call) -> tuple[Checks, Check]:
    checks = call.request.app[CHECKS]
    try:
        return checks, checks.find(call.arg("check"))
    except KeyError:
        raise ApiError(404, "not-found", "this check has ended; start a new one") from None


@table.add("POST", "/api/check", answer=CheckOpened, status=201, errors=(429, 503), tag="check")
async def open_check(call: Call) -> CheckOpened:
    """Open a connection check.

    Needs no account. Bounded in number by address and in all; ends by itself. TURN credentials that it gives last
    as long as the check.
    """
    call.throttle(call.request.app[OPENINGS])
    try:
        check = call.request.app[CHECKS].open(call.address)
    except Busy as error:
        raise ApiError(503, "busy", str(error)) from None
    paths = [
        CheckPath(id=path.id, kind=path.kind)
        if path.server is None
        else CheckPath(
            id=path.id,
            kind=path.kind,
            url=path.server.urls[0],
            username=path.server.username,
            credential=path.server.credential,
        )
        for path in check.paths.values()
    ]
    return CheckOpened(check=check.id, seconds=int(SECONDS), paths=paths)


@table.add(
    "POST",
    "/api/check/{check}/paths/{path}",
    body=CheckOffer,
    answer=CheckBegun,
    errors=(400, 404, 503),
    tag="check",
)
async def begin_path(call: Call, body: CheckOffer) -> CheckBegun:
    """Try a path: what is sent up comes back down. Again for the same path starts it over."""
    checks, check = _find(call)
    try:
        answer, offer = await checks.begin(check, call.arg("path"), body.sdp, body.mid)
    except KeyError:
        raise ApiError(404, "not-found", "this check has no such path") from None
    except SdpError as error:
        raise ApiError(400, "bad-sdp", str(error)) from None
    except Busy as error:
        raise ApiError(503, "busy", str(error)) from None
    return CheckBegun(answer=answer, offer=offer.sdp, revision=offer.revision)


@table.add(
    "POST",
    "/api/check/{check}/paths/{path}/answer",
    body=CheckAnswer,
    answer=CheckDone,
    errors=(400, 404),
    tag="check",
)
async def answer_path(call: Call, body: CheckAnswer) -> CheckDone:
    """Answer the offer of what comes back."""
    checks, check = _find(call)
    try:
        await checks.answer(check, call.arg("path"), body.revision, body.sdp)
    except KeyError:
        raise ApiError(404, "not-found", "this path is not being tried") from None
    except SdpError as error:
        raise ApiError(400, "bad-sdp", str(error)) from None
    return CheckDone()


@table.add("DELETE", "/api/check/{check}/paths/{path}", answer=CheckDone, errors=(404,), tag="check")
async def end_path(call: Call) -> CheckDone:
    """End a path's connections."""
    checks, check = _find(call)
    checks.end(check, call.arg("path"))
    return CheckDone()


@table.add("DELETE", "/api/check/{check}", answer=CheckDone, errors=(404,), tag="check")
async def close_check(call: Call) -> CheckDone:
    """End the check and all its connections."""
    checks, check = _find(call)
    checks.close(check)
    return CheckDone()


@cache
def _noise() -> bytes:
    """What nothing on the way can compress."""
    return secrets.token_bytes(LARGEST)


def _size(text: str) -> int:
    size = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
    if not 1 <= size <= LARGEST:
        raise ApiError(400, "malformed", f"bytes must be from 1 to {LARGEST}")
    return size


def _take(checks: Checks, check: Check, direction: str, size: int) -> None:
    try:
        checks.take(check, "down" if direction == "down" else "up", size)
    except Busy as error:
        raise ApiError(503, "busy", str(error)) from None


@table.add("GET", "/api/check/{check}/download", media="application/octet-stream", errors=(400, 404, 503), tag="check")
async def download(call: Call) -> web.StreamResponse:
    """As many bytes as `bytes` says, to see how fast they come."""
    checks, check = _find(call)
    size = _size(call.request.query.get("bytes", ""))
    _take(checks, check, "down", size)
    try:
        response = web.Response(body=_noise()[:size], content_type="application/octet-stream")
        response.headers["Cache-Control"] = "no-store, no-transform"
        await response.prepare(call.request)
        async with asyncio.timeout(UPLOAD_WITHIN):
            await response.write_eof()
        return response
    finally:
        checks.moved(check)


@table.add("POST", "/api/check/{check}/upload", answer=CheckUploaded, errors=(400, 404, 413, 503), tag="check")
async def upload(call: Call) -> CheckUploaded:
    """Takes bytes and forgets them, to see how fast they come."""
    checks, check = _find(call)
    size = _size(str(call.request.content_length or ""))
    _take(checks, check, "up", size)
    count, began = 0, time.monotonic()
    try:
        async with asyncio.timeout(UPLOAD_WITHIN):
            async for chunk in call.request.content.iter_any():
                if not count:
                    began = time.monotonic()
                count += len(chunk)
                if count > size:
                    raise ApiError(413, "too-large", "more came than was announced")
    except TimeoutError:
        raise ApiError(400, "too-slow", "the upload took too long") from None
    finally:
        checks.moved(check)
    return CheckUploaded(bytes=count, seconds=max(0.0, time.monotonic() - began))
