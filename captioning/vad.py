"""Voice activity: Silero VAD (the ONNX model that faster-whisper carries), with its state kept per stream.

Each frame of 32 ms gets the probability that somebody speaks. Frames that are digitally silent are not shown to the
model: most tracks of a meeting are silent most of the time. A quiet microphone is raised towards the level that the
model was trained at, or it would miss a person who merely sits far from it. What is recognised later is not touched.
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
SILENT = 10 ** (-78 / 20)
"""Peak below which a frame is silence: 78 dB under full scale, four steps of 16 bits."""
LEVEL = 0.1
"""The peak that a quiet voice is raised to, by MOST_GAIN at most; louder ones stay as they are."""
MOST_GAIN = 8.0
RELEASE = 0.5 ** (FRAME_MS / 10_000)
"""What is left of the remembered peak after each frame: half of it after ten seconds."""


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
        self._peak = 0.0

    def feed(self, samples: Samples) -> list[tuple[float, float]]:
        """(speech probability, mean square) for each frame that these samples complete."""
        joined = np.concatenate([self._rest, samples])
        count = len(joined) // FRAME
        self._rest = joined[count * FRAME :]
        if not count:
            return []
        frames = joined[: count * FRAME].reshape(count, FRAME)
        energies = np.mean(frames * frames, axis=1)
        peaks = np.max(np.abs(frames), axis=1)
        loud = peaks > SILENT
        raised = frames * self._gains(peaks)[:, None]
        probabilities = np.zeros(count, np.float32)
        begin = 0
        while begin < count:  # runs of frames with sound go to the model in one call
            if not loud[begin]:
                self._context = raised[begin, -CONTEXT:]
                begin += 1
                continue
            end = begin
            while end < count and loud[end]:
                end += 1
            probabilities[begin:end] = self._run(raised[begin:end])
            begin = end
        return [(float(p), float(e)) for p, e in zip(probabilities, energies, strict=True)]

    def _gains(self, peaks: Samples) -> Samples:
        """A frame's own peak counts at once, so that nothing is ever raised above LEVEL."""
        gains = np.ones(len(peaks), np.float32)
        for index, peak in enumerate(peaks):
            self._peak = max(float(peak), self._peak * RELEASE)
            gains[index] = min(MOST_GAIN, max(1.0, LEVEL / max(self._peak, SILENT)))
        return gains

    def _run(self, frames: Samples) -> Samples:
        before = np.vstack([self._context[None, :], frames[:-1, -CONTEXT:]])
        inputs = {"input": np.hstack([before, frames]).astype(np.float32), "h": self._h, "c": self._c}
        output, self._h, self._c = self._session.run(None, inputs)
        self._context = frames[-1, -CONTEXT:]
        result: Samples = np.asarray(output, np.float32).reshape(-1)
        return result
