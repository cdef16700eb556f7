"""A room's broadcast: planned, counted down, live, over. What viewers see of it is `signaling.live`.

It is live from the recorder's own parts, so it is recorded; when it ends, so does the recording, and what was live of
it is the replay at the same address.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import structlog

from captioning.caption import Caption
from community.models import BroadcastRow
from recorder.service import Recording, Stream
from signaling import admission, protocol
from signaling.aired import finish
from signaling.audience import Audience, Viewer
from signaling.behind import Behind
from signaling.boxoffice import BoxOffice
from signaling.fared import Fared, Report
from signaling.hands import Hands
from signaling.holding import Holding, HoldingError
from signaling.people import Participant, outsider
from signaling.programme import RoomProgramme
from signaling.pushes import Pushes
from signaling.refusal import Refusal
from signaling.subtitles import Subtitles
from signaling.thirds import LowerThirds

if TYPE_CHECKING:
    from signaling.room import Room

log = structlog.get_logger("broadcast")

COUNT_EVERY = 2.0
"""Seconds between what is told of how many watch."""
GRACE_S = 15.0
"""So long after its last picture went out a delayed broadcast can be fetched, when the meeting is over already."""
AIRED = ("live", "paused")
"""The states in which there is a programme."""


def ticket_code(secret: str, broadcast: str, ticket: int) -> str:
    """What the viewers' link carries: made from the server's secret, so it can be shown again and is stored nowhere."""
    mac = hmac.digest(secret.encode(), f"consilium live {broadcast} {ticket}".encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(mac[:18]).decode()


def _known(viewer: str) -> str:
    return f"viewer {admission.person(viewer)}"


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
        self._aired: Recording | None = None
        self._turning: list[asyncio.TimerHandle] = []
        self.behind = Behind()
        self.shown: protocol.BroadcastState | None = None
        """What viewers know: how it stood `delay` seconds ago. None: it is planned."""
        self.closed = False
        """The meeting is over, though viewers may still have the rest of it."""
        self.subtitles = Subtitles(0.0)
        self.audience = Audience(room.parts.settings.broadcast.viewers, room.readers)
        self.fared = Fared(room.parts.settings.broadcast.viewers)
        self.hands = Hands(room)
        self.box_office = BoxOffice(room)
        self.thirds = LowerThirds(room)
        self.pushes = Pushes(room)
        self.holding = Holding(room.parts.settings.data)
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
            self.behind.delay = row.delay
            self._adopt(row)

    def _adopt(self, row: BroadcastRow) -> None:
        on_air = self._room.parts.on_air
        if self._row is not None and self._row.id != row.id:
            self._dismiss()
            on_air.pop(self._row.id, None)
            self.stream = None
            self.shown = None
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
                image=self.holding.version(row.id) is not None,
                delay=row.delay,
                audience=row.audience,  # type: ignore[arg-type]
            )
        )

    def _become(self, state: protocol.BroadcastState) -> None:
        self._state = state
        self._room.room_changed()
        self._tell()

    def _tell(self) -> None:
        # How it stands is asked for by every page itself: it may not be the same for all.
        self.audience.tell("changed", {"state": self.shown.state if self.shown is not None else "scheduled"})

    def _turn(self, state: str, at_once: bool = False, **more: object) -> None:
        """For the room now, for viewers in time or, with `at_once`, now and whatever was to come."""
        assert self._state is not None
        known = msgspec.structs.replace(self._state, state=state, **more)
        self._state = known
        self._room.room_changed()
        if at_once:
            for handle in self._turning:
                self.behind.call_off(handle)
        self._turning = [one for one in self._turning if one in self.behind]

        def show() -> None:
            self.shown = known
            self._tell()

        if at_once:
            show()
        elif (waits := self.behind.later(show)) is not None:
            self._turning.append(waits)

    def _dismiss(self) -> None:
        """Sends all viewers away."""
        self.audience.dismiss()
        self.programme.close()

    @property
    def _on_screen(self) -> bool:
        return self.shown is not None and self.shown.state in AIRED

    @property
    def origin(self) -> float | None:
        """The room time at which the programme's is 0."""
        return self._aired.origin if self._aired is not None and self.stream is not None else None

    @property
    def place(self) -> tuple[str, str]:
        """The room's id and name."""
        return self._room.id, self._room.name

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
                if self.behind:
                    raise Refusal("bad-state", "the end of the last broadcast is still on its way to its viewers")
                self._state = None
                row = await store.broadcasts.plan(
                    self._room.id, title, about, starts_at, message.delay or 0, message.audience or "link"
                )
                self.behind.delay = row.delay
                self._adopt(row)
                return
            row = self._row
            if message.delay is not None and message.delay != row.delay:
                if self._state is None or self._state.state != "scheduled" or self.behind:
                    raise Refusal("bad-state", "the delay of what is on air stays as it is")
                row.delay = self.behind.delay = message.delay
            row.title, row.about, row.starts_at = title, about, starts_at
            others = message.audience is not None and message.audience != row.audience
            if message.audience is not None:
                row.audience = message.audience
            if message.renew:
                row.ticket += 1
            await store.broadcasts.save(row)
            self._adopt(row)
            if message.renew or others:
                self._dismiss()

    async def hold_image(self, image: bytes) -> None:
        """The picture of the holding page; none where it is empty. Raises Refusal."""
        if self._row is None or self._state is None or self.over:
            raise Refusal("bad-state", "no broadcast is planned")
        try:
            await asyncio.to_thread(self.holding.put, self._row.id, image)
        except HoldingError as error:
            raise Refusal("malformed", str(error)) from None
        except OSError as error:
            log.error("a holding image could not be kept", room=self._room.id, error=str(error))
            raise Refusal("unavailable", "the picture could not be kept") from None
        self._become(msgspec.structs.replace(self._state, image=bool(image)))

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
        stream = running.air(room.parts.settings.broadcast.aac or self.pushes.wanted, row.delay)
        self.pushes.begin(stream)
        stream.on_channel = self.channel_began
        row.state, row.recording_id, row.live_at = "live", room.recording.state.recording, datetime.now(UTC)
        row.live_from = max(0.0, room.now - running.origin)
        await room.parts.store.broadcasts.save(row)
        self.stream, self._aired = stream, running
        self.subtitles = Subtitles(running.origin, row.live_from)
        self.thirds.begin()
        self._turn("live", at=room.now)
        log.info("live", room=room.id, broadcast=row.id)

    async def end(self, by: Participant | None) -> None:
        """Calls a countdown off, or ends what is live. Raises Refusal."""
        state = self._state.state if self._state is not None else None
        if state == "countdown" and self._counting is not None:
            self._counting.cancel()
            self._counting = None
            self._turn("scheduled", at=None)
        elif state in AIRED:
            await self._room.recording.stop(by)
        else:
            raise Refusal("bad-state", "nothing is live")

    def pause(self, paused: bool) -> None:
        """From now on nothing of anybody reaches viewers or is recorded, nor what a delay holds back; or it does again.
        Raises Refusal."""
        running = self._room.recording.running
        if self._state is None or self._state.state not in AIRED or running is None:
            raise Refusal("bad-state", "nothing is live")
        if paused == (self._state.state == "paused"):
            return
        live_from = self._row.live_from if self._row is not None else None
        self._room.recording.hold(paused, running.origin + (live_from or 0.0))
        # Who waits for the beginning goes on waiting: the pause is what they will see of it.
        self._turn("paused" if paused else "live", at_once=paused and self._on_screen)
        log.info("paused" if paused else "live again", room=self._room.id, broadcast=self._state.id)

    def spotlight(self, participant: str | None) -> None:
        """Whom viewers see whoever speaks. Raises Refusal."""
        running = self._room.recording.running
        if self._state is None or self._state.state not in AIRED or running is None:
            raise Refusal("bad-state", "nothing is live")
        running.spotlight(participant)
        self._become(msgspec.structs.replace(self._state, spotlight=participant))

    def left(self, participant: str) -> None:
        """Somebody is gone: whoever speaks is shown again."""
        if self._state is not None and self._state.state in AIRED and self._state.spotlight == participant:
            self.spotlight(None)

    @property
    def pauses(self) -> list[tuple[float, float]]:
        """From when to when viewers saw nothing, in ms of the programme; to infinity: still."""
        return self._aired.pauses if self._aired is not None and self.stream is not None else []

    # --- what happens -----------------------------------------------------------------------------

    def recording_stops(self) -> None:
        """The recording is being finished: so is what is live."""
        if self._state is not None and self._state.state in AIRED:
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
        self.hands.clear()

    def caption(self, caption: Caption, whose: str) -> None:
        """New or revised words: to those who read them, with the times of the programme. `whose` they are, whatever the
        caption says."""
        if self.stream is None or self.over or not self._room.recording.includes(whose, paused=True):
            return
        person = self._room.people.get(caption.participant)
        name, color = (person.name, person.color) if person is not None else ("", 0)
        # Not before the sound of their end can be heard, and no later than that: words are slower than pictures.
        since = max(0.0, (self._room.now - caption.end) / 1000)
        self.behind.later(lambda: self._caption(caption, name, color), since)

    def _caption(self, caption: Caption, name: str, color: int) -> None:
        """In its time: in a pause by now, it is not told."""
        if self._aired is None or self._aired.paused(caption.start, caption.end):
            return
        told = self.subtitles.take(caption, name, color)
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

    def channel_began(self) -> None:
        """Interpreters are to be heard by HLS, in a language more."""
        self.audience.tell("changed", {})

    def signing_changed(self) -> None:
        """A sign-language interpreter is to be seen by WebRTC, or is not any more."""
        self.audience.tell("changed", {})

    def rules_changed(self) -> None:
        """Whether questions are taken."""
        self.audience.tell("changed", {})

    async def ask(self, viewer: str, name: str | None, language: str | None, message: protocol.Ask) -> None:
        """A viewer's question. Raises Refusal."""
        await self._room.questions.ask(outsider(_known(viewer), name, language), message)

    async def vote(self, viewer: str, message: protocol.Vote) -> None:
        """A viewer wants a question answered. Raises Refusal."""
        await self._room.questions.vote(outsider(_known(viewer)), message)

    def react(self, viewer: str, reaction: protocol.Reaction) -> None:
        """A viewer gives a sign. Raises Refusal."""
        self._room.reactions.add(self.who(viewer), reaction)

    def reacted(self, counts: dict[protocol.Reaction, int]) -> None:
        """Signs of everybody: for all viewers."""
        self.audience.tell("reacted", counts)

    @property
    def tiers(self) -> tuple[int, int]:
        """How many follow it by WebRTC, and by HLS or not yet: players that are no page of ours are among the first."""
        return len(self.programme), max(0, len(self.audience) - len(self.programme))

    def report(self, viewer: str, report: Report, now: float) -> float:
        """How a viewer's page fares. Returns the seconds after which to tell again; `now` as in `tick`."""
        self.fared.take(self.who(viewer), report, now)
        return self.fared.every(len(self.audience))

    async def ballot(self, viewer: str, message: protocol.Ballot) -> None:
        """A viewer's choice in a poll. Raises Refusal."""
        await self._room.polls.vote(self.who(viewer), message.poll, message.choices)

    def polls(self, changed: list[protocol.Poll], gone: list[str]) -> None:
        """What became of polls: for all viewers."""
        self.audience.tell("polls", {"changed": changed, "gone": gone})

    def questions(
        self,
        changed: list[protocol.Question],
        gone: list[str],
        only: Collection[str] | None = None,
        voted: Sequence[str] = (),
    ) -> None:
        """What became of questions: for all viewers, or for some, whose vote for them is there already."""
        self.audience.tell(
            "questions",
            {"changed": changed, "gone": gone, **({"mine": voted} if voted else {})},
            where=None if only is None else lambda viewer: viewer.who in only,
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
        self.hands.greet(viewer)
        polls = self._room.polls
        if seen := polls.seen_by(False):
            viewer.send("polls", {"all": seen, "ballots": polls.ballots_of(viewer.who)})
        if viewer.language is not None:
            for rendered in self._room.renderings.for_viewers(viewer.language):
                viewer.send("rendered", rendered)
        if self.stream is not None:
            viewer.send("thirds", self.thirds.shown)
            for told in self.subtitles.recent(viewer.language):
                viewer.send("caption", told)

    def tick(self, now: float) -> None:
        """`now` in seconds, monotonic."""
        self.audience.tick(now)
        self.fared.look(now, len(self.audience))
        self.hands.tick(now)
        self.thirds.look()
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
        """The meeting is over; its recording is finished by now. Viewers who are behind get the rest."""
        self.closed = True
        if self._counting is not None:
            self._counting.cancel()
        self.programme.close()
        if self.behind:
            self.behind.later(self.forget, -GRACE_S)
        else:
            self.forget()

    def forget(self) -> None:
        """Sends everybody away: there is nothing here any more."""
        self.behind.close()
        self.pushes.close()
        self._dismiss()
        if self._row is not None:
            self._room.parts.on_air.pop(self._row.id, None)
