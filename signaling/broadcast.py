"""A room's broadcast: planned, counted down, live, over. What viewers see of it is `signaling.live`.

It is live from the recorder's own parts, so it is recorded; when it ends, so does the recording, and what was live of
it is the replay at the same address.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import structlog

from captioning.caption import Caption
from community.models import BroadcastRow
from community.store import Store
from recorder.service import Stream
from signaling import protocol
from signaling.audience import Audience, Viewer
from signaling.passes import VIEWERS
from signaling.people import Participant
from signaling.programme import RoomProgramme
from signaling.refusal import Refusal
from signaling.subtitles import Subtitles

if TYPE_CHECKING:
    from signaling.room import Room

log = structlog.get_logger("broadcast")

COUNT_EVERY = 2.0
"""Seconds between what is told of how many watch."""
WHOLE_MS = 1_500
"""Of a recording that began so shortly before everything is shown."""
MARGIN_MS = 4_500
"""Media can be cut where a segment begins: of the first seconds nothing is shown, lest it be from back stage."""
SHORTEST_MS = 1_000


def ticket_code(secret: str, broadcast: str, ticket: int) -> str:
    """What the viewers' link carries: made from the server's secret, so it can be shown again and is stored nowhere."""
    mac = hmac.digest(secret.encode(), f"consilium live {broadcast} {ticket}".encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(mac[:18]).decode()


class RoomBroadcast:
    """At most one of a room at a time. Methods that feed it do nothing while there is none."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._row: BroadcastRow | None = None
        self._state: protocol.BroadcastState | None = None
        self._counting: asyncio.Task[None] | None = None
        self._counted_at = 0.0
        self._lock = asyncio.Lock()
        self.stream: Stream | None = None
        self.subtitles = Subtitles(0.0)
        self.audience = Audience(room.parts.settings.broadcast.viewers, room.readers)
        self.programme = RoomProgramme(room)
        """What is sent by WebRTC."""

    @property
    def state(self) -> protocol.BroadcastState | None:
        """As the people in the room see it."""
        return self._state

    @property
    def row(self) -> BroadcastRow | None:
        """As it is stored."""
        return self._row

    def restore(self, row: BroadcastRow | None) -> None:
        """What was planned for this room's next meeting."""
        if row is not None and row.state == "scheduled":
            self._adopt(row)

    def _adopt(self, row: BroadcastRow) -> None:
        on_air = self._room.parts.on_air
        if self._row is not None and self._row.id != row.id:
            self._dismiss()
            on_air.pop(self._row.id, None)
            self.stream = None
        on_air[row.id], self._row = self, row
        code = ticket_code(self._room.parts.secret, row.id, row.ticket)
        known = self._state if self._state is not None and self._state.id == row.id else None
        self._become(
            protocol.BroadcastState(
                id=row.id,
                title=row.title,
                about=row.about,
                state=known.state if known else "scheduled",
                link=f"/live/{row.id}#k={code}",
                starts_at=row.starts_at.timestamp() * 1000 if row.starts_at else None,
                at=known.at if known else None,
                viewers=len(self.audience),
                spotlight=known.spotlight if known else None,
            )
        )

    def _become(self, state: protocol.BroadcastState) -> None:
        self._state = state
        self._room.room_changed()
        # How it stands is asked for by every page itself: it may not be the same for all.
        self.audience.tell("changed", {"state": state.state})

    def _turn(self, state: str, **more: object) -> None:
        assert self._state is not None
        self._become(msgspec.structs.replace(self._state, state=state, **more))

    def _dismiss(self) -> None:
        """Sends all viewers away."""
        self.audience.dismiss()
        self.programme.close()

    @property
    def over(self) -> bool:
        """There is none, or it has ended."""
        return self._state is None or self._state.state == "ended"

    # --- what the host does -----------------------------------------------------------------------

    async def plan(self, message: protocol.PlanBroadcast) -> None:
        """A new one, or what is told of the one there is. Raises Refusal."""
        title, about = " ".join(message.title.split()), message.about.strip()
        if not title:
            raise Refusal("malformed", "a broadcast needs a title")
        starts_at = None
        if message.starts_at is not None:
            starts_at = datetime.fromtimestamp(message.starts_at / 1000, UTC)
        store = self._room.parts.store
        async with self._lock:
            if self._row is None or self.over:
                self._state = None
                self._adopt(await store.broadcasts.plan(self._room.id, title, about, starts_at))
                return
            row = self._row
            row.title, row.about, row.starts_at = title, about, starts_at
            if message.renew:
                row.ticket += 1
            await store.broadcasts.save(row)
            self._adopt(row)
            if message.renew:
                self._dismiss()

    async def go_live(self, by: Participant, countdown: int) -> None:
        """Raises Refusal."""
        if self.over:
            await self.plan(protocol.PlanBroadcast(title=self._room.name))
        if self._state is None or self._state.state != "scheduled":
            raise Refusal("bad-state", "this broadcast is on its way already")
        self._turn("countdown", at=self._room.now + countdown * 1000)
        if countdown:
            self._counting = asyncio.get_running_loop().create_task(self._count(by, countdown))
        else:
            await self._air(by)

    async def _count(self, by: Participant, seconds: int) -> None:
        await asyncio.sleep(seconds)
        self._counting = None  # from here on it cannot be called off
        try:
            await self._air(by)
        except Refusal as error:
            log.warning("could not go live", room=self._room.id, code=error.code)

    async def _air(self, by: Participant) -> None:
        try:
            await self._begin(by)
        except BaseException:
            self._turn("scheduled", at=None)
            raise

    async def _begin(self, by: Participant) -> None:
        room, row = self._room, self._row
        assert row is not None
        if room.recording.running is None:
            await room.recording.start(by, row.title, row.title)
        running = room.recording.running
        if running is None or room.recording.state.recording is None:
            raise Refusal("bad-state", "the recording has stopped")
        stream = running.air(room.parts.settings.broadcast.aac)
        row.state, row.recording_id, row.live_at = "live", room.recording.state.recording, datetime.now(UTC)
        row.live_from = max(0.0, room.now - running.origin)
        await room.parts.store.broadcasts.save(row)
        self.stream = stream
        self.subtitles = Subtitles(running.origin, row.live_from)
        self._turn("live", at=room.now)
        log.info("live", room=room.id, broadcast=row.id)

    async def end(self, by: Participant | None) -> None:
        """Calls a countdown off, or ends what is live. Raises Refusal."""
        state = self._state.state if self._state is not None else None
        if state == "countdown" and self._counting is not None:
            self._counting.cancel()
            self._counting = None
            self._turn("scheduled", at=None)
        elif state == "live":
            await self._room.recording.stop(by)
        else:
            raise Refusal("bad-state", "nothing is live")

    def spotlight(self, participant: str | None) -> None:
        """Whom viewers see whoever speaks. Raises Refusal."""
        running = self._room.recording.running
        if self._state is None or self._state.state != "live" or running is None:
            raise Refusal("bad-state", "nothing is live")
        running.spotlight(participant)
        self._turn("live", spotlight=participant)

    def left(self, participant: str) -> None:
        """Somebody is gone: whoever speaks is shown again."""
        if self._state is not None and self._state.state == "live" and self._state.spotlight == participant:
            self.spotlight(None)

    # --- what happens -----------------------------------------------------------------------------

    def recording_stops(self) -> None:
        """The recording is being finished: so is what is live."""
        if self._state is not None and self._state.state == "live":
            self._turn("ending", spotlight=None)
            self.programme.close()

    async def recorded(self, recording: str, duration: float | None) -> None:
        """The recording can be replayed, or with `duration` None it cannot."""
        row = self._row
        if row is None or row.recording_id != recording or self.over:
            return
        try:
            await finish(self._room.parts.store, row, duration)
        except Exception:  # the recording is finished, and must be so for the room
            log.exception("a broadcast could not be finished", room=self._room.id, broadcast=row.id)
        self._turn("ended")

    def caption(self, caption: Caption, whose: str) -> None:
        """New or revised words: to those who read them, with the times of the programme. `whose` they are, whatever the
        caption says."""
        if self.stream is None or self.over or not self._room.recording.includes(whose):
            return
        person = self._room.people.get(caption.participant)
        told = self.subtitles.take(caption, person.name if person else "", person.color if person else 0)
        if told is None:
            return
        original = caption.language == caption.source
        self.audience.tell(
            "caption",
            told,
            where=None if original else lambda viewer: viewer.language == caption.language,
        )

    @property
    def now(self) -> float:
        """Room time, milliseconds."""
        return self._room.now

    @property
    def languages(self) -> list[str]:
        """What captions can be read in."""
        return self._room.words.state().read

    @property
    def rules(self) -> protocol.QuestionRules:
        """Whether questions are taken, and how."""
        return self._room.questions.rules

    def rules_changed(self) -> None:
        """Whether questions are taken."""
        self.audience.tell("changed", {})

    async def ask(self, viewer: str, name: str | None, language: str | None, message: protocol.Ask) -> None:
        """A viewer's question. Raises Refusal."""
        await self._room.questions.ask(_asker(viewer, name, language), message)

    async def vote(self, viewer: str, message: protocol.Vote) -> None:
        """A viewer wants a question answered. Raises Refusal."""
        await self._room.questions.vote(_asker(viewer, None, None), message)

    def questions(self, changed: list[protocol.Question], gone: list[str], only: str | None = None) -> None:
        """What became of questions: for all viewers, or for who asked."""
        self.audience.tell(
            "questions",
            {"changed": changed, "gone": gone},
            where=None if only is None else lambda viewer: viewer.who == only,
        )

    def rendered(self, rendered: protocol.Rendered) -> None:
        """A question or an answer that viewers see, in a language that some of them read."""
        self.audience.tell("rendered", rendered, where=lambda viewer: viewer.language == rendered.language)

    def who(self, viewer: str) -> str:
        """What a viewer's questions and votes go by."""
        return self._room.questions.who(_known(viewer))

    def greet(self, viewer: Viewer) -> None:
        """What somebody who comes now has to know."""
        board = self._room.questions
        viewer.send("questions", {"all": board.seen_by(viewer.who), "voted": board.voted_by(viewer.who)})
        if viewer.language is not None:
            for rendered in self._room.renderings.for_viewers(viewer.language):
                viewer.send("rendered", rendered)
        if self.stream is not None:
            for told in self.subtitles.recent(viewer.language):
                viewer.send("caption", told)

    def tick(self, now: float) -> None:
        """`now` in seconds, monotonic."""
        self.audience.tick(now)
        if self._state is None or now - self._counted_at < COUNT_EVERY:
            return
        self._counted_at = now
        state = msgspec.structs.replace(
            self._state,
            viewers=len(self.audience),
            realtime=len(self.programme),
            hidden=self.programme.hidden if self._state.state == "live" else [],
        )
        if state != self._state:
            self._state = state
            self._room.room_changed()

    def close(self) -> None:
        """The meeting is over; its recording is finished by now."""
        if self._counting is not None:
            self._counting.cancel()
        self._dismiss()
        if self._row is not None:
            self._room.parts.on_air.pop(self._row.id, None)


def _known(viewer: str) -> str:
    return f"viewer {viewer}"


def _asker(viewer: str, name: str | None, language: str | None) -> Participant:
    """Somebody who asks without being in the room."""
    return Participant(
        id=_known(viewer), name=name or "", role="viewer", permissions=frozenset({"ask"}), jti="", visitor=None,
        member=None, resume="", peer=None, spoken=language,
    )  # fmt: skip


async def finish(store: Store, row: BroadcastRow, duration: float | None) -> None:
    """It is over: what was live can be seen by its link from now on, if it was recorded (`duration` in ms)."""
    start = row.live_from or 0.0
    if start > WHOLE_MS:
        start += MARGIN_MS
    if duration is not None and row.recording_id is not None and duration - start >= SHORTEST_MS:
        # A passage also where it is all of it: whoever has one sees the programme, not everybody's own pictures.
        share = await store.shares.create(
            row.recording_id,
            audience=VIEWERS,
            label=row.title[:80],
            password=None,
            start=0.0,
            clip=(start if start > WHOLE_MS else 0.0, duration),
            sites=[],
            member=None,
            lifetime=None,
        )
        row.share_id = share.id
    row.state, row.ended_at = "ended", datetime.now(UTC)
    await store.broadcasts.save(row)
