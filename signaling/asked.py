"""The questions and polls of a room's meetings, to take away: for those whose room it is."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec
from aiohttp import web

from community.models import QuestionRow
from signaling.call import Call
from signaling.endpoint import ApiError, Body, Table
from signaling.ownership import owned_room
from signaling.protocol import PollState, QuestionState

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


class PollAsked(Body, kw_only=True, frozen=True):
    """A poll and what came of it: how often each choice was taken, and by how many people."""

    id: str
    meeting: str
    made_at: datetime
    text: str
    choices: list[str]
    counts: list[int]
    voters: int
    several: bool
    state: PollState


def _sheet(head: Sequence[str], rows: Iterable[Iterable[object]]) -> bytes:
    """In UTF-8 with a byte order mark, which spreadsheets look for."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(head)
    for row in rows:
        cells = ["" if value is None else str(value) for value in row]
        writer.writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells])
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def as_csv(asked: list[QuestionAsked]) -> bytes:
    """One line a question."""
    return _sheet(QuestionAsked.__struct_fields__, map(msgspec.structs.astuple, asked))


def polls_csv(polls: list[PollAsked]) -> bytes:
    """One line a choice."""
    head = ("poll", "meeting", "made_at", "text", "state", "voters", "choice", "count")
    return _sheet(
        head,
        (
            (one.id, one.meeting, one.made_at, one.text, one.state, one.voters, choice, count)
            for one in polls
            for choice, count in zip(one.choices, one.counts, strict=True)
        ),
    )


def _wanted(call: Call) -> str:
    wanted = call.request.query.get("format", "json")
    if wanted not in ("json", "csv"):
        raise ApiError(400, "malformed", "format is json or csv")
    return wanted


def _download(name: str, body: bytes) -> web.Response:
    headers = {
        "Content-Type": "text/csv; charset=utf-8",
        "Content-Disposition": f'attachment; filename="{name}.csv"',
        "Cache-Control": "private, no-store",
    }
    return web.Response(body=body, headers=headers)


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
    wanted = _wanted(call)
    asked = [_asked(row) for row in await call.services.store.questions.of_room(room)]
    return asked if wanted == "json" else _download("questions", as_csv(asked))


@table.add(
    "GET",
    "/api/rooms/{room}/polls",
    answer=list[PollAsked],
    errors=(400, 401, 404, 429),
    access="link",
    tag="rooms",
)
async def room_polls(call: Call) -> list[PollAsked] | web.Response:
    """The polls of a room, oldest first; with ``?format=csv`` as a file for spreadsheets."""
    room, _ = await owned_room(call)
    wanted = _wanted(call)
    polls = [
        PollAsked(
            id=row.id,
            meeting=row.meeting,
            made_at=row.made_at,
            text=row.text,
            choices=row.choices,
            counts=counts,
            voters=voters,
            several=row.several,
            state=row.state,  # type: ignore[arg-type]
        )
        for row, counts, voters in await call.services.store.polls.of_room(room)
    ]
    return polls if wanted == "json" else _download("polls", polls_csv(polls))
