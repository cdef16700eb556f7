"""The words of a recording as files, one language each, for whoever may open the recording."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

from aiohttp import web

from recorder import clip
from recorder.transcripts import FORMATS
from signaling.call import Call
from signaling.endpoint import ApiError, Table
from signaling.replay import get_recording

table = Table()


@table.add(
    "GET",
    "/api/recordings/{recording}/transcripts/{name}",
    media="application/octet-stream",
    errors=(404, 409, 429),
    access="recording",
    tag="recordings",
)
async def get_transcript(call: Call) -> web.StreamResponse:
    """The words in one language as a file: ``pt.vtt``, ``pt.srt``, ``pt.txt``, ``pt.docx`` or ``pt.json``.

    A translation that may be wrong is marked in each of them. Text, Word and JSON have what was written too: in this
    language where it was made in it, else as it was written.
    """
    manifest = clip.timed(await get_recording(call))  # authorises, and gives only what the asker may have
    language, _, extension = call.arg("name").rpartition(".")
    form = FORMATS.get(extension)
    made = await call.services.library.renderings(manifest.id)
    there = language in made.made or any(language in line.texts for line in manifest.transcript)
    if form is None or not there:
        raise ApiError(404, "not-found", f"there is no such file; there are {', '.join(FORMATS)} of each language")
    if extension == "docx":
        call.throttle(call.services.throttles.export)
    body = await asyncio.to_thread(form.write, manifest, language, made)
    title = "".join(c if c.isalnum() or c in " -_." else "_" for c in manifest.title).strip() or "recording"
    name = f"{title} {manifest.started_at:%Y-%m-%d %H-%M}.{language}.{extension}"
    plain = name.encode("ascii", "replace").decode().replace("?", "_")
    headers = {
        "Content-Type": form.content_type,
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}",
        "Cache-Control": "private, no-store",
    }
    return web.Response(body=body, headers=headers)
