"""Live captions on real speech: word error rate beside the same model offline, delays, processor time, words in
silence.

Every clip goes through the real service, Opus-encoded and at the pace of speech, one voice at a time (two share two
cores with their own worker otherwise, and would measure each other). `CONSILIUM_CLIPS` limits how many clips are used
(default 24), `CONSILIUM_DATA` names the folder with ``speech/manifest.tsv``; without it the demo's own audio is used.
"""

from __future__ import annotations

import asyncio
import csv
import json
import os
import re
import sys
import tempfile
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jiwer
import numpy as np

from benchmarks._speech import RATE, Clock, Samples, microphone, opus, read, speak, tap_packet
from benchmarks.figures import latency
from captioning import models
from captioning.agreement import plain
from captioning.caption import Caption
from captioning.config import CaptionConfig
from captioning.service import CaptionService

ROOT = Path(__file__).parent.parent
MODEL = "whisper-base"
LANGUAGES = ("en", "pt", "es", "fr", "de")
NOISE_SECONDS = 600
QUIET = 1.6
"""Seconds of silence behind each clip, so that its final can come."""


@dataclass
class Clip:
    """`heard_at` lists (room ms, all words visible then) while the clip plays; `words` are (word, end in seconds)."""

    path: Path
    language: str
    text: str
    samples: Samples
    began: float = 0.0
    said: str = ""
    shown: list[tuple[float, list[str]]] = field(default_factory=list)
    finals: list[tuple[float, Caption]] = field(default_factory=list)
    offline: str = ""
    words: list[tuple[str, float]] = field(default_factory=list)


def normal(text: str) -> str:
    """Case, punctuation and hyphens do not count; numbers stay as they are written."""
    text = unicodedata.normalize("NFKC", text).casefold().replace("-", " ")
    return " ".join(re.sub(r"[^\w\s']", " ", text).replace("_", " ").split())


def load_clips(count: int) -> tuple[list[Clip], str]:
    """Clips turn by turn from each language, English twice as often; and what they are."""
    data = Path(os.environ.get("CONSILIUM_DATA", ROOT.parent / "shared" / "data")) / "speech"
    if not (data / "manifest.tsv").is_file():
        return demo_clips()[:count], "the demo's voices"
    with (data / "manifest.tsv").open(newline="", encoding="utf-8") as manifest:
        rows = [r for r in csv.DictReader(manifest, delimiter="\t") if r["kind"].startswith("human read, FLEURS")]
    by_language = {lang: [r for r in rows if r["language"] == lang and float(r["seconds"]) <= 16] for lang in LANGUAGES}
    chosen: list[dict[str, str]] = []
    while len(chosen) < count and any(by_language.values()):
        for language in ("en", "pt", "en", "es", "en", "fr", "en", "de"):
            if by_language[language] and len(chosen) < count:
                chosen.append(by_language[language].pop(0))
    clips = [Clip(data / r["file"], r["language"], r["transcript"], read(data / r["file"])) for r in chosen]
    return clips, "human read, FLEURS (CC BY 4.0)"


def demo_clips() -> list[Clip]:
    folder = ROOT / "signaling" / "demo"
    script = json.loads((folder / "script.json").read_text(encoding="utf-8"))
    voices = {guest["id"]: read(folder / "assets" / f"{guest['id']}.opus") for guest in script["guests"]}
    clips = []
    for line in script["lines"]:
        voice = voices[line["speaker"]]
        piece = voice[int(max(0.0, line["start"] - 0.2) * RATE) : int((line["end"] + 0.2) * RATE)]
        clips.append(Clip(folder / "assets" / f"{line['speaker']}.opus", line["language"], line["text"], piece))
    return clips


