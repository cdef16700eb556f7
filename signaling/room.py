"""A running meeting: who is in it, what they see of each other, and what the SFU tells about them.

No socket and no clock of its own: people are reached through `Peer`, time comes in with `tick` and from the room clock.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog

from captioning.caption import Caption
from community.store import Store
from sfu.interface import ConnectionKind, ConnectionState, Offer
from sfu.server import Sfu
from sfu.taps import TrackInfo
from signaling import protocol
from signaling.admission import Admissions
from signaling.agenda import Agenda
from signaling.broadcast import RoomBroadcast
from signaling.captioners import Captioners
from signaling.captions import CaptionSource, RoomWords
from signaling.chat import RoomChat
from signaling.interpreters import Interpreters
from signaling.lobby import Lobby
from signaling.metrics import Metrics
from signaling.overview import RoomOverview
from signaling.people import Participant, Peer, free_color
from signaling.polls import RoomPolls
from signaling.quality import publish_level, subscribe_level
from signaling.questions import RoomQuestions
from signaling.reactions import RoomReactions
from signaling.recording import RecordingSource, RoomRecording
from signaling.renderings import Renderings
from signaling.settings import Settings
from signaling.turn import ice_servers

log = structlog.get_logger("room")

QUALITY_EVERY = 3.0
REPORT_HOLDS = 8000.0
"""Milliseconds that a browser's report of its reception counts."""


@dataclass(frozen=True)
class Parts:
    """What rooms are built on."""

    settings: Settings
    sfu: Sfu
    captions: CaptionSource
    recorder: RecordingSource
    store: Store
    metrics: Metrics
    secret: str
    on_air: dict[str, RoomBroadcast] = field(default_factory=dict)
    """Broadcasts of the rooms that are open, by their ids."""
    admissions: Admissions = field(default_factory=Admissions)


