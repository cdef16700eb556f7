"""Recorded clips of speech with what was said in them, and what the same model hears in them offline."""

from __future__ import annotations

import csv
import json
import os
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import jiwer
import numpy as np

from benchmarks._speech import RATE, Samples, read
from captioning.agreement import plain

ROOT = Path(__file__).parent.parent
LANGUAGES = ("en", "pt", "es", "fr", "de")
LONGEST = 16.0


@dataclass(frozen=True)
class Clip:
    """48 kHz mono samples and the words in them."""

    name: str
    language: str
    text: str
    samples: Samples

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE


@dataclass(frozen=True)
class Offline:
    """What the model hears with the whole clip at hand; `words` are (word, end in seconds)."""

    text: str
    words: list[tuple[str, float]]


def speech_folder() -> Path:
    return Path(os.environ.get("CONSILIUM_DATA", ROOT.parent / "shared" / "data")) / "speech"


def load_clips(count: int) -> tuple[list[Clip], str]:
    """Clips turn by turn from each language, English twice as often; and what they are."""
    data = speech_folder()
    if not (data / "manifest.tsv").is_file():
        return demo_clips()[:count], "the demo's voices"
    with (data / "manifest.tsv").open(newline="", encoding="utf-8") as manifest:
        rows = [r for r in csv.DictReader(manifest, delimiter="\t") if r["kind"].startswith("human read, FLEURS")]
    by_language = {
        language: [r for r in rows if r["language"] == language and float(r["seconds"]) <= LONGEST]
        for language in LANGUAGES
    }
    chosen: list[dict[str, str]] = []
    while len(chosen) < count and any(by_language.values()):
        for language in ("en", "pt", "en", "es", "en", "fr", "en", "de"):
            if by_language[language] and len(chosen) < count:
                chosen.append(by_language[language].pop(0))
    clips = [Clip(r["file"], r["language"], r["transcript"], read(data / r["file"])) for r in chosen]
    return clips, "human read, FLEURS (CC BY 4.0)"


def demo_clips() -> list[Clip]:
    """The lines of the demo's guests, which come with the product."""
    folder = ROOT / "signaling" / "demo"
    script = json.loads((folder / "script.json").read_text(encoding="utf-8"))
    voices = {guest["id"]: read(folder / "assets" / f"{guest['id']}.opus") for guest in script["guests"]}
    clips = []
    for line in script["lines"]:
        voice = voices[line["speaker"]]
        piece = voice[int(max(0.0, line["start"] - 0.2) * RATE) : int((line["end"] + 0.2) * RATE)]
        clips.append(Clip(f"{line['speaker']}.opus", line["language"], line["text"], piece))
    return clips


def listen_offline(clips: Iterable[Clip], model: Path) -> list[Offline]:
    """One plain 30 s decode of each clip, beam 5, language given; and when each word ends."""
    from faster_whisper import WhisperModel

    whisper = WhisperModel(str(model), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)
    heard = []
    for clip in clips:
        options: dict[str, Any] = {"language": clip.language, "beam_size": 5, "temperature": 0.0}
        audio = resample(clip.samples)
        segments, _ = whisper.transcribe(audio, **options, condition_on_previous_text=False, word_timestamps=True)
        words = [word for segment in segments for word in segment.words or []]
        dated = [(plain(word.word.strip()), float(word.end)) for word in words]
        heard.append(Offline("".join(word.word for word in words).strip(), dated))
    return heard


def resample(samples: Samples) -> Samples:
    """48 kHz to 16 kHz."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=16_000)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None, :]), format="flt", layout="mono")
    frame.sample_rate = RATE
    pieces = [f.to_ndarray()[0] for f in [*resampler.resample(frame), *resampler.resample(None)]]
    return np.concatenate(pieces).astype(np.float32)


def normal(text: str) -> str:
    """Case, punctuation and hyphens do not count; numbers stay as they are written."""
    text = unicodedata.normalize("NFKC", text).casefold().replace("-", " ")
    return " ".join(re.sub(r"[^\w\s']", " ", text).replace("_", " ").split())


def word_errors(references: list[str], hypotheses: list[str]) -> float:
    """Word error rate over all of them together."""
    return round(float(jiwer.wer([normal(r) for r in references], [normal(h) for h in hypotheses])), 4)