def listen_offline(clips: list[Clip], folder: Path) -> None:
    """The same model with the whole clip at hand: one plain 30 s decode, beam 5, language given; and when each word
    ends."""
    from faster_whisper import WhisperModel

    model = WhisperModel(str(folder / MODEL), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)
    for clip in clips:
        audio = resample(clip.samples)
        options: dict[str, Any] = {"language": clip.language, "beam_size": 5, "temperature": 0.0}
        segments, _ = model.transcribe(audio, **options, condition_on_previous_text=False, word_timestamps=True)
        words = [word for segment in segments for word in segment.words or []]
        clip.offline = "".join(word.word for word in words).strip()
        clip.words = [(plain(word.word.strip()), float(word.end)) for word in words]


def resample(samples: Samples) -> Samples:
    """48 kHz to 16 kHz."""
    import av

    resampler = av.AudioResampler(format="flt", layout="mono", rate=16_000)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None, :]), format="flt", layout="mono")
    frame.sample_rate = RATE
    pieces = [f.to_ndarray()[0] for f in [*resampler.resample(frame), *resampler.resample(None)]]
    return np.concatenate(pieces).astype(np.float32)


async def play(service: CaptionService, clip: Clip, index: int, readers: frozenset[str]) -> dict[str, str]:
    """One clip through the service; returns its translations by language."""
    clock = Clock()
    newest: dict[tuple[str, str], Caption] = {}
    done = asyncio.Event()

    def hear(caption: Caption) -> None:
        newest[caption.segment, caption.language] = caption
        now = clock.now()
        if caption.engine is None:
            originals = sorted((c for c in newest.values() if c.engine is None), key=lambda c: c.start)
            clip.shown.append((now, [plain(w) for c in originals for w in f"{c.stable} {c.tail}".split()]))
            if caption.final:
                clip.finals.append((now, caption))
        done.set()

    room = service.open_room(f"clip-{index}", hear, clock)
    room.set_spoken("speaker", clip.language)
    room.set_readers(readers)
    track = f"track-{index}"
    room.track_opened(microphone("speaker", track), clock.now())
    sound = np.concatenate([clip.samples, np.zeros(int(QUIET * RATE), np.float32)])
    clip.began = await speak(room, clock, track, opus(sound))
    await room.close()
    finals = sorted((c for c in newest.values() if c.final), key=lambda c: c.start)
    clip.said = " ".join(c.stable for c in finals if c.engine is None)
    translated: dict[str, str] = {}
    for caption in finals:
        if caption.engine is not None:
            translated[caption.language] = f"{translated.get(caption.language, '')} {caption.stable}".strip()
    return translated


def first_shown(clip: Clip) -> list[float]:
    """For each word that the offline alignment dates: milliseconds from its end to when it first stood on the screen.

    A word counts as shown when as many copies of it are visible as were spoken up to it. One that never appears is a
    recognition error and is counted by the word error rate instead."""
    delays = []
    seen: dict[str, int] = {}
    for word, end in clip.words:
        seen[word] = seen.get(word, 0) + 1
        at = next((time for time, words in clip.shown if words.count(word) >= seen[word]), None)
        if at is not None:
            delays.append(max(0.0, at - (clip.began + end * 1000)))
    return delays


def final_delays(clip: Clip) -> list[float]:
    """For each final: milliseconds from the end of its last word to the final."""
    delays = []
    for at, caption in clip.finals:
        ends = [clip.began + end * 1000 for _, end in clip.words if clip.began + end * 1000 <= caption.end]
        if ends and caption.stable:
            delays.append(at - ends[-1])
    return delays


