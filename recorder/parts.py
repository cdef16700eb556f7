"""A track's frames into fMP4 files while the meeting runs, with an index of what lies where.

Video is written a part at a time (a second, or up to the next key frame); the index holds one `Group` per key frame. A
new file begins when the codec or the size changes. Time is the recording's, in milliseconds, and never goes back within
a track.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import msgspec

from recorder.bitstream import CodecConfig, opus_duration
from recorder.depacketise import Frame
from recorder.fmp4 import FragmentInfo, Sample, fragment, init_segment, read_fragments
from recorder.sealing import files
from recorder.sealing.blocks import SealBroken

PART_MS = 1000
FILES_AT_ONCE, FILE_EVERY_MS = 30, 2_000
"""A track may change its size or codec parameters so often: simulcast does at its start, a browser when short of time.
More is not a camera, and would be a file each."""
_WINDOW = 8 * 1024 * 1024
CAMERA_HOLD_MS = 2000
"""A camera's last picture stays this long when no frame follows; then the track has a gap until its next key frame."""


class Group(msgspec.Struct, frozen=True, array_like=True):
    """A key frame and the frames that need it: bytes `offset` to `offset + size` of a file, `start` to `end` in ms."""

    file: int
    offset: int
    size: int
    start: int
    end: int


class MediaFileInfo(msgspec.Struct, frozen=True, array_like=True):
    """One fMP4 file: its init segment is its first `head` bytes."""

    name: str
    head: int
    codec_name: str
    codec: str
    width: int
    height: int
    record: bytes

    @property
    def config(self) -> CodecConfig:
        return CodecConfig(self.codec_name, self.codec, self.width, self.height, self.record)


def captured(media_ms: float, room_ms: float) -> float:
    """Capture time in room time, bounded by arrival: a peer chooses its own RTP times."""
    if not math.isfinite(media_ms) or not room_ms - 10_000 <= media_ms <= room_ms + 2_000:
        return room_ms
    return media_ms


class Timeline:
    """Capture times onto the recording, never going back."""

    def __init__(self, origin: float, last: int = -1) -> None:
        self.origin = origin
        self.last = last

    def place(self, media_ms: float, room_ms: float) -> int:
        self.last = max(self.last + 1, round(captured(media_ms, room_ms) - self.origin), 0)
        return self.last


class AudioClock:
    """RTP timestamps onto the recording, in samples at 48 kHz.

    Continuous as the sender counts, so that nobody hears a seam, and set anew when a sound card's drift has carried
    that away from capture time: in a pause of `PAUSE`, where it cannot be heard, by `FINE` or more; else by `SLACK`.
    """

    FINE, SLACK, PAUSE = 48 * 4, 48 * 40, 48 * 100

    def __init__(self, origin: float) -> None:
        self._origin = origin
        self._offset: int | None = None
        self._last = 0

    def place(self, timestamp: int, media_ms: float, room_ms: float) -> int:
        """May be negative (before the recording began)."""
        wanted = round((captured(media_ms, room_ms) - self._origin) * 48)
        slack = self.FINE if timestamp - self._last > self.PAUSE else self.SLACK
        self._last = timestamp
        if self._offset is None or abs(timestamp + self._offset - wanted) > slack:
            self._offset = wanted - timestamp
        return timestamp + self._offset


class FragmentFile:
    """One fMP4 file that grows by whole fragments, unbuffered. Raises OSError."""

    def __init__(self, path: Path, config: CodecConfig) -> None:
        """A new file. One that is there is replaced."""
        head = init_segment(config)
        self.info = MediaFileInfo(
            path.name, len(head), config.name, config.codec, config.width, config.height, config.record
        )
        self._file = files.grow(path)
        self._file.append(head)
        self.size = len(head)
        self._sequence = 0

    @classmethod
    def resume(cls, path: Path, info: MediaFileInfo, size: int) -> FragmentFile:
        """Goes on after the first `size` bytes, which must be the init segment and whole fragments."""
        self = cls.__new__(cls)
        self.info = info
        self._file = files.grow(path, size)
        self.size = size
        self._sequence = size  # any number that grows
        return self

    def fragment(self, samples: list[Sample]) -> bytes:
        self._sequence += 1
        return fragment(self._sequence, samples)

    def append(self, data: bytes | bytearray) -> None:
        self._file.append(data)
        self.size += len(data)

    def sync(self) -> None:
        self._file.sync()

    def close(self) -> None:
        """On disk when this returns."""
        self._file.close()


