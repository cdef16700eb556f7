"""A room's recording: off, starting, recording, stopping, failed; everyone is told every step."""

from __future__ import annotations

import asyncio
import errno
import secrets
import shutil
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import structlog

from captioning.caption import Caption
from community.models import RecordingRow
from recorder.service import Cue, Manifest, Preparations, Recording
from sfu.taps import RoomClock
from signaling import library, protocol
from signaling.agenda import Agenda
from signaling.people import Participant
from signaling.refusal import Refusal

if TYPE_CHECKING:
    from signaling.ballot import Asked as Poll
    from signaling.board import Asked
    from signaling.room import Room

log = structlog.get_logger("recording")


class RecordingSource(Protocol):
    """`recorder.service.Recorder`."""

    preparations: Preparations

    async def delete(self, recording: str) -> None: ...

    async def take_in(self, file: Path, recording: str) -> Manifest: ...

    async def begin(
        self,
        recording: str,
        *,
        room: str,
        title: str,
        started_by: str,
        purpose: str,
        started_at: datetime,
        clock: RoomClock,
        request_keyframe: Callable[[str], None],
        on_failure: Callable[[str], None],
        on_low: Callable[[bool], None],
        on_away: Callable[[bool], None],
    ) -> Recording: ...


def _left_out(person: Participant | None, ask: bool) -> bool:
    """Whether nothing of somebody may be kept. Who is not there to be asked has not agreed."""
    consent = person.consent if person is not None else None
    return consent != "agreed" if ask else consent == "refused"


