"""The tracks of a room and the taps on them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial

from sfu.connection import Edge
from sfu.plane import PlanePacket, SenderReportSeen
from sfu.publisher import PublishedTrack
from sfu.taps import Tap, TapPacket, TrackInfo
from sfu.timing import PublisherTiming, TrackTiming

logger = logging.getLogger(__name__)


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
        self._tracks: dict[str, PublishedTrack] = {}
        self._publishers: dict[str, PublisherTiming] = {}
        self._times: dict[str, TrackTiming] = {}
        self._taps: list[Tap] = []

    def __len__(self) -> int:
        return len(self._tracks)

    def get(self, track: str) -> PublishedTrack | None:
        """The track, None when there is none of that id."""
        return self._tracks.get(track)

    def all(self) -> list[PublishedTrack]:
        """Every track, oldest first."""
        return list(self._tracks.values())

    def is_live(self, track: str) -> bool:
        """Whether the plane has its source."""
        found = self._tracks.get(track)
        return found is not None and found.live

    def set_muted(self, track: str, muted: bool) -> None:
        """Muted tracks reach nobody, taps included. An unmuted video asks for a key frame."""
        found = self._tracks.get(track)
        if found is None or found.muted == muted:
            return
        found.muted = muted
        if found.live:
            self._edge.plane.pause_source(track, muted)
            if not muted and found.info.kind == "video":
                self._edge.plane.request_keyframe(track, self._edge.clock())
        self._tell("track_muted", track, muted, self._clock.now())

    def add_tap(self, tap: Tap) -> None:
        """The tracks already there are told to it at once."""
        if tap in self._taps:
            return
        self._taps.append(tap)
        now = self._clock.now()
        for track in self._tracks.values():
            self._guard(tap.track_opened, track.info, now)
            if track.muted:
                self._guard(tap.track_muted, track.info.id, True, now)
            self._attach(track)

    def remove_tap(self, tap: Tap) -> None:
        """Unknown ones are ignored. It is told nothing more."""
        if tap in self._taps:
            self._taps.remove(tap)
        if not self._taps:
            for track in self._tracks.values():
                if track.live:
                    self._edge.plane.set_tap(track.info.id, None)

    def opened(self, track: PublishedTrack) -> None:
        """Negotiated; nothing flows yet."""
        info = track.info
        self._tracks[info.id] = track
        if info.participant not in self._publishers:
            self._publishers[info.participant] = PublisherTiming(self._clock.opened)
        self._times[info.id] = self._publishers[info.participant].track(info.codec.clock_rate)
        self._tell("track_opened", track.info, self._clock.now())
        self._added(track.info)

    def started(self, track: PublishedTrack) -> None:
        """The plane has its source now."""
        self._attach(track)
        self._started(track.info)

    def ended(self, track: PublishedTrack) -> None:
        """Gone from the offer, or with its connection. Comes before the plane forgets its source."""
        if track.live:
            self._edge.plane.set_tap(track.info.id, None)
        del self._tracks[track.info.id], self._times[track.info.id]
        if all(t.info.participant != track.info.participant for t in self._tracks.values()):
            del self._publishers[track.info.participant]
        self._tell("track_closed", track.info.id, self._clock.now())
        self._removed(track.info)

    def _attach(self, track: PublishedTrack) -> None:
        if track.live and self._taps:
            self._edge.plane.set_tap(track.info.id, partial(self._packets, track.info.id))

    def reported(self, report: SenderReportSeen) -> None:
        """A sender report of one of the tracks: it ties timestamps to the publisher's clock."""
        if (times := self._times.get(report.source)) is not None:
            times.report(report.ntp, report.timestamp, report.arrival)

    def _packets(self, track: str, packets: Sequence[PlanePacket]) -> None:
        times, at = self._times[track], self._clock.at
        batch = [
            TapPacket(
                track=track,
                sequence=p.sequence,
                timestamp=p.timestamp,
                room_ms=at(p.arrival),
                media_ms=times.media_ms(p.timestamp, p.arrival),
                marker=p.marker,
                keyframe=p.keyframe,
                lost=p.lost,
                payload=p.payload,
            )
            for p in packets
        ]
        self._tell("packets", batch)

    def _tell(self, method: str, *arguments: object) -> None:
        for tap in tuple(self._taps):
            self._guard(getattr(tap, method), *arguments)

    def _guard(self, call: Callable[..., None], *arguments: object) -> None:
        """A tap that fails must not take the media of the room with it."""
        try:
            call(*arguments)
        except Exception:
            logger.exception("a tap failed")
