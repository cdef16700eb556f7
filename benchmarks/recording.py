"""The recorder: how soon a replay is ready, what a kill costs, what a participant costs. Synthetic VP9 and Opus."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import heapq
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from recorder.service import Cue, Recorder, Recording, load
from recorder.writer import PARTS_SYNC_S
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


async def _begin(root: Path, name: str, clock: RoomClock) -> Recording:
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


async def _meeting(root: Path, name: str, minutes: float, fast: bool, people: int = 3) -> tuple[float, float]:
    """(milliseconds from stop to replay, CPU seconds per participant and second of meeting).

    In real time, or `fast`: as fast as the writer takes it, then a pause in which it writes what it would have written
    in real time.
    """
    clip, voice = vp9_clip(1280, 720, (40, 90, 120), 8), opus_clip(2)
    clock = SetClock() if fast else RunningClock()
    recording = await _begin(root, name, clock)
    streams = []
    seconds = minutes * 60
    for number in range(people):
        person = f"p{number}"
        recording.participant(person, person)
        now = clock.now()
        for info in (camera(person), microphone(person)):
            recording.track_opened(info, now)
        streams.append(video_packets(f"{person}-camera", clip, now + number * 130, seconds))
        streams.append(audio_packets(f"{person}-microphone", voice, now, seconds))
    cpu = time.process_time()
    spoke = -10_000.0
    batch: list[TapPacket] = []
    for packet in heapq.merge(*streams, key=lambda packet: packet.room_ms):
        if isinstance(clock, SetClock):
            clock.time = max(clock.time, packet.room_ms)
        elif packet.room_ms > clock.now():
            recording.packets(batch)
            batch = []
            await asyncio.sleep(max(0.005, (packet.room_ms - clock.now()) / 1000))
        batch.append(packet)
        if packet.room_ms - spoke >= 10_000:
            spoke = packet.room_ms
            person = f"p{int(spoke / 10_000) % people}"
            recording.speaker(person)
            words = "Take five milligrams twice a day and come back in a week."
            recording.cue(
                Cue(
                    segment=str(spoke),
                    revision=1,
                    participant=person,
                    source="en",
                    language="en",
                    start=spoke,
                    end=spoke + 4_000,
                    text=words,
                )
            )
        if len(batch) >= 500:
            recording.packets(batch)
            batch = []
            while recording.backlog > 4_000_000:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    recording.packets(batch)
    while recording.backlog:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    cpu = time.process_time() - cpu
    if fast:
        await asyncio.sleep(2 * PARTS_SYNC_S)
    stopped = time.monotonic()
    manifest = await recording.finish()
    ready = (time.monotonic() - stopped) * 1000
    if manifest.state != "complete" or abs(manifest.duration - seconds * 1000) > 2_000 or manifest.problem:
        raise RuntimeError(f"the recording is not whole: {manifest.state}, {manifest.duration} ms, {manifest.problem}")
    return ready, cpu / seconds / people


async def record_until_killed(root: Path, name: str) -> None:
    """Records one person in real time; prints when each packet arrived (ms from the first) once it is handed over."""
    video, audio = vp9_clip(320, 180, (200, 0, 0), 4, 15, 2), opus_clip(2)
    clock = RunningClock()
    recording = await _begin(root, name, clock)
    start = clock.now()
    recording.participant("ann", "Ann")
    recording.speaker("ann")
    end = start + 900
    recording.cue(
        Cue(segment="s", revision=1, participant="ann", source="en", language="en", start=start, end=end, text="Hello.")
    )
    for info in (camera("ann"), microphone("ann")):
        recording.track_opened(info, start)
    streams = (video_packets("ann-camera", video, start, 60), audio_packets("ann-microphone", audio, start, 60))
    for packet in heapq.merge(*streams, key=lambda packet: packet.room_ms):
        wait = packet.room_ms - clock.now()
        if wait > 0:
            await asyncio.sleep(wait / 1000)
        recording.packets([packet])
        print(packet.room_ms - start, flush=True)


def kill_while_recording(root: Path, name: str, after_ms: float) -> float:
    """Starts a recording process, kills it with SIGKILL; returns when its last packet arrived, in ms."""
    command = [sys.executable, "-m", "benchmarks.recording", str(root), name]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join((str(Path(__file__).parents[1]), *filter(None, sys.path)))
    }
    last = 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as child:
        assert child.stdout
        for line in child.stdout:
            last = float(line)
            if last >= after_ms:
                break
        child.kill()
        for line in child.stdout:
            if line.endswith("\n"):
                with contextlib.suppress(ValueError):
                    last = float(line)
    return last


KILLS = 12
LONG_MINUTES = 10


def run() -> dict[str, Any]:
    """See the module text. `cpu_per_participant`: share of one core for a person's 720p video and voice, fed."""
    with tempfile.TemporaryDirectory(prefix="consilium-recording-") as folder:
        root = Path(folder)
        ready, cpu = asyncio.run(_meeting(root, "minute", 1, fast=False))
        long_ready, _ = asyncio.run(_meeting(root, "long", LONG_MINUTES, fast=True))
        chance = random.Random()
        last = {f"kill-{n}": 0.0 for n in range(KILLS)}
        for name in last:
            last[name] = kill_while_recording(root, name, chance.uniform(100, 4_000))
        began = time.monotonic()
        repaired = asyncio.run(Recorder(root).start())
        repair_ms = (time.monotonic() - began) * 1000 / KILLS
        lost = [max(0.0, arrived - load(root, name).duration) for name, arrived in last.items()]
    return {
        "replay_ready_ms": round(ready),
        "replay_ready_long_ms": round(long_ready),
        "long_minutes": LONG_MINUTES,
        "lost_ms_after_kill": {"p50": round(statistics.median(lost)), "max": round(max(lost))},
        "kills": KILLS,
        "repaired": len(repaired),
        "repair_ms": round(repair_ms),
        "cpu_per_participant": round(cpu, 4),
        "measured": "3 people, 720p VP9 at 30 frames/s and Opus; the minute in real time, the long one fed faster; "
        "kills: 1 person, 180p, SIGKILL at random",
    }


if __name__ == "__main__":
    asyncio.run(record_until_killed(Path(sys.argv[1]), sys.argv[2]))
