"""The HTTP API of a recording's words: transcribed anew by another model, and back to an earlier version."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

from recorder import service as recorder
from signaling.call import Call
from signaling.endpoint import ApiError, Body, Table
from signaling.passes import owned
from signaling.retranscriptions import RetranscriptionsBusy

table = Table()


class SpeechModel(Body, kw_only=True, frozen=True):
    """A speech model that is installed."""

    name: str
    title: str
    bytes: int


class WordingListed(Body, kw_only=True, frozen=True):
    """A version of the words; without a `model` it was heard live."""

    id: int
    model: str | None
    made_at: datetime
    lines: int


class WordingJob(Body, kw_only=True, frozen=True):
    """A transcription; `progress` from 0 to 1, `problem` when it failed."""

    model: str
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    progress: float
    problem: str | None = None


class WordingsState(Body, kw_only=True, frozen=True):
    """The versions there are, which of them counts, what can transcribe again (largest first), and the newest job."""

    current: int
    versions: list[WordingListed]
    models: list[SpeechModel]
    job: WordingJob | None


class NewWording(Body, kw_only=True, frozen=True):
    """Which model transcribes it again."""

    model: Annotated[str, Meta(min_length=1, max_length=80)]


class ChosenWording(Body, kw_only=True, frozen=True):
    """Which version counts."""

    current: Annotated[int, Meta(ge=0, le=2**31)]


def _missing() -> ApiError:
    return ApiError(404, "not-found", "this recording has no replay")


async def _state(call: Call, recording: str) -> WordingsState:
    jobs = call.services.retranscriptions
    try:
        known = await call.services.library.wordings(recording)
    except recorder.RecordingNotFound:
        raise _missing() from None
    job = jobs.of(recording)
    return WordingsState(
        current=known.current,
        versions=[
            WordingListed(id=one.id, model=one.model, made_at=one.made_at, lines=len(one.transcript))
            for one in known.versions
        ],
        models=[SpeechModel(name=one.name, title=one.title, bytes=one.size) for one in jobs.models()],
        job=WordingJob(model=job.model, state=job.state, progress=round(job.progress, 4), problem=job.problem)
        if job is not None
        else None,
    )


@table.add(
    "GET",
    "/api/recordings/{recording}/wordings",
    answer=WordingsState,
    errors=(401, 404),
    access="member",
    tag="recordings",
)
async def get_wordings(call: Call) -> WordingsState:
    """The versions of a recording's words, and how far a transcription is: an administrator's, or its starter's."""
    _, row = await owned(call)
    return await _state(call, row.id)


@table.add(
    "POST",
    "/api/recordings/{recording}/wordings",
    body=NewWording,
    answer=WordingsState,
    status=202,
    errors=(400, 401, 404, 409, 429),
    access="member",
    tag="recordings",
)
async def create_wording(call: Call, body: NewWording) -> WordingsState:
    """Transcribe a recording again, in the background. When that is done, its words replace those there are, in the
    transcript, captions, search and files; these are kept. Who refused to be heard by a machine is not heard."""
    member, row = await owned(call)
    try:
        manifest = await call.services.library.manifest(row.id)
    except recorder.RecordingNotFound:
        raise _missing() from None
    if row.state == "recording" or manifest.pending:
        raise ApiError(409, "not-yet", "this recording is not finished yet")
    try:
        call.services.retranscriptions.ask(row.id, row.room_id, body.model)
    except KeyError:
        raise ApiError(400, "model", "no such speech model is installed here") from None
    except RetranscriptionsBusy:
        raise ApiError(429, "too-fast", "too many recordings wait; try again later") from None
    await call.services.store.audit.write("recording-words", f"member:{member.id}", room=row.room_id, subject=row.id)
    return await _state(call, row.id)


@table.add(
    "PUT",
    "/api/recordings/{recording}/wordings",
    body=ChosenWording,
    answer=WordingsState,
    errors=(400, 401, 404, 409),
    access="member",
    tag="recordings",
)
async def put_wording(call: Call, body: ChosenWording) -> WordingsState:
    """Have another version of the words count. People's corrections stay with the version that they were made of."""
    member, row = await owned(call)
    job = call.services.retranscriptions.of(row.id)
    if job is not None and job.open:
        raise ApiError(409, "conflict", "it is being transcribed: cancel that first")
    try:
        await call.services.library.choose(row.id, body.current)
    except recorder.RecordingNotFound:
        raise _missing() from None
    except KeyError:
        raise ApiError(404, "not-found", "there is no such version") from None
    await call.services.store.audit.write("recording-words", f"member:{member.id}", room=row.room_id, subject=row.id)
    return await _state(call, row.id)


@table.add(
    "DELETE",
    "/api/recordings/{recording}/wordings",
    answer=WordingsState,
    errors=(401, 404),
    access="member",
    tag="recordings",
)
async def cancel_wording(call: Call) -> WordingsState:
    """End a transcription that waits or runs; the words stay as they are."""
    _, row = await owned(call)
    await call.services.retranscriptions.cancel(row.id)
    return await _state(call, row.id)
