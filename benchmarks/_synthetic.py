"""Synthetic people for the recorder: encoded clips, their packets as a tap sees them, and room clocks."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from recorder.service import Recorder, Recording
from sfu.taps import Codec, RoomClock, TapPacket, TrackInfo

PAYLOAD = 1150
OPUS = Codec("OPUS", 48000, 2)
VP9 = Codec("VP9", 90000)

Encoded = tuple[int, bool, bytes]
"""A frame: time in ms from the clip's start, whether it is a key frame, its bytes."""


@functools.cache
def vp9_clip(
    width: int, height: int, colour: tuple[int, int, int], seconds: int, fps: int = 30, key_every_s: int = 4
) -> tuple[Encoded, ...]:
    """A moving bar on a plain ground with some noise, encoded as a browser would: real time, no lag."""
    encoder = av.CodecContext.create("libvpx-vp9", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate, encoder.bit_rate = Fraction(1, 1000), Fraction(fps), 1_200_000
    encoder.gop_size = fps * key_every_s
    encoder.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "row-mt": "1"}
    noise = np.random.default_rng(7).integers(0, 12, (height // 4 + 1, width // 4 + 1, 3), np.uint8)
    frames: list[Encoded] = []
    for number in range(seconds * fps):
        picture = np.empty((height, width, 3), np.uint8)
        picture[:] = colour
        grain = np.roll(noise, number * 3, axis=1).repeat(4, axis=0).repeat(4, axis=1)[:height, :width]
        picture[height // 2 :] = np.minimum(picture[height // 2 :].astype(np.uint16) + grain[height // 2 :], 255)
        left = number * 9 % width
        picture[height // 2 :, left : left + 24] = 255
        frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p")
        frame.pts = round(number * 1000 / fps)
        frames += [(packet.pts or 0, packet.is_keyframe, bytes(packet)) for packet in encoder.encode(frame)]
    frames += [(packet.pts or 0, packet.is_keyframe, bytes(packet)) for packet in encoder.encode(None)]
    return tuple(frames)


def vp9_payloads(frame: bytes, key: bool, picture: int) -> list[bytes]:
    """RFC 9628 packets of one frame: 15-bit picture id, no layers."""
    pieces = [frame[at : at + PAYLOAD] for at in range(0, len(frame), PAYLOAD)]
    payloads = []
    for number, piece in enumerate(pieces):
        flags = 0x80 | (0 if key else 0x40) | (0x08 if number == 0 else 0) | (0x04 if number == len(pieces) - 1 else 0)
        payloads.append(bytes((flags, 0x80 | picture >> 8 & 0x7F, picture & 0xFF)) + piece)
    return payloads


@functools.cache
def opus_clip(seconds: int, frequency: float = 440.0) -> tuple[bytes, ...]:
    """A tone in packets of 20 ms."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 48000, "mono", "s16"
    encoder.bit_rate, encoder.time_base = 32_000, Fraction(1, 48000)
    packets: list[bytes] = []
    for number in range(seconds * 50):
        at = np.arange(960) + number * 960
        samples = (np.sin(at * (2 * np.pi * frequency / 48000)) * 6000).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), "s16", "mono")
        frame.sample_rate, frame.pts = 48000, number * 960
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return tuple(packets)


def video_packets(track: str, clip: tuple[Encoded, ...], start_ms: float, seconds: float) -> Iterator[TapPacket]:
    """The clip, over and over, as a tap sees it from `start_ms` (room time) on."""
    length = clip[-1][0] + clip[1][0]
    sequence, picture = 100, 0
    while True:
        for at, key, data in clip:
            elapsed = picture // len(clip) * length + at
            if elapsed >= seconds * 1000:
                return
            payloads = vp9_payloads(data, key, picture)
            now = start_ms + elapsed
            for number, payload in enumerate(payloads):
                marker = number == len(payloads) - 1
                timestamp = 3_000 + elapsed * 90
                first = key and number == 0
                yield TapPacket(track, sequence, timestamp, now + 20, now, marker, first, 0, payload)
                sequence += 1
            picture += 1


def audio_packets(track: str, clip: tuple[bytes, ...], start_ms: float, seconds: float) -> Iterator[TapPacket]:
    """The clip, over and over, as a tap sees it from `start_ms` (room time) on."""
    for number in range(int(seconds * 50)):
        now = start_ms + number * 20
        payload = clip[number % len(clip)]
        yield TapPacket(track, 7 + number, 5_000 + number * 960, now + 20, now, False, True, 0, payload)


def camera(participant: str) -> TrackInfo:
    return TrackInfo(f"{participant}-camera", participant, "video", "camera", VP9)


def microphone(participant: str) -> TrackInfo:
    return TrackInfo(f"{participant}-microphone", participant, "audio", "microphone", OPUS)


class SetClock:
    """Room time that the benchmark sets, to feed faster than real time."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time


class RunningClock:
    """Room time that runs."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def now(self) -> float:
        return (time.monotonic() - self._start) * 1000


async def begin(root: Path, name: str, clock: RoomClock) -> Recording:
    return await Recorder(root).begin(
        name,
        room="benchmark",
        title="Benchmark",
        started_by="a",
        purpose="",
        started_at=datetime.now(UTC),
        clock=clock,
        request_keyframe=lambda track: None,
        on_failure=lambda reason: print(reason, file=sys.stderr),
    )
