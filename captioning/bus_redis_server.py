"""The server's end of the Redis transport: one `Transport` for the whole fleet of workers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import redis.asyncio
from redis.exceptions import RedisError, ResponseError

from captioning import bus_redis as bus
from captioning.bus_redis import Head, Job, Sign, Text
from captioning.messages import (
    Audio,
    Beat,
    Closed,
    CloseStream,
    Done,
    Drop,
    Failed,
    Flush,
    OpenStream,
    Ready,
    Retranslate,
    Retranslated,
    SetGlossary,
    SetLanguage,
    SetReaders,
    Stop,
    ToServer,
    ToWorker,
    Translation,
    Words,
    encoder,
    to_server,
)

log = logging.getLogger("captioning")

T = TypeVar("T")

LOOK_EVERY = 0.5
KEEP_EVERY = 10.0
FORGET_AFTER = 60.0
ASKED = 2_000
"""Texts whose translations are waited for at once."""
BATCH = 200


@dataclass(slots=True)
class _Voice:
    job: Job
    head: Head
    owner: bytes | None = None
    sent: deque[tuple[bytes, float]] = field(default_factory=deque)
    """Entries with audio that are still there, with the last room time in each."""


@dataclass(frozen=True, slots=True)
class _Advance:
    """Cut a voice's entries behind what is dealt with, and move its head."""

    stream: str