class RoomRecording:
    """At most one recording of a room at a time. Methods that feed it do nothing while there is none."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._recording: Recording | None = None
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._low = self._away = self._held = False
        self.state = protocol.RecordingState(state="off")

    @property
    def running(self) -> Recording | None:
        """What is being written now."""
        return self._recording

    def includes(self, participant: str, paused: bool = False) -> bool:
        """Whether anything of somebody may be kept, and shown to those who are not in the room; `paused`: by their
        will, though it may be held now."""
        if self._recording is None or (self._held and not paused):
            return False
        return not _left_out(self._room.people.get(participant), self.state.ask)

    def hold(self, on: bool, begin: float = 0.0) -> None:
        """Writes nothing of anybody from now on; or does again. Of what was live since `begin` (room time) and has not
        gone out yet, nothing does."""
        self._held = on
        if self._recording is not None:
            self._recording.hold(on, begin)

    def _become(self, state: protocol.RecordingState) -> None:
        self.state = state
        self._room.room_changed()

    async def start(self, by: Participant, purpose: str, title: str | None = None) -> None:
        """Begins; without a `title` it is called like the room. Raises Refusal when one runs already or the disk has no
        room."""
        room, store = self._room, self._room.parts.store
        if self._lock.locked() or self._recording is not None:
            raise Refusal("bad-state", "a recording is starting, running or stopping already")
        async with self._lock:
            recording = secrets.token_urlsafe(9).replace("-", "x").replace("_", "y")
            told: dict[str, Any] = {"recording": recording, "by": by.id, "purpose": purpose or None}
            self._low = self._away = self._held = False
            told["ask"] = room.parts.settings.recordings.consent == "ask"
            self._become(protocol.RecordingState(state="starting", **told))
            started_at = datetime.now(UTC)
            try:
                await asyncio.to_thread(self._room_on_disk)
                running = await room.parts.recorder.begin(
                    recording,
                    room=room.id,
                    title=title or room.name,
                    started_by=by.name,
                    purpose=purpose,
                    started_at=started_at,
                    clock=room.media.clock,
                    request_keyframe=room.media.request_keyframe,
                    on_failure=self._on_failure,
                    on_low=self._on_low,
                    on_away=self._on_away,
                )
            except OSError as error:
                full = error.errno in (errno.ENOSPC, errno.EDQUOT)
                problem = "disk-full" if full else "unavailable"
                self._become(protocol.RecordingState(state="failed", problem=problem, **told))
                log.error("could not begin", room=room.id, error=error.strerror)
                room.parts.metrics.recordings.labels("failed").inc()
                raise Refusal(
                    "disk-full" if full else "unavailable", error.strerror or "the recording could not begin"
                ) from None
            keep = room.parts.settings.recordings.keep_days
            await store.recordings.create(
                RecordingRow(
                    id=recording,
                    room_id=room.id,
                    title=title or room.name,
                    purpose=purpose,
                    started_by=by.name,
                    member_id=by.member,
                    started_at=started_at,
                    state="recording",
                    keep_until=started_at + timedelta(days=keep) if keep else None,
                )
            )
            self._recording = running
            for person in list(room.people.values()):
                person.consent = "agreed" if person.id == by.id else None
                self._include(running, person, told["ask"])
                room.changed(person)
            for participant, language in room.interpreters.on_air.items():
                running.interpret(participant, language)
            self.agenda(room.agenda)
            room.media.add_tap(running)
            for person in list(room.people.values()):
                await store.consents.write(recording, person.id, person.name, person.member, person.consent or "told")
            if room.speaking:
                running.speaker(room.speaking[0])
            room.parts.metrics.recordings.labels("started").inc()
            await store.audit.write("record-start", f"participant:{by.id}", room=room.id, subject=recording)
            self._become(protocol.RecordingState(state="recording", since=room.now, **told))
            self._warn()

    def _room_on_disk(self) -> None:
        """Raises OSError (ENOSPC) when less is free than the operator wants."""
        settings = self._room.parts.settings
        if shutil.disk_usage(settings.recordings_dir).free < settings.recordings.min_free_mb * 1_000_000:
            raise OSError(errno.ENOSPC, "too little disk space left to begin a recording")

    async def stop(self, by: Participant | None) -> None:
        """Ends it; when this returns the replay can be opened. Raises Refusal when none runs."""
        if self._recording is None:
            raise Refusal("bad-state", "nothing is being recorded")
        async with self._lock:
            await self._end(by, None)

    async def _end(self, by: Participant | None, problem: str | None) -> None:
        running, room = self._recording, self._room
        if running is None:
            return
        self._recording = None
        known = self.state
        recording = known.recording or ""
        told: dict[str, Any] = {
            "recording": recording,
            "by": known.by,
            "purpose": known.purpose,
            "ask": known.ask,
        }
        self._become(protocol.RecordingState(state="stopping", since=known.since, **told))
        room.live.recording_stops()
        room.media.remove_tap(running)
        for caption, whose in room.words.unfinished():
            self._cue(running, caption, whose)
        manifest: Manifest | None = None
        try:
            manifest = await running.finish()
            problem = problem or (manifest.problem if manifest.state == "failed" else None)
        except OSError as error:
            problem = problem or error.strerror or "the disk failed"
        except Exception:  # what is there can be repaired at the next start; the room must go on
            log.exception("a recording could not be finished", room=room.id)
            problem = problem or "unavailable"
        store = room.parts.store
        replay = None
        if manifest is not None:
            days = room.parts.settings.recordings.link_days
            code = await store.links.create(role="viewer", recording=recording, lifetime=timedelta(days=days))
            replay = f"/replay/{recording}#k={code}"
        await store.recordings.ended(recording, "failed" if manifest is None else "ready", problem)
        if manifest is not None:
            await store.search.put(recording, await asyncio.to_thread(library.lines, manifest))
        await room.live.recorded(recording, manifest.duration if manifest is not None else None)
        actor = f"participant:{by.id}" if by is not None else "server"
        await store.audit.write("record-stop", actor, room=room.id, subject=recording)
        room.parts.metrics.recordings.labels("failed" if problem else "finished").inc()
        self._become(
            protocol.RecordingState(state="failed" if problem else "off", replay=replay, problem=problem, **told)
        )

    async def consent(self, person: Participant, agreed: bool) -> None:
        """Somebody's answer; from now on it holds, and it is kept. Raises Refusal when nothing is being recorded."""
        running, recording = self._recording, self.state.recording
        if running is None or recording is None:
            raise Refusal("bad-state", "nothing is being recorded")
        answer: protocol.Answer = "agreed" if agreed else "refused"
        if person.consent == answer:
            return
        person.consent = answer
        self._include(running, person, self.state.ask)
        self._room.changed(person)
        store = self._room.parts.store
        await store.consents.write(recording, person.id, person.name, person.member, answer)
        act = f"record-{'agree' if agreed else 'refuse'}"
        await store.audit.write(act, f"participant:{person.id}", room=self._room.id, subject=recording)

    @staticmethod
    def _include(running: Recording, person: Participant, ask: bool) -> None:
        """In it, or left out, as they answered."""
        running.leave_out(person.id, _left_out(person, ask))
        running.participant(person.id, person.name)
        running.unheard(person.id, not (person.captioned and person.named))

    def _on_low(self, low: bool) -> None:
        """The disk will not do much longer, or will again: everybody is told while it runs."""
        log.warning("the disk is nearly full" if low else "the disk has room again", room=self._room.id)
        self._low = low
        self._warn()

    def _on_away(self, away: bool) -> None:
        """The bucket cannot be reached, or can again: the recording goes on, on this disk."""
        self._away = away
        self._warn()

    def _warn(self) -> None:
        problem = "disk-low" if self._low else "storage-away" if self._away else None
        if self._recording is not None and self.state.state == "recording" and self.state.problem != problem:
            self._become(msgspec.structs.replace(self.state, problem=problem))

    def _on_failure(self, reason: str) -> None:
        log.error("recording failed", room=self._room.id, reason=reason)
        self._later(self._failed(reason))

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _failed(self, reason: str) -> None:
        async with self._lock:
            await self._end(None, reason)

    async def close(self) -> None:
        """The room closes: what runs is finished."""
        async with self._lock:
            await self._end(None, None)

    # --- what is fed ------------------------------------------------------------------------------

    def named(self, person: Participant) -> None:
        """Somebody came in: they are told with their welcome, and have not answered."""
        if self._recording is not None and self.state.recording is not None:
            self._include(self._recording, person, self.state.ask)
            store = self._room.parts.store
            self._later(store.consents.write(self.state.recording, person.id, person.name, person.member, "told"))

    def captioned(self, person: Participant) -> None:
        """Somebody wants the machine to hear them, and their name beside it; or does not any more."""
        if self._recording is not None:
            self._recording.unheard(person.id, not (person.captioned and person.named))

    def interpret(self, participant: str, channel: str | None) -> None:
        """Somebody's microphone is an interpreters' channel from now on; None: of the floor again."""
        if self._recording is not None:
            self._recording.interpret(participant, channel)

    def speaker(self, participant: str | None) -> None:
        """Who speaks now."""
        if self._recording is not None:
            self._recording.speaker(participant)

    def agenda(self, agenda: Agenda) -> None:
        """What is being dealt with, or that it has other words."""
        if self._recording is not None and agenda.item is not None:
            self._recording.agenda(agenda.item, agenda.since)

    def chat(self, entry: protocol.ChatEntry) -> None:
        """A public chat line."""
        if self._recording is not None:
            self._recording.chat(entry.participant, entry.name, entry.text, entry.at)

    def question(self, asked: Asked, asker: Participant | None) -> None:
        """A question that is being answered, or was; `asker` is None where they are not here (any more)."""
        if self._recording is None or _left_out(asker, self.state.ask):
            return
        if asked.answered_by is not None or asked.live_at is not None:
            self._recording.question(
                asked.id, asked.name, asked.text, len(asked.votes), asked.state in ("live", "answered"), asked.answer,
                asked.answered_by, asked.live_at,
            )  # fmt: skip

    def poll(self, poll: Poll, gone: bool = False) -> None:
        """A poll that is or was open."""
        if self._recording is not None and poll.opened_at is not None:
            seen = poll.view()
            self._recording.poll(
                poll.id, seen.text, seen.choices, seen.counts, seen.voters, poll.opened_at, shown=not gone
            )

    def caption(self, caption: Caption, whose: str) -> None:
        """Final words; `whose` they are, whatever the caption says."""
        if self._recording is not None:
            self._cue(self._recording, caption, whose)

    @staticmethod
    def _cue(recording: Recording, caption: Caption, whose: str) -> None:
        text = f"{caption.stable} {caption.tail}".strip()
        if text or caption.revision:  # words that were taken back must go from the recording too
            recording.cue(
                Cue(
                    segment=caption.segment,
                    revision=caption.revision,
                    participant=caption.participant,
                    source=caption.source,
                    language=caption.language,
                    start=caption.start,
                    end=caption.end,
                    text=text,
                    guard=[str(doubt) for doubt in caption.guard],
                    heard=caption.heard,
                    doubtful=caption.doubtful,
                    typed=caption.written_by is not None,
                ),
                whose,
            )
