"""The HTTP API of recordings: lists, search, the replay itself, files to download, keeping and deleting.

Who may open a recording is `signaling.passes`; a passage of one opens only its own words and bytes, and nobody gets
what was cut out (`recorder.clip`).
"""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

from aiohttp import web
from msgspec import Meta

from community.models import RecordingRow
from recorder import clip, grid, playlist
from recorder import service as recorder
from recorder.clip import Limits
from recorder.index import known_index
from recorder.storage.shelf import Source
from signaling.api import Done
from signaling.call import Call
from signaling.endpoint import ApiError, Body, Table
from signaling.exports import ExportsBusy, Format, Job
from signaling.media import read, send, source_of
from signaling.passes import Pass, authorised, owned

table = Table()

MOST_BYTES = 32 * 1024 * 1024
"""Of one request for a passage's media: a segment of a few seconds is far below."""
_RANGE = re.compile(r"bytes=(\d{1,15})-(\d{1,15})")
CHOSEN = {"mkv": "video/x-matroska", "mp4": "video/mp4", "webm": "video/webm", "zip": "application/zip"}


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
    keep_until: datetime | None


class Said(Body, kw_only=True, frozen=True):
    """A line that was found: `start` in ms of the recording. The title has no language."""

    start: float
    language: str
    name: str
    text: str


class Hits(Body, kw_only=True, frozen=True):
    """The first lines that were found in a recording, and how many there are."""

    recording: Listed
    lines: list[Said]
    count: int


class Results(Body, kw_only=True, frozen=True):
    """`more` is what to ask for as `before` to go on; null at the end."""

    found: list[Hits]
    more: int | None


class Keep(Body, kw_only=True, frozen=True):
    """How many days from now it is kept; null: until somebody deletes it."""

    days: Annotated[int, Meta(ge=1, le=36500)] | None


class NewExport(Body, kw_only=True, frozen=True):
    """Which kind of file."""

    format: Format


class ExportState(Body, kw_only=True, frozen=True):
    """`progress` from 0 to 1, `url` and `bytes` once it is done, `problem` when it failed."""

    id: str
    format: Format
    state: Literal["queued", "running", "done", "failed"]
    progress: float = 0.0
    url: str | None = None
    bytes: int | None = None
    problem: str | None = None


class PreparationState(Body, kw_only=True, frozen=True):
    """`progress` from 0 to 1."""

    state: Literal["queued", "running", "failed", "done"]
    progress: float


def _listed(row: RecordingRow) -> Listed:
    return Listed(
        id=row.id,
        room=row.room_id,
        title=row.title,
        purpose=row.purpose,
        started_by=row.started_by,
        started_at=row.started_at,
        ended_at=row.ended_at,
        state=row.state,  # type: ignore[arg-type]
        problem=row.problem,
        keep_until=row.keep_until,
    )


@table.add("GET", "/api/recordings", answer=list[Listed], errors=(401,), access="member", tag="recordings")
async def list_recordings(call: Call) -> list[Listed]:
    """Recordings that the member started; all of them for an administrator. Newest first."""
    member = await call.need_member()
    rows = await call.services.store.recordings.visible(None if member.role == "admin" else member.id)
    return [_listed(row) for row in rows]


@table.add("GET", "/api/search", answer=Results, errors=(401, 429), access="member", tag="recordings")
async def search_recordings(call: Call) -> Results:
    """What was said, in any language, in the recordings that the member may open. Newest first.

    `?q=` has words, all of which must be in a line, or "phrases"; the last word may go on. `?before=` asks for more.
    """
    member = await call.need_member()
    call.throttle(call.services.throttles.search, f"member {member.id}")
    query, before = call.request.query.get("q", ""), call.request.query.get("before")
    if before is not None and not (before.isascii() and before.isdigit() and len(before) < 16):
        raise ApiError(400, "malformed", "before is a number that an answer gave")
    store = call.services.store
    theirs = None if member.role == "admin" else member.id
    page = await store.search.find(query, theirs, int(before) if before else None)
    found = []
    for one in page.found:
        row = await store.recordings.get(one.recording)
        if row is not None:
            lines = [Said(start=s.start, language=s.language, name=s.name, text=s.text) for s in one.lines]
            found.append(Hits(recording=_listed(row), lines=lines, count=one.count))
    return Results(found=found, more=page.more)


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
    way = await authorised(call)
    row = way.row
    try:
        manifest = (await call.services.library.seen(row.id, way.passage)).manifest
        if way.actor.startswith("member:"):
            await call.services.store.audit.write("recording-open", way.actor, room=row.room_id, subject=row.id)
        return manifest if way.chat else clip.without_chat(manifest)
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
    """A playlist, a media file or a caption file of a recording. Takes Range.

    Of a passage, or where something was cut out, media comes by Range only, and only the bytes that may be seen.
    """
    way = await authorised(call)
    name, recording = call.arg("name"), way.row.id
    file = await source_of(call, recording, name)
    if file is None:
        raise ApiError(404, "not-found", "the recording has no such file")
    headers = {"Content-Type": file.content_type, "Cache-Control": "private, no-cache"}
    if name.endswith(".vtt"):
        return await _captions(call, way, name, file, headers)
    limits = await call.services.library.limits(recording, way.passage)
    if not limits or name == playlist.MASTER:
        return await send(call, file, headers, link=True)
    return await _limited(call, limits, recording, name, file, headers)


