"""The HTTP API of the seek bar's pictures (`recorder.thumbnails`): made when somebody first points there, one sheet at
a time, kept in memory for who may see the same, until the recording is deleted."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections import OrderedDict

import msgspec
import structlog
from aiohttp import web

from recorder import clip, playlist, thumbnails
from recorder.clip import Limits
from recorder.manifest import RecordingNotFound, folder
from recorder.thumbnails import MOST_BYTES, SHEET, Still
from signaling.call import Call
from signaling.endpoint import ApiError, Table
from signaling.media import read, source_of
from signaling.passes import Pass, authorised

table = Table()
log = structlog.get_logger("thumbnails")

KEPT, WAITING, LIMIT_S = 64, 16, 30.0
"""Sheets in memory (about 100 kB each), sheets that may wait to be made, and how long one may take."""
_NAME = re.compile(r"(\d{1,2})\.jpg")
Key = tuple[str, int, Limits, int]
"""The recording, when its programme was last written, what may be seen of it, and which sheet."""
POSTER = -1
"""In the place of a sheet's number."""


class Sheets:
    """Sheets that were made, the latest asked for last, and those that are being made. `make` runs one at a time."""

    def __init__(self) -> None:
        self._made: OrderedDict[Key, bytes] = OrderedDict()
        self._making: dict[Key, asyncio.Task[bytes]] = {}
        self._one = asyncio.Semaphore(1)

    async def get(self, key: Key, call: Call, chosen: list[Still]) -> bytes:
        """Raises ApiError."""
        if key in self._made:
            self._made.move_to_end(key)
            return self._made[key]
        if key not in self._making:
            if len(self._making) >= WAITING:
                raise ApiError(429, "too-fast", "too many pictures are being made; try again later")
            task = asyncio.create_task(self._make(key, call, chosen))
            self._making[key] = task
            task.add_done_callback(lambda _: self._making.pop(key, None))
        return await asyncio.shield(self._making[key])

    def forget(self, recording: str) -> None:
        """It was deleted: nothing of it stays, nor of what is being made."""
        for made in (self._made, self._making):
            for key in [key for key in made if key[0] == recording]:
                del made[key]

    def __contains__(self, recording: object) -> bool:
        """Whether there is any picture of a recording."""
        return any(key[0] == recording for key in self._made)

    async def _make(self, key: Key, call: Call, chosen: list[Still]) -> bytes:
        async with self._one:
            parts = [await _bytes(call, key[0], one) for one in chosen]
            data = await _run(msgspec.msgpack.encode(parts), *(["poster"] if key[-1] == POSTER else []))
        if key not in self._making:
            return data  # deleted meanwhile
        self._made[key] = data
        while len(self._made) > KEPT:
            self._made.popitem(last=False)
        return data


async def _bytes(call: Call, recording: str, still: Still) -> bytes:
    source = await source_of(call, recording, still.name)
    if source is None:
        return b""
    head = await read(source, 0, min(still.head, MOST_BYTES))
    return head + await read(source, still.offset, still.offset + min(still.size, MOST_BYTES))


async def _run(parts: bytes, *arguments: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "recorder.thumbnails", *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    try:
        async with asyncio.timeout(LIMIT_S):
            data, _ = await process.communicate(parts)
    except TimeoutError:
        data = b""
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode or not data:
        log.warning("pictures of a recording could not be made", status=process.returncode)
        raise ApiError(503, "unavailable", "there are no pictures of this now")
    return data


async def _chosen(call: Call, way: Pass) -> tuple[list[Still], Limits, int]:
    """What is shown to the asker, and what it follows from."""
    recording = way.row.id
    try:
        limits = await call.services.library.limits(recording, way.passage)
        path = folder(call.services.settings.recordings_dir, recording)

        def work() -> tuple[list[Still], int]:
            changed = (path / playlist.VIDEO).stat().st_mtime_ns
            return thumbnails.stills(clip.playlist_of(path, playlist.VIDEO, limits).text), changed

        chosen, changed = await asyncio.to_thread(work)
    except (RecordingNotFound, FileNotFoundError):
        raise ApiError(404, "not-found", "this recording has no pictures") from None
    return chosen, limits, changed


async def poster(call: Call, way: Pass) -> bytes:
    """The picture that stands for what the asker may see. Raises ApiError."""
    chosen, limits, changed = await _chosen(call, way)
    one = thumbnails.chosen_poster(chosen)
    if one is None:
        raise ApiError(404, "not-found", "this recording has no pictures")
    return await call.services.sheets.get((way.row.id, changed, limits, POSTER), call, [one])


async def has_poster(call: Call, way: Pass) -> bool:
    """Whether there is anything to make one of."""
    try:
        return bool((await _chosen(call, way))[0])
    except ApiError:
        return False


@table.add(
    "GET",
    "/api/recordings/{recording}/thumbnails/{name}",
    media="image/jpeg",
    errors=(404, 429, 503),
    access="recording",
    tag="recordings",
)
async def get_thumbnails(call: Call) -> web.Response:
    """Pictures for a seek bar: ``index.vtt`` says of each time which sheet (``0.jpg``) and where on it.

    Only of what the asker may see.
    """
    way = await authorised(call)
    name = call.arg("name")
    chosen, limits, changed = await _chosen(call, way)
    headers = {"Cache-Control": "private, no-cache"}
    if name == "index.vtt":
        return web.Response(
            text=thumbnails.index(chosen), headers=headers | {"Content-Type": "text/vtt; charset=utf-8"}
        )
    found = _NAME.fullmatch(name)
    part = chosen[int(found[1]) * SHEET : (int(found[1]) + 1) * SHEET] if found else []
    if not found or not part:
        raise ApiError(404, "not-found", "the recording has no such pictures")
    key = way.row.id, changed, limits, int(found[1])
    data = await call.services.sheets.get(key, call, part)
    return web.Response(body=data, headers=headers | {"Content-Type": "image/jpeg"})
