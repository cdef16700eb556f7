"""Packets and events into parts and mix: fed live by the writer, and from the journals by the repair."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from recorder.channel import Channel, language_of
from recorder.depacketise import Depacketiser, depacketiser
from recorder.events import Aired, AnyEvent, Closed, Filed, Interpreted, Muted, Opened, Spoke, Spotlit
from recorder.live import edge
from recorder.live.delay import News
from recorder.live.edge import Edge
from recorder.live.segmenter import PART_MS
from recorder.mix import FRAME, LAG_MS, RATE, RUN, Floats, Mixer, Voice
from recorder.parts import CAMERA_HOLD_MS, AudioClock, AudioParts, MediaFileInfo, Timeline, VideoParts
from sfu.taps import TapPacket

SHORTEST_MS = 100
"""A recording is at least this long, so that there is something to play."""

MIX = -1
"""The mix's index in `Filed`; below it are the interpreters' channels, as they began."""


class RecordedTrack:
    """One track as it is being recorded; `closed` (ms of the recording) is None while it is open."""

    def __init__(self, opened: Opened, start: float) -> None:
        self.opened = opened
        self.start = start
        self.closed: float | None = None
        self.muted = False
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
        self,
        folder: Path,
        origin: float,
        log: Callable[[AnyEvent], None],
        mix: MediaFileInfo | None = None,
        channels: Sequence[MediaFileInfo] = (),
    ) -> None:
        """`mix` and `channels`: what a crash left of them, to go on with."""
        self.tracks: dict[int, VideoTrack | AudioTrack] = {}
        self.origin = origin
        self._folder = folder
        self._log = log
        self._now = origin
        self._edge: Edge | None = None
        self._speaker: str | None = None
        self._spotlight: str | None = None
        self._interpreting: dict[str, str] = {}
        """Who speaks into a channel now, and which."""
        self.mixer = Mixer(folder, mix)
        self._file(MIX)(self.mixer.info)
        self.channels: dict[str, Channel] = {}
        for info in channels:
            self._channel(language_of(info.name), info)

    def _file(self, index: int) -> Callable[[MediaFileInfo], None]:
        return lambda info: self._log(Filed(at=self._now, index=index, file=info))

    @property
    def mixed(self) -> int:
        """Sample up to which every mix is written."""
        return min([self.mixer.position, *(one.mixer.position for one in self.channels.values())])

    def _channel(self, language: str, begun: MediaFileInfo | None = None) -> None:
        if language not in self.channels:
            channel = self.channels[language] = Channel(self._folder, language, self.mixer, begun)
            self._file(MIX - len(self.channels))(channel.mixer.info)
            if self._edge is not None and self.mixer.heard is not None:
                channel.mixer.heard = self._edge.channel(language)

    def _duck(self, at: float) -> None:
        """Whom a channel's floor makes room for, from `at` (room time): who interprets and can be heard."""
        speaking = {
            self._interpreting[track.opened.participant]
            for track in self.tracks.values()
            if track.opened.source == "microphone"
            and track.opened.participant in self._interpreting
            and track.closed is None
            and not track.muted
        }
        for language, channel in self.channels.items():
            channel.duck(round((at - self.origin) * 48), language in speaking)

    def open(self, event: Opened) -> VideoTrack | AudioTrack:
        kind = VideoTrack if event.kind == "video" else AudioTrack
        track = kind(event, self.origin, self._folder, self._file(event.index))
        self.tracks[event.index] = track
        self._show(event.index, track)
        self._duck(event.at)
        return track

    def mute(self, event: Muted) -> None:
        track = self.tracks.get(event.index)
        if track is not None:
            track.muted = event.muted
            self._duck(event.at)
        if event.muted and isinstance(track, VideoTrack):
            track.parts.stop(round(event.at - self.origin))
            if self._edge is not None:
                self._edge.director.stopped(event.index)

    def close(self, event: Closed) -> None:
        track = self.tracks.get(event.index)
        if track and track.closed is None:
            track.closed = event.at - self.origin
            track.parts.close(round(track.closed))
            self._duck(event.at)
            if self._edge is not None:
                self._edge.director.stopped(event.index)

    def happened(self, event: AnyEvent) -> None:
        """What else decides who is shown live, when anything is, and whose voice is of the floor."""
        if isinstance(event, Spoke):
            self._speaker = event.participant
        elif isinstance(event, Spotlit):
            self._spotlight = event.participant
        elif isinstance(event, Aired):
            self._air(event)
        elif isinstance(event, Interpreted):
            if event.channel is None:
                self._interpreting.pop(event.participant, None)
            else:
                self._interpreting[event.participant] = event.channel
                self._channel(event.channel)
            self._duck(event.at)
        if self._edge is not None:
            self._edge.director.speaker, self._edge.director.spotlight = self._speaker, self._spotlight

    def _air(self, event: Aired) -> None:
        if not event.on and self._edge is not None:
            mixers = [self.mixer, *(channel.mixer for channel in self.channels.values())]
            for mixer in mixers:
                mixer.flush()
            self._edge.close()
            for mixer in mixers:
                mixer.run, mixer.heard, mixer.summed = RUN, None, None
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
            for language, channel in self.channels.items():
                channel.mixer.run, channel.mixer.heard = self.mixer.run, self._edge.channel(language)
                channel.mixer.cut(begin * 48)
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
                self._mix(track, position, track.voice.decode(frame.data))
                track.parts.frame(position, frame)

    def _mix(self, track: AudioTrack, position: int, samples: Floats) -> None:
        into = self._interpreting.get(track.opened.participant) if track.opened.source == "microphone" else None
        if into is not None:
            self.channels[into].mixer.add(position, samples)
            return
        self.mixer.add(position, samples)
        for channel in self.channels.values():
            channel.floor(position, samples)

    def advance(self, room_ms: float) -> None:
        """Mixes what is old enough."""
        self._now = room_ms
        lag = edge.LAG_MS if self.mixer.heard is not None else LAG_MS
        until = int((room_ms - self.origin - lag) * 48)
        self.mixer.advance(until)
        for channel in self.channels.values():
            channel.mixer.advance(until)
        if self._edge is not None and self.mixer.heard is not None:
            self._edge.advance(round(room_ms - self.origin))

    def sync(self) -> None:
        """Everything written so far is on disk when this returns."""
        self.mixer.sync()
        for channel in self.channels.values():
            channel.mixer.sync()
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
        for mixer in (*(channel.mixer for channel in self.channels.values()), self.mixer):
            mixer.finish(int(max(SHORTEST_MS, room_ms - self.origin) * 48))
        self._air(Aired(at=room_ms, on=False))
        if problem:
            raise problem