async def _captions(call: Call, way: Pass, name: str, file: Source, headers: dict[str, str]) -> web.StreamResponse:
    seen = await call.services.library.seen(way.row.id, way.passage)
    if not seen.limits and not seen.edited:
        return await send(call, file, headers)
    languages = {one: language for language, one in seen.manifest.captions.items()}
    return web.Response(text=clip.captions(seen.manifest, languages[name]), headers=headers)


async def _limited(
    call: Call, limits: Limits, recording: str, name: str, file: Source, headers: dict[str, str]
) -> web.Response:
    folder = call.services.settings.recordings_dir / recording
    if name.endswith(".m3u8"):
        found = await asyncio.to_thread(clip.playlist_of, folder, name, limits)
        return web.Response(text=found.text, headers=headers)
    wanted = _RANGE.fullmatch(call.request.headers.get("Range", ""))
    if wanted is None:
        raise ApiError(416, "range", "not all of this may be seen: ask for its bytes")
    start, end = int(wanted[1]), int(wanted[2]) + 1
    if end - start > MOST_BYTES or not await asyncio.to_thread(_may_read, folder, name, start, end, limits):
        raise ApiError(404, "not-found", "these bytes may not be seen")
    body = await read(file, start, end)
    headers |= {"Content-Range": f"bytes {start}-{end - 1}/*", "Accept-Ranges": "bytes"}
    return web.Response(status=206, body=body, headers=headers)


def _may_read(folder: Path, name: str, start: int, end: int, limits: Limits) -> bool:
    """Whether bytes may be seen: in the programme, or side by side."""
    if clip.may_read(folder, name, start, end, limits):
        return True
    return limits.passage is None and grid.may_read(known_index(folder), name, start, end, limits)


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
    row = (await authorised(call)).row
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
        bytes=job.bytes if done else None,
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
    """Have a file made to download, all caption languages inside; the same one is not made twice.

    ``zip`` is everything there is, as docs/archive.md describes; another server can take it in.
    """
    way = await authorised(call, whole=True)
    row = way.row
    call.throttle(call.services.throttles.export)
    if row.state == "recording":
        raise ApiError(409, "not-yet", "this recording is not finished yet")
    if body.format == "zip" and not way.actor.startswith("member:") and await call.services.library.edits(row.id):
        raise ApiError(409, "edited", "the archive has what was edited out: only its owner may have it")
    try:
        job = call.services.exports.ask(row.id, body.format)
    except ExportsBusy:
        raise ApiError(429, "too-fast", "too many files are being made; try again later") from None
    await call.services.store.audit.write("recording-export", way.actor, room=row.room_id, subject=row.id)
    return _export(call, job)


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
    return _export(call, _job(call, (await authorised(call, whole=True)).row))


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
    row = (await authorised(call, whole=True)).row
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
    return await send(call, job.source(CHOSEN[job.format]), headers)


@table.add(
    "POST",
    "/api/recordings/{recording}/keep",
    body=Keep,
    answer=Listed,
    errors=(401, 404),
    access="member",
    tag="recordings",
)
async def keep_recording(call: Call, body: Keep) -> Listed:
    """Say how long a recording is kept: an administrator's, or its starter's right."""
    member, row = await owned(call)
    until = datetime.now(UTC) + timedelta(days=body.days) if body.days is not None else None
    await call.services.store.recordings.keep(row.id, until)
    await call.services.store.audit.write("recording-keep", f"member:{member.id}", room=row.room_id, subject=row.id)
    row.keep_until = until
    return _listed(row)


@table.add(
    "DELETE", "/api/recordings/{recording}", answer=Done, errors=(401, 404, 409, 503), access="member", tag="recordings"
)
async def delete_recording(call: Call) -> Done:
    """Delete a recording for good, with all that was made of it: an administrator's, or its starter's right."""
    member, row = await owned(call)
    if row.state == "recording":
        raise ApiError(409, "not-yet", "stop it first")
    await call.services.retranscriptions.forget(row.id)
    try:
        await call.services.library.delete(row, f"member:{member.id}")
    except OSError:
        raise ApiError(503, "unavailable", "nobody can open it any more; the rest goes when storage answers") from None
    return Done()
