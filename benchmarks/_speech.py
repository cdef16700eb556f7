"""Recorded speech as a microphone's packets, at the pace of speech."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from numpy.typing import NDArray

from captioning.service import RoomCaptions
from sfu.taps import Codec, TapPacket, TrackInfo

RATE = 48_000
FRAME = 960
"""Samples of a 20 ms packet."""

Samples = NDArray[np.float32]


def read(path: Path, rate: int = RATE) -> Samples:
    """Any audio file as mono samples."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
    with av.open(str(path)) as container:
        frames = [f for frame in container.decode(audio=0) for f in resampler.resample(frame)]
    frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames]).astype(np.float32)


def opus(samples: Samples, bit_rate: int = 32_000) -> list[bytes]:
    """48 kHz mono samples as Opus packets of 20 ms."""
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = RATE, "mono", "flt"
    encoder.bit_rate = bit_rate
    encoder.options = {"application": "voip", "frame_duration": "20"}
    packets: list[bytes] = []
    for begin in range(0, len(samples), FRAME):
        piece = np.zeros(FRAME, np.float32)
        piece[: len(samples[begin : begin + FRAME])] = samples[begin : begin + FRAME]
        frame = av.AudioFrame.from_ndarray(piece[None, :], format="flt", layout="mono")
        frame.sample_rate, frame.pts = RATE, begin
        packets.extend(bytes(packet) for packet in encoder.encode(frame))
    packets.extend(bytes(packet) for packet in encoder.encode(None))
    return packets


def microphone(participant: str, track: str) -> TrackInfo:
    return TrackInfo(track, participant, "audio", "microphone", Codec("OPUS", 48_000, 2))


def tap_packet(track: str, index: int, payload: bytes, began: float) -> TapPacket:
    """Packet number `index` of a track whose first packet is at `began` (room ms)."""
    at = began + index * 20
    return TapPacket(track, index, index * FRAME, at, at, False, True, 0, payload)


class Clock:
    """A room clock that began when it was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def now(self) -> float:
        return (time.monotonic() - self._began) * 1000


async def speak(
    room: RoomCaptions, clock: Clock, track: str, packets: list[bytes], done: Callable[[], bool] | None = None
) -> float:
    """Send packets as they would come from a microphone; returns the room time of the first. Stops early when
    `done`."""
    began = clock.now()
    index = 0
    while index < len(packets) and not (done is not None and done()):
        due = min(len(packets), int((clock.now() - began) / 20))
        if due > index:
            room.packets([tap_packet(track, i, packets[i], began) for i in range(index, due)])
            index = due
        await asyncio.sleep(0.02)
    return began
