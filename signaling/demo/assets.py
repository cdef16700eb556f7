"""What the demo guests say and show, read from the files in this package."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from pathlib import Path

import av
import msgspec
import numpy as np

from signaling.demo.vp9 import is_keyframe, read_ivf

HERE = Path(__file__).parent
FRAME_MS = 20
SILENT = 127  # RFC 6464: -dBov; 127 is digital silence
VOICE = 0x80
SPEECH = 50  # louder than this (a smaller number) is marked as voice


class Line(msgspec.Struct, frozen=True):
    """One turn of the discussion; times in seconds."""

    speaker: str
    language: str
    text: str
    start: float
    end: float


class Guest(msgspec.Struct, frozen=True):
    """Who a guest is."""

    id: str
    name: str
    language: str


class Script(msgspec.Struct, frozen=True):
    """The discussion: `seconds` long, then it starts again."""

    seconds: float
    guests: list[Guest]
    lines: list[Line]


@dataclass(frozen=True, slots=True)
class Sound:
    """Opus packets of 20 ms, and for each the byte of the audio level extension (RFC 6464)."""

    packets: tuple[bytes, ...]
    levels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A loop of VP9 frames, `rate` a second; `keyframes` are the places where a decoder can begin, in order."""

    rate: float
    frames: tuple[bytes, ...]
    keyframes: tuple[int, ...]


def script() -> Script:
    """The discussion as it was voiced."""
    return msgspec.json.decode((HERE / "script.json").read_bytes(), type=Script)


def level(samples: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> int:
    """The audio level byte of samples within -1 and 1."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) if samples.size else 0.0
    decibels = SILENT if power <= 0 else min(SILENT, max(0, round(-10 * math.log10(power))))
    return decibels | (VOICE if decibels < SPEECH else 0)


def read_sound(data: bytes) -> Sound:
    """Ogg Opus into its packets. Raises `ValueError` when they are not of 20 ms."""
    packets: list[bytes] = []
    levels: list[int] = []
    with av.open(io.BytesIO(data), "r", format="ogg") as container:
        stream = container.streams.audio[0]
        for packet in container.demux(stream):
            if packet.size == 0:
                continue
            payload = bytes(packet)
            if not is_20_ms(payload):
                raise ValueError("the voice must be Opus in packets of 20 ms")
            packets.append(payload)
            planes = [frame.to_ndarray().astype(np.float32).ravel() for frame in packet.decode()]
            levels.append(level(np.concatenate(planes)) if planes else SILENT)
    return Sound(tuple(packets), tuple(levels))


def is_20_ms(packet: bytes) -> bool:
    """Whether an Opus packet holds one frame of 20 ms (RFC 6716, 3.1)."""
    configuration, code = packet[0] >> 3, packet[0] & 3
    twenty = configuration % 4 == 1 if configuration < 12 else configuration % 2 == 1
    twenty = twenty if configuration < 16 else configuration % 4 == 3
    return twenty and code == 0


def sound(guest: str) -> Sound:
    """What a guest says, on the timeline of the script."""
    return read_sound((HERE / "assets" / f"{guest}.opus").read_bytes())


def picture(guest: str) -> Picture:
    """What a guest shows."""
    rate, frames = read_ivf((HERE / "assets" / f"{guest}.ivf").read_bytes())
    return Picture(rate, frames, tuple(at for at, frame in enumerate(frames) if is_keyframe(frame)))
