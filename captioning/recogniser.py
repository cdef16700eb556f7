"""A worker's heart: all its streams, what is to be recognised next, and what is said about it.

Two threads meet here: one hears packets (`handle`, `idle`), the other recognises (`take`, `work`). One lock guards the
state; it is never held while a model runs. Time is an argument, in seconds of a monotonic clock.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from captioning.decode import RATE, Samples
from captioning.draft import PIECE, Draft
from captioning.engine import Engine, Request
from captioning.glossary import Glossary
from captioning.guards import doubtful
from captioning.hypothesis import Hypothesis, join, together
from captioning.interpreter import Interpreter
from captioning.language import SpokenLanguage
from captioning.messages import (
    Audio,
    Closed,
    CloseStream,
    Done,
    Drop,
    Flush,
    OpenStream,
    Retranslate,
    SetGlossary,
    SetLanguage,
    SetReaders,
    ToServer,
    ToWorker,
    Words,
)
from captioning.scheduler import Job, Scheduler
from captioning.stream import Began, Change, Finished, Grew, Stream, Utterance
from captioning.translate import Translator
from captioning.vad import FRAME, FRAME_MS

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
HURRY = 1.0
"""Seconds a final has waited after which it gets a narrower search and no marks of doubt: others wait behind it."""
REST = 3
"""Frames of silence that go with a piece which ends at a breath; the next one begins behind them."""
LEAST_REST = 8
"""Frames of speech behind the last piece that count: in less there is no word, and Whisper would find one."""
PATIENCE, MOST_PATIENCE = 31, 124
"""Frames more that a draft waits for after each that the guards refused, from the second in a row on, and at most: who
cannot be understood now (a crowd, music) will hardly be in a moment, and others wait."""
QUIET = 150.0
"""Milliseconds of silence behind the last word after which it is whole."""


@dataclass(frozen=True, slots=True)
class _Task:
    """A job and all it needs. `known` is the answer where there is one already; `whole` says that nobody speaks at the
    end of the samples, `speech_end` is the frame up to which somebody did. With `piece` what comes of it stays."""

    job: Job
    stream: Stream
    utterance: Utterance
    request: Request
    readers: list[str]
    glossary: Glossary
    end_ms: float
    known: Hypothesis | None = None
    speech_end: int = 0
    whole: bool = True
    piece: bool = False


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
        self._interpreter = Interpreter(translator, send)
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
                case OpenStream(name, room, language, utterance, among):
                    self._streams[name] = Stream(room, SpokenLanguage(language, among), utterance)
                    self._packet_at[name] = self._done_at[name] = now
                case SetLanguage(name, language, among):
                    if (stream := self._streams.get(name)) is not None:
                        stream.language.declare(language, among)
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
                    patience = min(MOST_PATIENCE, PATIENCE * max(0, utterance.refused - 1))
                    more = stream.piece_ms >= SHORTEST and stream.speech_end > utterance.offered + patience
                    if utterance is stream.open and (more or lull or (breath and stream.rest_ms >= PIECE_MS)):
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

    def take(self, clock: Callable[[], float], patience: float) -> list[Job] | Retranslate | None:
        """Wait up to `patience` seconds for work: a correction, or jobs of one kind that are best done together."""
        with self._lock:
            now = clock()
            work = self._next(now)
            if not work:
                wait = self._scheduler.wait(now)
                self._work.wait(patience if wait is None else min(patience, wait + 0.001))
                work = self._next(clock())
            self._busy_since = clock() if work else None
            return work or None

    def _next(self, now: float) -> list[Job] | Retranslate:
        """Somebody waits for their correction, and a translation takes little: it goes first."""
        return self._corrections.popleft() if self._corrections else self._scheduler.batch(now, self._engine.batch)

    def work(self, work: list[Job] | Retranslate, clock: Callable[[], float]) -> None:
        """Do what `take` gave and send what came of it."""
        if isinstance(work, Retranslate):
            with self._lock:
                glossary = Glossary(work.terms) if work.terms else self._glossaries.get(work.room, NO_TERMS)
            self._interpreter.corrected(work, glossary)
        else:
            began = clock()
            self._decode([task for job in work if (task := self._task(job, began)) is not None], clock)
            with self._lock:
                for job in work:
                    self._scheduler.finished(job, (clock() - began) / len(work))
        with self._lock:
            self._busy_since = None

    def _decode(self, tasks: list[_Task], clock: Callable[[], float]) -> None:
        """Recognise and deliver, finals first. A full interim may have turned into a draft: there can be two kinds."""
        for task in tasks:
            if task.known is not None:
                self._final(task, task.known, clock)
        for full in (True, False):
            group = [task for task in tasks if task.known is None and task.request.full is full]
            if not group:
                continue
            began = clock()
            answers = self._engine.recognise([task.request for task in group])
            self._counters["decodes_full" if full else "decodes_draft"] += len(group)
            self._counters["decodes_batched"] += len(group) if len(group) > 1 else 0
            for task, hypothesis in zip(group, answers, strict=True):
                if task.job.final:
                    self._final(task, self._whole(task, hypothesis), clock)
                else:
                    self._interim(task, hypothesis, began, clock)

    def _task(self, job: Job, now: float) -> _Task | None:
        """What a job needs, as things are now; None when there is nothing to do any more."""
        with self._lock:
            stream = self._streams.get(job.stream)
            if stream is None:
                return None
            readers = self._readers.get(stream.room, [])
            glossary = self._glossaries.get(stream.room, NO_TERMS)
            if job.final:
                utterance = stream.pending[job.utterance]
                known, request = self._conclude(stream, utterance, readers, glossary)
                if now - job.since > HURRY:
                    request = replace(request, hurry=True)
                    self._counters["finals_hurried"] += known is None
                return _Task(job, stream, utterance, request, readers, glossary, utterance.end_ms, known)
            if stream.open is None or stream.open.number != job.utterance:
                return None
            utterance, whole = stream.open, stream.quiet_ms >= QUIET
            piece = whole and self._commits(stream, utterance, readers)
            full = piece or (job.full and whole)  # who has gone on meanwhile had not finished
            samples, speech_end = stream.sound(utterance.rest if full else utterance.draft.anchor)
            if not full and len(samples) < LEAST * RATE:
                return None  # a new piece has just begun
            if full:
                request = self._full(samples, stream.language.choose, stream, utterance, readers, glossary)
            else:
                spoken = stream.language.current or (utterance.language if utterance.draft.kept else None)
                request = Request(samples, stream.language.choose, spoken, stream.language.among)
            end_ms = stream.now_ms
            return _Task(job, stream, utterance, request, readers, glossary, end_ms, None, speech_end, whole, piece)

    def _commits(self, stream: Stream, utterance: Utterance, readers: list[str]) -> bool:
        """Whether a breath ends a piece of the utterance, which is then heard in full and stays: not where
        the guards refused a draft (a crowd, say). Whisper's own translation needs the whole utterance."""
        language = stream.language.current
        known = language is not None and not self._interpreter.wants_english(language, readers)
        return known and not utterance.doubted and stream.rest_ms >= PIECE_MS

    def _full(
        self,
        samples: Samples,
        choose: Callable[[str, float], str | None],
        stream: Stream,
        utterance: Utterance,
        readers: list[str],
        glossary: Glossary,
    ) -> Request:
        shown = " ".join(utterance.shown or ())
        return Request(
            samples,
            choose,
            stream.language.declared,
            stream.language.among,
            full=True,
            english=lambda language: self._interpreter.wants_english(language, readers),
            hints=None if glossary is NO_TERMS else lambda language: glossary.hotwords(shown, language),
        )

    def _conclude(
        self, stream: Stream, utterance: Utterance, readers: list[str], glossary: Glossary
    ) -> tuple[Hypothesis | None, Request]:
        """The last word on an utterance: what was heard at its last pause if that was all of it, else a new decode."""
        duration = utterance.end_ms - utterance.start_ms
        spoken = stream.language
        assert utterance.samples is not None
        pieces = utterance.pieces

        def conclude(detected: str, probability: float) -> str:
            return spoken.conclude(detected, probability, duration)

        rest = utterance.samples[(utterance.rest - utterance.start) * FRAME :]
        request = self._full(rest, conclude, stream, utterance, readers, glossary)
        heard = utterance.heard[0] if utterance.heard and utterance.heard[1] >= utterance.speech_end else None
        known: Hypothesis | None = None
        if pieces:
            conclude(pieces[0].detected, pieces[0].detected_probability)
            request = replace(request, declared=pieces[0].language)
            if utterance.speech_end - utterance.rest < LEAST_REST:
                known = _together(utterance, pieces)
            elif heard is not None and heard.language == pieces[0].language:
                known = _together(utterance, [*pieces, heard])
        elif heard is not None:
            concluded = conclude(heard.detected, heard.detected_probability)
            known = heard if heard.language in (concluded, heard.detected) else None
        self._counters["finals_reused"] += known is not None
        return known, request

    def _whole(self, task: _Task, rest: Hypothesis | None) -> Hypothesis | None:
        """The utterance, of its pieces and what lies behind them. Where that is in another language after all, or
        doubtful, which casts doubt on the pieces too, everything is heard once more."""
        pieces, samples = task.utterance.pieces, task.utterance.samples
        if not pieces or samples is None:
            return rest
        if rest is None or not rest.text:
            return _together(task.utterance, pieces)
        if rest.guard is None and rest.language == pieces[0].language:
            return _together(task.utterance, [*pieces, rest])
        return self._engine.recognise([replace(task.request, samples=samples)])[0]

    def _interim(self, task: _Task, hypothesis: Hypothesis | None, began: float, clock: Callable[[], float]) -> None:
        utterance, full = task.utterance, task.request.full
        if hypothesis is None:
            self._counters["interims_undecided"] += 1
            return
        sure = None if full or task.whole or hypothesis.guard is not None else hypothesis.judge()
        with self._lock:
            pieces = [*utterance.pieces, hypothesis]
            if task.piece and hypothesis.text and hypothesis.guard is None:
                if hypothesis.language == pieces[0].language:
                    utterance.pieces, utterance.rest, utterance.heard = pieces, task.speech_end + REST, None
                    self._counters["pieces"] += 1
            elif full:
                utterance.heard = (hypothesis, task.speech_end)
            utterance.refused = 0 if hypothesis.guard is None else utterance.refused + 1
            if hypothesis.guard is not None:
                utterance.doubted = True
                self._counters[f"guard_{hypothesis.guard}"] += 1
                return
            if not hypothesis.text or utterance.samples is not None:
                return
            language = hypothesis.language
            if utterance.language not in (None, language):
                utterance.draft = Draft(utterance.start)
            utterance.language = language
            if full:
                words = together(pieces).words if hypothesis.language == pieces[0].language else hypothesis.words
                stable_words, tail_words = utterance.draft.settle(words, task.speech_end)
            elif task.whole:
                stable_words, tail_words = utterance.draft.breathe(hypothesis.words, task.speech_end)
            else:
                stable_words, tail_words = utterance.draft.update(hypothesis.words, sure, task.request.samples)
            stable, tail = join(stable_words, language), join(tail_words, language)
            self._interim_lag = clock() - began
            if utterance.shown == (stable, tail):
                return
            utterance.shown = (stable, tail)
            times = utterance.start_ms, task.end_ms
            confidence = hypothesis.confidence
            self._send(Words(task.job.stream, utterance.number, *times, language, stable, tail, False, confidence))
            idle = full and not self._scheduler.queue()
            calm = self._scheduler.lag(clock()) < BEHIND and not self._scheduler.overloaded
        if calm and clock() - utterance.translated_at >= TRANSLATE_EVERY and len(stable_words) >= TRANSLATE_WORDS:
            utterance.translated_at = clock()
            self._interpreter.interim(task.job.stream, utterance, language, stable, task.readers, task.end_ms)
        if idle:  # the speaker pauses: there is time now for what the final will need
            hypothesis.judge()

    def _final(self, task: _Task, hypothesis: Hypothesis | None, clock: Callable[[], float]) -> None:
        stream, utterance, name = task.stream, task.utterance, task.job.stream
        text = hypothesis.text if hypothesis is not None and hypothesis.guard is None else ""
        heard, doubtful = None, list[int]()
        if hypothesis is not None and text:
            marks = None if task.request.hurry else hypothesis.judge()
            sure = [word.probability for word in marks or ()]
            words, corrections = task.glossary.correct(hypothesis.words, sure, hypothesis.language)
            if corrections:
                self._counters["glossary_corrections"] += len(corrections)
                heard, text = text, join(words, hypothesis.language)
            for change in reversed(corrections):
                sure[change.at : change.at + change.count] = [1.0] * len(change.now.split())
            doubtful = [at for at, probability in enumerate(sure) if probability < DOUBTFUL]
        if hypothesis is not None:
            language = hypothesis.language
            if hypothesis.guard is not None:
                self._counters[f"guard_{hypothesis.guard}"] += 1
            if hypothesis.fell_back:
                self._counters["fallbacks"] += 1
            if text or utterance.shown is not None:
                times = utterance.start_ms, utterance.end_ms
                confidence = hypothesis.confidence if text else None
                number = utterance.number
                self._send(Words(name, number, *times, language, text, "", True, confidence, heard, doubtful))
            self._interpreter.final(name, utterance, language, text, hypothesis.english, task.readers, task.glossary)
        self._counters["finals" if text else "finals_empty"] += 1
        with self._lock:
            del stream.pending[utterance.number]
            if self._streams.get(name) is stream:
                self._done_at[name] = clock()
            self._send(Done(name, utterance.number + 1, utterance.end_ms))
            self._leave(name, stream)

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
            counters.update(self._interpreter.counters)
            return lag * 1000, self._scheduler.queue(), len(self._streams), busy, counters


def _together(utterance: Utterance, pieces: list[Hypothesis]) -> Hypothesis:
    """The pieces as one, which the guards see anew: two that pass may be too few words for the whole."""
    whole = together(pieces)
    seconds = (utterance.end_ms - utterance.start_ms) / 1000
    found = doubtful(whole.text, whole.words, whole.log_probability, whole.no_speech, seconds)
    return replace(whole, guard=whole.guard or found)
