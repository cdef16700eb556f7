"""The HTTP API of recordings. Every request, each byte range included, is authorised anew.

Who may open a recording: an administrator; the member who started it; and whoever holds its replay link
(``/replay/{id}#k={code}``, told to everybody who was in the room when it stopped). The page posts the code to
``/access`` once and gets an HttpOnly cookie that is good for this recording's paths only; the link can be revoked and
expires, and the cookie with it.
"""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote

import structlog
from aiohttp import web
from msgspec import Meta

from community.models import RecordingRow
from recorder import service as recorder
from signaling.api import Done
from signaling.call import REPLAY_COOKIE, Call
from signaling.endpoint import ApiError, Body, Table
from signaling.exports import ExportsBusy, Job
from signaling.grants import GrantRefused

log = structlog.get_logger("replay")

table = Table()

COOKIE_SECONDS = 12 * 3600
CHOSEN = {"mkv": "video/x-matroska", "mp4": "video/mp4", "webm": "video/webm"}


class Listed(Body, kw_only=True, frozen=True):
    """A recording in a list."""

    id: str
    room: str
    title: str
    purpose: str
    started_by: str
    started_at: datetime
    ended_at: datetime | None
    state: Literal["recording", "ready", "failed"]
    problem: str | None


class Access(Body, kw_only=True, frozen=True):
    """The code of the replay link: what follows ``#k=``."""

    code: Annotated[str, Meta(min_length=1, max_length=64)]


class NewExport(Body, kw_only=True, frozen=True):
    """Which kind of file."""

    format: Literal["mkv", "mp4", "webm"]


class ExportState(Body, kw_only=True, frozen=True):
    """`progress` from 0 to 1, `url` and `bytes` once it is done, `problem` when it failed."""

    id: str
    format: Literal["mkv", "mp4", "webm"]
    state: Literal["queued", "running", "done", "failed"]
    progress: float = 0.0
    url: str | None = None
    bytes: int | None = None
    problem: str | None = None


class PreparationState(Body, kw_only=True, frozen=True):
    """`progress` from 0 to 1."""

    state: Literal["queued", "running", "failed", "done"]
    progress: float


def _missing() -> ApiError:
    return ApiError(404, "not-found", "there is no such recording, or you may not open it")


async def _by_member(call: Call, row: RecordingRow) -> bool:
    member = await call.member()
    return member is not None and (member.role == "admin" or member.id == row.member_id)


async def _by_link(call: Call, row: RecordingRow) -> bool:
    cookie = call.request.cookies.get(REPLAY_COOKIE)
    if not cookie:
        return False
    try:
        code_hash = call.services.grants.check_replay(cookie, row.id, time.time())
    except GrantRefused as error:
        log.info("replay cookie refused", reason=error.reason)
        return False
    link = await call.services.store.links.open_hash(code_hash)
    return link is not None and link.recording == row.id


async def authorised(call: Call) -> RecordingRow:
    """The recording, if the asker may open it; ApiError, the same for one that is not there."""
    row = await call.services.store.recordings.get(call.arg("recording"))
    if row is None or not (await _by_link(call, row) or await _by_member(call, row)):
        raise _missing()
    return row


def _root(call: Call) -> Any:
    return call.services.settings.recordings_dir


@table.add("GET", "/api/recordings", answer=list[Listed], errors=(401,), access="member", tag="recordings")
async def list_recordings(call: Call) -> list[Listed]:
    """Recordings that the member started; all of them for an administrator. Newest first."""
    member = await call.need_member()
    rows = await call.services.store.recordings.visible(None if member.role == "admin" else member.id)
    return [
        Listed(
            id=row.id,
            room=row.room_id,
            title=row.title,
            purpose=row.purpose,
            started_by=row.started_by,
            started_at=row.started_at,
            ended_at=row.ended_at,
            state=row.state,  # type: ignore[arg-type]
            problem=row.problem,
        )
        for row in rows
    ]


@table.add(
    "POST",
    "/api/recordings/{recording}/access",
    body=Access,
    answer=Done,
    errors=(404, 429),
    access="link",
    tag="recordings",
)
async def open_replay(call: Call, body: Access) -> Done:
    """Exchange the code of a replay link for a cookie that opens this recording."""
    call.throttle(call.services.throttles.link)
    recording = call.arg("recording")
    link = await call.services.store.links.open(body.code, count=True)
    if link is None or link.recording != recording:
        raise _missing()
    cookie = call.services.grants.mint_replay(recording, link.code_hash, time.time(), COOKIE_SECONDS)
    call.set_cookie(REPLAY_COOKIE, cookie, path=f"/api/recordings/{recording}", age=COOKIE_SECONDS)
    return Done()


