"""One viewer of a room's programme: a connection that it offered, one picture and one sound, and whoever signs.

A picture is a single sink of the plane, aimed at whichever track the programme shows: it switches at a key frame and
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
SIGNER = (640, 360)
"""The size at which the second picture is shown, at most: hands are clear in it."""


def _new_ssrc() -> int:
    return secrets.randbelow(2**32 - 1) + 1


class _Picture:
    """One of the pictures: the m-line that it goes by and its sink, which is there once something was shown."""

    def __init__(self, line: Received, sink: str) -> None:
        self.line = line
        self.sink = sink
        self.added = self.paused = False

    def choose(self, wishes: Sequence[PublishedTrack]) -> PublishedTrack | None:
        """The first that this viewer decodes."""
        return next((track for track in wishes if track.info.codec.name in self.line.codecs), None)


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
        self._seen: tuple[int, str | None, str | None] = (-1, None, None)
        self._decided = self._wanted = 0.0
        self._sound: str | None = None
        self._hearing: str | None = None
        """The sink of the sound."""
        self._connection = Connection(edge, "watch", room, self._ready, self._state)
        lines = [line for line in (self._plan.of("video", place) for place in (0, 1)) if line is not None]
        self._pictures = [_Picture(line, f"{self._connection.id}/video{n or ''}") for n, line in enumerate(lines)]
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
            self._hearing = None  # gone with the plane's transport
            for picture in self._pictures:
                picture.added = False
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
        if line is None or not self._connection.ready:
            return
        if self._hearing is not None:
            self._edge.plane.aim_sink(self._hearing, source)
            return
        self._hearing = f"{self._connection.id}/audio"
        self._add(line, self._hearing, source)

    def _add(self, line: Received, sink: str, source: str) -> None:
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

    def update(
        self, scene: Scene, wishes: Sequence[PublishedTrack], now: float, signing: PublishedTrack | None = None
    ) -> bool:
        """`wishes`: what the programme would show, the best first; the first that this viewer decodes is taken, and
        beside it `signing`. True when `wants`, the plane's sources that it shows or would show, has changed."""
        if not self._connection.ready:
            return False
        seen = (scene.version, wishes[0].info.id if wishes else None, signing.info.id if signing is not None else None)
        if not self._changed and seen == self._seen and (not self.allocation.reduced or self._allocator.settled):
            return False
        self._changed, self._seen = False, seen
        self._decided = self._allocator.estimate or 0.0
        shown: list[tuple[_Picture, PublishedTrack]] = []
        watched: list[Watched] = []
        for place, picture in enumerate(self._pictures):
            beside = [signing] if signing is not None and all(track is not signing for _, track in shown) else []
            track = picture.choose(beside if place else wishes)
            if track is None:
                self._rest(picture)
            elif track.info.id not in scene.encodings:
                self._changed = True  # its rates are not known yet: it is waited for
            else:
                shown.append((picture, track))
                watched.append(_watched(track, scene, place))
        self.shown = shown[0][1].info.id if shown and shown[0][0] is self._pictures[0] else None
        self.allocation = self._allocator.allocate(watched, VOICE, now) if watched else Allocation()
        for picture, track in shown:
            self._show(picture, track)
        if watched and abs(self.allocation.wanted - self._wanted) > 0.01 * self._wanted:
            self._wanted = self.allocation.wanted
            self._edge.plane.set_wanted_bitrate(self._connection.id, self._wanted)
        sources = {target.source for target in self.allocation.targets.values() if target is not None}
        wants = frozenset(sources.union(self.allocation.wishes.values()))
        changed, self.wants = wants != self.wants, wants
        return changed

    def _show(self, picture: _Picture, track: PublishedTrack) -> None:
        target = self.allocation.targets[track.info.id]
        assert target is not None
        spatial = target.spatial
        if track.info.codec.name in UNDECODABLE_LAYERS and picture.line.ids.dependency_descriptor is None:
            spatial = 0
        if not picture.added:
            picture.added = True
            self._add(picture.line, picture.sink, target.source)
        self._edge.plane.aim_sink(picture.sink, target.source, Layers(spatial, target.temporal))
        if picture.paused:
            picture.paused = False
            self._edge.plane.pause_sink(picture.sink, False)

    def _rest(self, picture: _Picture) -> None:
        """No picture for now."""
        if picture.added and not picture.paused:
            picture.paused = True
            self._edge.plane.pause_sink(picture.sink, True)

    def close(self) -> None:
        """Ends the connection."""
        self._edge.handlers.pop(self._connection.id, None)
        self._connection.close()


def _watched(track: PublishedTrack, scene: Scene, place: int) -> Watched:
    """The second picture is small, and served first: who reads it hears nothing."""
    encodings, screen = scene.encodings[track.info.id], track.info.source == "screen"
    if place:
        return Watched(track.info.id, Priority.PINNED, encodings, *SIGNER, screen=screen)
    return Watched(track.info.id, Priority.SPEAKER, encodings, screen=screen)
