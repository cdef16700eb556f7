"""The HTTP API of taking in recordings that another server gave out."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import ClientError

from community.models import RecordingRow
from recorder import service as recorder
from signaling.call import Call
from signaling.endpoint import ApiError, Body, Table

table = Table()

CHUNK = 1 << 20
SLOWEST_S = 60.0
"""Nothing for so long and the sender is given up."""


class TakenIn(Body, kw_only=True, frozen=True):
    """The recording as it is known here."""

    id: str
    title: str
    duration: float


@table.add(
    "POST",
    "/api/recordings",
    answer=TakenIn,
    status=201,
    errors=(400, 401, 403, 413, 415, 429, 503),
    access="administrator",
    tag="recordings",
)
async def take_in_recording(call: Call) -> TakenIn:
    """Take in a recording from an archive (``zip``, see docs/archive.md) as the body. It gets a name of this server's.

    Nothing of an archive that is not exactly as it should be stays.
    """
    member = await call.need_member()
    if member.role != "admin":
        raise ApiError(403, "not-allowed", "only administrators take recordings in")
    call.throttle(call.services.throttles.export)
    if call.request.content_type != "application/zip":
        raise ApiError(415, "not-zip", "send Content-Type: application/zip")
    settings = call.services.settings
    home = settings.recordings_dir
    home.mkdir(parents=True, exist_ok=True)
    most = shutil.disk_usage(home).free - settings.recordings.min_free_mb * 1_000_000
    with tempfile.TemporaryDirectory(prefix=recorder.TAKING_IN, dir=home) as folder:
        file = Path(folder) / "archive.zip"
        await _receive(call, file, most // 2)  # packed and unpacked lie side by side for a moment
        recording = secrets.token_urlsafe(9).replace("-", "x").replace("_", "y")
        try:
            manifest = await call.services.hub.parts.recorder.take_in(file, recording)
        except recorder.ArchiveError as error:
            raise ApiError(400, "archive", str(error)[:300]) from None
        except OSError as error:
            raise ApiError(503, "disk-full", error.strerror or "it could not be written") from None
    shown = (await call.services.library.seen(recording)).manifest  # under the name that somebody gave it
    store, keep = call.services.store, settings.recordings.keep_days
    row = RecordingRow(
        id=recording,
        room_id=manifest.room[:64],
        title=shown.title,
        purpose=manifest.purpose,
        started_by=manifest.started_by,
        member_id=member.id,
        started_at=manifest.started_at,
        state="recording",
        keep_until=datetime.now(UTC) + timedelta(days=keep) if keep else None,
    )
    await store.recordings.create(row)
    await store.recordings.ended(recording, "ready", manifest.problem[:200] if manifest.problem else None)
    await call.services.library.index(shown)
    await store.audit.write("recording-import", f"member:{member.id}", room=row.room_id, subject=recording)
    return TakenIn(id=recording, title=shown.title, duration=manifest.duration)


async def _receive(call: Call, file: Path, most: int) -> None:
    size = 0
    with file.open("wb") as opened:
        while True:
            try:
                async with asyncio.timeout(SLOWEST_S):
                    data = await call.request.content.read(CHUNK)
            except (TimeoutError, ClientError, ConnectionError):
                raise ApiError(400, "cut-short", "the file did not come whole") from None
            if not data:
                return
            size += len(data)
            if size > most:
                raise ApiError(413, "too-large", f"at most {max(0, most)} bytes")
            await asyncio.to_thread(opened.write, data)
