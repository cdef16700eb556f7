"""What the demo guests say and show, read from the files in this package."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from pathlib import Path

import av
import msgspec
import numpy as np

from signaling.demo.vp9 import Video, read_ivf

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


class Character(msgspec.Struct, frozen=True):
    """Who a guest is."""

    id: str
    name: str
    language: str


class Script(msgspec.Struct, frozen=True):
    """The discussion: `seconds` long, then it starts again."""

    seconds: float
    guests: list[Character]
    lines: list[Line]


@dataclass(frozen=True, slots=True)
class Voice:
    """Opus packets of 20 ms, and for each the byte of the audio level extension (RFC 6464)."""

    packets: tuple[bytes, ...]
    levels: tuple[int, ...]


def read_script(path: Path = HERE / "script.json") -> Script:
    """The discussion as it was voiced."""
    return msgspec.json.decode(path.read_bytes(), type=Script)


def level(samples: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> int:
    """The audio level byte of samples within -1 and 1."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) if samples.size else 0.0
    decibels = SILENT if power <= 0 else min(SILENT, max(0, round(-10 * math.log10(power))))
    return decibels | (VOICE if decibels < SPEECH else 0)


def read_voice(data: bytes) -> Voice:
    """Ogg Opus into its packets. Raises `ValueError` when it is not made of 20 ms frames."""
    packets, levels = [], []
    with av.open(io.BytesIO(data), format="ogg") as container:
        stream = container.streams.audio[0]
        for packet in container.demux(stream):
            if packet.size == 0:
                continue
            if packet.duration is None or round(packet.duration * packet.time_base * 1000) != FRAME_MS:
                # The last packet may be cut short by the container; it is a whole frame all the same.
                if packets and packet.duration is not None and packet.duration * packet.time_base * 1000 < FRAME_MS:
                    pass
                else:
                    raise ValueError("the voice must be Opus in frames of 20 ms")
            packets.append(bytes(packet))
            planes = [frame.to_ndarray().astype(np.float32) for frame in stream.decode(packet)]
            levels.append(level(np.concatenate([plane.ravel() for plane in planes])) if planes else SILENT)
    return Voice(tuple(packets), tuple(levels))


def load(guest: str) -> tuple[Voice, Video]:
    """Voice and picture of a guest."""
    folder = HERE / "assets"
    return read_voice((folder / f"{guest}.opus").read_bytes()), read_ivf((folder / f"{guest}.ivf").read_bytes())
