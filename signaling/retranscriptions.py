"""A finished recording's words anew, with a model of one's choice: jobs in processes of their own, one at a time."""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import msgspec
import structlog

from captioning import transcribe
from captioning.catalogue import Model
from captioning.config import CaptionConfig
from captioning.language import base
from captioning.models import installed
from community.store import Store
from recorder import child
from recorder import service as recorder
from recorder.manifest import Cue, Line, Manifest, folder
from recorder.sealing import files, keys
from recorder.wordings import lines_of, load_wordings
from signaling.captions import terms_for
from signaling.exports import whole
from signaling.library import Library
from signaling.transcribing import answer_file, request_file

log = structlog.get_logger("retranscriptions")

KEPT = 200
WAITING = 20
LIMIT_S = 24 * 3600


class RetranscriptionsBusy(Exception):
    """Too many wait already."""


class NothingToHear(ValueError):
    """Nobody in the recording may be heard by a machine."""


@dataclass
class Retranscription:
    """One job. `state` goes queued, running, done, failed or cancelled; `progress` from 0 to 1."""

    id: str
    recording: str
    room: str
    model: str
    state: Literal["queued", "running", "done", "failed", "cancelled"] = "queued"
    progress: float = 0.0
    problem: str | None = None
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    def tell(self, part: float) -> None:
        """How far it is, 0 to 1."""
        self.progress = part

    @property
    def open(self) -> bool:
        """Whether it is still to be done."""
        return self.state in ("queued", "running")


def request_for(manifest: Manifest, live: Sequence[Line], config: CaptionConfig) -> transcribe.Request:
    """What is heard: every microphone of those who did not refuse it, each for the languages that they were heard in
    live, or that anybody was. Raises NothingToHear. Pure."""
    sources: dict[str, set[str]] = {}
    for line in live:
        sources.setdefault(line.participant, set()).add(base(line.source))
    everything = set().union(*sources.values()) if sources else set()
    voices = [
        transcribe.Voice(
            files=track.files,
            among=sorted(sources.get(track.participant, everything)),
            # What was interpreted are not words of the floor.
            unheard=[
                (one.start, one.end)
                for one in (*(manifest.unheard or ()), *manifest.channels)
                if one.participant == track.participant
            ],
        )
        for track in heard(manifest, live)
    ]
    if not voices:
        raise NothingToHear("nobody's voice in this recording may be transcribed")
    read = sorted({language for line in live for language in line.texts} | set(manifest.languages))
    return transcribe.Request(config.for_worker(), voices, read, [], manifest.duration)


def heard(manifest: Manifest, live: Sequence[Line]) -> list[recorder.Track]:
    """The microphones to hear. Of recordings that do not tell who refused to be heard by a machine (`unheard`), only
    those of people whom it heard live, under their own name."""
    known = {line.participant for line in live}
    return [
        track
        for track in manifest.tracks
        if track.source == "microphone"
        and track.kind == "audio"
        and track.files
        and (manifest.unheard is not None or track.participant in known)
    ]


def cues_of(said: Sequence[transcribe.Said], manifest: Manifest, live: Sequence[Line], job: str) -> list[Cue]:
    """The job's answer as cues. What was said without a name, or by who may not be heard again, stays as it was."""
    tracks = heard(manifest, live)
    cues = [
        Cue(
            segment=f"{job}.{one.voice}.{one.utterance}",
            revision=0,
            participant=tracks[one.voice].participant,
            source=one.source,
            language=one.language,
            start=one.start,
            end=one.end,
            text=one.text,
            guard=one.guard,
            heard=one.heard,
            doubtful=one.doubtful,
        )
        for one in said
    ]
    again = {track.participant for track in tracks}
    kept = [line for line in live if line.participant not in again]
    return cues + [
        Cue(
            segment=line.segment,
            revision=0,
            participant=line.participant,
            source=line.source,
            language=language,
            start=line.start,
            end=line.end,
            text=text,
            guard=line.guard.get(language, []),
            heard=line.heard if language == line.source else None,
            doubtful=line.doubtful if language == line.source else [],
        )
        for line in kept
        for language, text in line.texts.items()
    ]


