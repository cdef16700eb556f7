# ruff: noqa: ASYNC110
"""Encoded clips of every codec, their RTP packets, and a recording fed faster than real time."""

from __future__ import annotations

import asyncio
import functools
import heapq
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import VpxPayloadDescriptor

from benchmarks._synthetic import Encoded, camera, microphone, opus_clip, vp9_clip, vp9_payloads
from recorder.bitstream import av1_obus, leb128_bytes
from recorder.service import Manifest, Recorder, Recording, Shelf, load
from sfu.taps import Codec, TapPacket, TrackInfo
from tests.scheduling import ordinary_scheduling

RED, GREEN, BLUE = (200, 0, 0), (0, 200, 0), (0, 0, 200)
MAGENTA, YELLOW = (200, 0, 200), (200, 200, 0)
START = 1000.0
_ENCODERS = {
    "H264": ("libx264", {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline"}),
    "VP8": ("libvpx", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
    "AV1": ("libsvtav1", {"preset": "12", "svtav1-params": "pred-struct=1:rc=2:lp=1"}),
}


@functools.cache
def clip(
    codec: str,
    width: int = 320,
    height: int = 180,
    colour: tuple[int, int, int] = RED,
    seconds: int = 4,
    fps: int = 15,
    key_every_s: int = 2,
) -> tuple[Encoded, ...]:
    """Frames of a plain colour with a moving bar; encoder output as it comes (Annex B for H.264)."""
    if codec == "VP9":
        return vp9_clip(width, height, colour, seconds, fps, key_every_s)
    with ordinary_scheduling():
        return _encode(codec, width, height, colour, seconds, fps, key_every_s)


def _encode(
    codec: str, width: int, height: int, colour: tuple[int, int, int], seconds: int, fps: int, key_every_s: int
) -> tuple[Encoded, ...]:
    name, options = _ENCODERS[codec]
    encoder = av.CodecContext.create(name, "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate, encoder.bit_rate = Fraction(1, 1000), Fraction(fps), 400_000
    encoder.gop_size, encoder.options = fps * key_every_s, options
    frames: list[Encoded] = []
    for number in range(seconds * fps):
        picture = np.empty((height, width, 3), np.uint8)
        picture[:] = colour
        picture[height // 2 :, number * 7 % width :][:, :20] = 255
        frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p")
        frame.pts = round(number * 1000 / fps)
        frames += [(packet.pts, packet.is_keyframe, bytes(packet)) for packet in encoder.encode(frame)]
    frames += [(packet.pts, packet.is_keyframe, bytes(packet)) for packet in encoder.encode(None)]
    return tuple(frames)


def annexb(data: bytes) -> list[bytes]:
    return [unit for unit in re.split(b"\x00\x00\x00\x01|\x00\x00\x01", data) if unit]


def av1_payloads(data: bytes, key: bool, size: int = 1100) -> list[bytes]:
    """One OBU element per OBU without its size, fragmented over packets (W = 0, every element has a length)."""
    elements = [bytes((kind << 3,)) + body for kind, body in av1_obus(data) if kind != 2]
    payloads: list[bytes] = []
    for number, element in enumerate(elements):
        pieces = [element[at : at + size] for at in range(0, len(element), size)]
        for piece, part in enumerate(pieces):
            head = (0x80 if piece else 0) | (0x40 if piece < len(pieces) - 1 else 0)
            head |= 0x08 if key and not number and not piece else 0
            payloads.append(bytes((head,)) + leb128_bytes(len(part)) + part)
    return payloads


def payloads(codec: str, data: bytes, key: bool, picture: int) -> list[bytes]:
    if codec == "VP9":
        return vp9_payloads(data, key, picture)
    if codec == "H264":
        return H264Encoder._packetize(iter(annexb(data)))
    if codec == "AV1":
        return av1_payloads(data, key)
    result = []
    for at in range(0, len(data), 1100):
        descriptor = VpxPayloadDescriptor(
            partition_start=1 if at == 0 else 0, partition_id=0, picture_id=picture & 0x7FFF
        )
        result.append(bytes(descriptor) + data[at : at + 1100])
    return result


def video(
    track: TrackInfo, frames: Iterable[Encoded], start: float, *, sequence: int = 100, picture: int = 0
) -> Iterator[TapPacket]:
    """Tap packets of frames; `start` is the room time of a frame at 0."""
    for at, key, data in frames:
        parts = payloads(track.codec.name, data, key, picture)
        for number, payload in enumerate(parts):
            yield TapPacket(
                track.id,
                sequence,
                3000 + at * 90,
                start + at + 20,
                start + at,
                number == len(parts) - 1,
                key and not number,
                0,
                payload,
            )
            sequence += 1
        picture += 1


def sound(track: TrackInfo, seconds: float, start: float, frequency: float = 440.0) -> Iterator[TapPacket]:
    packets = opus_clip(2, frequency)
    for number in range(int(seconds * 50)):
        at = start + number * 20
        yield TapPacket(
            track.id, 7 + number, 5000 + number * 960, at + 20, at, False, True, 0, packets[number % len(packets)]
        )


def looped(frames: tuple[Encoded, ...], seconds: float) -> Iterator[Encoded]:
    """The clip over and over."""
    length = frames[-1][0] + frames[1][0]
    for base in range(0, int(seconds * 1000), length):
        for at, key, data in frames:
            if base + at < seconds * 1000:
                yield base + at, key, data


def track(participant: str, codec: str = "VP9", source: str = "camera") -> TrackInfo:
    return TrackInfo(f"{participant}-{source}", participant, "video", source, Codec(codec, 90000))


class Clock:
    """Room time that the test sets."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> float:
        return self.time


@dataclass
class Meeting:
    """A recording and what it called back."""

    recorder: Recorder
    recording: Recording
    clock: Clock
    asked: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    async def play(
        self, *streams: Iterable[TapPacket], events: Iterable[tuple[float, Callable[[], object]]] = ()
    ) -> None:
        """Feeds packets in order of arrival; `events` happen at their room time."""
        waiting = sorted(events, key=lambda entry: entry[0])
        batch: list[TapPacket] = []
        for packet in heapq.merge(*streams, key=lambda packet: packet.room_ms):
            while waiting and waiting[0][0] <= packet.room_ms:
                self.recording.packets(batch)
                batch = []
                self.clock.time, happen = waiting.pop(0)
                happen()
            self.clock.time = max(self.clock.time, packet.room_ms)
            batch.append(packet)
            if len(batch) >= 200:
                self.recording.packets(batch)
                batch = []
                await asyncio.sleep(0)
        self.recording.packets(batch)
        for at, happen in waiting:
            self.clock.time = max(self.clock.time, at)
            happen()

    async def finish(self, at: float, convert: bool = False) -> Manifest:
        """As it is when it has ended; with `convert` when VP8 has become VP9 too."""
        self.clock.time = at
        manifest = await self.recording.finish()
        if manifest.pending:
            async with asyncio.timeout(30):
                while convert and self.recorder.preparations.get(manifest.id):
                    await asyncio.sleep(0.05)
            await self.recorder.preparations.stop()
            manifest = load(self.recorder.root, manifest.id)
        return manifest


async def meeting(
    root: Path, name: str = "rec1", shelf: Shelf | None = None, on_away: Callable[[bool], None] = lambda away: None
) -> Meeting:
    recorder, clock = Recorder(root, shelf), Clock()
    await recorder.start()
    asked: list[str] = []
    failures: list[str] = []
    recording = await recorder.begin(
        name,
        room="room",
        title="Case 7",
        started_by="ann",
        purpose="teaching",
        started_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
        clock=clock,
        request_keyframe=asked.append,
        on_failure=failures.append,
        on_away=on_away,
    )
    return Meeting(recorder, recording, clock, asked, failures)


def decode_errors(path: Path, *arguments: str) -> str:
    """What ffmpeg complains about when it decodes the whole file; its muxer's remarks on equal times aside."""
    command = (
        ["ffmpeg", "-v", "error", "-allowed_extensions", "ALL"] if path.suffix == ".m3u8" else ["ffmpeg", "-v", "error"]
    )
    result = subprocess.run(
        [*command, "-i", str(path), *arguments, "-f", "null", "-"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    lines = [line for line in result.stderr.splitlines() if "monotonically" not in line]
    return "\n".join(lines) + ("" if result.returncode == 0 else f"\nexit {result.returncode}")


__all__ = ["camera", "microphone"]
