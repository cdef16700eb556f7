"""The tracks of a room and the taps on them.

A tap sees each track as one continuous picture: the best encoding that flows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import partial

from sfu.connection import Edge
from sfu.plane import PlanePacket, SenderReportSeen
from sfu.publisher import PublishedTrack
from sfu.simulcast import Flows, Follow
from sfu.taps import Tap, TapPacket, TrackInfo
from sfu.timing import PublisherTiming, TrackTiming

logger = logging.getLogger(__name__)

SAMPLE_EVERY = 0.1
ASK_AGAIN = 1.0


class Clock:
    """Milliseconds since it was made, by the monotonic clock that is given (`sfu.taps.RoomClock`)."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self.opened = seconds()

    def now(self) -> float:
        return self.at(self._seconds())

    def at(self, seconds: float) -> float:
        """Room time of a reading of the monotonic clock."""
        return (seconds - self.opened) * 1000.0


@dataclass(frozen=True, slots=True)
class EncodingState:
    """One encoding of a track: `rid` None for the only one, `rates` as `sfu.plane.Plane.layer_rates` tells them.
    `active` while it brings packets."""

    rid: str | None
    source: str
    active: bool
    rates: Mapping[tuple[int, int], float]


@dataclass(slots=True)
class _Entry:
    track: PublishedTrack
    flows: Flows
    follow: Follow
    times: dict[str, TrackTiming]
    tapped: set[str] = field(default_factory=set)
    asked: float = float("-inf")
    """When the taps' key frame was last asked for."""


