"""Whisper through CTranslate2, with a window no longer than the speech needs.

The encoder's cost goes with the length of its window, and CTranslate2 accepts any. A window cut tight to the speech
makes the decoder loop, so some seconds of silence stay behind the words, timestamps stay on, the number of tokens is
bounded by the length of the audio, and a text that repeats itself is decoded again in the window the model was
trained with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from captioning.agreement import plain
from captioning.decode import RATE, Samples
from captioning.guards import doubtful, repetitive
from captioning.hypothesis import UNSPACED, Hypothesis, Sure, split

DRAFT_WINDOWS = (5, 6, 7, 8, 9, 10, 12, 15, 18, 30)
FULL_WINDOWS = (10, 15, 20, 30)
TRAINED = 30
"""Seconds of the window Whisper was trained with."""
SPARE = 3.0
"""Seconds that must stay empty behind the speech."""
DRAFT_BEAM, FULL_BEAM = 1, 5
TOKENS_PER_SECOND, TOKENS_AT_LEAST, TOKENS_AT_MOST = 14, 24, 440
HINT_TOKENS, ALL_TOKENS = 100, 448
FRAME_SECONDS = 0.02
"""Of the encoder's output."""
ECHO = 3
"""Words of which a text that says nothing but hints must have so many to count as an echo of them."""


@dataclass(frozen=True, slots=True)
class _Decoded:
    text: str
    log_probability: float
    no_speech: float
    tokens: tuple[int, ...] = ()


def window_for(seconds: float, windows: tuple[int, ...]) -> int:
    """The shortest window that holds so much speech and the spare."""
    return next((window for window in windows if seconds + SPARE <= window), windows[-1])


