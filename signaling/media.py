"""A recording's file over HTTP, wherever it lies: RFC 9110 section 14 byte ranges, one range at a time."""

from __future__ import annotations

import asyncio
import re

from aiohttp import web

from recorder.storage.shelf import Source
from signaling.call import Call
from signaling.endpoint import ApiError

CHUNK = 1 << 20
LINK_S = 300
"""How long an address of the bucket works: enough for the request that it is for."""
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


def wanted(header: str | None, size: int) -> tuple[int, int] | None:
    """Bytes [start, end) of a file of `size` bytes that a Range header asks for; None for all of it: there is no
    header, or one that may be ignored. Raises ApiError (416)."""
    found = _RANGE.fullmatch(header.strip()) if header else None
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        start, end = max(0, size - int(found[2])), size
    else:
        start, end = int(found[1]), min(size, int(found[2]) + 1) if found[2] else size
        if found[2] and int(found[2]) < start:
            return None
    if start >= size or start >= end:
        raise ApiError(416, "range", f"there are {size} bytes")
    return start, end


async def send(call: Call, source: Source, headers: dict[str, str], link: bool = False) -> web.StreamResponse:
    """All of it, or the range that is asked for. `link`: a redirect to the bucket will do, where there is one."""
    if source.path is not None:
        return web.FileResponse(source.path, headers=headers)
    if link and source.link is not None:
        headers = headers | {"Location": await asyncio.to_thread(source.link, LINK_S), "Cache-Control": "no-store"}
        return web.Response(status=307, headers=headers)
    part = wanted(call.request.headers.get("Range"), source.size)
    start, end = part or (0, source.size)
    headers = headers | {"Accept-Ranges": "bytes"}
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{source.size}"
    response = web.StreamResponse(status=206 if part else 200, headers=headers)
    response.content_length = end - start
    # The first bytes before the head: an error can still be said then.
    step = min(end, start + CHUNK)
    data = await read(source, start, step)
    await response.prepare(call.request)
    while data:
        await response.write(data)
        start, step = step, min(end, step + CHUNK)
        data = await read(source, start, step) if step > start else b""
    await response.write_eof()
    return response


async def read(source: Source, start: int, end: int) -> bytes:
    """Bytes of it. Raises ApiError where they cannot be had now."""
    try:
        return await asyncio.to_thread(source.read, start, end) if end > start else b""
    except OSError as error:
        raise ApiError(503, "unavailable", error.strerror or str(error) or "it cannot be read now") from None


async def source_of(call: Call, recording: str, name: str) -> Source | None:
    """A file that the manifest lists. Raises ApiError where the bucket that has it is away."""
    try:
        return await asyncio.to_thread(call.services.library.shelf.source, recording, name)
    except LookupError:
        return None
    except OSError as error:
        raise ApiError(503, "unavailable", str(error)) from None
