"""Whisper through CTranslate2, with a window no longer than the speech needs.

The encoder's cost goes with the length of its window, and CTranslate2 accepts any. A window cut tight to the speech
makes the decoder loop, so some seconds of silence stay behind the words, timestamps stay on, the number of tokens is
bounded by the length of the audio, and a text that repeats itself is decoded again in the window the model was
trained with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from captioning.agreement import plain
from captioning.decode import RATE, Samples
from captioning.engine import Request
from captioning.guards import doubtful, repetitive
from captioning.hypothesis import UNSPACED, Hypothesis, Sure, split
from captioning.language import CONFIDENT, LONG_ENOUGH

DRAFT_WINDOWS = (4, 5, 6, 7, 8, 9, 10, 12, 15, 18, 30)
FULL_WINDOWS = (10, 12, 15, 18, 20, 30)
TRAINED = 30
"""Seconds of the window Whisper was trained with."""
SPARE, DRAFT_SPARE = 3.0, 2.0
"""Seconds that must stay empty behind the speech. A draft does with less: it took 6 % less processor time and its words
were no worse."""
DRAFT_BEAM, FULL_BEAM = 1, 5
TOKENS_PER_SECOND, TOKENS_AT_LEAST, TOKENS_AT_MOST = 14, 24, 440
HINT_TOKENS, ALL_TOKENS = 100, 448
BATCH_CPU, BATCH_GPU = 4, 32
"""Voices in one call. On a CPU more gain little, and the first of them waits for the last."""
FRAME_SECONDS = 0.02
"""Of the encoder's output."""
CLEARLY = 0.1
"""By so much must the mean log-probability of a token be better in the language that was detected than in the chosen
one. For 21 read clips of five languages, decoded in another, it was 0.15 to 1.06 better in
their own, and once worse."""
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
    spare = DRAFT_SPARE if windows is DRAFT_WINDOWS else SPARE
    return next((window for window in windows if seconds + spare <= window), windows[-1])


