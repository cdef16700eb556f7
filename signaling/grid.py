"""The HTTP API of everybody at once: who was there when, and each camera and screen to play (`recorder.grid`).

For those who may see all of a recording; what was cut out is in none of it. A passage is its programme only, and so is
what viewers of a broadcast get.
"""

from __future__ import annotations

import asyncio
import re

from aiohttp import web

from community.models import RecordingRow
from recorder import clip, edits
from recorder import grid as layout
from recorder.clip import Limits
from recorder.grid import Grid
from recorder.index import Index, known_index
from recorder.manifest import RecordingNotFound, folder, load
from signaling.call import Call
from signaling.endpoint import ApiError, Table
from signaling.passes import authorised

table = Table()
_NAME = re.compile(r"(\d{1,6})\.m3u8")


async def _index(call: Call, row: RecordingRow) -> tuple[Index, Limits]:
    """Raises ApiError where it has none: it runs, or ended badly."""
    try:
        limits = await call.services.library.limits(row.id)
        return await asyncio.to_thread(known_index, folder(call.services.settings.recordings_dir, row.id)), limits
    except (RecordingNotFound, FileNotFoundError):
        raise ApiError(404, "not-found", "this recording has no pictures to show side by side") from None


@table.add("GET", "/api/recordings/{recording}/grid", answer=Grid, errors=(404,), access="recording", tag="recordings")
async def get_grid(call: Call) -> Grid:
    """Who was there when, and their cameras and screens, to play side by side with the mixed sound.

    404 to those who may see a passage only.
    """
    row = (await authorised(call, whole=True)).row
    index, limits = await _index(call, row)
    root = call.services.settings.recordings_dir

    def work() -> Grid:
        manifest = edits.edited(load(root, row.id), edits.load_edits(root, row.id))
        return layout.grid(manifest, index, limits, clip.missing(folder(root, row.id), limits.cuts))

    return await asyncio.to_thread(work)


@table.add(
    "GET",
    "/api/recordings/{recording}/grid/{name}",
    media="application/vnd.apple.mpegurl",
    errors=(404,),
    access="recording",
    tag="recordings",
)
async def get_grid_playlist(call: Call) -> web.Response:
    """The playlist of one camera or screen."""
    row = (await authorised(call, whole=True)).row
    found = _NAME.fullmatch(call.arg("name"))
    index, limits = await _index(call, row)
    tracks = {track.index: track for track in index.tracks}
    if found is None or int(found[1]) not in tracks:
        raise ApiError(404, "not-found", "the recording has no such picture")
    text = await asyncio.to_thread(layout.track_playlist, tracks[int(found[1])], limits)
    headers = {"Content-Type": "application/vnd.apple.mpegurl", "Cache-Control": "private, no-cache"}
    return web.Response(text=text, headers=headers)