class Room:
    """One meeting. Also the SFU's `RoomEvents` for it."""

    def __init__(self, room: str, name: str, lobby: bool, parts: Parts) -> None:
        self.id = room
        self.name = name
        self.meeting = secrets.token_hex(8)
        self.parts = parts
        self.people: dict[str, Participant] = {}
        self.lobby_on = lobby
        self.lobby = Lobby(parts.settings.limits.waiting)
        self.removed: set[str] = set()
        self.speaking: list[str] = []
        self.layout: protocol.Layout | None = None
        self.agenda = Agenda()
        self.media = parts.sfu.open_room(self.meeting, self)
        self.words = RoomWords(
            self.meeting,
            parts.captions,
            parts.settings.captions.languages,
            self.media,
            self.caption,
            lambda key, said: self.renderings.arrived(key, said),
        )
        self.captioners = Captioners(self)
        self.interpreters = Interpreters(self)
        self.renderings = Renderings(self)
        self.chat = RoomChat(self)
        self.questions = RoomQuestions(self)
        self.polls = RoomPolls(self)
        self.reactions = RoomReactions(self)
        self.recording = RoomRecording(self)
        self.live = RoomBroadcast(self)
        self.overview = RoomOverview(self)
        self.empty_since: float | None = None
        self.closed = asyncio.Event()
        self._quality_at = 0.0
        self._told_captions = self.words.state()

    @property
    def now(self) -> float:
        """Room time, milliseconds."""
        return self.media.clock.now()

    # --- what people see --------------------------------------------------------------------------

    def info(self) -> protocol.RoomInfo:
        """The room as everyone in it sees it."""
        return protocol.RoomInfo(
            id=self.id,
            name=self.name,
            lobby=self.lobby_on,
            captions=self.words.state(),
            recording=self.recording.state,
            questions=self.questions.rules,
            broadcast=self.live.state,
            spoken=self.words.among,
            channels=self.interpreters.view(),
            signing=self.interpreters.signing,
            layout=self.layout,
            agenda=self.agenda.view(),
        )

    def welcome(self, person: Participant, resumed: bool) -> protocol.Welcome:
        """The whole state for one person."""
        return protocol.Welcome(
            version=protocol.VERSION,
            participant=person.id,
            resume=person.resume,
            resumed=resumed,
            now=self.now,
            permissions=sorted(person.permissions),
            room=self.info(),
            people=[other.view() for other in self.people.values()],
            chat=self.chat.visible_to(person.id),
            captions=[c for c in self.words.snapshot() if self.reads(person, c)],
            waiting=self.lobby.view() if person.may("moderate") else [],
            ice_servers=ice_servers(self.parts.settings.turn, person.id),
            questions=self.questions.visible_to(person),
            voted=self.questions.voted(person),
            hands=self.live.hands.view() if person.may("broadcast") else [],
            hands_open=self.live.hands.open,
            polls=self.polls.seen_by(person.may("moderate")),
            ballots=self.polls.ballots_of(self.questions.who_is(person)),
        )

    def broadcast(
        self, message: protocol.Message, to: Iterable[Participant] | None = None, key: object | None = None
    ) -> None:
        """Sends to everybody with a socket, encoded once."""
        data = protocol.encoder.encode(message)
        for person in self.people.values() if to is None else to:
            if person.peer is not None:
                person.peer.send_encoded(data, key)

    def changed(self, person: Participant) -> None:
        """Tells everybody somebody's new state."""
        if person.id in self.people:
            self.broadcast(protocol.Changed(person=person.view()), key=("person", person.id))

    def room_changed(self) -> None:
        """Tells everybody the room's new state."""
        self.broadcast(protocol.RoomChanged(room=self.info()), key="room")

    def agenda_changed(self) -> None:
        """Tells everybody, and the recording, what is being dealt with."""
        self.room_changed()
        self.recording.agenda(self.agenda)

    def lobby_changed(self) -> None:
        """Tells moderators who waits, and those who wait their place."""
        moderators = [p for p in self.people.values() if p.may("moderate")]
        self.broadcast(protocol.LobbyChanged(waiting=self.lobby.view()), moderators, key="lobby")
        for person, place in self.lobby.places():
            if person.peer is not None:
                person.peer.send(protocol.Waiting(participant=person.id, room=self.name, position=place), key="waiting")

    # --- coming and going -------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """No more may come in."""
        return len(self.people) >= self.parts.settings.limits.people

    def is_removed(self, jti: str, visitor: str | None) -> bool:
        """Whether a moderator put the bearer out of this meeting."""
        return jti in self.removed or (visitor is not None and visitor in self.removed)

    def wait(self, person: Participant) -> None:
        """Into the lobby."""
        self.lobby.add(person, self.now)
        self.lobby_changed()

    def enter(self, person: Participant) -> None:
        """Into the room: everybody is told, and media is offered."""
        person.color = free_color(p.color for p in self.people.values())
        self.media.add_participant(person.id)
        self.people[person.id] = person
        self.empty_since = None
        self.recording.named(person)
        self.words.spoken(person.id, person.spoken)
        self.listen(person)
        self.words.unnamed.hide(person.id, not person.named)
        self.readers()
        if person.peer is not None:
            person.peer.send(self.welcome(person, resumed=False))
        self.renderings.greet(person)
        self.broadcast(protocol.Joined(person=person.view()), [p for p in self.people.values() if p.id != person.id])
        self.interpreters.entered()
        self.live.hands.entered(person)
        if person.watches:
            self.media.subscribe(person.id)
        self.parts.metrics.joins.inc()
        log.info("joined", room=self.id, participant=person.id, role=person.role)

    def find_resume(self, secret: str) -> Participant | None:
        """Whose resume secret this is."""
        return next((p for p in self.people.values() if secrets.compare_digest(p.resume, secret)), None)

    def resume(self, person: Participant, peer: Peer) -> None:
        """The participant goes on with a new socket; an older one is told that it was replaced."""
        if person.peer is not None:
            person.peer.close(
                protocol.Closed(reason="replaced", message="this participant went on elsewhere", retry=False)
            )
        person.peer, person.lost_at = peer, None
        self.captioners.connection_changed(person)
        peer.send(self.welcome(person, resumed=True))
        self.renderings.greet(person)
        self.readers()
        self.changed(person)
        if self.speaking:
            peer.send(protocol.Speakers(participants=self.speaking), key="speakers")
        self.media.subscribe(person.id)
        for track, active in self.media.encodings(person.id).items():
            self.encodings(person.id, track, active)
        self.parts.metrics.resumes.inc()

    def lost(self, person: Participant, peer: Peer, now: float) -> None:
        """A socket ended without a goodbye; `now` in seconds, monotonic."""
        if person.peer is not peer:
            return
        if self.lobby.take(person.id) is not None:
            person.peer = None
            self.lobby_changed()
        elif person.id in self.people:
            person.peer, person.lost_at = None, now
            self.captioners.connection_changed(person)
            self.changed(person)

    def leave(self, person: Participant, reason: str = "left") -> None:
        """Somebody goes for good: ``left``, ``lost`` or ``removed``."""
        if self.lobby.take(person.id) is not None:
            self.lobby_changed()
            return
        if self.people.pop(person.id, None) is None:
            return
        self.media.remove_participant(person.id)
        person.tracks.clear()
        self.captioners.left(person)
        self.interpreters.left(person)
        self.words.left(person.id)
        self.live.left(person.id)
        self.overview.tell(person.id, False)
        self.live.hands.left(person)
        self.readers()
        self.broadcast(protocol.Left(participant=person.id, reason=reason))  # type: ignore[arg-type]
        log.info("left", room=self.id, participant=person.id, reason=reason)

    def listen(self, person: Participant) -> None:
        """Whether the machine listens to somebody: not where they do not want it, nor where a person types for them."""
        self.words.heard(person.id, person.captioned and not self.captioners.typed(person.id))

    def readers(self) -> None:
        """Which languages somebody reads now."""
        here = [p.reads for p in self.people.values() if p.reads and p.may("caption")]
        self.words.readers([*here, *self.live.audience.languages])

    def languages(self, person: Participant, spoken: str | None, reads: str | None) -> None:
        """Somebody speaks or reads another language now."""
        read_before, person.spoken, person.reads = person.reads, spoken, reads
        self.words.spoken(person.id, spoken)
        self.readers()
        if reads != read_before and person.peer is not None:
            for caption in self.words.snapshot():
                if self.reads(person, caption):
                    person.peer.send(protocol.Captioned(caption=caption), key=_caption_key(caption))
            self.renderings.greet(person)
        self.changed(person)

    # --- time -------------------------------------------------------------------------------------

    def tick(self, now: float) -> bool:
        """Once a second or so, `now` in seconds, monotonic. True when the room is over and must be closed."""
        limits = self.parts.settings.limits
        for person in list(self.people.values()):
            if person.lost_at is not None and now - person.lost_at >= limits.resume_seconds:
                self.leave(person, "lost")
        if now - self._quality_at >= QUALITY_EVERY:
            self._quality_at = now
            self._tell_quality()
        if (captions := self.words.state()) != self._told_captions:
            self._told_captions = captions
            self.room_changed()
        self.live.tick(now)
        self.overview.tick(now)
        self.captioners.tick()
        if self.people or len(self.lobby):
            self.empty_since = None
            return False
        if self.empty_since is None:
            self.empty_since = now
        return now - self.empty_since >= limits.empty_room_seconds

    def _tell_quality(self) -> None:
        for person in list(self.people.values()):
            if person.peer is None:
                continue
            found = self.media.quality(person.id)
            report = person.report if self.now - person.reported <= REPORT_HOLDS else None
            outwards, inwards = publish_level(found), subscribe_level(found, report)
            message = protocol.Quality(
                level=min(outwards, inwards),
                publish_level=outwards,
                subscribe_level=inwards,
                publish_loss=round(found.publish_loss, 4),
                subscribe_loss=round(found.subscribe_loss, 4),
                publish_jitter_ms=round(found.publish_jitter_ms, 1),
                subscribe_jitter_ms=report.jitter_ms if report is not None else 0.0,
                round_trip_ms=found.round_trip_ms,
                estimate=found.estimate,
                wanted=found.wanted,
                sent=found.sent,
                reduced=found.reduced,
                frozen_ms=report.frozen_ms if report is not None else 0.0,
                limited_by=report.limited_by if report is not None else "none",
            )
            person.peer.send(message, key="quality")
            if person.quality.update(message.level):
                self.changed(person)

    async def close(self, closed: protocol.Closed) -> None:
        """Ends the meeting: recording finished, words flushed, everybody told, chat forgotten."""
        await self.recording.close()
        self.live.close()
        for person in [*self.people.values(), *self.lobby.take_all()]:
            if person.peer is not None:
                person.peer.close(closed)
        self.people.clear()
        self.media.close()
        await self.words.close()
        self.questions.close()
        self.polls.close()
        self.reactions.close()
        self.overview.close()
        await self.parts.store.chat.forget(self.meeting)
        self.closed.set()

    # --- sfu.interface.RoomEvents -----------------------------------------------------------------

    def track_added(self, track: TrackInfo) -> None:
        person = self.people.get(track.participant)
        if person is None:
            return
        person.tracks[track.id] = protocol.Track(
            id=track.id, participant=track.participant, kind=track.kind, source=track.source, muted=False
        )
        self.changed(person)

    def track_removed(self, track: TrackInfo) -> None:
        person = self.people.get(track.participant)
        if person is not None and person.tracks.pop(track.id, None) is not None:
            self.changed(person)

    def set_muted(self, person: Participant, track: protocol.Track, muted: bool) -> None:
        """Mutes or unmutes a track of somebody's."""
        self.media.set_muted(track.id, muted)
        person.tracks[track.id] = protocol.Track(
            id=track.id, participant=person.id, kind=track.kind, source=track.source, muted=muted
        )
        self.changed(person)

    def offer(self, participant: str, offer: Offer) -> None:
        person = self.people.get(participant)
        if person is None or person.peer is None:
            return
        tracks = [
            protocol.SubscribedTrack(mid=t.mid, track=t.track, participant=t.participant, kind=t.kind, source=t.source)
            for t in offer.tracks
        ]
        message = protocol.SubscribeOffer(sdp=offer.sdp, revision=offer.revision, tracks=tracks, rebuild=offer.rebuild)
        person.peer.send(message)

    def encodings(self, participant: str, track: str, active: list[str]) -> None:
        person = self.people.get(participant)
        if person is not None and person.peer is not None:
            person.peer.send(protocol.Encodings(track=track, active=active), key=("encodings", track))

    def speakers(self, participants: list[str]) -> None:
        self.speaking = participants
        self.broadcast(protocol.Speakers(participants=participants), key="speakers")
        self.recording.speaker(participants[0] if participants else None)

    def connection(self, participant: str, connection: ConnectionKind, state: ConnectionState) -> None:
        log.debug("connection", room=self.id, participant=participant, connection=connection, state=state)
        person = self.people.get(participant)
        if person is not None and person.peer is not None:
            person.peer.connection(connection, state)

    # --- words ------------------------------------------------------------------------------------

    def caption(self, caption: Caption) -> None:
        """New or revised words: to those who read them, and into the recording when final."""
        shown = self.words.unnamed.shown(caption)
        readers = [p for p in self.people.values() if self.reads(p, shown)]
        self.broadcast(protocol.Captioned(caption=shown), readers, key=_caption_key(shown))
        if shown.channel is not None:
            return
        self.overview.heard(shown)
        self.live.caption(shown, caption.participant)
        if caption.final:
            self.recording.caption(shown, caption.participant)

    def reads(self, person: Participant, caption: Caption) -> bool:
        """Originals go to everybody who may have captions, a translation to those who read its language; what is
        interpreted to those who hear it."""
        if not person.may("caption"):
            return False
        if caption.channel is not None:
            return self.interpreters.reads(person, caption)
        return caption.language == caption.source or caption.language == person.reads


def _caption_key(caption: Caption) -> object:
    return ("caption", caption.segment, caption.language)
