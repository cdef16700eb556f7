"""Keeps one caption worker going: starts it, watches its heartbeat, starts it again, and hands it what it still owes.

The audio of every stream is kept until the worker says that it is dealt with, so a worker that dies costs some
seconds and no words. A worker that dies three times over the same audio loses that audio, not the service.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from captioning.bus import Transport
from captioning.glossary import Term
from captioning.messages import (
    Audio,
    Beat,
    Closed,
    CloseStream,
    Done,
    Failed,
    Flush,
    OpenStream,
    Packet,
    Ready,
    Retranslate,
    SetGlossary,
    SetLanguage,
    SetReaders,
    ToServer,
    ToWorker,
)
from captioning.stall import Stall

log = logging.getLogger("captioning")

FLUSH = 0.06
"""Seconds for which packets are gathered before they are sent on."""
KEPT_PACKETS = 6_000
"""Per stream: two minutes at 20 ms."""
BACKLOG = 8 << 20
"""Bytes unsent at which a worker counts as stuck."""
SILENT = 15.0
"""Seconds without a heartbeat after which a worker is ended."""
LOADING = 180.0
FIRST_DELAY, LAST_DELAY = 0.25, 30.0
LAST_DELAY_SHARED = 5.0
"""Asking whether others are back costs less than starting a process."""
TRIES = 3


@dataclass(slots=True)
class Feed:
    """One stream as the server sees it: what the worker was told, and the audio it has not answered for."""

    stream: str
    room: str
    language: str | None
    among: list[str]
    utterance: int = 0
    closing: bool = False
    kept: deque[Packet] = field(default_factory=lambda: deque(maxlen=KEPT_PACKETS))
    waiting: list[Packet] = field(default_factory=list)


class Supervisor:
    """One worker. `receive` gets what it says of words; `changed` is called when its state may have."""

    def __init__(self, transport: Transport, receive: Callable[[ToServer], None], changed: Callable[[], None]) -> None:
        self._transport = transport
        self._receive = receive
        self._changed = changed
        self._feeds: dict[str, Feed] = {}
        self._readers: dict[str, list[str]] = {}
        self._glossaries: dict[str, list[Term]] = {}
        self._running = False
        self._task: asyncio.Task[None] | None = None
        self._ended: asyncio.Future[str] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heard_at = 0.0
        self._tries = 0
        self._before: Counter[str] = Counter()
        self.ready: Ready | None = None
        self.problem: str | None = None
        self.beat: Beat | None = None
        self._stall = Stall()

    @property
    def pid(self) -> int | None:
        """The worker's process, where it runs on this machine."""
        return self._transport.pid

    @property
    def load(self) -> int:
        """Streams in its care."""
        return len(self._feeds)

    def counters(self) -> Counter[str]:
        """Since the service started, over all of the worker's lives."""
        return self._before + Counter(self.beat.counters if self.beat else {})

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._keep(), name="caption-worker")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()
        await self._transport.stop()

    # --- streams ---

    def open(self, stream: str, room: str, language: str | None, among: Sequence[str] = ()) -> None:
        feed = self._feeds[stream] = Feed(stream, room, language, list(among))
        if (readers := self._readers.get(room)) is not None:
            self._tell(SetReaders(room, readers))  # a worker forgets them with the last voice of a room
        self._tell(OpenStream(stream, room, language, feed.utterance, feed.among))

    def packets(self, stream: str, packets: Sequence[Packet]) -> None:
        feed = self._feeds.get(stream)
        if feed is None or feed.closing:
            return
        if feed.kept.maxlen is not None and len(feed.kept) + len(packets) > feed.kept.maxlen:
            self._before["packets_not_kept"] += len(packets)
        feed.kept.extend(packets)
        if self._running:
            feed.waiting.extend(packets)
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(FLUSH, self._send_waiting)

    def set_language(self, stream: str, language: str | None, among: Sequence[str] = ()) -> None:
        if (feed := self._feeds.get(stream)) is not None:
            feed.language, feed.among = language, list(among)
            self._tell(SetLanguage(stream, language, feed.among))

    def set_readers(self, room: str, languages: list[str]) -> None:
        """An empty list forgets the room."""
        if languages:
            self._readers[room] = languages
        else:
            self._readers.pop(room, None)
        self._tell(SetReaders(room, languages))

    def set_glossary(self, room: str, terms: list[Term]) -> None:
        """An empty list forgets the room's."""
        if not terms and room not in self._glossaries:
            return
        if terms:
            self._glossaries[room] = terms
        else:
            self._glossaries.pop(room, None)
        self._tell(SetGlossary(room, terms))

    def retranslate(self, request: Retranslate) -> None:
        """Lost where no worker runs: the original stays without a translation."""
        self._tell(request)

    def flush(self, stream: str) -> None:
        self._send_waiting()
        self._tell(Flush(stream))

    def close(self, stream: str) -> None:
        """What was said is still finished; `Closed` comes when it is."""
        feed = self._feeds.get(stream)
        if feed is not None and not feed.closing:
            self._send_waiting()
            feed.closing = True
            self._tell(CloseStream(stream))

    def forget(self, stream: str) -> None:
        """Nobody waits for this stream any more."""
        self._feeds.pop(stream, None)

    # --- the worker ---

    def _tell(self, message: ToWorker) -> None:
        if self._running:
            self._transport.send(message)

    def _send_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        stuck = self._transport.backlog() > BACKLOG
        for feed in self._feeds.values():
            if feed.waiting:
                waiting, feed.waiting = feed.waiting, []
                if not stuck:
                    self._tell(Audio(feed.stream, waiting))
        if stuck and self._running:
            self._end("the worker does not read")

    def _replay(self) -> None:
        """A new worker: everything it must know, and the audio that the last one owed."""
        for room, languages in self._readers.items():
            self._transport.send(SetReaders(room, languages))
        for room, terms in self._glossaries.items():
            self._transport.send(SetGlossary(room, terms))
        for feed in self._feeds.values():
            feed.waiting = []
            if self._tries >= TRIES and feed.kept:
                log.error("audio of %s ended the worker %d times and is left out", feed.stream, self._tries)
                self._before["audio_abandoned"] += 1
                feed.kept.clear()
            self._transport.send(OpenStream(feed.stream, feed.room, feed.language, feed.utterance, feed.among))
            kept = list(feed.kept)
            for begin in range(0, len(kept), 500):
                self._transport.send(Audio(feed.stream, kept[begin : begin + 500]))
            if feed.closing:
                self._transport.send(CloseStream(feed.stream))

    def _hear(self, message: ToServer) -> None:
        self._heard_at = time.monotonic()
        match message:
            case Ready():
                self.ready, self.problem = message, None
                self._running = True
                self._stall = Stall()
                self._replay()
                self._changed()
            case Failed(problem):
                self.problem = problem
                self._end(problem)
            case Beat():
                self.beat = message
                if (reason := self._stall.feed(message)) is not None:
                    self._end(reason)
                self._changed()
            case Done(stream, utterance, until):
                self._done(stream, utterance, until)
                self._receive(message)
            case Closed(stream):
                self._feeds.pop(stream, None)
                self._receive(message)
            case _:
                self._receive(message)

    def _done(self, stream: str, utterance: int, until: float) -> None:
        feed = self._feeds.get(stream)
        if feed is None:
            return
        if utterance > feed.utterance:
            self._tries = 0
        feed.utterance = max(feed.utterance, utterance)
        while feed.kept and feed.kept[0].media_ms < until:
            feed.kept.popleft()

    def _end(self, reason: str) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(reason)

    async def _keep(self) -> None:
        delay = FIRST_DELAY
        while True:
            began = time.monotonic()
            reason = await self._live()
            self._running = False
            was_ready, self.ready = self.ready is not None, None
            self._before += Counter(self.beat.counters if self.beat else {})
            self.beat = None
            self._before["worker_restarts"] += 1
            if was_ready:
                self._tries += not self._transport.shared
                self.problem = None
            elif self.problem is None:
                self.problem = f"the caption worker does not start: {reason}"
            self._changed()
            if was_ready and time.monotonic() - began > LAST_DELAY:
                delay = FIRST_DELAY
            log.warning("caption worker: %s; next start in %.1f s", reason, delay)
            await asyncio.sleep(delay)
            delay = min(delay * 2, LAST_DELAY_SHARED if self._transport.shared else LAST_DELAY)

    async def _live(self) -> str:
        """One life of the worker; returns why it ended."""
        ended = self._ended = asyncio.get_running_loop().create_future()
        self._heard_at = time.monotonic()
        try:
            await self._transport.start(self._hear, self._end)
            while True:
                done, _ = await asyncio.wait([ended], timeout=1.0)
                if done:
                    return str(ended.result())
                patience = SILENT if self.ready is not None else LOADING
                if time.monotonic() - self._heard_at > patience:
                    return f"no heartbeat for {patience:.0f} s"
        except OSError as error:
            return f"{error.strerror or error}"
        finally:
            self._transport.kill()
            await self._transport.stop()