@table.add(
    "GET",
    "/api/recordings/{recording}",
    answer=recorder.Manifest,
    errors=(404, 409),
    access="recording",
    tag="recordings",
)
async def get_recording(call: Call) -> recorder.Manifest:
    """What is in a recording: people, transcript, chat, captions, and the playlist to play.

    409 while it runs or is being finished.
    """
    row = await authorised(call)
    try:
        return await asyncio.to_thread(recorder.load, _root(call), row.id)
    except recorder.RecordingNotFound:
        if row.state == "recording":
            raise ApiError(409, "not-yet", "this recording is not finished yet") from None
        raise ApiError(404, "not-found", row.problem or "this recording has no replay") from None


@table.add(
    "GET",
    "/api/recordings/{recording}/media/{name}",
    media="application/octet-stream",
    errors=(404, 416),
    access="recording",
    tag="recordings",
)
async def get_media(call: Call) -> web.StreamResponse:
    """A playlist, a media file or a caption file of a recording. Takes Range."""
    row = await authorised(call)
    file = await asyncio.to_thread(recorder.media_file, _root(call), row.id, call.arg("name"))
    if file is None:
        raise ApiError(404, "not-found", "the recording has no such file")
    headers = {"Content-Type": file.content_type, "Cache-Control": "private, no-cache"}
    return web.FileResponse(file.path, headers=headers)


@table.add(
    "GET",
    "/api/recordings/{recording}/preparation",
    answer=PreparationState,
    errors=(404,),
    access="recording",
    tag="recordings",
)
async def get_preparation(call: Call) -> PreparationState:
    """How far the pictures are that browsers cannot play as they came (`pending` in the manifest).

    When it is ``done`` the manifest and its playlists show them.
    """
    row = await authorised(call)
    found = call.services.hub.parts.recorder.preparations.get(row.id)
    return PreparationState(state=found.state if found else "done", progress=round(found.progress, 4) if found else 1.0)


def _export(call: Call, job: Job) -> ExportState:
    done = job.state == "done" and job.path.is_file()
    return ExportState(
        id=job.id,
        format=job.format,
        state=job.state,
        progress=job.progress,
        url=f"/api/recordings/{job.recording}/exports/{job.id}/file" if done else None,
        bytes=job.path.stat().st_size if done else None,
        problem=job.problem,
    )


@table.add(
    "POST",
    "/api/recordings/{recording}/exports",
    body=NewExport,
    answer=ExportState,
    status=202,
    errors=(404, 409, 429),
    access="recording",
    tag="recordings",
)
async def create_export(call: Call, body: NewExport) -> ExportState:
    """Have a file made to download, all caption languages inside; the same one is not made twice."""
    row = await authorised(call)
    call.throttle(call.services.throttles.export)
    if row.state == "recording":
        raise ApiError(409, "not-yet", "this recording is not finished yet")
    try:
        return _export(call, call.services.exports.ask(row.id, body.format))
    except ExportsBusy:
        raise ApiError(429, "too-fast", "too many files are being made; try again later") from None


def _job(call: Call, row: RecordingRow) -> Job:
    job = call.services.exports.get(row.id, call.arg("job"))
    if job is None:
        raise ApiError(404, "not-found", "there is no such export")
    return job


@table.add(
    "GET",
    "/api/recordings/{recording}/exports/{job}",
    answer=ExportState,
    errors=(404,),
    access="recording",
    tag="recordings",
)
async def get_export(call: Call) -> ExportState:
    """How far an export is."""
    return _export(call, _job(call, await authorised(call)))


@table.add(
    "GET",
    "/api/recordings/{recording}/exports/{job}/file",
    media="application/octet-stream",
    errors=(404, 409),
    access="recording",
    tag="recordings",
)
async def get_export_file(call: Call) -> web.StreamResponse:
    """The file itself."""
    row = await authorised(call)
    job = _job(call, row)
    if job.state != "done" or not job.path.is_file():
        raise ApiError(409, "not-yet", job.problem or "this file is not ready yet")
    title = "".join(c if c.isalnum() or c in " -_." else "_" for c in row.title).strip() or "recording"
    name = f"{title} {row.started_at:%Y-%m-%d %H-%M}.{job.format}"
    plain = name.encode("ascii", "replace").decode().replace("?", "_")
    headers = {
        "Content-Type": CHOSEN[job.format],
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}",
        "Cache-Control": "private, no-store",
    }
    return web.FileResponse(job.path, headers=headers)


@table.add(
    "DELETE", "/api/recordings/{recording}", answer=Done, errors=(401, 404, 409), access="member", tag="recordings"
)
async def delete_recording(call: Call) -> Done:
    """Delete a recording for good: an administrator's, or its starter's right."""
    member = await call.need_member()
    store = call.services.store
    row = await store.recordings.get(call.arg("recording"))
    if row is None or not await _by_member(call, row):
        raise _missing()
    if row.state == "recording":
        raise ApiError(409, "not-yet", "stop it first")
    await call.services.exports.forget(row.id)
    try:
        await call.services.hub.parts.recorder.delete(row.id)
    except recorder.RecordingNotFound:
        log.info("the files of a deleted recording were gone already", recording=row.id)
    await store.recordings.delete(row.id)
    await store.audit.write("recording-delete", f"member:{member.id}", room=row.room_id, subject=row.id)
    return Done()
