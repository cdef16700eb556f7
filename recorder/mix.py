"""Everybody's voice as one continuous Opus rendition, mixed while the recording runs.

Each packet is decoded once and added at its place on the timeline; a second and a half behind the clock the sum goes
through a soft limiter and an Opus encoder, 20 ms at a time. Where nobody speaks silence is encoded, so the rendition
has no gap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext

from recorder import parts
from recorder.bitstream import opus_config
from recorder.fmp4 import Sample
from recorder.parts import FragmentFile, Group, MediaFileInfo, scan
from recorder.sealing import files

RATE = 48_000
FRAME = 960
LAG_MS = 1_500
RUN = RATE // FRAME
"""Packets of a fragment."""
COPIED = 600
"""Fragments at a time."""
AHEAD = RATE * 12
"""Samples: how far past the encoded end a packet may lie. Further is a lie about time and is left out."""
_KNEE = 0.8
_SCALE = np.float32(1 / 32768)

Floats = np.ndarray[tuple[int], np.dtype[np.float32]]
Samples = np.ndarray[tuple[int], np.dtype[np.int16]]


def limit(samples: Floats) -> Floats:
    """Soft limiter: unchanged below 0.8, bent towards 1.0 above, never beyond."""
    size = np.abs(samples)
    if size.max(initial=0.0) <= _KNEE:
        return samples
    bent = np.sign(samples) * (_KNEE + (1 - _KNEE) * np.tanh((size - _KNEE) / (1 - _KNEE)))
    return np.where(size > _KNEE, bent, samples).astype(np.float32)


class Voice:
    """Decoder of one track, to mono."""

    def __init__(self) -> None:
        self._decoder: AudioCodecContext = av.CodecContext.create("libopus", "r")
        self._decoder.sample_rate = RATE
        self._decoder.layout = "mono"
        self.failed = 0

    def decode(self, packet: bytes) -> Floats:
        """Samples between -1 and 1; none for a packet that does not decode."""
        try:
            frames = self._decoder.decode(av.Packet(packet))
        except av.FFmpegError:
            self.failed += 1
            frames = []
        if not frames:
            return np.zeros(0, np.float32)
        raw = [np.frombuffer(bytes(frame.planes[0]), np.int16, frame.samples) for frame in frames]
        samples: Floats = np.multiply(raw[0] if len(raw) == 1 else np.concatenate(raw), _SCALE, dtype=np.float32)
        return samples


class Encoder:
    """One Opus stream, mono, `FRAME` samples a packet."""

    def __init__(self) -> None:
        self._encoder: AudioCodecContext = av.CodecContext.create("libopus", "w")
        self._encoder.sample_rate = RATE
        self._encoder.layout = "mono"
        self._encoder.format = "s16"
        self._encoder.bit_rate = 48_000
        self._encoder.time_base = Fraction(1, RATE)
        # Not "voip": at this rate that costs twice the time and 22 kbit/s for silence, where this needs 1.
        self._encoder.options = {"application": "audio", "compression_level": "5"}

    def encode(self, block: Samples, position: int) -> bytes:
        """The packet of a frame that begins at sample `position`."""
        frame = av.AudioFrame("s16", "mono", FRAME)
        frame.planes[0].update(block.tobytes())
        frame.sample_rate = RATE
        frame.pts = position
        return b"".join(bytes(packet) for packet in self._encoder.encode(frame))


class Sum:
    """Voices added up on one timeline, taken away from its beginning. Positions are samples at 48 kHz."""

    def __init__(self, position: int = 0) -> None:
        self.position = position
        """Up to where it was taken."""
        self.late = 0
        self._sum = np.zeros(2 * AHEAD, np.float32)
        self._at = 0
        """Where `position` is in the sum. It moves on, and back to the start when the end comes near."""

    def copy(self) -> Sum:
        """Another one with the same in it."""
        other = Sum(self.position)
        other._at = self._at
        np.copyto(other._sum, self._sum)
        return other

    def add(self, position: int, samples: Floats) -> None:
        """Adds a voice; the part that comes too late or lies too far ahead is left out."""
        start = position - self.position
        if start < 0:
            if start + len(samples) > 0 or len(samples) == 0:
                samples = samples[-start:]
            else:
                self.late += 1
                return
            start = 0
        if start + len(samples) > AHEAD:
            self.late += 1
            return
        start += self._at
        self._sum[start : start + len(samples)] += samples

    def take(self, until: int) -> Iterator[Samples]:
        """All whole frames before `until`, limited. The position moves with each block of them that is looked at."""
        while self.position + FRAME <= until:
            count = min((until - self.position) // FRAME, AHEAD // FRAME // 2)
            block = (limit(self._sum[self._at : self._at + count * FRAME]) * 32767).astype(np.int16)
            self._at += count * FRAME
            self.position += count * FRAME
            if self._at + AHEAD > len(self._sum):
                kept = len(self._sum) - self._at
                self._sum[:kept] = self._sum[self._at :]
                self._sum[kept:] = 0
                self._at = 0
            for index in range(count):
                yield block[index * FRAME : (index + 1) * FRAME]


def mixed(folder: Path, info: MediaFileInfo) -> list[Group]:
    """Where the seconds of a finished mix lie."""
    return [
        Group(0, one.offset, one.size, one.time // 48, (one.time + one.duration) // 48)
        for one in scan(folder / info.name, info)
    ]


class Mixer:
    """Sums voices and writes one file, `mix.mp4` for the floor's. Positions are samples at 48 kHz from the recording's
    start."""

    NAME = "mix.mp4"

    def __init__(self, folder: Path, begun: MediaFileInfo | None = None, name: str = NAME) -> None:
        """`begun`: what a crash left of it is taken over."""
        self.groups: list[Group] = []
        self.run = RUN
        self.heard: Callable[[MediaFileInfo, int, bytes, int, int], None] | None = None
        """Told of every fragment: the file, where, what, from and to in ms."""
        self.summed: Callable[[int, Samples], None] | None = None
        """Told of every frame before it is encoded, with its position."""
        self._cut = -1
        path = folder / name
        self.position = 0
        if begun and parts.begun(path, begun):
            size = begun.head
            for one in scan(path, begun, torn=True):
                self._index(one.offset, one.size, one.time, one.time + one.duration)
                self.position = one.time + one.duration
                size = one.offset + one.size
            self._file = FragmentFile.resume(path, begun, size)
        else:
            self._file = FragmentFile(path, opus_config(1))
        self.info = self._file.info
        self._encoder = Encoder()
        self._sum = Sum(self.position)
        self._run: list[Sample] = []

    def follow(self, floor: Mixer, folder: Path) -> None:
        """From its very beginning it is as the floor was until now, packet by packet, and has what waits there: a
        rendition that can be played from anywhere. Nothing was added to it yet. Raises OSError."""
        floor.sync()
        path = folder / floor.info.name
        for at in range(0, len(floor.groups), COPIED):
            some = floor.groups[at : at + COPIED]
            begin, end = some[0].offset, some[-1].offset + some[-1].size
            data = files.read_range(path, begin, end, torn=True)
            if len(data) < end - begin:
                break  # a sealed file that grows cannot be read to its end: silence takes the place of the rest
            moved = self._file.size - begin
            self._file.append(data)
            self.groups += [Group(0, one.offset + moved, one.size, one.start, one.end) for one in some]
            self.position = some[-1].end * 48
        if floor._run and self.position == floor._run[0].time:
            self._run, self.position = list(floor._run), floor.position
        self._sum = Sum(self.position)
        self.advance(floor.position)
        self.flush()
        self._sum = floor._sum.copy()
        # Its fragments are to end where the floor's do.
        self.run = floor.run
        if floor._cut > floor.position:
            self._cut = floor._cut
        elif floor._run:
            self._cut = floor._run[0].time + floor.run * FRAME

    @property
    def late(self) -> int:
        """How much of what was added came too late, or lay too far ahead."""
        return self._sum.late

    def add(self, position: int, samples: Floats) -> None:
        """Adds a voice; the part that comes too late or lies too far ahead is left out."""
        self._sum.add(position, samples)

    def advance(self, until: int) -> None:
        """Encodes all whole frames before `until`."""
        for block in self._sum.take(until):
            self._encode(block)

    def _encode(self, block: Samples) -> None:
        if self.summed is not None:
            self.summed(self.position, block)
        data = self._encoder.encode(block, self.position)
        self._run.append(Sample(self.position, FRAME, True, data))
        self.position += FRAME
        if len(self._run) >= self.run or self.position == self._cut:
            self.flush()

    def cut(self, position: int) -> None:
        """A fragment is to begin at the first packet at or after `position`."""
        self._cut = -(-position // FRAME) * FRAME

    def flush(self) -> None:
        if self._run:
            data = self._file.fragment(self._run)
            offset = self._file.size
            self._index(offset, len(data), self._run[0].time, self.position)
            self._file.append(data)
            if self.heard is not None:
                self.heard(self.info, offset, data, self._run[0].time // 48, self.position // 48)
            self._run = []

    def _index(self, offset: int, size: int, start: int, end: int) -> None:
        self.groups.append(Group(0, offset, size, start // 48, end // 48))

    def sync(self) -> None:
        self._file.sync()

    def finish(self, until: int) -> None:
        """Up to the end, the last frame filled with silence; on disk when this returns."""
        try:
            self.advance(until + FRAME - 1)
            self.flush()
        finally:
            self._file.close()
