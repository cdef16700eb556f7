"""Pictures that browsers cannot play as they came (VP8) as VP9, once, after the recording has ended.

The replay is there at once and shows such a track as dark until its copy is made. A copy keeps the times and the key
frames of what came, so that captions, cuts and seeking do not change. Realtime VP9 at speed 8 takes about a fifth of
the pictures' own duration on one core at 720p; the job has the lowest priority there is (``python -m
recorder.convert``), so meetings come first. What came stays in the journal, for export.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from recorder import depacketise
from recorder.bitstream import BitstreamError, vp9_config
from recorder.index import IndexedTrack
from recorder.manifest import Manifest, folder, load
from recorder.parts import VideoParts
from recorder.publish import PENDING, converted
from recorder.sealing import keys
from recorder.tracks import Frame, JournalTrack, original

LEAST_BITRATE, MOST_BITRATE = 100_000, 6_000_000


def convert(root: Path, recording: str, tell: Callable[[float], None]) -> None:
    """Converts all that is pending and publishes each track as it is done; `tell` is given the part done, 0 to 1.

    Raises OSError, RecordingNotFound.
    """
    path = folder(root, recording)
    # A server that was killed may have left a process behind: it ends as it finds nobody to tell, and lets go.
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _all(root, recording, path, tell)
    finally:
        os.close(lock)


def _all(root: Path, recording: str, path: Path, tell: Callable[[float], None]) -> None:
    manifest = load(root, recording)
    whole = sum(_length(manifest, index) for index in manifest.pending) or 1.0
    done = 0.0
    for index in manifest.pending:
        track = original(path, manifest, index)
        begun, length = done, _length(manifest, index)
        opened = next(one.opened for one in manifest.tracks if one.index == index)
        made = _track(path, track, lambda at: tell((begun + min(max(at - opened, 0.0), length)) / whole))  # noqa: B023
        converted(root, recording, made)
        done += length
    (path / PENDING).unlink(missing_ok=True)


def _length(manifest: Manifest, index: int) -> float:
    return next(track.closed - track.opened for track in manifest.tracks if track.index == index)


def _track(path: Path, track: JournalTrack, tell: Callable[[float], None]) -> IndexedTrack:
    # Frames bring their durations; the hold only has to be longer than any.
    parts = VideoParts(path, track.index, float("inf"), lambda info: None)
    coder = _Coder(track.bitrate)
    end = told = 0
    try:
        for frame in track.frames(0, sys.maxsize):
            if frame.time > end:
                parts.stop(end)
            for key, data in coder.code(frame):
                with contextlib.suppress(BitstreamError):
                    config = vp9_config(data[:24]) if key else None
                    parts.frame(frame.time, depacketise.Frame(0, 0.0, key, config, data))
            end = frame.time + frame.duration
            if frame.time - told >= 1000:
                told = frame.time
                tell(told)
    finally:
        parts.close(end)
    return IndexedTrack(index=track.index, files=parts.files, groups=parts.groups)


class _Coder:
    """VP8 in, VP9 out, a frame at a time. A new size starts a new encoder, and so does a picture that was missing."""

    def __init__(self, bitrate: int) -> None:
        self._bitrate = max(LEAST_BITRATE, min(bitrate, MOST_BITRATE))
        self._decoder: Any = av.CodecContext.create("vp8", "r")
        self._decoder.thread_count = 1
        self._encoder: Any = None

    def code(self, frame: Frame) -> Iterator[tuple[bool, bytes]]:
        """(key frame?, data) of what comes of one frame: mostly one; none for what does not decode."""
        try:
            pictures = self._decoder.decode(av.Packet(frame.data))
        except av.FFmpegError:
            return
        for picture in pictures:
            size = picture.width, picture.height
            if self._encoder is None or (self._encoder.width, self._encoder.height) != size:
                self._encoder = self._open(*size)
            picture.pts, picture.time_base = frame.time, Fraction(1, 1000)
            picture.pict_type = av.video.frame.PictureType.I if frame.key else av.video.frame.PictureType.NONE
            for packet in self._encoder.encode(picture):
                yield packet.is_keyframe, bytes(packet)

    def _open(self, width: int, height: int) -> Any:
        encoder: Any = av.CodecContext.create("libvpx-vp9", "w")
        encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
        encoder.time_base, encoder.framerate, encoder.bit_rate = Fraction(1, 1000), Fraction(30), self._bitrate
        encoder.gop_size, encoder.thread_count = 1 << 30, 1
        encoder.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
        return encoder


def main(arguments: list[str]) -> int:
    root, recording = arguments
    with contextlib.suppress(OSError):
        os.nice(19)
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    keys.take_over(folder(Path(root), recording))
    convert(Path(root), recording, lambda part: print(f"{part:.4f}", flush=True))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