def begun(path: Path, info: MediaFileInfo) -> bool:
    """Whether a file that a crash may have torn has its init segment."""
    try:
        return len(files.read_range(path, 0, info.head, torn=True)) == info.head
    except (FileNotFoundError, SealBroken):
        return False


def scan(path: Path, info: MediaFileInfo, torn: bool = False) -> list[FragmentInfo]:
    """The whole fragments of a file; `torn`: of one that a crash may have torn. Raises OSError."""
    if not begun(path, info):
        return []
    if files.key_for(path) is not None:
        with files.opened(path, torn) as opened:
            return list(_scan_windows(opened, info.head))
    if path.stat().st_size <= info.head:
        return []
    with (
        path.open("rb") as opened,
        mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data,
        memoryview(data) as whole,
        whole[info.head :] as rest,
    ):
        return list(read_fragments(rest, info.head))


def _scan_windows(opened: IO[bytes], offset: int) -> Iterator[FragmentInfo]:
    """As `read_fragments`, of a file that cannot be mapped into memory."""
    window = _WINDOW
    while True:
        opened.seek(offset)
        data = opened.read(window)
        before = offset
        for one in read_fragments(data, offset):
            yield one
            offset = one.offset + one.size
        if offset > before:
            window = _WINDOW
        elif len(data) < window:
            return
        else:
            window *= 2


class VideoParts:
    """The files of one video track. `begun` is told of each new file before anything is in it."""

    def __init__(self, folder: Path, index: int, hold_ms: float, begun: Callable[[MediaFileInfo], None]) -> None:
        self.files: list[MediaFileInfo] = []
        self.groups: list[Group] = []
        self.dropped = 0
        self._folder, self._index, self._hold, self._begun = folder, index, hold_ms, begun
        self._file: FragmentFile | None = None
        self._config: CodecConfig | None = None
        self._pending: tuple[int, Frame] | None = None
        self._part = bytearray()
        self._part_start = 0
        self._group: tuple[int, int] | None = None  # offset, start
        self._end = 0
        self._allowed, self._counted = float(FILES_AT_ONCE), 0
        self.seen: Callable[[MediaFileInfo, int, bytes, int, int, bool], None] | None = None
        """Told of every frame: the file, where its fragment will lie, its bytes, from and to in ms, if it is key."""

    def frame(self, time: int, frame: Frame) -> bool:
        """Takes a frame; False when it is of no use because a key frame must come first."""
        if self._pending:
            if time - self._pending[0] > self._hold:
                self.stop(time)
            else:
                self._settle(time)
        if frame.key and frame.config:
            self._close_group()
            if self._file is None or frame.config != self._config:
                if not self._may_begin(time):
                    self.dropped += 1
                    return False
                self._begin(frame.config)
        elif self._group is None:
            self.dropped += 1
            return False
        self._pending = (time, frame)
        return True

    def stop(self, time: int) -> None:
        """Muted, closed or silent: the last picture ends at `time` at the latest; next comes a key frame."""
        if self._pending:
            self._settle(min(time, self._pending[0] + int(min(self._hold, 1e9))))
        self._close_group()

    def sync(self) -> None:
        if self._file:
            self._file.sync()

    def close(self, time: int) -> None:
        try:
            self.stop(time)
        finally:
            if self._file:
                self._file.close()
                self._file = None

    def _may_begin(self, time: int) -> bool:
        self._allowed = min(self._allowed + max(0, time - self._counted) / FILE_EVERY_MS, FILES_AT_ONCE)
        self._counted = time
        if self._allowed < 1:
            return False
        self._allowed -= 1
        return True

    def _begin(self, config: CodecConfig) -> None:
        if self._file:
            self._file.close()
        name = f"video-{self._index:03d}-{len(self.files)}.mp4"
        self._file, self._config = FragmentFile(self._folder / name, config), config
        self.files.append(self._file.info)
        self._begun(self._file.info)

    def _settle(self, until: int) -> None:
        """The pending frame's duration is known now."""
        assert self._pending and self._file
        time, frame = self._pending
        self._pending = None
        if self._group is None:
            self._group = (self._file.size, time)
        if not self._part:
            self._part_start = time
        self._end = max(until, time + 1)
        data = self._file.fragment([Sample(time, self._end - time, frame.key, frame.data)])
        if self.seen is not None:
            self.seen(self._file.info, self._file.size + len(self._part), data, time, self._end, frame.key)
        self._part += data
        if self._end - self._part_start >= PART_MS:
            self._flush()

    def _flush(self) -> None:
        if self._part and self._file:
            self._file.append(self._part)
            self._part = bytearray()

    def _close_group(self) -> None:
        self._flush()
        if self._group and self._file:
            offset, start = self._group
            self.groups.append(Group(len(self.files) - 1, offset, self._file.size - offset, start, self._end))
        self._group = None

    def resume(self, files: list[MediaFileInfo]) -> int:
        """Takes over what a crash left, less the last group: the journal has it whole. Returns where to go on in ms."""
        last: FragmentInfo | None = None
        for number, info in enumerate(files):
            path = self._folder / info.name
            if not begun(path, info):
                break
            self.files.append(info)
            first: FragmentInfo | None = None
            for one in scan(path, info, torn=True):
                if first and last and (one.key or one.time != last.time + last.duration):
                    self._adopt(number, first, last)
                    first = None
                if first is None and one.key:
                    first = one
                last = one
            if first and last:
                self._adopt(number, first, last)
        if not self.groups:
            self.files.clear()
            return 0
        group = self.groups.pop()
        del self.files[group.file + 1 :]
        info = self.files[-1]
        self._file, self._config = FragmentFile.resume(self._folder / info.name, info, group.offset), info.config
        return group.start

    def _adopt(self, number: int, first: FragmentInfo, last: FragmentInfo) -> None:
        size = last.offset + last.size - first.offset
        self.groups.append(Group(number, first.offset, size, first.time, last.time + last.duration))


