"""The HTTP API of consent: who was told of which recording, who agreed, who refused. It outlives the media.

Who reads it is written in the audit log, as everything about recordings is.
"""

from __future__ import annotations

import csv
import io
from datetime import datetime

from aiohttp import web

from community.models import ConsentRow
from signaling.call import Call
from signaling.endpoint import ApiError, Body, Table
from signaling.passes import owned

table = Table()

PAGE = 500
MOST = 100_000
"""Rows of one file."""


class Answer(Body, kw_only=True, frozen=True):
    """What somebody was told or answered, once. `answer` is ``told``, ``agreed`` or ``refused``; `title`, `purpose` and
    `started_by` are those of the recording, which may be gone (`kept` false)."""

    id: int
    at: datetime
    recording: str
    room: str
    title: str
    purpose: str
    started_by: str
    participant: str
    name: str
    member: str | None
    answer: str
    kept: bool


class Answers(Body, kw_only=True, frozen=True):
    """Newest first. `more` is what to ask for as `before` to go on; null at the end."""

    answers: list[Answer]
    more: int | None


def _answer(row: ConsentRow, kept: bool) -> Answer:
    return Answer(
        id=row.id,
        at=row.at,
        recording=row.recording_id,
        room=row.room_id,
        title=row.title,
        purpose=row.purpose,
        started_by=row.started_by,
        participant=row.participant,
        name=row.name,
        member=row.member_id,
        answer=row.answer,
        kept=kept,
    )


async def _administrator(call: Call) -> str:
    member = await call.need_member()
    if member.role != "admin":
        raise ApiError(403, "not-allowed", "this is for administrators; of a recording of yours, ask for its own")
    return f"member:{member.id}"


@table.add("GET", "/api/consents", answer=Answers, errors=(400, 401, 403), access="administrator", tag="recordings")
async def list_consents(call: Call) -> Answers:
    """Every answer to every recording, deleted ones included. `?before=` asks for more. For administrators."""
    actor = await _administrator(call)
    before = call.request.query.get("before")
    if before is not None and not (before.isascii() and before.isdigit() and len(before) < 16):
        raise ApiError(400, "malformed", "before is a number that an answer gave")
    store = call.services.store
    rows = await store.consents.latest(PAGE, int(before) if before else None)
    there = await store.recordings.there({row.recording_id for row in rows})
    await store.audit.write("consents-read", actor)
    return Answers(
        answers=[_answer(row, row.recording_id in there) for row in rows],
        more=rows[-1].id if len(rows) == PAGE else None,
    )


@table.add(
    "GET",
    "/api/recordings/{recording}/consents",
    answer=list[Answer],
    errors=(401, 404),
    access="member",
    tag="recordings",
)
async def recording_consents(call: Call) -> list[Answer]:
    """The answers to one recording, oldest first: an administrator's, or its starter's right."""
    member, row = await owned(call)
    store = call.services.store
    rows = await store.consents.of(row.id)
    await store.audit.write("consents-read", f"member:{member.id}", room=row.room_id, subject=row.id)
    return [_answer(one, True) for one in rows]


COLUMNS = ("at", "recording", "room", "title", "purpose", "started_by", "participant", "name", "member", "answer")


def _cell(value: object) -> str:
    """Names are people's own: what a spreadsheet would take for a formula is not one (OWASP, CSV injection)."""
    text = value.isoformat() if isinstance(value, datetime) else str(value or "")
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def as_csv(answers: list[Answer]) -> str:
    """RFC 4180, with a byte order mark, by which spreadsheets know UTF-8."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for one in answers:
        writer.writerow([_cell(getattr(one, name)) for name in COLUMNS])
    return "\ufeff" + out.getvalue()


@table.add(
    "GET", "/api/consents.csv", media="text/csv", errors=(401, 403, 429), access="administrator", tag="recordings"
)
async def export_consents(call: Call) -> web.Response:
    """All of them as one file, newest first. For administrators."""
    actor = await _administrator(call)
    call.throttle(call.services.throttles.export)
    rows = await call.services.store.consents.latest(MOST)
    await call.services.store.audit.write("consents-export", actor)
    headers = {
        "Content-Type": "text/csv; charset=utf-8",
        "Content-Disposition": 'attachment; filename="consents.csv"',
        "Cache-Control": "private, no-store",
    }
    return web.Response(text=as_csv([_answer(row, False) for row in rows]), headers=headers)
