"""Video tracks of a finished recording, frame by frame: from their fMP4 files or, VP8 as it came, from the journal."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from recorder import events, journal
from recorder.bitstream import CodecConfig
from recorder.depacketise import depacketiser
from recorder.fmp4 import read_fragments
from recorder.index import IndexedTrack, load_index
from recorder.manifest import Manifest, Track
from recorder.parts import CAMERA_HOLD_MS, Timeline
from recorder.programme import Span
from recorder.sealing import files
from recorder.writer import journal_path
from sfu.taps import Codec


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: times in ms of the recording. `config` is that of its group."""

    time: int
    duration: int
    key: bool
    config: CodecConfig
    data: bytes


class StoredTrack:
    """One video track. `sources`: (file, config) of each stretch; the file is None for VP8."""

    def __init__(self, track: Track) -> None:
        self.index = track.index
        self.participant = track.participant
        self.screen = track.source == "screen"
        self.codec_name = track.codec
        self.spans: Sequence[Span] = ()
        self.sources: list[tuple[Path | None, CodecConfig]] = []

    @property
    def kind(self) -> str:
        """What must agree for two tracks to share a stream: codec and, for VP9 and AV1, the profile."""
        codec = self.sources[0][1].codec.split(".")
        return self.codec_name if self.codec_name == "H264" else ".".join(codec[:2])

    def frames(self, start: int, end: int) -> Iterator[Frame]:
        """From the key frame at or after `start` up to `end`."""
        raise NotImplementedError


class FileTrack(StoredTrack):
    """VP9, H.264 and AV1, and the VP9 copy of a VP8 track."""

    def __init__(self, track: Track, folder: Path, indexed: IndexedTrack) -> None:
        super().__init__(track)
        self.codec_name = indexed.files[0].codec_name if indexed.files else track.codec
        self._folder = folder
        self._indexed = indexed
        self.spans = [Span(group.start, group.end) for group in indexed.groups]
        self.sources = [(folder / file.name, file.config) for file in indexed.files]

    def frames(self, start: int, end: int) -> Iterator[Frame]:
        for group in self._indexed.groups:
            if not start <= group.start < end:
                continue
            path, config = self.sources[group.file]
            assert path
            data = files.read_range(path, group.offset, group.offset + group.size)
            for one in read_fragments(data):
                if one.time < end:
                    yield Frame(one.time, one.duration, one.key, config, data[one.data_offset : one.offset + one.size])


class JournalTrack(StoredTrack):
    """VP8: read from the journal each time, so that memory does not grow with the recording.

    `stops` are the times (ms, in order) at which its picture ended: muted, closed.
    """

    def __init__(self, track: Track, path: Path, origin: float, stops: Sequence[float]) -> None:
        super().__init__(track)
        self._path = path
        self._origin = origin
        self._stops = stops
        self._hold = math.inf if self.screen else CAMERA_HOLD_MS
        size = start = end = 0
        spans: list[Span] = []
        for frame in self._read():
            size += len(frame.data)
            if frame.key or frame.time > end:
                if spans:
                    spans[-1] = Span(start, end)
                start = frame.time
                spans.append(Span(start, start))
                if not self.sources or frame.config != self.sources[-1][1]:
                    self.sources.append((None, frame.config))
            end = frame.time + frame.duration
        if spans:
            spans[-1] = Span(start, end)
        self.spans = spans
        shown = sum(span.end - span.start for span in spans)
        self.bitrate = size * 8000 // max(1, shown)

    def _read(self) -> Iterator[Frame]:
        reader = depacketiser(Codec("VP8", 90000))
        assert reader
        timeline = Timeline(self._origin)
        config: CodecConfig | None = None
        pending: tuple[int, bool, bytes] | None = None
        for packet in journal.packets(self._path, "", whole=True):
            for frame in reader.push(packet):
                time = timeline.place(frame.media_ms, packet.room_ms)
                if pending and config:
                    yield self._frame(pending, time, config)
                    if not frame.key and time > pending[0] + self._shown(pending[0], time):
                        reader.waiting, pending = True, None  # as in the parts: after a gap comes a key frame
                        continue
                config = frame.config or config
                pending = (time, frame.key, frame.data)
        if pending and config:
            yield self._frame(pending, math.inf, config)

    def _shown(self, start: int, until: float) -> int:
        """How long a frame at `start` is seen when the next comes at `until`."""
        at = bisect_right(self._stops, start)
        stop = self._stops[at] if at < len(self._stops) else math.inf
        return max(1, int(min(until - start, self._hold, stop - start)))

    def _frame(self, pending: tuple[int, bool, bytes], until: float, config: CodecConfig) -> Frame:
        time, key, data = pending
        return Frame(time, self._shown(time, until), key, config, data)

    def frames(self, start: int, end: int) -> Iterator[Frame]:
        begun = False
        for frame in self._read():
            if frame.time >= end:
                return
            begun = begun or (frame.key and frame.time >= start)
            if begun:
                yield frame


def original(folder: Path, manifest: Manifest, index: int) -> JournalTrack:
    """A VP8 track as it came."""
    track = next(track for track in manifest.tracks if track.index == index)
    origin = load_index(folder).origin
    stops = [
        event.at - origin
        for event in events.read_log(folder)
        if isinstance(event, events.Muted | events.Closed) and event.index == index
    ]
    return JournalTrack(track, journal_path(folder, index), origin, sorted([*stops, track.closed]))


def stored_tracks(folder: Path, manifest: Manifest, copies: bool = False) -> list[StoredTrack]:
    """Every video track that was kept. VP8 as it came or, with `copies`, as VP9 where that is made."""
    indexed = {one.index: one for one in load_index(folder).tracks if one.files}
    tracks: list[StoredTrack] = []
    for track in manifest.tracks:
        if track.kind != "video":
            continue
        if track.codec == "VP8" and not (copies and track.index in indexed):
            tracks.append(original(folder, manifest, track.index))
        elif track.index in indexed:
            tracks.append(FileTrack(track, folder, indexed[track.index]))
    return tracks