class RoomTracks:
    """Implements `sfu.publisher.TrackEvents`. `added` and `removed` are told after the taps."""

    def __init__(
        self,
        edge: Edge,
        clock: Clock,
        added: Callable[[TrackInfo], None],
        started: Callable[[TrackInfo], None],
        removed: Callable[[TrackInfo], None],
    ) -> None:
        self._edge = edge
        self._clock = clock
        self._added = added
        self._started = started
        self._removed = removed
        self._tracks: dict[str, _Entry] = {}
        self._publishers: dict[str, PublisherTiming] = {}
        self._times: dict[str, TrackTiming] = {}
        self._sampled = float("-inf")
        self._taps: list[Tap] = []
        self._watching: list[Tap] = []
        """Those of them that want video."""

    def __len__(self) -> int:
        return len(self._tracks)

    def get(self, track: str) -> PublishedTrack | None:
        """The track, None when there is none of that id."""
        found = self._tracks.get(track)
        return found.track if found is not None else None

    def all(self) -> list[PublishedTrack]:
        """Every track, oldest first."""
        return [entry.track for entry in self._tracks.values()]

    def is_live(self, track: str) -> bool:
        """Whether the plane has its sources."""
        found = self.get(track)
        return found is not None and found.live

    def best(self, track: str) -> str:
        """The source of the best encoding that flows; the lowest before any does. Raises KeyError."""
        return self._tracks[track].flows.best

    def flows(self, track: str) -> bool:
        """Whether any of its encodings brings packets now."""
        entry, now = self._tracks.get(track), self._edge.clock()
        return entry is not None and any(entry.flows.flows(source, now) for source in entry.track.sources)

    def encodings(self, track: str) -> list[EncodingState]:
        """The lowest first; empty for an unknown track."""
        entry = self._tracks.get(track)
        if entry is None:
            return []
        plane, now, found = self._edge.plane, self._edge.clock(), entry.track
        return [
            EncodingState(rid, source, entry.flows.flows(source, now), plane.layer_rates(source))
            for rid, source in zip(found.rids or (None,), found.sources, strict=True)
        ]

    def tapped(self, track: str) -> bool:
        """Whether some tap gets its packets."""
        return track in self._tracks and bool(self._receivers(self._tracks[track].track))

    def set_muted(self, track: str, muted: bool) -> None:
        """Muted tracks reach nobody, taps included. An unmuted video asks for a key frame."""
        found = self.get(track)
        if found is None or found.muted == muted:
            return
        found.muted = muted
        if found.live:
            for source in found.sources:
                self._edge.plane.pause_source(source, muted)
                if not muted and found.info.kind == "video":
                    self._edge.plane.request_keyframe(source, self._edge.clock())
        self._tell("track_muted", track, muted, self._clock.now())

    def add_tap(self, tap: Tap, video: bool = True) -> None:
        """The tracks already there are told to it at once. Without `video` it gets packets of audio only."""
        if tap in self._taps:
            return
        self._taps.append(tap)
        if video:
            self._watching.append(tap)
        now = self._clock.now()
        for entry in self._tracks.values():
            track = entry.track
            self._guard(tap.track_opened, track.info, now)
            if track.muted:
                self._guard(tap.track_muted, track.info.id, True, now)
            self._attach(entry)

    def remove_tap(self, tap: Tap) -> None:
        """Unknown ones are ignored. It is told nothing more."""
        for taps in (self._taps, self._watching):
            if tap in taps:
                taps.remove(tap)
        for entry in self._tracks.values():
            if not self._receivers(entry.track):
                self._detach(entry, entry.tapped)
                entry.follow.shown = entry.follow.target = None

    def _receivers(self, track: PublishedTrack) -> list[Tap]:
        return self._watching if track.info.kind == "video" else self._taps

    def opened(self, track: PublishedTrack) -> None:
        """Negotiated; nothing flows yet."""
        info = track.info
        if info.participant not in self._publishers:
            self._publishers[info.participant] = PublisherTiming(self._clock.opened)
        times = {s: self._publishers[info.participant].track(info.codec.clock_rate) for s in track.sources}
        self._tracks[info.id] = _Entry(track, Flows(track.sources), Follow(info.codec.clock_rate), times)
        self._times |= times
        self._tell("track_opened", track.info, self._clock.now())
        self._added(track.info)

    def started(self, track: PublishedTrack) -> None:
        """The plane has its sources now."""
        self._attach(self._tracks[track.info.id])
        self._started(track.info)

    def ended(self, track: PublishedTrack) -> None:
        """Gone from the offer, or with its connection. Comes before the plane forgets its sources."""
        entry = self._tracks[track.info.id]
        self._detach(entry, entry.tapped)
        del self._tracks[track.info.id]
        for source in track.sources:
            del self._times[source]
        if all(e.track.info.participant != track.info.participant for e in self._tracks.values()):
            del self._publishers[track.info.participant]
        self._tell("track_closed", track.info.id, self._clock.now())
        self._removed(track.info)

    def tick(self, now: float) -> None:
        """Looks which encodings flow; taps follow the best."""
        if now - self._sampled < SAMPLE_EVERY:
            return
        self._sampled = now
        for entry in self._tracks.values():
            if not entry.track.live or entry.track.info.kind != "video":
                continue
            if entry.flows.sample(self._packets_of, now):
                self._attach(entry)
            follow = entry.follow
            if len(entry.track.sources) == 1:
                continue  # its taps take what comes
            if follow.target is not None and follow.target != follow.shown and now - entry.asked >= ASK_AGAIN:
                entry.asked = now
                self._edge.plane.request_keyframe(follow.target, now)

    def _packets_of(self, source: str) -> int:
        stats = self._edge.plane.source_stats(source)
        return stats.packets if stats is not None else 0

    def _attach(self, entry: _Entry) -> None:
        """Taps the best encoding, besides the one that is shown until the best has a key frame."""
        if not entry.track.live or not self._receivers(entry.track):
            return
        best = entry.flows.best
        entry.follow.target = best
        self._detach(entry, entry.tapped - {best, entry.follow.shown})
        if best not in entry.tapped:
            entry.tapped.add(best)
            self._edge.plane.set_tap(best, partial(self._packets, entry, best))

    def _detach(self, entry: _Entry, sources: Set[str | None]) -> None:
        for source in entry.tapped & sources:
            entry.tapped.discard(source)
            self._edge.plane.set_tap(source, None)

    def reported(self, report: SenderReportSeen) -> None:
        """A sender report of one of the tracks: it ties timestamps to the publisher's clock."""
        if (times := self._times.get(report.source)) is not None:
            times.report(report.ntp, report.timestamp, report.arrival)

    def _packets(self, entry: _Entry, source: str, packets: Sequence[PlanePacket]) -> None:
        times, at = entry.times[source], self._clock.at
        batch: list[TapPacket] = []
        for packet in packets:
            p, media_ms = packet, times.media_ms(packet.timestamp, packet.arrival)
            if len(entry.track.sources) > 1:
                placed = entry.follow.take(source, p, media_ms)
                if placed is None:
                    continue
                p, media_ms = placed
            batch.append(
                TapPacket(
                    track=entry.track.info.id,
                    sequence=p.sequence,
                    timestamp=p.timestamp,
                    room_ms=at(p.arrival),
                    media_ms=media_ms,
                    marker=p.marker,
                    keyframe=p.keyframe,
                    lost=p.lost,
                    payload=p.payload,
                )
            )
        if batch:
            for tap in tuple(self._receivers(entry.track)):
                self._guard(tap.packets, batch)
            self._detach(entry, entry.tapped - {entry.follow.shown, entry.follow.target, source})

    def _tell(self, method: str, *arguments: object) -> None:
        for tap in tuple(self._taps):
            self._guard(getattr(tap, method), *arguments)

    def _guard(self, call: Callable[..., None], *arguments: object) -> None:
        """A tap that fails must not take the media of the room with it."""
        try:
            call(*arguments)
        except Exception:
            logger.exception("a tap failed")