class AudioParts:
    """The file of one audio track: fragments of up to a second, a new one after every silence."""

    def __init__(self, folder: Path, index: int, begun: Callable[[MediaFileInfo], None]) -> None:
        self.files: list[MediaFileInfo] = []
        self._folder, self._begun = folder, begun
        self._name = f"audio-{index:03d}.mp4"
        self._file: FragmentFile | None = None
        self._run: list[Sample] = []
        self.end = 0

    def frame(self, position: int, frame: Frame) -> None:
        """`position` in samples at 48 kHz; what lies before the start or overlaps is left out."""
        if position < self.end - 480:
            return
        position = max(position, self.end)
        if self._file is None:
            assert frame.config
            self._file = FragmentFile(self._folder / self._name, frame.config)
            self.files.append(self._file.info)
            self._begun(self._file.info)
        if self._run and (position != self.end or position - self._run[0].time >= 48 * PART_MS):
            self.flush()
        duration = opus_duration(frame.data)
        self._run.append(Sample(position, duration, True, frame.data))
        self.end = position + duration

    def flush(self) -> None:
        if self._run and self._file:
            self._file.append(self._file.fragment(self._run))
        self._run = []

    def sync(self) -> None:
        if self._file:
            self._file.sync()

    def close(self, time: int) -> None:
        try:
            self.flush()
        finally:
            if self._file:
                self._file.close()
                self._file = None

    def resume(self, files: list[MediaFileInfo]) -> int:
        """Takes over what a crash left. Returns where to go on, in ms."""
        for info in files[:1]:
            path = self._folder / info.name
            if begun(path, info):
                found = scan(path, info, torn=True)
                size = found[-1].offset + found[-1].size if found else info.head
                self.end = found[-1].time + found[-1].duration if found else 0
                self.files = [info]
                self._file = FragmentFile.resume(path, info, size)
        return self.end // 48
