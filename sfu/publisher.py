"""What one participant sends: its publish connection and the tracks negotiated on it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from sfu import sdp
from sfu.connection import Connection, Edge
from sfu.interface import ConnectionState, Published
from sfu.negotiation import Incoming, PublishPlan, plan_publish, write_answer
from sfu.plane import SourceSpec
from sfu.taps import TrackInfo, TrackSource


@dataclass(slots=True)
class PublishedTrack:
    """`live` once the plane has its sources: one for each encoding, the lowest first."""

    info: TrackInfo
    incoming: Incoming
    muted: bool = False
    live: bool = False

    @property
    def rids(self) -> tuple[str, ...]:
        """Names of its encodings, the lowest first; empty where it has only one."""
        return self.incoming.rids

    @property
    def sources(self) -> tuple[str, ...]:
        """The plane's ids of its encodings, in the same order."""
        return tuple(f"{self.info.id}/{rid}" for rid in self.rids) or (self.info.id,)


class TrackEvents(Protocol):
    """Whom a publisher tells."""

    def opened(self, track: PublishedTrack) -> None: ...
    def started(self, track: PublishedTrack) -> None:
        """The plane has its sources now."""

    def ended(self, track: PublishedTrack) -> None: ...


class Publisher:
    """One participant's publish side."""

    def __init__(
        self,
        edge: Edge,
        room: str,
        participant: str,
        max_bitrate: int,
        events: TrackEvents,
        on_state: Callable[[ConnectionState], None],
    ) -> None:
        self.tracks: dict[str, PublishedTrack] = {}
        self._edge = edge
        self._room = room
        self._participant = participant
        self._max_bitrate = max_bitrate
        self._events = events
        self._on_state = on_state
        self._connection: Connection | None = None
        self._peer_session = ""

    def publish(self, text: str, labels: Mapping[str, TrackSource]) -> Published:
        """Takes an offer: the first, a change, an ICE restart or that of a new connection. Raises `SdpError`."""
        plan = plan_publish(sdp.parse(text), labels, self._edge.redundancy != "off", self._edge.first)
        if plan.ice is None:
            # Nothing is left, so the browser drops its transport too.
            self.close()
            return Published(write_answer(plan, None, "1", 1), {})
        connection = self._connection
        if connection is not None and self._is_new(plan, connection):
            self.close()
            connection = None
        if connection is None:
            connection = Connection(self._edge, "publish", self._room, self._ready, self._state)
            self._connection = connection
        elif connection.remote is not None and plan.ice.ufrag != connection.remote.ufrag:
            connection.restart(plan.ice)
        connection.set_remote(plan.ice, plan.fingerprints)
        self._peer_session = plan.session
        self._reconcile(plan.incoming)
        connection.version += 1
        answer = write_answer(plan, connection.local("passive"), connection.session, connection.version)
        return Published(answer, {mid: track.info.id for mid, track in self.tracks.items()})

    def _is_new(self, plan: PublishPlan, connection: Connection) -> bool:
        """A new RTCPeerConnection has a new certificate, or at least both a new session and new credentials."""
        assert plan.ice is not None
        if connection.state == "closed" or plan.fingerprints != connection.fingerprints:
            return True
        same_ice = connection.remote is not None and connection.remote.ufrag == plan.ice.ufrag
        return plan.session != self._peer_session and not same_ice

    def _reconcile(self, incoming: Mapping[str, Incoming]) -> None:
        for mid, track in list(self.tracks.items()):
            if incoming.get(mid) != track.incoming:
                self._end(mid)
        for mid, wanted in incoming.items():
            if mid in self.tracks:
                continue
            info = TrackInfo(secrets.token_hex(8), self._participant, wanted.kind, wanted.source, wanted.chosen.codec)
            track = PublishedTrack(info, wanted)
            self.tracks[mid] = track
            self._events.opened(track)
            self._start(track)

    def _ready(self) -> None:
        assert self._connection is not None
        self._edge.plane.set_bitrate(self._connection.id, self._max_bitrate)
        for track in list(self.tracks.values()):
            self._start(track)

    def _start(self, track: PublishedTrack) -> None:
        connection = self._connection
        if connection is None or not connection.ready or track.live:
            return
        incoming, chosen = track.incoming, track.incoming.chosen
        for source, rid in zip(track.sources, track.rids or (None,), strict=True):
            spec = SourceSpec(
                id=source,
                kind=incoming.kind,
                codec=chosen.codec,
                mid=incoming.mid,
                payload_type=chosen.payload_type,
                rtx_payload_type=chosen.rtx,
                ssrc=incoming.ssrc,
                rtx_ssrc=incoming.rtx_ssrc,
                extensions=incoming.extensions,
                nack="nack" in chosen.feedback,
                rid=rid,
                red_payload_type=chosen.red,
            )
            self._edge.plane.add_source(connection.id, spec)
            self._edge.plane.pause_source(source, track.muted)
        track.live = True
        self._events.started(track)

    def _end(self, mid: str) -> None:
        track = self.tracks.pop(mid)
        self._events.ended(track)
        if track.live:
            track.live = False
            for source in track.sources:
                self._edge.plane.remove_source(source)

    def _state(self, state: ConnectionState) -> None:
        if state == "closed":
            self._end_all()
        self._on_state(state)

    def _end_all(self) -> None:
        for mid in list(self.tracks):
            self._end(mid)

    def close(self) -> None:
        """Ends the tracks, then the connection."""
        self._end_all()
        if self._connection is not None:
            self._connection.close()
            self._connection = None