async def words_in_noise(service: CaptionService) -> int:
    """Words that appear in ten minutes of silence, hiss, hum and clicks, fed as fast as they are taken."""
    heard: dict[str, str] = {}
    clock = Clock()
    room = service.open_room("noise", lambda c: heard.__setitem__(c.segment, f"{c.stable} {c.tail}"), clock)
    chance = np.random.default_rng(3)
    seconds = 50
    length = seconds * RATE
    time = np.arange(length) / RATE
    kinds = [
        np.zeros(length),
        chance.standard_normal(length) * 0.03,
        0.1 * np.sin(2 * np.pi * 50 * time) + 0.01 * chance.standard_normal(length),
        np.where(chance.random(length) < 3e-5, 0.7, 0.0),
    ]
    packets = [opus(kind.astype(np.float32)) for kind in kinds] * (NOISE_SECONDS // (seconds * len(kinds)))
    room.track_opened(microphone("nobody", "noise"), 0.0)
    index = 0
    for stretch in packets:
        room.packets([tap_packet("noise", index + i, payload, 0.0) for i, payload in enumerate(stretch)])
        index += len(stretch)
        await asyncio.sleep(1.0)
    room.track_closed("noise", 0.0)
    async with asyncio.timeout(120):
        while service.status().streams:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    await room.close()
    return sum(len(text.split()) for text in heard.values())


async def measure(clips: list[Clip], folder: Path) -> dict[str, Any]:
    service = CaptionService(CaptionConfig(models=folder, model=MODEL))
    await service.start()
    while service.status().state == "loading":  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    if (problem := service.status().problem) is not None:
        raise RuntimeError(problem)
    await asyncio.sleep(1.0)
    sample: dict[str, str] = {}
    before = service.cpu_seconds()
    for index, clip in enumerate(clips):
        readers = frozenset({"pt"}) if clip.language == "en" else frozenset({"en"})
        translated = await play(service, clip, index, readers)
        if clip.language == "en" and clip.said and not sample:
            sample = {"source": clip.said, **translated}
        print(f"{index + 1}/{len(clips)} {clip.language} {clip.path.name}: {clip.said}", file=sys.stderr)
    await asyncio.sleep(1.0)
    used = service.cpu_seconds() - before
    speech = sum(len(clip.samples) for clip in clips) / RATE
    noise_words = await words_in_noise(service)
    counters = service.status().counters
    await service.stop()
    return {
        "cpu_per_speaker": round(used / speech, 3),
        "speech_s": round(speech, 1),
        "hallucinated_words": noise_words,
        "noise_minutes": NOISE_SECONDS / 60,
        "translation_sample": sample,
        "counters": counters,
    }


def errors(clips: list[Clip], offline: bool) -> float:
    references = [normal(clip.text) for clip in clips]
    hypotheses = [normal(clip.offline if offline else clip.said) for clip in clips]
    return round(float(jiwer.wer(references, hypotheses)), 4)


def run() -> dict[str, Any]:
    count = int(os.environ.get("CONSILIUM_CLIPS", "24"))
    before = os.getloadavg()[0]
    clips, kind = load_clips(count)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(os.environ.get("CONSILIUM_MODELS", temporary))
        models.install_embedded(folder)
        live = asyncio.run(measure(clips, folder))
        listen_offline(clips, folder)
    shown = [delay for clip in clips for delay in first_shown(clip)]
    finals = [delay for clip in clips for delay in final_delays(clip)]
    by_language = {
        language: {"wer": errors(mine, False), "offline_wer": errors(mine, True), "clips": len(mine)}
        for language in sorted({clip.language for clip in clips})
        if (mine := [clip for clip in clips if clip.language == language])
    }
    return {
        "wer": errors(clips, False),
        "offline_wer": errors(clips, True),
        "first_shown_ms": {k: round(v) for k, v in latency(shown).items()},
        "final_ms": {k: round(v) for k, v in latency(finals).items()},
        **live,
        "languages": by_language,
        "clips": len(clips),
        "audio": kind,
        "model": f"{MODEL}, int8, one thread",
        "load_average": [round(before, 2), round(os.getloadavg()[0], 2)],
        "words_dated": sum(len(clip.words) for clip in clips),
        "words_shown": len(shown),
        "measured": (
            "real time through the real service, one voice at a time, language declared; delays from the end of a word "
            "(offline word alignment of the same model) to the caption event on the server's loop"
        ),
    }