class RedisTransport:
    """See `captioning.bus.Transport` and the text of `captioning.bus_redis`. Never blocks the event loop."""

    shared = True
    pid: int | None = None

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: Any = None
        self._session = ""
        self._tasks: list[asyncio.Task[None]] = []
        self._receive: Callable[[ToServer], None] = lambda message: None
        self._lost: Callable[[str], None] | None = None
        self._queue: deque[tuple[ToWorker | _Advance, int]] = deque()
        self._queued = 0
        self._news = asyncio.Event()
        self._voices: dict[str, _Voice] = {}
        self._readers: dict[str, list[str]] = {}
        self._rooms: set[str] = set()
        """Those that have a glossary there."""
        self._seen: dict[bytes, tuple[int, float]] = {}
        self._asked: OrderedDict[tuple[str, str, int], frozenset[str]] = OrderedDict()
        """Texts, and the languages that each is wanted in."""
        self.refused: Counter[str] = Counter()

    async def start(self, receive: Callable[[ToServer], None], lost: Callable[[str], None]) -> None:
        """Raises OSError when Redis cannot be reached or refuses us."""
        self._receive, self._lost = receive, lost
        self._session = secrets.token_hex(8)
        self._queue.clear()
        self._queued = 0
        self._voices.clear()
        self._readers.clear()
        self._rooms.clear()
        self._seen.clear()
        self._asked.clear()
        self._client = redis.asyncio.Redis.from_url(
            self._url, socket_connect_timeout=bus.CONNECT_WITHIN, socket_timeout=bus.ANSWER_WITHIN
        )
        out = bus.words(self._session)
        try:
            last = await _within(self._begin(self._client, out), bus.CONNECT_WITHIN + bus.ANSWER_WITHIN)
        except (RedisError, OSError, ValueError) as error:
            raise OSError(self._reason(error)) from None
        for work in (self._write(), self._read(out, last), self._look()):
            self._tasks.append(asyncio.get_running_loop().create_task(self._guard(work), name="captions-redis"))

    @staticmethod
    async def _begin(client: Any, out: str) -> bytes:
        """Makes what must be there; returns the place to read from."""
        last: bytes = await client.xadd(out, {b"m": b""})
        await client.expire(out, bus.KEPT)
        for stream in (bus.JOBS, bus.TEXTS):
            with contextlib.suppress(ResponseError):  # it is there
                await client.xgroup_create(stream, bus.GROUP, id="0", mkstream=True)
        return last

    def _reason(self, error: BaseException) -> str:
        return f"Redis at {bus.shown(self._url)}: {error}"

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except (RedisError, OSError) as error:
            self._end(self._reason(error))
        except Exception as error:
            if self._lost is not None:
                log.exception("the Redis transport failed")
            self._end(f"{type(error).__name__}: {error}")

    def _end(self, reason: str) -> None:
        lost, self._lost = self._lost, None
        if lost is not None:
            lost(reason)

    def send(self, message: ToWorker) -> None:
        self._put(message, sum(len(p.payload) + 24 for p in message.packets) if isinstance(message, Audio) else 100)

    def _put(self, item: ToWorker | _Advance, size: int) -> None:
        self._queue.append((item, size))
        self._queued += size
        self._news.set()

    def backlog(self) -> int:
        """Bytes that Redis has not taken yet."""
        return self._queued

    def kill(self) -> None:
        """Workers are not ours to end."""

    async def stop(self) -> None:
        """Leaves; what this session has in Redis goes too, at once or when it expires."""
        self._lost = None
        tasks, self._tasks = self._tasks, []
        client, self._client = self._client, None
        # More than once: redis-py has been seen to lose a cancellation and go on. Without a client the loops end too.
        pending = set(tasks)
        for _ in range(5):
            for task in pending:
                task.cancel()
            if pending:
                _, pending = await asyncio.wait(pending, timeout=0.1)
        if client is not None:
            with contextlib.suppress(RedisError, OSError):
                await _within(self._forget(client), 1.0)

    async def _forget(self, client: Any) -> None:
        keys = [bus.words(self._session)]
        keys += [bus.terms(self._session, room) for room in self._rooms]
        keys += [key for voice in self._voices.values() for key in (bus.head(voice.job), bus.voice(voice.job))]
        try:
            await client.delete(*keys)
        finally:
            await client.aclose()

    # --- what we say ---

    async def _write(self) -> None:
        client = self._client
        while client is self._client:
            await self._news.wait()
            self._news.clear()
            while self._queue:
                pipe = client.pipeline(transaction=False)
                audio: list[tuple[int, _Voice, float]] = []
                size = count = 0
                while self._queue and count < BATCH:
                    item, bytes_of = self._queue.popleft()
                    size += bytes_of
                    count += 1
                    self._command(pipe, item, audio)
                results = await pipe.execute()
                self._queued -= size
                for place, voice, until in audio:
                    voice.sent.append((results[place], until))

    def _command(self, pipe: Any, item: ToWorker | _Advance, audio: list[tuple[int, _Voice, float]]) -> None:
        match item:
            case OpenStream(stream, room):
                job = Job(self._session, stream)
                voice = self._voices[stream] = _Voice(job, Head(item, float("-inf"), self._readers.get(room, [])))
                self._keep_head(pipe, voice)
                pipe.xadd(bus.JOBS, {b"m": bus.encode(job)}, maxlen=bus.ENTRIES_JOBS, approximate=True)
            case Audio(stream, packets) if stream in self._voices and packets:
                audio.append((len(pipe), self._voices[stream], packets[-1].media_ms))
                self._entry(pipe, self._voices[stream], item)
            case SetLanguage(stream, language, among) if (found := self._voices.get(stream)) is not None:
                opened = found.head.open
                opened = OpenStream(stream, opened.room, language, opened.utterance, among)
                found.head = Head(opened, found.head.until, found.head.readers)
                self._keep_head(pipe, found)
                self._entry(pipe, found, item)
            case SetReaders(room, languages):
                self._readers[room] = languages
                if not languages:
                    del self._readers[room]
                for voice in self._voices.values():
                    if voice.head.open.room == room:
                        voice.head = Head(voice.head.open, voice.head.until, languages)
                        self._keep_head(pipe, voice)
                        self._entry(pipe, voice, item)
            case SetGlossary(room, terms):
                key = bus.terms(self._session, room)
                if terms:
                    pipe.set(key, encoder.encode(item), ex=bus.TERMS_KEPT)
                    self._rooms.add(room)
                else:
                    pipe.delete(key)
                    self._rooms.discard(room)
                for voice in self._voices.values():
                    if voice.head.open.room == room:
                        self._entry(pipe, voice, item)
            case Flush(stream) | CloseStream(stream) if stream in self._voices:
                self._entry(pipe, self._voices[stream], item)
            case _Advance(stream) if (found := self._voices.get(stream)) is not None:
                self._keep_head(pipe, found)
                gone = None
                while found.sent and found.sent[0][1] < found.head.until:
                    gone = found.sent.popleft()[0]
                if gone is not None:
                    milliseconds, _, number = gone.partition(b"-")
                    pipe.xtrim(bus.voice(found.job), minid=milliseconds + b"-%d" % (int(number) + 1), approximate=False)
            case Retranslate():
                self._asked[item.room, item.segment, item.correction] = frozenset(item.readers)
                if len(self._asked) > ASKED:
                    self._asked.popitem(last=False)
                body = bus.encode(Text(self._session, item))
                pipe.xadd(bus.TEXTS, {b"m": body}, maxlen=bus.ENTRIES_TEXTS, approximate=True)
            case Stop() | Drop() | _:
                pass

    def _keep_head(self, pipe: Any, voice: _Voice) -> None:
        pipe.set(bus.head(voice.job), bus.encode(voice.head), ex=bus.KEPT)

    def _entry(self, pipe: Any, voice: _Voice, message: ToWorker) -> None:
        fields = {b"m": encoder.encode(message)}
        pipe.xadd(bus.voice(voice.job), fields, maxlen=bus.ENTRIES_IN, approximate=True)

    # --- what workers say ---

    async def _read(self, out: str, last: bytes) -> None:
        client = self._client
        while client is self._client:
            found = await client.xread({out: last}, count=500, block=1000)
            for _, entries in found:
                for number, fields in entries:
                    last = number
                    self._hear(fields)
                milliseconds, _, count = last.partition(b"-")
                minid = milliseconds + b"-%d" % int(count)
                await client.xtrim(out, minid=minid, approximate=True)

    def _hear(self, fields: dict[bytes, bytes]) -> None:
        claim = fields.get(b"w", b"")
        if b"t" in fields:
            voice = self._voices.get(fields[b"t"].decode("utf-8", "replace"))
            if voice is not None:
                voice.owner = claim
            return
        message = bus.read(to_server, fields)
        if isinstance(message, Retranslated):
            if message.language in self._asked.get((message.room, message.segment, message.correction), ()):
                self._receive(message)
            else:
                self.refused["not asked"] += 1
            return
        if not isinstance(message, Words | Translation | Done | Closed):
            self.refused["malformed"] += 1
            return
        voice = self._voices.get(message.stream)
        if voice is None or voice.owner != claim:
            self.refused["not the owner"] += 1
            return
        if isinstance(message, Done):
            opened = voice.head.open
            number = max(opened.utterance, message.utterance)
            opened = OpenStream(opened.stream, opened.room, opened.language, number, opened.among)
            voice.head = Head(opened, max(voice.head.until, message.until), voice.head.readers)
            self._put(_Advance(message.stream), 100)
        elif isinstance(message, Closed):
            del self._voices[message.stream]
        self._receive(message)

    # --- who is there ---

    async def _look(self) -> None:
        began = kept = time.monotonic()
        ready = False
        client = self._client
        while client is self._client:
            now = time.monotonic()
            alive = await self._alive(now)
            if alive and not ready:
                ready = True
                read = set.intersection(*(set(sign.ready.read) for sign in alive))
                self._receive(Ready(alive[0].ready.spoken, sorted(read)))
            elif ready and not alive:
                self._end("no caption worker is left")
                return
            elif not alive and now - began > bus.PROBLEM_WITHIN:
                self._receive(Failed(f"no caption worker listens to Redis at {bus.shown(self._url)}"))
                return
            if alive:
                self._receive(_together([sign.beat for sign in alive]))
            if now - kept >= KEEP_EVERY:
                kept = now
                await self._keep()
            await asyncio.sleep(LOOK_EVERY)

    async def _alive(self, now: float) -> list[Sign]:
        """Workers whose sign changed lately. One seen for the first time must change it first: it may be long dead."""
        found: list[Sign] = []
        for name, body in (await self._client.hgetall(bus.WORKERS)).items():
            sign = bus.read(bus.signs, body)
            number, since = self._seen.get(name, (None, 0.0))
            if sign is None or (number == sign.number and now - since > FORGET_AFTER):
                await self._client.hdel(bus.WORKERS, name)
                self._seen.pop(name, None)
            elif number is None:
                self._seen[name] = (sign.number, now - bus.ALIVE)
            elif number != sign.number:
                self._seen[name] = (sign.number, now)
                found.append(sign)
            elif now - since < bus.ALIVE:
                found.append(sign)
        return found

    async def _keep(self) -> None:
        pipe = self._client.pipeline(transaction=False)
        pipe.expire(bus.words(self._session), bus.KEPT)
        for voice in self._voices.values():
            pipe.expire(bus.head(voice.job), bus.KEPT)
            pipe.expire(bus.voice(voice.job), bus.KEPT)
        await pipe.execute()


async def _within(work: Coroutine[Any, Any, T], seconds: float) -> T:
    """The result, or TimeoutError. Whoever waits can be cancelled whatever the work does with its own cancellation."""
    task = asyncio.get_running_loop().create_task(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    finally:
        task.cancel()  # nothing, where it is done
    if not done:
        raise TimeoutError(f"no answer within {seconds:.0f} s")
    return task.result()


def _together(beats: list[Beat]) -> Beat:
    """The fleet as one. A decode that hangs is its own worker's affair: `busy` is 0."""
    counters: Counter[str] = Counter()
    for beat in beats:
        counters.update(beat.counters)
    return Beat(
        lag_ms=max(beat.lag_ms for beat in beats),
        queue=sum(beat.queue for beat in beats),
        streams=sum(beat.streams for beat in beats),
        overloaded=all(beat.overloaded for beat in beats),
        busy=0.0,
        cpu=sum(beat.cpu for beat in beats),
        counters=dict(counters),
    )
