"""One room: who sends what to whom. Policy only; packets go past it, in the plane."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from sfu.connection import Edge
from sfu.interface import (
    ConnectionKind,
    ConnectionQuality,
    ConnectionState,
    Published,
    RoomEvents,
    SdpError,
    TrackLabel,
)
from sfu.levels import Speakers
from sfu.plane import AudioLevel, KeyframeWanted, PlaneEvent, SenderReportSeen
from sfu.publisher import PublishedTrack, Publisher
from sfu.quality import LossWindow
from sfu.sdp import is_token
from sfu.subscriber import Subscriber
from sfu.taps import RoomClock, Tap, TrackInfo
from sfu.tracks import Clock, RoomTracks

logger = logging.getLogger(__name__)

SAMPLE_EVERY = 1.0
SPEAKERS_EVERY = 0.1


@dataclass(slots=True)
class _Participant:
    publisher: Publisher
    subscriber: Subscriber | None = None
    losses: LossWindow = field(default_factory=LossWindow)


class SfuRoom:
    """See docs/architecture.md. Unknown participants raise `KeyError`; unknown tracks are ignored."""

    def __init__(
        self, room: str, edge: Edge, events: RoomEvents, max_bitrate: int, on_closed: Callable[[SfuRoom], None]
    ) -> None:
        self.id = room
        self._edge = edge
        self._events = events
        self._max_bitrate = max_bitrate
        self._on_closed = on_closed
        self._clock = Clock(edge.clock)
        self._participants: dict[str, _Participant] = {}
        self._tracks = RoomTracks(edge, self._clock, self._added, self._started, self._removed, self._improved)
        self._handled: dict[str, tuple[str, ...]] = {}
        self._sampled = self._listened = edge.clock()
        self._speakers = Speakers()
        self._speaking: list[str] = []
        self._closed = False

    @property
    def clock(self) -> RoomClock:
        """Milliseconds since the room opened."""
        return self._clock

    @property
    def participants(self) -> int:
        """How many there are."""
        return len(self._participants)

    @property
    def tracks(self) -> int:
        """How many tracks are published."""
        return len(self._tracks)

    @property
    def forwards(self) -> int:
        """How many streams leave the server."""
        return sum(len(p.subscriber.sinks) for p in self._participants.values() if p.subscriber is not None)

    def add_participant(self, participant: str) -> None:
        """Raises `ValueError` for a name used already, or one that cannot stand in a session description."""
        if self._closed:
            raise ValueError(f"room {self.id} is closed")
        if participant in self._participants:
            raise ValueError(f"participant {participant} is already in the room")
        if not is_token(participant):
            raise ValueError(f"participant {participant!r} is not a token of 1 to 64 characters")
        publisher = Publisher(
            self._edge, participant, self._max_bitrate, self._tracks, partial(self._state, participant, "publish")
        )
        self._participants[participant] = _Participant(publisher)

    def remove_participant(self, participant: str) -> None:
        """Ends both connections and every track; unknown ones are ignored."""
        entry = self._participants.get(participant)
        if entry is None:
            return
        if entry.subscriber is not None:
            entry.subscriber.close()
        entry.publisher.close()
        del self._participants[participant]
        self._speakers.remove(participant)

    async def publish(self, participant: str, sdp: str, labels: Sequence[TrackLabel]) -> Published:
        """Takes a publish offer: the first, a change, an ICE restart, or a new connection's. Raises `SdpError`."""
        by_mid = {label.mid: label.source for label in labels}
        if len(by_mid) != len(labels):
            raise SdpError("two track labels name the same mid")
        return self._participants[participant].publisher.publish(sdp, by_mid)

    def subscribe(self, participant: str) -> None:
        """Starts sending offers; once started, offers again (the last one may have been lost)."""
        entry = self._participants[participant]
        if entry.subscriber is not None:
            entry.subscriber.resend()
            return
        entry.subscriber = Subscriber(
            self._edge,
            self._tracks.is_live,
            self._tracks.best,
            partial(self._events.offer, participant),
            partial(self._state, participant, "subscribe"),
        )
        for track in self._tracks.all():
            if track.info.participant != participant:
                entry.subscriber.add(track.info)

    async def answer(self, participant: str, revision: int, sdp: str) -> None:
        """Takes the answer to the offer of `revision`; a stale one is ignored. Raises `SdpError`."""
        subscriber = self._participants[participant].subscriber
        if subscriber is not None:
            subscriber.answer(revision, sdp)

    def restart_subscribe(self, participant: str, rebuild: bool) -> None:
        """Offers again with new ICE credentials, or for a whole new connection."""
        subscriber = self._participants[participant].subscriber
        if subscriber is None:
            self.subscribe(participant)
        else:
            subscriber.restart(rebuild)

    def undecodable(self, participant: str) -> frozenset[str]:
        """Tracks that this subscriber's browser refused, most likely for their codec."""
        subscriber = self._participants[participant].subscriber
        return frozenset() if subscriber is None else subscriber.rejected

    def set_muted(self, track: str, muted: bool) -> None:
        """A muted track reaches nobody, whatever its publisher sends."""
        self._tracks.set_muted(track, muted)

    def request_keyframe(self, track: str) -> None:
        """Asks the publisher, unless it was asked a moment ago."""
        if self._tracks.is_live(track):
            self._edge.plane.request_keyframe(track, self._edge.clock())

    def add_tap(self, tap: Tap) -> None:
        """`track_opened` is called for the tracks already there."""
        self._tracks.add_tap(tap)

    def remove_tap(self, tap: Tap) -> None:
        """It is told nothing more."""
        self._tracks.remove_tap(tap)

    def quality(self, participant: str) -> ConnectionQuality:
        """How the participant's connections fared over the last seconds."""
        entry = self._participants[participant]
        sinks = list(entry.subscriber.sinks.values()) if entry.subscriber is not None else []
        stats = [s for s in map(self._edge.plane.sink_stats, sinks) if s is not None]
        packets = sum(s.packets for s in stats)
        lost = sum(s.packets * s.fraction_lost for s in stats) / packets if packets else 0.0
        trips = [s.round_trip for s in stats if s.round_trip is not None]
        return ConnectionQuality(entry.losses.fraction, lost, min(trips) * 1000.0 if trips else None)

    def close(self) -> None:
        """Ends every connection; the room can be opened again under the same name."""
        if self._closed:
            return
        self._closed = True
        for participant in list(self._participants):
            self.remove_participant(participant)
        self._on_closed(self)

    # --- driven by the server -------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Offers that are due, encodings that flow, speakers, loss samples."""
        self._tracks.tick(now)
        for entry in list(self._participants.values()):
            if entry.subscriber is not None:
                entry.subscriber.poll(now)
        if now - self._listened >= SPEAKERS_EVERY:
            self._listened = now
            speaking = self._speakers.update(now)
            if speaking != self._speaking:
                self._speaking = speaking
                self._events.speakers(list(speaking))
        if now - self._sampled >= SAMPLE_EVERY:
            self._sampled = now
            for entry in self._participants.values():
                found = (self._edge.plane.source_stats(t.info.id) for t in entry.publisher.tracks.values())
                stats = [s for s in found if s is not None]
                entry.losses.sample(sum(s.packets for s in stats), sum(s.lost for s in stats), now)

    # --- what publishers and connections tell ---------------------------------------------------

    def _added(self, track: TrackInfo) -> None:
        self._events.track_added(track)
        for participant, entry in self._participants.items():
            if entry.subscriber is not None and participant != track.participant:
                entry.subscriber.add(track)

    def _started(self, track: TrackInfo) -> None:
        published = self._tracks.get(track.id)
        self._handled[track.id] = published.sources if published is not None else ()
        for source in self._handled[track.id]:
            self._edge.handlers[source] = partial(self._handle, track)
        for participant, entry in self._participants.items():
            if entry.subscriber is not None and participant != track.participant:
                entry.subscriber.sync()

    def _improved(self, track: PublishedTrack) -> None:
        for entry in self._participants.values():
            if entry.subscriber is not None:
                entry.subscriber.aim(track.info.id, self._tracks.best(track.info.id))

    def _handle(self, track: TrackInfo, event: PlaneEvent, now: float) -> None:
        if isinstance(event, KeyframeWanted):
            self._edge.plane.request_keyframe(event.source, now)
        elif isinstance(event, AudioLevel):
            if track.source == "microphone":
                self._speakers.heard(track.participant, event.level, event.voice, event.time)
        elif isinstance(event, SenderReportSeen):
            self._tracks.reported(event)

    def _removed(self, track: TrackInfo) -> None:
        for source in self._handled.pop(track.id, ()):
            self._edge.handlers.pop(source, None)
        if track.source == "microphone":
            self._speakers.remove(track.participant)
        for entry in self._participants.values():
            if entry.subscriber is not None:
                entry.subscriber.remove(track.id)
        self._events.track_removed(track)

    def _state(self, participant: str, connection: ConnectionKind, state: ConnectionState) -> None:
        self._events.connection(participant, connection, state)