class Retranscriptions:
    """Jobs by id, the newest of each recording among them."""

    def __init__(self, root: Path, config: CaptionConfig, library: Library, store: Store) -> None:
        self._root = root
        self._store = store
        self._config = config
        self._library = library
        self._jobs: OrderedDict[str, Retranscription] = OrderedDict()
        self._one = asyncio.Semaphore(1)

    def models(self) -> list[Model]:
        """The speech models that are installed, largest first."""
        there = [model for model in installed(self._config.models) if model.purpose == "speech"]
        return sorted(there, key=lambda model: -model.size)

    def of(self, recording: str) -> Retranscription | None:
        """The newest job of a recording."""
        return next((job for job in reversed(self._jobs.values()) if job.recording == recording), None)

    def ask(self, recording: str, room: str, model: str) -> Retranscription:
        """A job: that which is open already, or a new one. Raises RetranscriptionsBusy, KeyError for no such model."""
        known = self.of(recording)
        if known is not None and known.open:
            return known
        if model not in {one.name for one in self.models()}:
            raise KeyError(model)
        if sum(job.open for job in self._jobs.values()) >= WAITING:
            raise RetranscriptionsBusy
        job = Retranscription(secrets.token_hex(4), recording, room, model)
        self._jobs[job.id] = job
        job.task = asyncio.get_running_loop().create_task(self._make(job))
        for old in [one for one in self._jobs.values() if not one.open][: max(0, len(self._jobs) - KEPT)]:
            del self._jobs[old.id]
        return job

    async def cancel(self, recording: str) -> None:
        """Ends what is under way for a recording."""
        job = self.of(recording)
        if job is not None and job.open and job.task is not None:
            job.state = "cancelled"
            job.task.cancel()
            await asyncio.gather(job.task, return_exceptions=True)

    async def forget(self, recording: str) -> None:
        """The recording goes."""
        await self.cancel(recording)
        for job in [one for one in self._jobs.values() if one.recording == recording]:
            del self._jobs[job.id]

    async def stop(self) -> None:
        """The server stops."""
        tasks = [job.task for job in self._jobs.values() if job.task is not None and job.open]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _make(self, job: Retranscription) -> None:
        try:
            async with self._one:
                job.state = "running"
                await self._transcribe(job)
                job.state, job.progress = "done", 1.0
        except asyncio.CancelledError:
            if job.state != "cancelled":
                job.state, job.problem = "failed", "the server stopped"
            raise
        except (NothingToHear, recorder.RecordingNotFound, TimeoutError) as error:
            job.state, job.problem = "failed", str(error)[:200] or "it took too long"
        except Exception as error:
            log.exception("a transcription failed", recording=job.recording, model=job.model)
            job.state, job.problem = "failed", "no space left" if getattr(error, "errno", 0) == 28 else "it failed"

    async def _transcribe(self, job: Retranscription) -> None:
        manifest = await self._library.manifest(job.recording)
        wordings = await asyncio.to_thread(load_wordings, self._root, job.recording)
        live = wordings.versions[0].transcript
        terms = await terms_for(self._store, job.room)
        config = replace(self._config, model=job.model)
        request = msgspec.structs.replace(request_for(manifest, live, config), terms=terms)
        async with whole(self._library.shelf, job.recording):
            said = await self._run(job, request)
        lines = lines_of(cues_of(said, manifest, live, job.id), manifest)
        await self._library.reword(job.recording, job.model, lines)

    async def _run(self, job: Retranscription, request: transcribe.Request) -> list[transcribe.Said]:
        path = folder(self._root, job.recording)
        asked, answer = request_file(path, job.id), answer_file(path, job.id)
        try:
            await asyncio.to_thread(files.write_bytes, asked, msgspec.json.encode(request))
            status, words = await child.run(
                "signaling.transcribing", str(self._root), job.recording, job.id, tell=job.tell, limit_s=LIMIT_S,
                secret=keys.hand_over(path),
            )  # fmt: skip
            if status != 0:
                raise NothingToHear(words or "the transcription failed")
            return msgspec.json.decode(await asyncio.to_thread(files.read_bytes, answer), type=list[transcribe.Said])
        finally:
            asked.unlink(missing_ok=True)
            answer.unlink(missing_ok=True)
