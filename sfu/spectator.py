"""One viewer of a room's programme: a connection that it offered, one picture and one sound.

The picture is a single sink of the plane, aimed at whichever track the programme shows: it switches at a key frame and
stays one stream for the viewer, also where the codec changes.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

from sfu import sdp
from sfu.allocation import Allocation, Allocator, Priority, Watched
from sfu.capabilities import UNDECODABLE_LAYERS
from sfu.connection import Connection, Edge
from sfu.interface import ConnectionState, SdpError
from sfu.plane import BandwidthEstimate, Layers, PlaneEvent, SinkSpec
from sfu.publisher import PublishedTrack
from sfu.scene import Scene
from sfu.watching import STREAM, Received, WatchPlan, plan_watch, write_watch

VOICE = 64_000.0
"""Bit/s set aside for the sound."""
NOTABLE = 0.02
"""A share by which an estimate must have moved to be worth a new decision."""


def _new_ssrc() -> int:
    return secrets.randbelow(2**32 - 1) + 1


class Spectator:
    """Cheap while nothing changes: thousands of them are looked at ten times a second."""

    def __init__(self, edge: Edge, room: str, offer: str, on_state: Callable[[ConnectionState], None]) -> None:
        """Raises `SdpError`; nothing was opened then."""
        self._plan = plan_watch(sdp.parse(offer), _new_ssrc)
        self.wants: frozenset[str] = frozenset()
        self.shown: str | None = None
        """The track."""
        self.allocation = Allocation()
        self._edge = edge
        self._allocator = Allocator()
        self._on_state = on_state
        self._changed = True
        self._seen: tuple[int, str | None] = (-1, None)
        self._decided = self._wanted = 0.0
        self._sound: str | None = None
        self._sinks: set[str] = set()
        self._paused = False
        self._connection = Connection(edge, "watch", room, self._ready, self._state)
        edge.handlers[self._connection.id] = self._told
        self._connection.set_remote(self._plan.ice, self._plan.fingerprints)

    @property
    def codecs(self) -> tuple[str, ...]:
        """Of pictures, those that it decodes; empty where it wants none."""
        line = self._plan.of("video")
        return line.codecs if line is not None else ()

    @property
    def transport(self) -> str:
        """The plane's id of its connection."""
        return self._connection.id

    def answer(self) -> str:
        """The answer to its offer."""
        self._connection.version += 1
        local = self._connection.local("passive")
        return write_watch(self._plan, local, self._connection.session, self._connection.version)

    def restart(self, offer: str) -> str:
        """ICE begins anew (RFC 9725, section 4.3.2); `offer` is the first one with other credentials. Raises
        `SdpError`."""
        plan: WatchPlan = plan_watch(sdp.parse(offer), _new_ssrc)
        if plan.fingerprints != self._plan.fingerprints:
            raise SdpError("a=fingerprint changed: a new connection needs a new session")
        self._connection.restart(plan.ice)
        self._connection.set_remote(plan.ice, plan.fingerprints)
        return self.answer()

    def _ready(self) -> None:
        self._changed = True
        if self._sound is not None:
            self.hear(self._sound)

    def _state(self, state: ConnectionState) -> None:
        if state == "closed":
            self._sinks.clear()  # gone with the plane's transport
            self._edge.handlers.pop(self._connection.id, None)
        self._on_state(state)

    def _told(self, event: PlaneEvent, now: float) -> None:
        if not isinstance(event, BandwidthEstimate):
            return
        estimate = event.bits_per_second
        self._allocator.estimated(estimate, now)
        if estimate < self.allocation.spent:
            self._changed = True
        elif self.allocation.reduced:
            self._changed = self._changed or abs(estimate - self._decided) > NOTABLE * self._decided

    # --- what it is sent --------------------------------------------------------------------------

    def hear(self, source: str) -> None:
        """The plane's source of the sound."""
        self._sound = source
        line = self._plan.of("audio")
        if line is not None and self._connection.ready:
            self._add(line, source)

    def _name(self, line: Received) -> str:
        return f"{self._connection.id}/{line.kind}"

    def _add(self, line: Received, source: str) -> None:
        sink = self._name(line)
        if sink in self._sinks:
            self._edge.plane.aim_sink(sink, source)
            return
        first, numbers = line.formats[0], line.numbers
        spec = SinkSpec(
            id=sink,
            source=source,
            mid=line.mid,
            payload_type=first.payload_type,
            rtx_payload_type=numbers[0].rtx_payload_type,
            ssrc=line.ssrc,
            rtx_ssrc=line.rtx_ssrc,
            extensions=line.ids,
            cname=STREAM,
            nack="nack" in first.feedback,
            formats=numbers if line.kind == "video" else (),
            house_clock=line.kind == "video",
        )
        self._edge.plane.add_sink(self._connection.id, spec)
        self._sinks.add(sink)

    def update(self, scene: Scene, wishes: Sequence[PublishedTrack], now: float) -> bool:
        """`wishes`: what the programme would show, the best first; the first that this viewer decodes is taken. True
        when `wants`, the plane's sources that it shows or would show, has changed."""
        if not self._connection.ready:
            return False
        seen = (scene.version, wishes[0].info.id if wishes else None)
        if not self._changed and seen == self._seen and (not self.allocation.reduced or self._allocator.settled):
            return False
        self._changed, self._seen = False, seen
        self._decided = self._allocator.estimate or 0.0
        line = self._plan.of("video")
        track = next((t for t in wishes if line is not None and t.info.codec.name in line.codecs), None)
        if line is None or track is None or track.info.id not in scene.encodings:
            return self._rest(line, track)
        name = track.info.id
        watched = Watched(name, Priority.SPEAKER, scene.encodings[name], screen=track.info.source == "screen")
        self.allocation = self._allocator.allocate([watched], VOICE, now)
        target = self.allocation.targets[name]
        assert target is not None
        spatial, sink = target.spatial, self._name(line)
        if track.info.codec.name in UNDECODABLE_LAYERS and line.ids.dependency_descriptor is None:
            spatial = 0
        if sink not in self._sinks:
            self._add(line, target.source)
        self._edge.plane.aim_sink(sink, target.source, Layers(spatial, target.temporal))
        self.shown = name
        if self._paused:
            self._paused = False
            self._edge.plane.pause_sink(sink, False)
        if abs(self.allocation.wanted - self._wanted) > 0.01 * self._wanted:
            self._wanted = self.allocation.wanted
            self._edge.plane.set_wanted_bitrate(self._connection.id, self._wanted)
        wants = frozenset({target.source, *self.allocation.wishes.values()})
        changed, self.wants = wants != self.wants, wants
        return changed

    def _rest(self, line: Received | None, track: PublishedTrack | None) -> bool:
        """No picture for now. One whose rates nobody knows yet is waited for."""
        if track is None and line is not None and not self._paused and self._name(line) in self._sinks:
            self._paused = True
            self._edge.plane.pause_sink(self._name(line), True)
        self._changed = self._changed or (track is not None and line is not None)
        self.shown = None
        changed, self.wants = bool(self.wants), frozenset()
        return changed

    def close(self) -> None:
        """Ends the connection."""
        self._edge.handlers.pop(self._connection.id, None)
        self._connection.close()
