"""The questions of a room's meetings, to take away: for those whose room it is."""

from __future__ import annotations

import csv
import io
from datetime import datetime

import msgspec
from aiohttp import web

from community.models import QuestionRow
from signaling.call import Call
from signaling.endpoint import ApiError, Body, Table
from signaling.ownership import owned_room
from signaling.protocol import QuestionState

table = Table()

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins so is a formula to spreadsheets, whoever wrote it."""


class QuestionAsked(Body, kw_only=True, frozen=True):
    """A question and what became of it; `name` is None where it was asked without one."""

    id: str
    meeting: str
    asked_at: datetime
    name: str | None
    text: str
    language: str | None
    state: QuestionState
    votes: int
    answer: str | None
    answered_by: str | None
    into: str | None


def _asked(row: QuestionRow) -> QuestionAsked:
    return QuestionAsked(
        id=row.id,
        meeting=row.meeting,
        asked_at=row.asked_at,
        name=row.name,
        text=row.text,
        language=row.language,
        state=row.state,  # type: ignore[arg-type]
        votes=row.votes,
        answer=row.answer,
        answered_by=row.answered_by,
        into=row.into,
    )


def as_csv(asked: list[QuestionAsked]) -> bytes:
    """One line a question, in UTF-8 with a byte order mark, which spreadsheets look for."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(QuestionAsked.__struct_fields__)
    for one in asked:
        cells = ["" if value is None else str(value) for value in msgspec.structs.astuple(one)]
        writer.writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells])
    return b"\xef\xbb\xbf" + out.getvalue().encode()


@table.add(
    "GET",
    "/api/rooms/{room}/questions",
    answer=list[QuestionAsked],
    errors=(400, 401, 404, 429),
    access="link",
    tag="rooms",
)
async def room_questions(call: Call) -> list[QuestionAsked] | web.Response:
    """What was asked in a room, oldest first; with ``?format=csv`` as a file for spreadsheets."""
    room, _ = await owned_room(call)
    wanted = call.request.query.get("format", "json")
    if wanted not in ("json", "csv"):
        raise ApiError(400, "malformed", "format is json or csv")
    asked = [_asked(row) for row in await call.services.store.questions.of_room(room)]
    if wanted == "json":
        return asked
    headers = {
        "Content-Type": "text/csv; charset=utf-8",
        "Content-Disposition": 'attachment; filename="questions.csv"',
        "Cache-Control": "private, no-store",
    }
    return web.Response(body=as_csv(asked), headers=headers)
