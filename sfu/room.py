"""One room: who sends what to whom. Policy only; packets go past it, in the plane."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from sfu.allocation import Allocation, Target
from sfu.connection import Edge
from sfu.demand import Demand
from sfu.interface import (
    ConnectionKind,
    ConnectionQuality,
    ConnectionState,
    Incoming,
    Published,
    RoomEvents,
    SdpError,
    Tile,
    TrackLabel,
)
from sfu.ledger import Label, Ledger, Present, label
from sfu.levels import Speakers
from sfu.plane import AudioLevel, KeyframeWanted, PlaneEvent, SenderReportSeen, SourceStats
from sfu.programme import Programme
from sfu.publisher import PublishedTrack, Publisher
from sfu.quality import LossWindow
from sfu.scene import Scene
from sfu.sdp import is_token
from sfu.subscriber import Subscriber
from sfu.taps import RoomClock, Tap, TrackInfo
from sfu.tracks import Clock, RoomTracks
from sfu.viewer import Viewer

logger = logging.getLogger(__name__)

SAMPLE_EVERY = 1.0
SPEAKERS_EVERY = 0.1
MEASURE_EVERY = 0.3
DEMAND_EVERY = 0.2
SLICES = 5
"""Viewers are looked after in turn, so many ticks for all: every 100 ms, without a burst of work."""


@dataclass(slots=True)
class _Participant:
    publisher: Publisher
    subscriber: Subscriber | None = None
    viewer: Viewer | None = None
    losses: LossWindow = field(default_factory=LossWindow)


class SfuRoom:
    """See docs/architecture.md. Unknown participants raise `KeyError`; unknown tracks are ignored."""

    def __init__(
        self,
        room: str,
        edge: Edge,
        events: RoomEvents,
        max_bitrate: int,
        on_closed: Callable[[SfuRoom], None],
        ledger: Ledger | None = None,
    ) -> None:
        self.id = room
        self._edge = edge
        self._events = events
        self._max_bitrate = max_bitrate
        self._on_closed = on_closed
        self._clock = Clock(edge.clock)
        self._participants: dict[str, _Participant] = {}
        self._tracks = RoomTracks(edge, self._clock, self._added, self._started, self._removed)
        self._handled: dict[str, tuple[str, ...]] = {}
        self._sampled = self._listened = self._measured = self._demanded = edge.clock()
        self._scene = Scene()
        self.programme = Programme(edge, room, self._tracks, self._scene)
        """What viewers are sent who are not in the room."""
        self._wanted: Counter[str] = Counter()
        self._demands: dict[str, Demand] = {}
        self._video_taps: list[Tap] = []
        self._speaker: str | None = None
        self._ledger = ledger if ledger is not None else Ledger()
        self._turn = 0
        self._speakers = Speakers()
        self._reached: dict[str, frozenset[str]] = {}
        """Whose microphone only some hear, and who they are."""
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
        told = partial(self._state, participant, "publish")
        publisher = Publisher(self._edge, self.id, participant, self._max_bitrate, self._tracks, told)
        self._participants[participant] = _Participant(publisher)

    def remove_participant(self, participant: str) -> None:
        """Ends both connections and every track; unknown ones are ignored."""
        entry = self._participants.get(participant)
        if entry is None:
            return
        if entry.subscriber is not None:
            entry.subscriber.close()
        if entry.viewer is not None:
            self._wanted.subtract(entry.viewer.wants)
        entry.publisher.close()
        del self._participants[participant]
        self._reached.pop(participant, None)
        self._speakers.remove(participant)

    async def publish(self, participant: str, sdp: str, labels: Sequence[TrackLabel]) -> Published:
        """Takes a publish offer: the first, a change, an ICE restart, or a new connection's. Raises `SdpError`."""
        by_mid = {label.mid: label.source for label in labels}
        if len(by_mid) != len(labels):
            raise SdpError("two track labels name the same mid")
        published = self._participants[participant].publisher.publish(sdp, by_mid)
        for said in labels:
            if said.mid in published.tracks and said.width > 0 and said.height > 0:
                self._scene.sizes[published.tracks[said.mid]] = said.width, said.height
        return published

    def subscribe(self, participant: str) -> None:
        """Starts sending offers; once started, offers again (the last one may have been lost)."""
        entry = self._participants[participant]
        if entry.subscriber is not None:
            entry.subscriber.resend()
            return
        entry.subscriber = Subscriber(
            self._edge,
            self.id,
            self._tracks.is_live,
            self._first,
            partial(self._events.offer, participant),
            partial(self._state, participant, "subscribe"),
            partial(self._estimated, participant),
        )
        entry.viewer = Viewer(entry.subscriber, self._edge.clock())
        for track in self._tracks.all():
            if track.info.participant != participant:
                entry.subscriber.add(track.info)
                self._aim_voice(participant, entry, track.info)

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

    def view(self, participant: str, tiles: Sequence[Tile]) -> None:
        """What the participant's page shows: nobody is sent more than that."""
        viewer = self._participants[participant].viewer
        if viewer is not None:
            viewer.show(tiles)

    def encodings(self, participant: str) -> dict[str, list[str]]:
        """Which encodings the participant's simulcast tracks shall send, by track; see `RoomEvents.encodings`."""
        tracks = self._participants[participant].publisher.tracks.values()
        return {t.info.id: list(self._demands[t.info.id].active) for t in tracks if t.info.id in self._demands}

    def set_muted(self, track: str, muted: bool) -> None:
        """A muted track reaches nobody, whatever its publisher sends."""
        self._tracks.set_muted(track, muted)
        self._measured = float("-inf")

    def set_reach(self, participant: str, listeners: frozenset[str] | None) -> None:
        """Only these listeners are sent the participant's microphone from now on, and they are not among the speakers;
        None: everybody is, and they are. Taps are told nothing of it."""
        if participant not in self._participants or self._reached.get(participant) == listeners:
            return
        if listeners is None:
            del self._reached[participant]
        else:
            self._reached[participant] = listeners
            self._speakers.remove(participant)
        for track in self._tracks.all():
            if track.info.participant == participant:
                for listener, entry in self._participants.items():
                    self._aim_voice(listener, entry, track.info)

    def _aim_voice(self, listener: str, entry: _Participant, track: TrackInfo) -> None:
        if track.source != "microphone" or entry.subscriber is None or listener == track.participant:
            return
        reached = self._reached.get(track.participant)
        heard = reached is None or listener in reached
        entry.subscriber.aim(track.id, Target(self._first(track.id)) if heard else None)

    def pictures(self) -> list[tuple[TrackInfo, bool]]:
        """The video tracks that are not muted, the oldest first, and whether each brings something now."""
        found = [t for t in self._tracks.all() if t.info.kind == "video" and t.live and not t.muted]
        return [(track.info, self._tracks.flows(track.info.id)) for track in found]

    def incoming(self, participant: str) -> list[Incoming]:
        """What comes of somebody now, of what they have not muted."""
        found = []
        for track in self._participants[participant].publisher.tracks.values():
            if not track.live or track.muted:
                continue
            states = self._tracks.encodings(track.info.id)
            bitrate = sum(rate for state in states for rate in state.rates.values())
            sizes = [one.height for one in self._scene.encodings.get(track.info.id, ()) if one.active]
            flows = self._tracks.flows(track.info.id)
            found.append(Incoming(track.info, flows, bitrate, max(sizes, default=0)))
        return found

    def peaks(self) -> dict[str, float]:
        """How loud everybody's microphone was at the loudest since the last time this was asked, 0 (silent) to 127; not
        of those whom only some hear."""
        return self._speakers.peaks()

    def request_keyframe(self, track: str) -> None:
        """Asks the publisher, for its best encoding, unless it was asked a moment ago."""
        if self._tracks.is_live(track):
            self._edge.plane.request_keyframe(self._tracks.best(track), self._edge.clock())

    def add_tap(self, tap: Tap, video: bool = True) -> None:
        """`track_opened` is called for the tracks already there. One that wants `video` keeps every camera's best
        encoding coming."""
        self._tracks.add_tap(tap, video)
        if video and tap not in self._video_taps:
            self._video_taps.append(tap)

    def remove_tap(self, tap: Tap) -> None:
        """It is told nothing more."""
        self._tracks.remove_tap(tap)
        if tap in self._video_taps:
            self._video_taps.remove(tap)

    def quality(self, participant: str) -> ConnectionQuality:
        """How the participant's connections fared over the last seconds."""
        entry = self._participants[participant]
        sinks = list(entry.subscriber.sinks.values()) if entry.subscriber is not None else []
        stats = [s for s in map(self._edge.plane.sink_stats, sinks) if s is not None]
        packets = sum(s.packets for s in stats)
        lost = sum(s.packets * s.fraction_lost for s in stats) / packets if packets else 0.0
        trips = [s.round_trip for s in stats if s.round_trip is not None]
        # Pictures come in bursts by nature: the voice says how steady the way is.
        voices = (t for t in entry.publisher.tracks.values() if t.info.kind == "audio")
        sent = (self._edge.plane.source_stats(s) for t in voices for s in t.sources)
        allocation = entry.viewer.allocation if entry.viewer is not None else Allocation()
        return ConnectionQuality(
            publish_loss=entry.losses.fraction,
            subscribe_loss=lost,
            round_trip_ms=min(trips) * 1000.0 if trips else None,
            publish_jitter_ms=max((s.jitter for s in sent if s is not None), default=0.0) * 1000.0,
            estimate=entry.viewer.allocator.estimate if entry.viewer is not None else None,
            wanted=allocation.wanted,
            sent=allocation.spent,
            reduced=len(allocation.reduced),
        )

    def close(self) -> None:
        """Ends every connection; the room can be opened again under the same name."""
        if self._closed:
            return
        self._closed = True
        self.programme.close()
        for participant in list(self._participants):
            self.remove_participant(participant)
        self._on_closed(self)

    # --- driven by the server -------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Offers that are due, encodings that flow, what each viewer gets, speakers, loss samples."""
        self._tracks.tick(now)
        if now - self._measured >= MEASURE_EVERY:
            self._measure(now)
        self._turn += 1
        for place, entry in enumerate(self._participants.values()):
            if entry.viewer is not None and (place + self._turn) % SLICES == 0:
                before = entry.viewer.wants
                if entry.viewer.update(self._scene, self._speaker, now):
                    self._wanted.subtract(before)
                    self._wanted.update(entry.viewer.wants)
                    self._demanded = float("-inf")
        self.programme.tick()
        if now - self._demanded >= DEMAND_EVERY:
            self._demanded = now
            self._demand(now)
        for entry in list(self._participants.values()):
            if entry.subscriber is not None:
                entry.subscriber.poll(now)
        if now - self._listened >= SPEAKERS_EVERY:
            self._listened = now
            speaking = self._speakers.update(now)
            if speaking != self._speaking:
                self._speaking = speaking
                # Whoever spoke last stays the speaker in a silence.
                self._speaker = speaking[0] if speaking else self._speaker
                self._events.speakers(list(speaking))
        if now - self._sampled >= SAMPLE_EVERY:
            self._sampled = now
            for entry in self._participants.values():
                stats = [s for t in entry.publisher.tracks.values() for s in self._count(t)]
                entry.losses.sample(sum(s.packets for s in stats), sum(s.lost for s in stats), now)

    def _count(self, track: PublishedTrack) -> Iterator[SourceStats]:
        for source, rid in zip(track.sources, track.rids or (None,), strict=True):
            stats = self._edge.plane.source_stats(source)
            if stats is not None:
                self._ledger.sample(label(track.info.source, rid), source, stats)
                yield stats

    def _measure(self, now: float) -> None:
        self._measured = now
        tracks = [t for t in self._tracks.all() if t.live and not t.muted]
        self._scene.measure(((t, self._tracks.encodings(t.info.id)) for t in tracks), now)

    def _demand(self, now: float) -> None:
        """Tells publishers which encodings somebody wants: a viewer, or a tap, which takes the best."""
        self._wanted = +self._wanted  # without those that nobody wants any more
        for track, demand in self._demands.items():
            sources = {rid: f"{track}/{rid}" for rid in demand.rids}
            wanted = {r for r, s in sources.items() if self._wanted[s] > 0 or self.programme.wants(s)}
            if self._video_taps:
                wanted.add(demand.rids[-1])
            flowing = {e.source.rpartition("/")[2] for e in self._scene.encodings.get(track, ()) if e.active}
            if demand.update(wanted, flowing, now) and (published := self._tracks.get(track)) is not None:
                self._events.encodings(published.info.participant, track, list(demand.active))

    # --- for operators ----------------------------------------------------------------------------

    def present(self) -> Mapping[Label, Present]:
        """What is received and sent now, by kind of source and layer."""
        found: dict[Label, Present] = {}
        labels: dict[str, Label] = {}
        for track in self._tracks.all():
            if not track.live:
                continue
            for source, rid in zip(track.sources, track.rids or (None,), strict=True):
                labels[source] = label(track.info.source, rid)
                entry = found.setdefault(labels[source], Present())
                entry.sources += 1
                entry.bitrate += sum(self._edge.plane.layer_rates(source).values())
        for viewer in self._viewers():
            for track_id in viewer.subscriber.sinks:
                source_id = viewer.shows(track_id)
                if source_id in labels:
                    found[labels[source_id]].sinks += 1
        return found

    @property
    def viewers(self) -> tuple[int, int]:
        """How many are sent something, and how many of them get less than they show for want of bandwidth."""
        viewers = [v for v in self._viewers() if v.subscriber.sinks]
        return len(viewers), sum(bool(v.allocation.reduced) for v in viewers)

    def _viewers(self) -> Iterator[Viewer]:
        return (entry.viewer for entry in self._participants.values() if entry.viewer is not None)

    # --- what publishers and connections tell ---------------------------------------------------

    def _estimated(self, participant: str, event: PlaneEvent, now: float) -> None:
        entry = self._participants.get(participant)
        if entry is not None and entry.viewer is not None:
            entry.viewer.on_event(event, now)

    def _first(self, track: str) -> str:
        """The lowest encoding: it is always there."""
        found = self._tracks.get(track)
        return found.sources[0] if found is not None else track

    def _added(self, track: TrackInfo) -> None:
        self._events.track_added(track)
        for participant, entry in self._participants.items():
            if entry.subscriber is not None and participant != track.participant:
                entry.subscriber.add(track)
                self._aim_voice(participant, entry, track)

    def _started(self, track: TrackInfo) -> None:
        published = self._tracks.get(track.id)
        self._handled[track.id] = published.sources if published is not None else ()
        if published is not None and published.rids:
            self._demands[track.id] = Demand(published.rids)
        self._measured = float("-inf")
        for source in self._handled[track.id]:
            self._edge.handlers[source] = partial(self._handle, track)
        for participant, entry in self._participants.items():
            if entry.subscriber is not None and participant != track.participant:
                entry.subscriber.sync()

    def _handle(self, track: TrackInfo, event: PlaneEvent, now: float) -> None:
        if isinstance(event, KeyframeWanted):
            self._edge.plane.request_keyframe(event.source, now)
        elif isinstance(event, AudioLevel):
            if track.source == "microphone" and track.participant not in self._reached:
                self._speakers.heard(track.participant, event.level, event.voice, event.time)
        elif isinstance(event, SenderReportSeen):
            self._tracks.reported(event)

    def _removed(self, track: TrackInfo) -> None:
        self._demands.pop(track.id, None)
        self._scene.sizes.pop(track.id, None)
        self._measured = float("-inf")
        for source in self._handled.pop(track.id, ()):
            self._edge.handlers.pop(source, None)
            if (stats := self._edge.plane.source_stats(source)) is not None:
                rid = source.partition("/")[2] or None
                self._ledger.sample(label(track.source, rid), source, stats)
            self._ledger.forget(source)
        if track.source == "microphone":
            self._speakers.remove(track.participant)
        for entry in self._participants.values():
            if entry.subscriber is not None:
                entry.subscriber.remove(track.id)
        self._events.track_removed(track)

    def _state(self, participant: str, connection: ConnectionKind, state: ConnectionState) -> None:
        self._events.connection(participant, connection, state)