class WhisperEngine:
    """One model, loaded. Not thread-safe: one recogniser thread uses it."""

    def __init__(self, folder: Path, device: str, compute_type: str, threads: int) -> None:
        import ctranslate2
        import tokenizers
        from faster_whisper.feature_extractor import FeatureExtractor
        from faster_whisper.tokenizer import _LANGUAGE_CODES, Tokenizer

        self._storage = ctranslate2.StorageView
        self._cpu = ctranslate2.Device.cpu
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
        self._among: frozenset[str] = frozenset()
        self.batch = BATCH_CPU if self._model.device == "cpu" else BATCH_GPU

    def listen_for(self, languages: Iterable[str]) -> bool:
        """Detect nothing but these from now on; False where the model knows none of them."""
        self._among = frozenset(languages) & frozenset(self.languages)
        return bool(self._among)

    def recognise(self, requests: Sequence[Request]) -> list[Hypothesis | None]:
        """See `captioning.engine.Engine`. Several together cost much less than one by one: the decoder reads all its
        weights for every token, whether it serves one voice or eight."""
        if len(requests) > 1 and any(request.hints is not None for request in requests):
            return [answer for request in requests for answer in self.recognise([request])]  # prompts differ in length
        full, beam = requests[0].full, _beam(requests)
        windows = FULL_WINDOWS if full else DRAFT_WINDOWS
        window = max(window_for(len(request.samples) / RATE, windows) for request in requests)
        encoded = self._encode([request.samples for request in requests], window)
        spoken = self._spoken(encoded, requests)
        prompts = [self._prompt("transcribe", chosen or detected) for chosen, detected, _ in spoken]
        terms = requests[0].hints(spoken[0][0]) if full and requests[0].hints and spoken[0][0] else []
        seconds = [len(request.samples) / RATE for request in requests]
        results = self._decode(encoded, prompts, seconds, beam, terms)
        if terms and _misled(results[0], terms, spoken[0][0] or ""):
            results = self._decode(encoded, prompts, seconds, beam)
        if full:
            self._contradict(encoded, requests, results, spoken, beam)
        answers: list[Hypothesis | None] = []
        for at, (request, result) in enumerate(zip(requests, results, strict=True)):
            language, detected, probability = spoken[at]
            if language is None:
                answers.append(None)
                continue
            row = partial(self._rows, encoded, [at])
            answers.append(self._answer(request, result, language, detected, probability, row, window))
        self._add_english(answers, requests, encoded, beam)
        return answers

    def _contradict(
        self,
        encoded: Any,
        requests: Sequence[Request],
        results: list[_Decoded],
        spoken: list[tuple[str | None, str, float]],
        beam: int,
    ) -> None:
        """Who is decoded in a language that they do not speak is translated by Whisper, silently. So where the sound
        clearly contradicts the chosen language, both are tried; what fits the sound better is in that language."""
        for at, (chosen, detected, probability) in enumerate(spoken):
            seconds = len(requests[at].samples) / RATE
            if chosen in (None, detected) or probability < CONFIDENT or seconds * 1000 < LONG_ENOUGH:
                continue
            row = self._rows(encoded, [at])
            (other,) = self._decode(row, [self._prompt("transcribe", detected)], [seconds], beam)
            if other.log_probability > results[at].log_probability + CLEARLY:
                results[at], spoken[at] = other, (detected, detected, probability)

    def _answer(
        self,
        request: Request,
        result: _Decoded,
        language: str,
        detected: str,
        probability: float,
        row: Callable[[], Any],
        window: int,
    ) -> Hypothesis:
        full, seconds = request.full, len(request.samples) / RATE
        prompts = [self._prompt("transcribe", language)]
        fell_back = full and window < TRAINED and repetitive(result.text, split(result.text, language)) is not None
        if fell_back:
            row = partial(_itself, self._encode([request.samples], TRAINED))
            (result,) = self._decode(row(), prompts, [seconds], FULL_BEAM)
        words = split(result.text, language)
        return Hypothesis(
            text=result.text,
            language=language,
            detected=detected,
            detected_probability=probability,
            log_probability=result.log_probability,
            no_speech=result.no_speech,
            guard=doubtful(result.text, words, result.log_probability, result.no_speech, seconds) if words else None,
            fell_back=fell_back,
            judge=cache(lambda: self._judge(row(), language, result, len(words), seconds)),
        )

    def _add_english(
        self, answers: list[Hypothesis | None], requests: Sequence[Request], encoded: Any, beam: int
    ) -> None:
        """Whisper's own translation, where it is wanted and there is something to translate."""
        wanted = [at for at, request in enumerate(requests) if _wants_english(request, answers[at])]
        if not wanted:
            return
        prompts = [self._prompt("translate", answer.language) for at in wanted if (answer := answers[at])]
        seconds = [len(requests[at].samples) / RATE for at in wanted]
        results = self._decode(self._rows(encoded, wanted), prompts, seconds, beam)
        for at, said in zip(wanted, results, strict=True):
            answer = answers[at]
            if answer and not doubtful(said.text, said.text.split(), said.log_probability, said.no_speech):
                answers[at] = replace(answer, english=said.text)

    def _spoken(self, encoded: Any, requests: Sequence[Request]) -> list[tuple[str | None, str, float]]:
        """(language to decode in, detected language, its probability) of each; None when it is too early to tell."""
        found: list[tuple[str | None, str, float]] = []
        asked = any(request.full or request.declared not in self.languages for request in requests)
        ranked = self._model.detect_language(encoded) if asked and self.multilingual else None
        for at, request in enumerate(requests):
            detected, probability = "en", 1.0
            if ranked is not None:
                detected, probability = likeliest(ranked[at], request.among & set(self.languages) or self._among)
            if request.declared in self.languages and request.declared is not None:
                known = (detected, probability) if request.full else (request.declared, 1.0)
                found.append((request.declared, *known))
                continue
            chosen = request.choose(detected, probability)
            found.append((chosen if chosen is None or chosen in self.languages else detected, detected, probability))
        return found

    def _encode(self, voices: Sequence[Samples], window: int) -> Any:
        features = [self._features(_padded(samples, window), padding=0)[:, : window * 100] for samples in voices]
        return self._model.encode(self._storage.from_array(np.ascontiguousarray(features, dtype=np.float32)))

    def _rows(self, encoded: Any, chosen: list[int]) -> Any:
        """Some voices of those encoded together."""
        if chosen == list(range(encoded.shape[0])):
            return encoded
        here = encoded if encoded.device == "cpu" else encoded.to_device(self._cpu)
        return self._storage.from_array(np.ascontiguousarray(np.array(here)[chosen]))

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

    def _prompt(self, task: str, language: str) -> list[int]:
        return list(self._tokens(task, language).sot_sequence)

    def _decode(
        self,
        encoded: Any,
        prompts: list[list[int]],
        seconds: Sequence[float],
        beam: int,
        terms: Sequence[str] = (),
    ) -> list[_Decoded]:
        most = min(TOKENS_AT_MOST, TOKENS_AT_LEAST + int(max(seconds) * TOKENS_PER_SECOND))
        tokenizer = self._tokens("transcribe", "en")
        if terms:
            said = tokenizer.encode(" " + ", ".join(terms))[:HINT_TOKENS]
            prompts = [[tokenizer.sot_prev, *said, *prompt] for prompt in prompts]
            most = min(most, ALL_TOKENS - len(prompts[0]))
        results = self._model.generate(
            encoded,
            prompts,
            beam_size=beam,
            max_length=len(prompts[0]) + most,
            return_scores=True,
            return_no_speech_prob=True,
            max_initial_timestamp_index=50,
        )
        decoded = []
        for result in results:
            tokens = result.sequences_ids[0]
            mean = result.scores[0] * len(tokens) / (len(tokens) + 1)
            text = tokenizer.decode(tokens).strip().replace("\ufffd", "")
            decoded.append(_Decoded(" ".join(text.split()), mean, result.no_speech_prob, tuple(tokens)))
        return decoded


