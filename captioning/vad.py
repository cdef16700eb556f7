"""Voice activity: Silero VAD (the ONNX model that faster-whisper carries), with its state kept per stream.

Each frame of 32 ms gets the probability that somebody speaks. Frames that are digitally silent are not shown to the
model: most tracks of a meeting are silent most of the time.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from captioning.decode import Samples

FRAME = 512
"""Samples per frame at 16 kHz."""
FRAME_MS = 32.0
CONTEXT = 64
SILENT = 10 ** (-66 / 20)
"""Peak below which a frame is silence: 66 dB under full scale."""


@cache
def _session() -> Any:
    import faster_whisper
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = options.intra_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    path = Path(faster_whisper.__file__).parent / "assets" / "silero_vad_v6.onnx"
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"], sess_options=options)


class VoiceActivity:
    """One stream's detector: feed it samples, get one (probability, energy) per completed frame."""

    def __init__(self) -> None:
        self._session = _session()
        self._rest = np.zeros(0, np.float32)
        self.reset()

    def reset(self) -> None:
        """Forget what was heard, as after a jump of the clock. Samples of an unfinished frame stay: frames keep
        counting."""
        self._context = np.zeros(CONTEXT, np.float32)
        self._h = np.zeros((1, 1, 128), np.float32)
        self._c = np.zeros((1, 1, 128), np.float32)

    def feed(self, samples: Samples) -> list[tuple[float, float]]:
        """(speech probability, mean square) for each frame that these samples complete."""
        joined = np.concatenate([self._rest, samples])
        count = len(joined) // FRAME
        self._rest = joined[count * FRAME :]
        if not count:
            return []
        frames = joined[: count * FRAME].reshape(count, FRAME)
        energies = np.mean(frames * frames, axis=1)
        loud = np.max(np.abs(frames), axis=1) > SILENT
        probabilities = np.zeros(count, np.float32)
        begin = 0
        while begin < count:  # runs of frames with sound go to the model in one call
            if not loud[begin]:
                self._context = frames[begin, -CONTEXT:]
                begin += 1
                continue
            end = begin
            while end < count and loud[end]:
                end += 1
            probabilities[begin:end] = self._run(frames[begin:end])
            begin = end
        return [(float(p), float(e)) for p, e in zip(probabilities, energies, strict=True)]

    def _run(self, frames: Samples) -> Samples:
        before = np.vstack([self._context[None, :], frames[:-1, -CONTEXT:]])
        inputs = {"input": np.hstack([before, frames]).astype(np.float32), "h": self._h, "c": self._c}
        output, self._h, self._c = self._session.run(None, inputs)
        self._context = frames[-1, -CONTEXT:]
        result: Samples = np.asarray(output, np.float32).reshape(-1)
        return result
