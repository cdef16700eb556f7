"""The HTTP API of editing a recording: its owner's instructions, and the recording as it was before them."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from msgspec import Meta

from recorder import service as recorder
from recorder.edits import LONGEST_TITLE, EditError, Edits
from signaling.call import Call
from signaling.endpoint import ApiError, Body, Table
from signaling.library import Stale
from signaling.media import send, source_of
from signaling.passes import owned

table = Table()

MISSING = ApiError(404, "not-found", "this recording has no replay")


@table.add(
    "GET", "/api/recordings/{recording}/edits", answer=Edits, errors=(401, 404), access="member", tag="recordings"
)
async def get_edits(call: Call) -> Edits:
    """What was cut out of a recording, and which names and words were changed: an administrator's, or its starter's."""
    _, row = await owned(call)
    try:
        return await call.services.library.edits(row.id)
    except recorder.RecordingNotFound:
        raise MISSING from None


@table.add(
    "PUT",
    "/api/recordings/{recording}/edits",
    body=Edits,
    answer=Edits,
    errors=(400, 401, 404, 409),
    access="member",
    tag="recordings",
)
async def put_edits(call: Call, body: Edits) -> Edits:
    """Edit a recording; empty instructions take every edit back. Replays, files, captions, search and passages follow.

    What is cut out goes with up to a few seconds on either side, where pictures and sound can be cut. A line whose
    original is put right loses the translations that are not, until a caption worker has made them again. 409 when
    somebody else has edited it since `revision`.
    """
    member, row = await owned(call)
    if row.state == "recording":
        raise ApiError(409, "not-yet", "this recording is not finished yet")
    try:
        saved = await call.services.library.edit(row.id, body)
    except recorder.RecordingNotFound:
        raise MISSING from None
    except EditError as error:
        raise ApiError(400, "edit", str(error)) from None
    except Stale:
        raise ApiError(409, "conflict", "somebody else has edited it since: look again") from None
    await call.services.store.audit.write("recording-edit", f"member:{member.id}", room=row.room_id, subject=row.id)
    return saved


class Title(Body, kw_only=True, frozen=True):
    """What a recording is called."""

    title: Annotated[str, Meta(min_length=1, max_length=LONGEST_TITLE)]


@table.add(
    "PUT",
    "/api/recordings/{recording}/title",
    body=Title,
    answer=Title,
    errors=(400, 401, 404, 409),
    access="member",
    tag="recordings",
)
async def put_title(call: Call, body: Title) -> Title:
    """Give a recording another title: an administrator's, or its starter's right. Replays, files, cards and search
    follow; a share that has a label of its own keeps it. Spaces are tidied, and a title of spaces alone is refused."""
    member, row = await owned(call)
    if row.state != "ready":
        raise ApiError(409, "not-yet", "this recording is not finished")
    if not body.title.strip():
        raise ApiError(400, "title", "a title has more than spaces")
    try:
        title = await call.services.library.rename(row.id, body.title)
    except recorder.RecordingNotFound:
        raise MISSING from None
    except EditError as error:
        raise ApiError(400, "title", str(error)) from None
    await call.services.store.audit.write("recording-rename", f"member:{member.id}", room=row.room_id, subject=row.id)
    return Title(title=title)


@table.add(
    "GET",
    "/api/recordings/{recording}/original",
    answer=recorder.Manifest,
    errors=(401, 404),
    access="member",
    tag="recordings",
)
async def get_original(call: Call) -> recorder.Manifest:
    """A recording as it was recorded, to edit it: an administrator's, or its starter's."""
    member, row = await owned(call)
    try:
        manifest = await call.services.library.manifest(row.id)
    except recorder.RecordingNotFound:
        raise MISSING from None
    await call.services.store.audit.write("recording-original", f"member:{member.id}", room=row.room_id, subject=row.id)
    return manifest


@table.add(
    "GET",
    "/api/recordings/{recording}/original/{name}",
    media="application/octet-stream",
    errors=(401, 404, 416),
    access="member",
    tag="recordings",
)
async def get_original_media(call: Call) -> web.StreamResponse:
    """A file of a recording as it was recorded. Takes Range."""
    _, row = await owned(call)
    file = await source_of(call, row.id, call.arg("name"))
    if file is None:
        raise ApiError(404, "not-found", "the recording has no such file")
    headers = {"Content-Type": file.content_type, "Cache-Control": "private, no-store"}
    return await send(call, file, headers, link=True)
