"""What one participant receives: its subscribe connection, the offers made on it, and the plane's sinks."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable

from sfu.allocation import Target
from sfu.capabilities import UNDECODABLE_LAYERS
from sfu.connection import Connection, Edge
from sfu.interface import ConnectionState, Offer, OfferedTrack
from sfu.plane import Layers, PlaneEvent, SinkSpec
from sfu.redundancy import Redundancy
from sfu.subscription import MAX_UNANSWERED, Accepted, Subscription
from sfu.taps import TrackInfo

LOOK_EVERY = 0.5
"""Seconds between looks at what is lost."""


class Subscriber:
    """One participant's subscribe side. `is_live` says whether the plane has a track's sources, `first` which of them a
    sink shows that was not aimed yet. `on_estimate` hears what the way to the participant can take."""

    def __init__(
        self,
        edge: Edge,
        room: str,
        is_live: Callable[[str], bool],
        first: Callable[[str], str],
        deliver: Callable[[Offer], None],
        on_state: Callable[[ConnectionState], None],
        on_estimate: Callable[[PlaneEvent, float], None],
    ) -> None:
        self.rejected: frozenset[str] = frozenset()
        self.sinks: dict[str, str] = {}
        self._edge = edge
        self._room = room
        self._is_live = is_live
        self._first = first
        self._deliver = deliver
        self._on_state = on_state
        self._on_estimate = on_estimate
        self._revision = 0
        self._tracks: dict[str, TrackInfo] = {}
        self._targets: dict[str, Target | None] = {}
        self._wanted = 0.0
        self._redundancy = Redundancy(edge.redundancy)
        self._looked = float("-inf")
        self._accepted: dict[str, Accepted] = {}
        self._ssrcs: set[int] = set()
        self._connection, self._subscription = self._connect()

    def _connect(self) -> tuple[Connection, Subscription]:
        connection = Connection(self._edge, "subscribe", self._room, self.sync, self._state)
        subscription = Subscription(connection.session, self._new_ssrc, self._edge.redundancy != "off")
        self._edge.handlers[connection.id] = self._on_estimate
        now = self._edge.clock()
        for track in self._tracks.values():
            subscription.add(track, now)
        subscription.touch(now)
        return connection, subscription

    def _new_ssrc(self) -> int:
        while True:
            ssrc = secrets.randbelow(2**32 - 1) + 1
            if ssrc not in self._ssrcs:
                self._ssrcs.add(ssrc)
                return ssrc

    @property
    def tracks(self) -> Iterable[str]:
        """Ids of the tracks that are offered."""
        return self._tracks

    @property
    def transport(self) -> str:
        """The plane's id of the connection."""
        return self._connection.id

    def add(self, track: TrackInfo) -> None:
        """Offer this track."""
        self._tracks[track.id] = track
        self._subscription.add(track, self._edge.clock())

    def remove(self, track: str) -> None:
        """Stop offering it; its sink goes at once."""
        self._tracks.pop(track, None)
        self._targets.pop(track, None)
        self._subscription.remove(track, self._edge.clock())
        self.rejected -= {track}
        if (accepted := self._accepted.pop(track, None)) is not None:
            self._ssrcs -= {accepted.outgoing.ssrc, accepted.outgoing.rtx_ssrc or 0}
        if (sink := self.sinks.pop(track, None)) is not None:
            self._edge.plane.remove_sink(sink)

    def resend(self) -> None:
        """The last offer may be lost (a new WebSocket): offer again."""
        self._subscription.abandon(self._edge.clock())

    def restart(self, rebuild: bool) -> None:
        """ICE restart, or a wholly new connection."""
        if rebuild or self._connection.state == "closed":
            self._drop()
            self._connection, self._subscription = self._connect()
        else:
            self._connection.restart(None)
            self._subscription.abandon(self._edge.clock())

    def poll(self, now: float) -> None:
        """Makes the next offer when it is due. Call on every tick."""
        if self._connection.state == "closed" or not self._subscription.due(now):
            return
        if self._subscription.unanswered >= MAX_UNANSWERED:
            if self._subscription.unanswered == MAX_UNANSWERED:
                self._subscription.unanswered += 1
                self._on_state("failed")
            return
        self._revision += 1
        text = self._subscription.offer(self._revision, self._connection.local("actpass"), now)
        tracks = tuple(
            OfferedTrack(mid, track.id, track.participant, track.kind, track.source)
            for mid, track in self._subscription.offered()
        )
        self._deliver(Offer(text, self._revision, tracks, rebuild=not self._connection.fingerprints))

    def answer(self, revision: int, text: str) -> None:
        """Takes an answer; a stale one is ignored. Raises `SdpError`."""
        answered = self._subscription.answer(revision, text, self._connection.fingerprints)
        if answered is None:
            return
        self._connection.set_remote(answered.ice, answered.fingerprints)
        self.rejected = frozenset(answered.rejected)
        self._accepted = {a.outgoing.track.id: a for a in answered.accepted}
        for track in [t for t in self.sinks if t not in self._accepted]:
            self._edge.plane.remove_sink(self.sinks.pop(track))
        self.sync()

    def sync(self) -> None:
        """Adds the sinks whose subscriber, answer and source are all there by now."""
        if not self._connection.ready:
            return
        for track, accepted in self._accepted.items():
            if track in self.sinks or not self._is_live(track):
                continue
            outgoing = accepted.outgoing
            target = self._targets.get(track)
            spec = SinkSpec(
                id=f"{self._connection.id}/{track}",
                source=target.source if target is not None else self._first(track),
                mid=accepted.mid,
                payload_type=outgoing.chosen.payload_type,
                rtx_payload_type=outgoing.chosen.rtx if accepted.rtx else None,
                ssrc=outgoing.ssrc,
                rtx_ssrc=outgoing.rtx_ssrc if accepted.rtx else None,
                extensions=accepted.extensions,
                cname=outgoing.track.participant,
                nack=accepted.nack,
                red_payload_type=accepted.red,
            )
            self._edge.plane.add_sink(self._connection.id, spec)
            self.sinks[track] = spec.id
            if track in self._targets:
                self._apply(track, spec.id, target, resume=False)
        if self._wanted:
            self._edge.plane.set_wanted_bitrate(self._connection.id, self._wanted)
        self._edge.plane.set_redundancy(self._connection.id, self.redundant)

    def aim(self, track: str, target: Target | None) -> None:
        """What is sent of a track from now on, None for nothing; kept until there is a sink."""
        if track not in self._tracks or (track in self._targets and self._targets[track] == target):
            return
        paused = track in self._targets and self._targets[track] is None
        self._targets[track] = target
        if (sink := self.sinks.get(track)) is not None:
            self._apply(track, sink, target, resume=paused)

    def _apply(self, track: str, sink: str, target: Target | None, resume: bool) -> None:
        plane = self._edge.plane
        if target is None:
            plane.pause_sink(sink, True)
            return
        # Aimed first, so that a sink which wakes asks for a key frame of the right encoding.
        spatial, accepted = target.spatial, self._accepted.get(track)
        if self._tracks[track].codec.name in UNDECODABLE_LAYERS and (
            accepted is None or accepted.extensions.dependency_descriptor is None
        ):
            spatial = 0
        plane.aim_sink(sink, target.source, Layers(spatial, target.temporal))
        if resume:
            plane.pause_sink(sink, False)

    def want(self, bits_per_second: float) -> None:
        """What would be sent if the way could take it: the plane probes up to it."""
        self._wanted = bits_per_second
        if self._connection.ready:
            self._edge.plane.set_wanted_bitrate(self._connection.id, bits_per_second)

    @property
    def redundant(self) -> bool:
        """Whether sound is sent with its redundancy, where the subscriber takes it."""
        return self._redundancy.wanted

    def protect(self, estimate: float | None, cost: float, now: float) -> bool:
        """Looks at the loss, sometimes: true where `redundant` has changed. `estimate` of the way and `cost` of all
        redundancy in bit/s."""
        if now - self._looked < LOOK_EVERY or not self._connection.ready:
            return False
        self._looked = now
        stats = self._edge.plane.transport_stats(self._connection.id)
        if stats is None or not self._redundancy.update(stats.loss, estimate, cost, now):
            return False
        self._edge.plane.set_redundancy(self._connection.id, self.redundant)
        return True

    def _state(self, state: ConnectionState) -> None:
        if state == "closed":
            # The plane has removed the sinks with their transport.
            self.sinks.clear()
        self._on_state(state)

    def _drop(self) -> None:
        self._edge.handlers.pop(self._connection.id, None)
        self._accepted.clear()
        self._ssrcs.clear()
        self.rejected = frozenset()
        self._connection.close()

    def close(self) -> None:
        """Ends the sinks, then the connection."""
        self._drop()