class WhisperEngine:
    """One model, loaded. Not thread-safe: one recogniser thread uses it."""

    def __init__(self, folder: Path, device: str, compute_type: str, threads: int) -> None:
        import ctranslate2
        import tokenizers
        from faster_whisper.feature_extractor import FeatureExtractor
        from faster_whisper.tokenizer import _LANGUAGE_CODES, Tokenizer

        self._storage = ctranslate2.StorageView
        self._model: Any = ctranslate2.models.Whisper(
            str(folder), device=device, compute_type=compute_type, intra_threads=threads, inter_threads=1
        )
        tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._features = FeatureExtractor(feature_size=self._model.n_mels)
        self.multilingual = bool(self._model.is_multilingual)
        known = [code for code in _LANGUAGE_CODES if tokenizer.token_to_id(f"<|{code}|>") is not None]
        self.languages: tuple[str, ...] = tuple(known) if self.multilingual else ("en",)
        self._tokenizer: Callable[[str, str], Any] = lambda task, language: Tokenizer(
            tokenizer, self.multilingual, task=task, language=language
        )
        self._tokenizers: dict[tuple[str, str], Any] = {}

    def recognise(
        self,
        samples: Samples,
        choose: Callable[[str, float], str | None],
        *,
        declared: str | None = None,
        full: bool = False,
        english: Callable[[str], bool] = lambda language: False,
        hints: Callable[[str], list[str]] = lambda language: [],
        before: str = "",
    ) -> Hypothesis | None:
        """Hear 16 kHz mono samples. `choose` gets the detected language and its probability and returns the one to
        decode in, or None to give up for now; it is not asked when `declared` is known to the model.
        `english(language)` says whether a translation to English is wanted too, `hints(language)` names terms that may
        have been said; both count in a full pass only. `before` is what the same person said just before."""
        seconds = len(samples) / RATE
        window = window_for(seconds, FULL_WINDOWS if full else DRAFT_WINDOWS)
        encoded = self._encode(samples, window)
        if declared in self.languages:
            detected, probability = declared, 1.0
        else:
            detected, probability = self._detect(encoded)
        chosen = declared if declared in self.languages else choose(detected, probability)
        if chosen is None:
            return None
        language = chosen if chosen in self.languages else detected
        terms = hints(language) if full else []
        result = self._decode(encoded, language, "transcribe", seconds, full, ", ".join(terms) or before)
        if terms and _misled(result, terms, language):
            result = self._decode(encoded, language, "transcribe", seconds, full)
        fell_back = False
        if full and window < TRAINED and repetitive(result.text, split(result.text, language)):
            encoded = self._encode(samples, TRAINED)
            result = self._decode(encoded, language, "transcribe", seconds, full)
            fell_back = True
        words = split(result.text, language)
        hypothesis = Hypothesis(
            text=result.text,
            language=language,
            detected=detected,
            detected_probability=probability,
            log_probability=result.log_probability,
            no_speech=result.no_speech,
            guard=doubtful(result.text, words, result.log_probability, result.no_speech) if words else None,
            fell_back=fell_back,
            judge=cache(lambda: self._judge(encoded, language, result, len(words), seconds)),
        )
        if hypothesis.text and hypothesis.guard is None and language != "en" and english(language):
            said = self._decode(encoded, language, "translate", seconds, full)
            if not doubtful(said.text, said.text.split(), said.log_probability, said.no_speech):
                return replace(hypothesis, english=said.text)
        return hypothesis

    def _encode(self, samples: Samples, window: int) -> Any:
        padded = np.zeros(window * RATE, np.float32)
        count = min(len(samples), len(padded))
        padded[:count] = samples[:count]
        features = self._features(padded, padding=0)[:, : window * 100]
        return self._model.encode(self._storage.from_array(np.ascontiguousarray(features[None], dtype=np.float32)))

    def _detect(self, encoded: Any) -> tuple[str, float]:
        if not self.multilingual:
            return "en", 1.0
        token, probability = self._model.detect_language(encoded)[0][0]
        return token.strip("<|>"), float(probability)

    def _tokens(self, task: str, language: str) -> Any:
        tokenizer = self._tokenizers.get((task, language))
        if tokenizer is None:
            tokenizer = self._tokenizers[task, language] = self._tokenizer(task, language)
        return tokenizer

    def _judge(self, encoded: Any, language: str, result: _Decoded, words: int, seconds: float) -> list[Sure] | None:
        """For every word the least probability of a token with letters, and its end; None where there are no spaces."""
        tokenizer = self._tokens("transcribe", language)
        tokens = [token for token in result.tokens if token < tokenizer.eot]
        if not tokens or language in UNSPACED:
            return None
        frames = int(seconds * 100)
        aligned = self._model.align(encoded, list(tokenizer.sot_sequence), [tokens], [frames])[0]
        last = dict(aligned.alignments)  # the last frame of every token
        found: list[Sure] = []
        for at, (token, probability) in enumerate(zip(tokens, aligned.text_token_probs, strict=True)):
            text = tokenizer.tokenizer.id_to_token(token)
            if text.startswith("\u0120") or not found:  # the byte-level tokenizer's sign for a space
                found.append(Sure(1.0, 0.0))
            least = float(probability) if any(c.isalnum() for c in text.lstrip("\u0120")) else 1.0
            end = (last.get(at, 0) + 1) * FRAME_SECONDS
            found[-1] = Sure(min(found[-1].probability, least), max(found[-1].end, end))
        return found if len(found) == words else None

    def _decode(self, encoded: Any, language: str, task: str, seconds: float, full: bool, told: str = "") -> _Decoded:
        tokenizer = self._tokens(task, language)
        prompt = list(tokenizer.sot_sequence)
        most = min(TOKENS_AT_MOST, TOKENS_AT_LEAST + int(seconds * TOKENS_PER_SECOND))
        if told:
            said = tokenizer.encode(" " + told)[:HINT_TOKENS]
            prompt = [tokenizer.sot_prev, *said, *prompt]
            most = min(most, ALL_TOKENS - len(prompt))
        result = self._model.generate(
            encoded,
            [prompt],
            beam_size=FULL_BEAM if full else DRAFT_BEAM,
            max_length=len(prompt) + most,
            return_scores=True,
            return_no_speech_prob=True,
            max_initial_timestamp_index=50,
        )[0]
        tokens = result.sequences_ids[0]
        mean = result.scores[0] * len(tokens) / (len(tokens) + 1)
        text = tokenizer.decode(tokens).strip().replace("\ufffd", "")
        return _Decoded(" ".join(text.split()), mean, result.no_speech_prob, tuple(tokens))


def _misled(result: _Decoded, terms: Sequence[str], language: str) -> bool:
    """Whether the hints did harm: a doubtful text, or one that says nothing but them."""
    words = split(result.text, language)
    told = {plain(word) for term in terms for word in term.split()}
    echo = len(words) >= ECHO and all(plain(word) in told for word in words)
    return echo or doubtful(result.text, words, result.log_probability, result.no_speech) is not None
