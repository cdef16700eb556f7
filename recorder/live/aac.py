"""The live mix once more as AAC, for players that take no Opus: televisions, older phones (ISO/IEC 14496-3, -14).

It is written to a file of its own, read while the broadcast lasts, and deleted with its end: the replay is Opus.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext

from recorder.bitstream import CodecConfig
from recorder.fmp4 import Sample
from recorder.mix import RATE, Samples
from recorder.parts import FragmentFile, MediaFileInfo

FRAME = 1024
RUN = 23
"""Frames of a fragment: 491 ms, within a part."""
BIT_RATE = 96_000
_SCALE = np.float32(1 / 32768)


def aac_config(specific: bytes) -> CodecConfig:
    """`specific`: the AudioSpecificConfig. The record is the payload of ``esds`` (ISO/IEC 14496-14, section 6.7)."""
    decoder = b"\x40\x15" + bytes(3) + struct.pack(">II", BIT_RATE, BIT_RATE) + _described(5, specific)
    stream = bytes(3) + _described(4, decoder) + _described(6, b"\x02")
    return CodecConfig("AAC", "mp4a.40.2", 0, 0, bytes(4) + _described(3, stream))


def _described(tag: int, body: bytes) -> bytes:
    return bytes((tag, len(body))) + body


class Aac:
    """Blocks of the mix in, fragments out. `heard` is told of each: the file, where, what, from and to in ms."""

    NAME = "live-aac.m4a"

    def __init__(self, folder: Path, begin: int, heard: Callable[[MediaFileInfo, int, bytes, int, int], None]) -> None:
        """From sample `begin` of the mix on. Raises OSError."""
        self._heard = heard
        self._encoder: AudioCodecContext = av.CodecContext.create("aac", "w")
        self._encoder.sample_rate = RATE
        self._encoder.layout = "mono"
        self._encoder.format = "fltp"
        self._encoder.bit_rate = BIT_RATE
        self._encoder.time_base = Fraction(1, RATE)
        self._encoder.open()
        self._path = folder / self.NAME
        self._file = FragmentFile(self._path, aac_config(bytes(self._encoder.extradata or b"")))
        self._begin = self._next = begin
        self._waiting = np.zeros(0, np.int16)
        self._started = False
        self._run: list[Sample] = []

    def add(self, position: int, block: Samples) -> None:
        """Samples that follow those before; what is from before the beginning is left out."""
        if not self._started:
            if position < self._begin:
                return
            self._started, self._begin, self._next = True, position, position
        self._waiting = np.concatenate((self._waiting, block))
        while len(self._waiting) >= FRAME:
            frame = av.AudioFrame("fltp", "mono", FRAME)
            frame.planes[0].update((self._waiting[:FRAME].astype(np.float32) * _SCALE).tobytes())
            frame.sample_rate, frame.pts, frame.time_base = RATE, self._next, Fraction(1, RATE)
            self._waiting, self._next = self._waiting[FRAME:], self._next + FRAME
            for packet in self._encoder.encode(frame):
                # The first is the encoder's own beginning, from before there was sound.
                if packet.pts is not None and packet.pts >= self._begin:
                    self._run.append(Sample(packet.pts, FRAME, True, bytes(packet)))
            if len(self._run) >= RUN:
                self._flush()

    def _flush(self) -> None:
        run, self._run = self._run, []
        if run:
            data, offset = self._file.fragment(run), self._file.size
            self._file.append(data)
            self._heard(self._file.info, offset, data, run[0].time // 48, (run[-1].time + FRAME) // 48)

    def close(self) -> None:
        """The last fragment; then the file goes."""
        try:
            self._flush()
        finally:
            self._file.close()
            self._path.unlink(missing_ok=True)
