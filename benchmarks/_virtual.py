"""A caption worker on a clock of its own, so that a busy machine does not spoil what is measured.

Packets come at the pace of speech, and while the worker recognises or translates, its clock goes on by the processor
time that this took. Everything else is the real thing: Opus decoder, voice activity, segmenter, scheduler, Whisper,
translator. What it tells is the delay on a machine that has a core for the worker and another for everything else; what
it leaves out is the way to the server and back (a socket pair) and the time the server gathers packets, which is added
here as the pace at which they come.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from captioning import models
from captioning.catalogue import EMBEDDED, find
from captioning.engine import Engine, Request
from captioning.hypothesis import Hypothesis
from captioning.messages import Audio, Packet, ToServer, ToWorker
from captioning.pairs import load_pair
from captioning.recogniser import Recogniser
from captioning.scheduler import Scheduler
from captioning.supervisor import FLUSH
from captioning.translate import Translator

PACKET = 0.02
IDLE = 0.05
LINGER = 3.0
"""Seconds without work after the last message at which nothing more can come."""


class Worker:
    """See the module text. `speed` divides the processor's time: 2 is a core twice as fast."""

    def __init__(
        self,
        engine: Engine,
        translator: Translator,
        hear: Callable[[float, ToServer], None],
        *,
        scheduler: Scheduler | None = None,
        speed: float = 1.0,
    ) -> None:
        self._now = 0.0
        self._running: float | None = None
        self._speed = speed
        self._order = count()
        self._due: list[tuple[float, int, ToWorker]] = []
        self._idle_at = self._last = 0.0
        self.worked = self.heard = 0.0
        """Processor seconds of recognising and translating, and of hearing."""
        self.recogniser = Recogniser(
            Charged(engine, self._settle), translator, lambda message: hear(self.clock(), message), scheduler
        )

    def clock(self) -> float:
        """Seconds since it began."""
        if self._running is None:
            return self._now
        return self._now + (time.process_time() - self._running) / self._speed

    def tell(self, at: float, message: ToWorker) -> None:
        """The server says something at that time."""
        heapq.heappush(self._due, (at, next(self._order), message))

    def speak(self, at: float, stream: str, packets: list[bytes], first: int = 0) -> float:
        """Packets of 20 ms from that time on, gathered as the server does; returns when the last one is there."""
        gather = round(FLUSH / PACKET)
        for begin in range(0, len(packets), gather):
            batch = packets[begin : begin + gather]
            ready = at + (begin + len(batch)) * PACKET
            numbered = [
                Packet((first + begin + i) * 960, (at + (begin + i) * PACKET) * 1000, payload)
                for i, payload in enumerate(batch)
            ]
            self.tell(ready, Audio(stream, numbered))
        return at + len(packets) * PACKET

    def run(self, until: Callable[[], bool] = lambda: False, limit: float = 3_600.0) -> None:
        """Go on until everything is told and done, or `until` says so, or the clock shows `limit`."""
        while not until() and self._now < limit:
            self._running = time.process_time()
            work = self.recogniser.take(self.clock, 0.0)
            if work is not None:
                self.recogniser.work(work, self.clock)
                self._settle()
                self._running = None
                continue
            self._running = None
            if not self._due and self._now > self._last + LINGER:
                return
            self._hear(self._now + 0.01)

    def _settle(self) -> None:
        """The recogniser comes up for air: what came meanwhile has been heard by the other thread."""
        if self._running is not None:
            self.worked += time.process_time() - self._running
        now = self.clock()
        self._running = None
        self._hear(now)
        self._running = time.process_time()

    def _hear(self, until: float) -> None:
        began = time.process_time()
        while True:
            told = self._due[0][0] if self._due else float("inf")
            at = min(told, self._idle_at)
            if at > until:
                break
            self._now = max(self._now, at)
            if told <= self._idle_at:
                self._last = told
                self.recogniser.handle(heapq.heappop(self._due)[2], self._now)
            else:
                self.recogniser.idle(self._now)
                self._idle_at += IDLE
        self._now = max(self._now, until)
        self.heard += time.process_time() - began


class Charged:
    """An engine after each call of which the clock is settled."""

    def __init__(self, engine: Engine, settle: Callable[[], None]) -> None:
        self._engine, self._settle = engine, settle
        self.languages, self.multilingual, self.batch = engine.languages, engine.multilingual, engine.batch

    def recognise(self, requests: Sequence[Request]) -> list[Hypothesis | None]:
        answers = self._engine.recognise(requests)
        self._settle()
        return answers


def load(folder: Path, model: str = "whisper-base", compute_type: str = "int8", threads: int = 1) -> Any:
    """(engine, translator) with the models that come with Consilium."""
    from captioning.whisper import WhisperEngine

    models.install_embedded(folder)
    engine = WhisperEngine(folder / model, "cpu", compute_type, threads)
    known = [found for name in EMBEDDED if (found := find(name)) is not None and found.pair is not None]
    pairs = {found.pair: load_pair(folder / found.name) for found in known if found.pair is not None}
    return engine, Translator(pairs, engine.multilingual)
