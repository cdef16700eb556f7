"""A worker's heart: all its streams, what is to be recognised next, and what is said about it.

Two threads meet here: one hears packets (`handle`, `idle`), the other recognises (`take`, `work`). One lock guards the
state; it is never held while a model runs. Time is an argument, in seconds of a monotonic clock.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from typing import Protocol

from captioning.decode import RATE, Samples
from captioning.draft import PIECE, Draft
from captioning.glossary import Glossary
from captioning.hypothesis import Hypothesis, join
from captioning.language import base
from captioning.messages import (
    Audio,
    Closed,
    CloseStream,
    Done,
    Drop,
    Flush,
    OpenStream,
    Retranslate,
    Retranslated,
    SetGlossary,
    SetLanguage,
    SetReaders,
    ToServer,
    ToWorker,
    Translation,
    Words,
)
from captioning.scheduler import Job, Scheduler
from captioning.stream import Began, Change, Finished, Grew, Stream, Utterance
from captioning.translate import Translator
from captioning.vad import FRAME_MS

IDLE = 0.25
"""Seconds without a packet after which a speaker counts as silent."""
TRANSLATE_EVERY = 1.0
"""Seconds between translations of an utterance that is still open."""
TRANSLATE_WORDS = 3
BEHIND = 1.5
"""Seconds a final may wait before the translations of open utterances stop."""
DONE_EVERY = 1.0
HELD_BACK_MS = 1_000.0
"""What lies this close to now is not reported as done while nobody speaks: an utterance may begin in it."""
DOUBTFUL = 0.4
"""Probability under which a word is marked: two of three are wrong then, in clips that were read aloud."""
NO_TERMS = Glossary([])
SHORTEST = 900.0
"""Milliseconds of an utterance, or of a piece of it, before its first draft; 300 of them lie before the speech."""
PIECE_MS = PIECE * FRAME_MS
LEAST = 0.6
"""Seconds that a draft needs in any case."""
QUIET = 150.0
"""Milliseconds of silence behind the last word after which it is whole."""


class Engine(Protocol):
    """What recognises; see `captioning.whisper.WhisperEngine`."""

    languages: tuple[str, ...]
    multilingual: bool

    def recognise(
        self,
        samples: Samples,
        choose: Callable[[str, float], str | None],
        *,
        declared: str | None = None,
        full: bool = False,
        english: Callable[[str], bool] = ...,
        hints: Callable[[str], list[str]] = ...,
        before: str = ...,
    ) -> Hypothesis | None: ...


class Recogniser:
    """See the module text. `send` is called from both threads and must not block for long."""

    def __init__(
        self,
        engine: Engine,
        translator: Translator,
        send: Callable[[ToServer], None],
        scheduler: Scheduler | None = None,
    ) -> None:
        self._engine = engine
        self._translator = translator
        self._send = send
        self._scheduler = scheduler or Scheduler()
        self._streams: dict[str, Stream] = {}
        self._readers: dict[str, list[str]] = {}
        self._glossaries: dict[str, Glossary] = {}
        self._packet_at: dict[str, float] = {}
        self._done_at: dict[str, float] = {}
        self._lock = threading.RLock()
        self._work = threading.Condition(self._lock)
        self._busy_since: float | None = None
        self._interim_lag = 0.0
        self._counters: Counter[str] = Counter()
        self._corrections: deque[Retranslate] = deque()

    # --- the hearing thread ---

    def handle(self, message: ToWorker, now: float) -> None:
        """Take one message of the server."""
        with self._lock:
            match message:
                case Audio(name, packets):
                    if (stream := self._streams.get(name)) is not None and not stream.closing:
                        self._packet_at[name] = now
                        self._changes(name, stream, stream.hear(packets), now)
                case OpenStream(name, room, language, utterance):
                    self._streams[name] = Stream(room, _primary(language), utterance)
                    self._packet_at[name] = self._done_at[name] = now
                case SetLanguage(name, language):
                    if (stream := self._streams.get(name)) is not None:
                        stream.language.declare(_primary(language))
                case SetReaders(room, languages):
                    self._readers[room] = languages
                case SetGlossary(room, terms):
                    self._glossaries[room] = Glossary(terms)
                    if not terms:
                        del self._glossaries[room]
                case Flush(name):
                    if (stream := self._streams.get(name)) is not None:
                        self._changes(name, stream, stream.flush(), now)
                case CloseStream(name):
                    if (stream := self._streams.get(name)) is not None:
                        self._changes(name, stream, stream.flush(), now)
                        stream.closing = True
                        self._leave(name, stream)
                case Retranslate():
                    self._corrections.append(message)
                    self._work.notify()
                case Drop(name):
                    if self._streams.pop(name, None) is not None:
                        del self._packet_at[name], self._done_at[name]
                        self._scheduler.forget(name)

    def idle(self, now: float) -> None:
        """Call every 50 ms or so: ends utterances of speakers who stopped sending, and reports silence as done."""
        with self._lock:
            for name, stream in list(self._streams.items()):
                since = now - self._packet_at[name]
                if stream.listening and since > IDLE:
                    self._packet_at[name] = now - IDLE
                    self._changes(name, stream, stream.pad((since - IDLE) * 1000), now)
                quiet = not stream.listening and not stream.pending
                if quiet and now - self._done_at[name] >= DONE_EVERY and since < DONE_EVERY:
                    self._done_at[name] = now
                    self._send(Done(name, stream.next_utterance, stream.now_ms - HELD_BACK_MS))

    def _changes(self, name: str, stream: Stream, changes: list[Change], now: float) -> None:
        for change in changes:
            match change:
                case Began():
                    self._counters["utterances"] += 1
                case Finished(utterance):
                    self._scheduler.offer_final(name, utterance.number, now)
                    self._work.notify()
                case Grew(utterance, breath, lull):
                    more = stream.piece_ms >= SHORTEST and stream.speech_end > utterance.offered
                    if utterance is stream.open and (more or lull or (breath and stream.piece_ms >= PIECE_MS)):
                        utterance.offered = stream.speech_end
                        self._scheduler.offer_interim(name, utterance.number, now, full=lull, urgent=breath)
                        self._work.notify()

    def _leave(self, name: str, stream: Stream) -> None:
        if stream.closing and not stream.pending and self._streams.get(name) is stream:
            del self._streams[name], self._packet_at[name], self._done_at[name]
            self._scheduler.forget(name)
            if not any(other.room == stream.room for other in self._streams.values()):
                self._readers.pop(stream.room, None)
            self._counters["bad_packets"] += stream.bad_packets
            self._send(Closed(name))

    # --- the recognising thread ---

    def take(self, clock: Callable[[], float], patience: float) -> Job | Retranslate | None:
        """Wait up to `patience` seconds for a job."""
        with self._lock:
            now = clock()
            job = self._next(now)
            if job is None:
                wait = self._scheduler.wait(now)
                self._work.wait(patience if wait is None else min(patience, wait + 0.001))
                job = self._next(clock())
            self._busy_since = clock() if job is not None else None
            return job

    def _next(self, now: float) -> Job | Retranslate | None:
        """Somebody waits for their correction, and a translation takes little: it goes first."""
        return self._corrections.popleft() if self._corrections else self._scheduler.next(now)

    def work(self, job: Job | Retranslate, clock: Callable[[], float]) -> None:
        """Do one job and send what came of it."""
        if isinstance(job, Retranslate):
            self._retranslate(job)
            with self._lock:
                self._busy_since = None
            return
        began = clock()
        stream = self._streams.get(job.stream)
        if stream is not None:
            if job.final:
                self._final(job, stream, clock)
            else:
                self._interim(job, stream, clock)
        with self._lock:
            self._scheduler.finished(job, clock() - began)
            self._busy_since = None

    def _interim(self, job: Job, stream: Stream, clock: Callable[[], float]) -> None:
        with self._lock:
            utterance = stream.open
            if utterance is None or utterance.number != job.utterance:
                return
            draft, whole = utterance.draft, stream.quiet_ms >= QUIET
            full = job.full and whole  # who has gone on meanwhile had not finished
            samples, speech_end = stream.sound(utterance.start if full else draft.anchor)
            before = join(draft.before, utterance.language or "")
            readers = self._readers.get(stream.room, [])
            glossary = self._glossaries.get(stream.room, NO_TERMS)
            end_ms = stream.now_ms
        if not full and len(samples) < LEAST * RATE:
            return  # a new piece has just begun
        heard_at = clock()
        self._counters["decodes_full" if full else "decodes_draft"] += 1
        hypothesis = self._engine.recognise(
            samples,
            stream.language.choose,
            declared=stream.language.declared if full else stream.language.current or (before and utterance.language),
            full=full,
            english=(lambda language: self._translator.wants_english(language, map(base, readers))) if full else _never,
            hints=lambda language: glossary.hotwords(" ".join(utterance.shown or ()), language),
            before="" if full else before,
        )
        sure = None if full or hypothesis is None or hypothesis.guard is not None else hypothesis.judge()
        if hypothesis is None:
            self._counters["interims_undecided"] += 1
            return
        with self._lock:
            if full:
                utterance.heard = (hypothesis, speech_end)
            if hypothesis.guard is not None:
                self._counters[f"guard_{hypothesis.guard}"] += 1
                return
            if not hypothesis.text or utterance.samples is not None:
                return
            if utterance.language not in (None, hypothesis.language):
                draft = utterance.draft = Draft(utterance.start)
            utterance.language = hypothesis.language
            if full:
                stable_words, tail_words = draft.settle(hypothesis.words, speech_end)
            elif whole:
                stable_words, tail_words = draft.breathe(hypothesis.words, speech_end)
            else:
                stable_words, tail_words = draft.update(hypothesis.words, sure, samples)
            stable, tail = join(stable_words, hypothesis.language), join(tail_words, hypothesis.language)
            self._interim_lag = clock() - heard_at
            if utterance.shown == (stable, tail):
                return
            utterance.shown = (stable, tail)
            self._send(
                Words(
                    job.stream,
                    utterance.number,
                    utterance.start_ms,
                    end_ms,
                    hypothesis.language,
                    stable,
                    tail,
                    False,
                    hypothesis.confidence,
                )
            )
            idle = full and not self._scheduler.queue()
            calm = self._scheduler.lag(clock()) < BEHIND and not self._scheduler.overloaded
        if calm and clock() - utterance.translated_at >= TRANSLATE_EVERY and len(stable_words) >= TRANSLATE_WORDS:
            utterance.translated_at = clock()
            self._translate(job.stream, utterance, hypothesis.language, stable, None, readers, end_ms, NO_TERMS)
        if idle:  # the speaker pauses: there is time now for what the final will need
            hypothesis.judge()

    def _final(self, job: Job, stream: Stream, clock: Callable[[], float]) -> None:
        with self._lock:
            utterance = stream.pending[job.utterance]
            readers = self._readers.get(stream.room, [])
            glossary = self._glossaries.get(stream.room, NO_TERMS)
            samples = utterance.samples
        assert samples is not None
        hypothesis = self._conclude(stream, utterance, samples, readers, glossary)
        text = hypothesis.text if hypothesis is not None and hypothesis.guard is None else ""
        heard, doubtful = None, list[int]()
        if hypothesis is not None and text:
            sure = [word.probability for word in hypothesis.judge() or ()]
            words, corrections = glossary.correct(hypothesis.words, sure, hypothesis.language)
            if corrections:
                self._counters["glossary_corrections"] += len(corrections)
                heard, text = text, join(words, hypothesis.language)
            for change in reversed(corrections):
                sure[change.at : change.at + change.count] = [1.0] * len(change.now.split())
            doubtful = [at for at, probability in enumerate(sure) if probability < DOUBTFUL]
        if hypothesis is not None:
            if hypothesis.guard is not None:
                self._counters[f"guard_{hypothesis.guard}"] += 1
            if hypothesis.fell_back:
                self._counters["fallbacks"] += 1
            if text or utterance.shown is not None:
                self._send(
                    Words(
                        job.stream,
                        utterance.number,
                        utterance.start_ms,
                        utterance.end_ms,
                        hypothesis.language,
                        text,
                        "",
                        True,
                        hypothesis.confidence if text else None,
                        heard,
                        doubtful,
                    )
                )
            self._translate(
                job.stream,
                utterance,
                hypothesis.language,
                text,
                hypothesis.english,
                readers,
                utterance.end_ms,
                glossary,
                final=True,
            )
        self._counters["finals" if text else "finals_empty"] += 1
        with self._lock:
            del stream.pending[utterance.number]
            if self._streams.get(job.stream) is stream:
                self._done_at[job.stream] = clock()
            self._send(Done(job.stream, utterance.number + 1, utterance.end_ms))
            self._leave(job.stream, stream)

    def _conclude(
        self, stream: Stream, utterance: Utterance, samples: Samples, readers: list[str], glossary: Glossary
    ) -> Hypothesis | None:
        """The last word on an utterance: what was heard at its last pause if that was all of it, else a new decode."""
        duration = utterance.end_ms - utterance.start_ms
        language = stream.language.declared
        if utterance.heard is not None and utterance.heard[1] >= utterance.speech_end:
            heard = utterance.heard[0]
            language = stream.language.conclude(heard.detected, heard.detected_probability, duration)
            if language == heard.language or stream.language.declared is not None:
                self._counters["finals_reused"] += 1
                return heard
        self._counters["decodes_full"] += 1
        return self._engine.recognise(
            samples,
            lambda detected, probability: stream.language.conclude(detected, probability, duration),
            declared=language,
            full=True,
            english=lambda language: self._translator.wants_english(language, map(base, readers)),
            hints=lambda language: glossary.hotwords(" ".join(utterance.shown or ()), language),
        )

    def _translate(
        self,
        name: str,
        utterance: Utterance,
        source: str,
        text: str,
        english: str | None,
        readers: list[str],
        end_ms: float,
        glossary: Glossary,
        *,
        final: bool = False,
    ) -> None:
        for reader in readers:
            route = self._translator.route(source, base(reader))
            result = None
            if route is not None and text and (final or not route.english_first):
                if final:
                    target = base(reader)
                    wanted = glossary.wanted(text, source, target)
                    result = self._translator.translate(text, route, english, spoken=source, read=target, wanted=wanted)
                else:
                    result = self._translator.translate(text, route)
            shown = reader in utterance.translated
            if route is None or (result is None and not (final and shown)):
                continue
            utterance.translated.add(reader)
            self._send(
                Translation(
                    name,
                    utterance.number,
                    utterance.start_ms,
                    end_ms,
                    source,
                    reader,
                    result.text if result is not None else "",
                    final,
                    route.engine,
                    route.pivot,
                    list(result.doubts) if result is not None else [],
                )
            )

    def _retranslate(self, job: Retranslate) -> None:
        with self._lock:
            glossary = self._glossaries.get(job.room, NO_TERMS)
        source = base(job.source)
        for reader in job.readers:
            target = base(reader)
            route = self._translator.route(source, target)
            if route is None:
                continue
            wanted = glossary.wanted(job.text, source, target)
            result = self._translator.translate(job.text, route, None, spoken=source, read=target, wanted=wanted)
            if result is not None:
                doubts = list(result.doubts)
                self._send(
                    Retranslated(
                        job.room, job.segment, job.correction, reader, result.text, route.engine, route.pivot, doubts
                    )
                )

    # --- figures ---

    @property
    def overloaded(self) -> bool:
        return self._scheduler.overloaded

    def figures(self, now: float) -> tuple[float, int, int, float, dict[str, int]]:
        """(lag in ms, finals waiting, streams, seconds the current job has run, counters)."""
        with self._lock:
            busy = 0.0 if self._busy_since is None else now - self._busy_since
            lag = max(self._scheduler.lag(now), self._interim_lag if self._scheduler.queue() else 0.0, busy)
            counters = dict(self._counters)
            counters["interims_shed"] = self._scheduler.shed
            counters["bad_packets"] = counters.get("bad_packets", 0) + sum(
                s.bad_packets for s in self._streams.values()
            )
            counters.update(self._translator.counters)
            return lag * 1000, self._scheduler.queue(), len(self._streams), busy, counters


def _primary(language: str | None) -> str | None:
    return base(language) if language else None


def _never(language: str) -> bool:
    return False
