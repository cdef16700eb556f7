"""Opus packets to 16 kHz mono samples on the room clock; what is missing becomes silence.

Gaps are measured on the RTP timestamps, which count samples exactly; `media_ms` says where that lies in room time. A
pause of discontinuous transmission (RFC 7587 section 3.1.3), a lost packet and a muted stretch are all the same here:
silence.
"""

from __future__ import annotations

from dataclasses import dataclass

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from captioning.messages import Packet

RATE = 16_000
OPUS_RATE = 48_000
SPAN = OPUS_RATE // RATE
SILENCE_CAP_MS = 1_500.0
"""A longer gap than this is not written out: the caller is told that the clock jumped."""
DRIFT_MS = 200.0
"""How far the room time of a packet may stray from what sample counting says before it is believed."""
LARGEST_PACKET = 1_275 * 6
"""Six frames of 20 ms make the longest packet, 120 ms (RFC 6716 section 3.2)."""

Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Samples that begin at `start_ms` of room time; `jump` says that they do not follow on from the last ones."""

    start_ms: float
    samples: Samples
    jump: bool = False


class OpusDecoder:
    """One stream's decoder. Never raises for bad packets; it counts them in `bad`."""

    def __init__(self) -> None:
        self.bad = 0
        self._fresh()
        self._next: int | None = None
        """Timestamp that the next packet has if nothing is missing."""
        self._at = 0.0
        """Room time of that timestamp."""
        self._ahead = 0
        """Samples (48 kHz) of silence already given out by `pad` and not yet confirmed by a packet."""

    def _fresh(self) -> None:
        self._codec = AudioCodecContext.create("libopus", "r")
        assert isinstance(self._codec, AudioCodecContext)
        self._codec.sample_rate = OPUS_RATE
        self._codec.layout = "mono"
        self._codec.format = "s16"
        self._resampler = AudioResampler(format="s16", layout="mono", rate=RATE)

    def decode(self, packets: list[Packet]) -> list[Chunk]:
        """The samples of the packets and of the gaps between them."""
        chunks: list[Chunk] = []
        for packet in packets:
            chunks.extend(self._one(packet))
        return chunks

    def pad(self, milliseconds: float) -> list[Chunk]:
        """Silence for time in which no packet came, so that an utterance can end without waiting for one."""
        if self._next is None or milliseconds <= 0:
            return []
        samples = int(milliseconds * RATE / 1000)
        self._ahead += samples * SPAN
        return [self._chunk(np.zeros(samples, np.float32))]

    def _one(self, packet: Packet) -> list[Chunk]:
        chunks: list[Chunk] = []
        gap = 0 if self._next is None else packet.timestamp - self._next
        if gap < 0 and gap > -OPUS_RATE:
            return []  # older than what was decoded: late, or sent twice
        missing = gap - self._ahead
        self._ahead = 0
        jump = self._next is None or gap < 0
        if not jump and missing > 0:
            chunks.append(self._chunk(np.zeros(min(missing // SPAN, int(SILENCE_CAP_MS * RATE / 1000)), np.float32)))
            jump = missing * 1000 / OPUS_RATE > SILENCE_CAP_MS
        samples = self._samples(packet.payload)
        if jump or abs(packet.media_ms - self._at) > DRIFT_MS:
            self._at = packet.media_ms
        self._next = packet.timestamp + self._duration
        if len(samples):
            chunks.append(self._chunk(samples, jump))
        return chunks

    def _chunk(self, samples: Samples, jump: bool = False) -> Chunk:
        start = self._at
        self._at += len(samples) * 1000 / RATE
        return Chunk(start, samples, jump)

    def _samples(self, payload: bytes) -> Samples:
        self._duration = OPUS_RATE // 50
        if not payload:
            return np.zeros(RATE // 50, np.float32)
        try:
            if len(payload) > LARGEST_PACKET:
                raise ValueError("longer than an Opus packet can be")
            frames = self._codec.decode(av.Packet(payload))
            pieces = [piece.to_ndarray()[0] for frame in frames for piece in self._resampler.resample(frame)]
            self._duration = sum(frame.samples for frame in frames) or self._duration
        except (av.error.FFmpegError, ValueError):
            self.bad += 1
            self._fresh()
            return np.zeros(RATE // 50, np.float32)
        if not pieces:
            return np.zeros(0, np.float32)
        return np.concatenate(pieces).astype(np.float32) / np.float32(32768)
