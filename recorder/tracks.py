"""Video tracks of a finished recording, frame by frame: from their fMP4 files, or (VP8) from the journal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from recorder import journal
from recorder.bitstream import CodecConfig
from recorder.conclude import IndexedTrack, load_index
from recorder.depacketise import depacketiser
from recorder.fmp4 import read_fragments
from recorder.manifest import Manifest, Track
from recorder.parts import CAMERA_HOLD_MS, Timeline
from recorder.programme import Span
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
    """VP9, H.264 and AV1."""

    def __init__(self, track: Track, folder: Path, indexed: IndexedTrack) -> None:
        super().__init__(track)
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
            with path.open("rb") as opened:
                opened.seek(group.offset)
                data = opened.read(group.size)
            for one in read_fragments(data):
                if one.time < end:
                    yield Frame(one.time, one.duration, one.key, config, data[one.data_offset : one.offset + one.size])


class JournalTrack(StoredTrack):
    """VP8: read from the journal each time, so that memory does not grow with the recording."""

    def __init__(self, track: Track, path: Path, origin: float) -> None:
        super().__init__(track)
        self._path = path
        self._origin = origin
        self._closed = int(track.closed)
        spans: list[Span] = []
        for frame in self._read():
            if frame.key:
                spans.append(Span(frame.time, frame.time + frame.duration))
                if not self.sources or frame.config != self.sources[-1][1]:
                    self.sources.append((None, frame.config))
            else:
                spans[-1] = Span(spans[-1].start, frame.time + frame.duration)
        self.spans = spans

    def _read(self) -> Iterator[Frame]:
        reader = depacketiser(Codec("VP8", 90000))
        assert reader
        timeline = Timeline(self._origin)
        config: CodecConfig | None = None
        pending: tuple[int, bool, bytes] | None = None
        for packet in journal.packets(self._path, ""):
            for frame in reader.push(packet):
                time = timeline.place(frame.media_ms, packet.room_ms)
                if pending and config:
                    yield Frame(pending[0], min(time - pending[0], CAMERA_HOLD_MS), pending[1], config, pending[2])
                config = frame.config or config
                pending = (time, frame.key, frame.data)
        if pending and config:
            last = max(1, min(self._closed - pending[0], CAMERA_HOLD_MS))
            yield Frame(pending[0], last, pending[1], config, pending[2])

    def frames(self, start: int, end: int) -> Iterator[Frame]:
        begun = False
        for frame in self._read():
            if frame.time >= end:
                return
            begun = begun or (frame.key and frame.time >= start)
            if begun:
                yield frame


def stored_tracks(folder: Path, manifest: Manifest) -> list[StoredTrack]:
    """Every video track with at least its key frames known."""
    index = load_index(folder)
    indexed = {track.index: track for track in index.tracks}
    tracks: list[StoredTrack] = []
    for track in manifest.tracks:
        if track.kind != "video":
            continue
        if track.codec == "VP8":
            tracks.append(JournalTrack(track, journal_path(folder, track.index), index.origin))
        elif track.index in indexed:
            tracks.append(FileTrack(track, folder, indexed[track.index]))
    return tracks
