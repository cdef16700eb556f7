"""Packets and events into parts and mix: fed live by the writer, and from the journals by the repair."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from recorder.depacketise import Depacketiser, depacketiser
from recorder.events import Aired, AnyEvent, Closed, Filed, Muted, Opened, Spoke, Spotlit
from recorder.live import edge
from recorder.live.edge import Edge
from recorder.live.segmenter import PART_MS
from recorder.live.stream import News
from recorder.mix import FRAME, LAG_MS, RATE, RUN, Mixer, Voice
from recorder.parts import CAMERA_HOLD_MS, AudioClock, AudioParts, MediaFileInfo, Timeline, VideoParts
from sfu.taps import TapPacket

SHORTEST_MS = 100
"""A recording is at least this long, so that there is something to play."""

MIX = -1
"""The mix's index in `Filed`."""


class RecordedTrack:
    """One track as it is being recorded; `closed` (ms of the recording) is None while it is open."""

    def __init__(self, opened: Opened, start: float) -> None:
        self.opened = opened
        self.start = start
        self.closed: float | None = None
        self.depacketiser: Depacketiser | None = depacketiser(opened.codec)

    @property
    def dropped(self) -> int:
        return self.depacketiser.dropped if self.depacketiser else 0


class VideoTrack(RecordedTrack):
    """VP9, H.264 or AV1. VP8 has no parts: MP4 cannot hold it, its journal stays."""

    def __init__(self, opened: Opened, origin: float, folder: Path, begun: Callable[[MediaFileInfo], None]) -> None:
        super().__init__(opened, opened.at - origin)
        # A shared screen that does not change sends next to nothing: its last picture stays until muted or closed.
        hold = math.inf if opened.source == "screen" else CAMERA_HOLD_MS
        self.parts = VideoParts(folder, opened.index, hold, begun)
        self.timeline = Timeline(origin)
        self.playable = self.depacketiser is not None and opened.codec.name.upper() != "VP8"

    @property
    def dropped(self) -> int:
        return super().dropped + self.parts.dropped


class AudioTrack(RecordedTrack):
    """Opus."""

    def __init__(self, opened: Opened, origin: float, folder: Path, begun: Callable[[MediaFileInfo], None]) -> None:
        super().__init__(opened, opened.at - origin)
        self.parts = AudioParts(folder, opened.index, begun)
        self.clock = AudioClock(origin)
        self.voice = Voice()
        self.playable = self.depacketiser is not None


class Pipeline:
    """Everything between a packet and a file, but the journal. Not thread-safe: one thread owns it. Raises OSError."""

    def __init__(
        self, folder: Path, origin: float, log: Callable[[AnyEvent], None], mix: MediaFileInfo | None = None
    ) -> None:
        """`mix`: what a crash left of the mix, to go on with."""
        self.tracks: dict[int, VideoTrack | AudioTrack] = {}
        self.origin = origin
        self._folder = folder
        self._log = log
        self._now = origin
        self._edge: Edge | None = None
        self._speaker: str | None = None
        self._spotlight: str | None = None
        self.mixer = Mixer(folder, mix)
        self._file(MIX)(self.mixer.info)

    def _file(self, index: int) -> Callable[[MediaFileInfo], None]:
        return lambda info: self._log(Filed(at=self._now, index=index, file=info))

    def open(self, event: Opened) -> VideoTrack | AudioTrack:
        kind = VideoTrack if event.kind == "video" else AudioTrack
        track = kind(event, self.origin, self._folder, self._file(event.index))
        self.tracks[event.index] = track
        self._show(event.index, track)
        return track

    def mute(self, event: Muted) -> None:
        track = self.tracks.get(event.index)
        if event.muted and isinstance(track, VideoTrack):
            track.parts.stop(round(event.at - self.origin))
            if self._edge is not None:
                self._edge.director.stopped(event.index)

    def close(self, event: Closed) -> None:
        track = self.tracks.get(event.index)
        if track and track.closed is None:
            track.closed = event.at - self.origin
            track.parts.close(round(track.closed))
            if self._edge is not None:
                self._edge.director.stopped(event.index)

    def happened(self, event: AnyEvent) -> None:
        """What else decides who is shown live, and when anything is."""
        if isinstance(event, Spoke):
            self._speaker = event.participant
        elif isinstance(event, Spotlit):
            self._spotlight = event.participant
        elif isinstance(event, Aired):
            self._air(event)
        if self._edge is not None:
            self._edge.director.speaker, self._edge.director.spotlight = self._speaker, self._spotlight

    def _air(self, event: Aired) -> None:
        if not event.on and self._edge is not None:
            self.mixer.flush()
            self._edge.close()
            self.mixer.run, self.mixer.heard, self.mixer.summed = RUN, None, None
            for track in self.tracks.values():
                if isinstance(track, VideoTrack):
                    track.parts.seen = None
        elif event.on and self._edge is None:
            begin = round(event.at - self.origin)
            self._edge = Edge(begin, self._folder if event.aac else None)
            if self._edge.aac is not None:
                self.mixer.summed = self._edge.aac.add
            self.mixer.run, self.mixer.heard = PART_MS * RATE // FRAME // 1000, self._edge.sound
            self.mixer.cut(begin * 48)
            for index, track in self.tracks.items():
                if track.closed is None:
                    self._show(index, track)

    def _show(self, index: int, track: VideoTrack | AudioTrack) -> None:
        if self._edge is not None and isinstance(track, VideoTrack):
            self._edge.director.opened(index, track.opened.participant, track.opened.source == "screen")
            track.parts.seen = self._edge.picture(index)

    def aired(self) -> list[News]:
        """What is new of the live programme."""
        return self._edge.drain() if self._edge is not None else []

    def packet(self, index: int, packet: TapPacket) -> None:
        """Packets of a track in order."""
        self._now = packet.room_ms
        track = self.tracks.get(index)
        if track is None or not track.playable or track.depacketiser is None or track.closed is not None:
            return
        for frame in track.depacketiser.push(packet):
            if isinstance(track, VideoTrack):
                if not track.parts.frame(track.timeline.place(frame.media_ms, packet.room_ms), frame):
                    track.depacketiser.waiting = True
            else:
                position = track.clock.place(frame.timestamp, frame.media_ms, packet.room_ms)
                self.mixer.add(position, track.voice.decode(frame.data))
                track.parts.frame(position, frame)

    def advance(self, room_ms: float) -> None:
        """Mixes what is old enough."""
        self._now = room_ms
        lag = edge.LAG_MS if self.mixer.heard is not None else LAG_MS
        self.mixer.advance(int((room_ms - self.origin - lag) * 48))
        if self._edge is not None and self.mixer.heard is not None:
            self._edge.advance(round(room_ms - self.origin))

    def sync(self) -> None:
        """Everything written so far is on disk when this returns."""
        self.mixer.sync()
        for track in self.tracks.values():
            track.parts.sync()

    @property
    def duration(self) -> int:
        """Milliseconds that are mixed and written; the recording's length once finished."""
        return self.mixer.groups[-1].end if self.mixer.groups else 0

    def finish(self, room_ms: float) -> None:
        """Closes every file, also when one fails (OSError, at the end); all is on disk when this returns."""
        problem: OSError | None = None
        for index, track in self.tracks.items():
            if track.closed is None:
                try:
                    self.close(Closed(at=room_ms, index=index))
                except OSError as error:
                    problem = error
        self.mixer.finish(int(max(SHORTEST_MS, room_ms - self.origin) * 48))
        self._air(Aired(at=room_ms, on=False))
        if problem:
            raise problem