def likeliest(ranked: Sequence[tuple[str, float]], among: frozenset[str]) -> tuple[str, float]:
    """The first of the languages (as Whisper's tokens, likeliest first), its probability being its share of those
    that are `among`; of all without. A person who speaks none of them is heard as the nearest, and unsurely."""
    known = [(token.strip("<|>"), float(probability)) for token, probability in ranked]
    wanted = [pair for pair in known if not among or pair[0] in among]
    total = sum(probability for _, probability in wanted)
    language, probability = wanted[0]
    return language, probability / total if among and total > 0 else probability


def _padded(samples: Samples, window: int) -> Samples:
    padded = np.zeros(window * RATE, np.float32)
    count = min(len(samples), len(padded))
    padded[:count] = samples[:count]
    return padded


def _itself(encoded: Any) -> Any:
    return encoded


def _beam(requests: Sequence[Request]) -> int:
    return FULL_BEAM if requests[0].full and not any(request.hurry for request in requests) else DRAFT_BEAM


def _wants_english(request: Request, answer: Hypothesis | None) -> bool:
    if answer is None or not request.full or request.english is None or answer.language == "en":
        return False
    return bool(answer.text) and answer.guard is None and request.english(answer.language)


def _misled(result: _Decoded, terms: Sequence[str], language: str) -> bool:
    """Whether the hints did harm: a doubtful text, or one that says nothing but them."""
    words = split(result.text, language)
    told = {plain(word) for term in terms for word in term.split()}
    echo = len(words) >= ECHO and all(plain(word) in told for word in words)
    return echo or doubtful(result.text, words, result.log_probability, result.no_speech) is not None
