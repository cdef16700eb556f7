"""What viewers of a broadcast do: ask, want an answer too, choose in polls, tell how it comes. Who they are says their
ticket."""

from __future__ import annotations

import time
from typing import Annotated

from msgspec import Meta

from signaling import protocol
from signaling.api import Done
from signaling.call import Call
from signaling.endpoint import ApiError, Body, Table
from signaling.fared import Report
from signaling.live import refused, watching
from signaling.names import clean
from signaling.refusal import Refusal
from signaling.values import Id, Language, Name, Reaction, Tier

table = Table()


class NewQuestion(Body, kw_only=True, frozen=True):
    """`key` makes a retry harmless. Without a `name`, where that is allowed."""

    key: Id
    text: Annotated[str, Meta(min_length=1, max_length=1000)]
    name: Name | None = None
    language: Language | None = None


class NewVote(Body, kw_only=True, frozen=True):
    """That a question be answered; or, with `up` false, not any more."""

    question: Id
    up: bool = True


class NewBallot(Body, kw_only=True, frozen=True):
    """What one chooses in a poll, by number, instead of what one chose before; nothing: no ballot any more."""

    poll: Id
    choices: Annotated[list[Annotated[int, Meta(ge=0, le=9)]], Meta(max_length=10)]


class NewReaction(Body, kw_only=True, frozen=True):
    """A sign that everybody sees for a moment."""

    reaction: Reaction


class NewReport(Body, kw_only=True, frozen=True):
    """How the programme came since the last report: for how long it was watched, how often and how long the picture or
    the sound stood still then, and how far it is behind the stage; None where that is not known, or wanted so."""

    tier: Tier
    watched_ms: Annotated[int, Meta(ge=0, le=600_000)]
    stalls: Annotated[int, Meta(ge=0, le=10_000)]
    stalled_ms: Annotated[int, Meta(ge=0, le=600_000)]
    latency_ms: Annotated[int, Meta(ge=0, le=600_000)] | None = None


class Reported(Body, kw_only=True, frozen=True):
    """It was counted; report again after so many seconds."""

    again: float


@table.add(
    "POST",
    "/api/live/{broadcast}/questions",
    body=NewQuestion,
    answer=Done,
    errors=(401, 403, 404, 409, 429, 503),
    access="broadcast",
    tag="live",
)
async def ask_live(call: Call, body: NewQuestion) -> Done:
    """Ask those on stage, where questions are taken."""
    on_air, viewer = await watching(call, acting=True)
    call.throttle(call.services.throttles.question, f"viewer {viewer}")
    call.throttle(call.services.throttles.questions)
    name = clean(body.name) if body.name is not None else None
    try:
        asked = protocol.Ask(key=body.key, text=body.text, anonymous=not name)
        await on_air.ask(viewer, name, body.language, asked)
    except Refusal as error:
        raise refused(error) from None
    return Done()


@table.add(
    "POST",
    "/api/live/{broadcast}/votes",
    body=NewVote,
    answer=Done,
    errors=(401, 403, 404, 409, 429),
    access="broadcast",
    tag="live",
)
async def vote_live(call: Call, body: NewVote) -> Done:
    """Want a question answered too."""
    on_air, viewer = await watching(call, acting=True)
    call.throttle(call.services.throttles.vote)
    try:
        await on_air.vote(viewer, protocol.Vote(question=body.question, up=body.up))
    except Refusal as error:
        raise refused(error) from None
    return Done()


@table.add(
    "POST",
    "/api/live/{broadcast}/ballots",
    body=NewBallot,
    answer=Done,
    errors=(400, 401, 403, 404, 409, 429),
    access="broadcast",
    tag="live",
)
async def ballot_live(call: Call, body: NewBallot) -> Done:
    """Choose in a poll that is open."""
    on_air, viewer = await watching(call, acting=True)
    call.throttle(call.services.throttles.vote)
    try:
        await on_air.ballot(viewer, protocol.Ballot(poll=body.poll, choices=body.choices))
    except Refusal as error:
        raise refused(error) from None
    return Done()


@table.add(
    "POST",
    "/api/live/{broadcast}/reactions",
    body=NewReaction,
    answer=Done,
    errors=(401, 403, 404, 409, 429),
    access="broadcast",
    tag="live",
)
async def react_live(call: Call, body: NewReaction) -> Done:
    """Applaud, or give another sign."""
    on_air, viewer = await watching(call, acting=True)
    call.throttle(call.services.throttles.reaction)
    try:
        on_air.react(viewer, body.reaction)
    except Refusal as error:
        raise refused(error) from None
    return Done()


@table.add(
    "POST",
    "/api/live/{broadcast}/report",
    body=NewReport,
    answer=Reported,
    errors=(400, 401, 403, 404, 409, 429),
    access="broadcast",
    tag="live",
)
async def report_live(call: Call, body: NewReport) -> Reported:
    """How the programme comes: added up for whoever runs the broadcast, kept for nobody."""
    on_air, viewer = await watching(call)
    call.throttle(call.services.throttles.report, f"viewer {viewer}")
    call.throttle(call.services.throttles.reports)
    if on_air.stream is None:
        raise ApiError(409, "bad-state", "there is nothing to watch yet")
    stalled = min(body.stalled_ms, body.watched_ms)
    report = Report(body.tier, body.watched_ms, body.stalls, stalled, body.latency_ms)
    again = on_air.report(viewer, report, time.monotonic())
    call.services.hub.parts.metrics.fared(report)
    return Reported(again=again)
