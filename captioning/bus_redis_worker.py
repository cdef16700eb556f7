"""A worker's end of the Redis transport: a `captioning.bus.Duplex` that takes voices and keeps their leases."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import msgspec
import redis
from redis.exceptions import RedisError, ResponseError

from captioning import bus_redis as bus
from captioning.bus_redis import Job, Sign, Text
from captioning.messages import (
    Audio,
    Beat,
    Closed,
    Done,
    Drop,
    Failed,
    OpenStream,
    Ready,
    Retranslated,
    SetGlossary,
    SetReaders,
    ToServer,
    ToWorker,
    Translation,
    Words,
    encoder,
    to_worker,
)
from captioning.stall import Stall

log = logging.getLogger("captioning.worker")

MOST_VOICES = 32
"""Of one worker: what it does not take stays for others."""
TRIES = 3
"""Workers that may die over a voice before its audio is left out."""
RETRY = 0.5
ASK_EVERY = 0.05
"""Seconds between two looks for new voices, times one more than the voices one has: the idlest worker asks most."""
ENTRIES = 200
TEXTS_EVERY = 0.1
TEXTS_AT_ONCE = 4
TERMS_BORROWED = 50
"""Rooms whose glossary is kept though we have no voice of theirs."""

# Keeps the leases of jobs that are still ours and says which; with RETRYCOUNT 1 for those that got on.
KEEP = """
local kept = {}
for i = 3, #ARGV, 2 do
  local mine = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1, ARGV[2])
  if #mine > 0 then
    if ARGV[i + 1] == '1' then
      redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'RETRYCOUNT', 1, 'JUSTID')
    else
      redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'JUSTID')
    end
    kept[#kept + 1] = ARGV[i]
  end
end
return kept
"""


@dataclass(slots=True)
class _Claim:
    """A voice in our care. `name` is what the recogniser calls it: never used twice, as the voice may come back."""

    number: bytes
    job: Job
    name: str
    last: bytes
    room: str = ""
    got_on: bool = False


class RedisDuplex:
    """See `captioning.bus.Duplex`: `send` by two threads, `receive` by one."""

    def __init__(self, url: str, name: str = "") -> None:
        """Raises ValueError for a URL that is none. Connects when used."""
        self.name = f"{name or socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._shown = bus.shown(url)
        self._client: Any = redis.Redis.from_url(
            url, socket_connect_timeout=bus.CONNECT_WITHIN, socket_timeout=bus.ANSWER_WITHIN
        )
        self._lock = threading.RLock()
        self._claims: dict[str, _Claim] = {}
        self._dropped: list[str] = []
        self._ready: Ready | None = None
        self._signs = 0
        self._taken = 0
        self._ask_at = 0.0
        self._texts_at = 0.0
        self._borrowed: OrderedDict[str, None] = OrderedDict()
        self._takeover_at = 0.0
        self._broken = True
        self._told = False
        self.leaving = threading.Event()
        self.refused = 0
        self._stall = Stall()

    # --- what the recogniser says ---

    def send(self, message: ToServer) -> None:
        """What cannot be sent is lost here and made again by whoever takes the voice over."""
        match message:
            case Ready():
                self._ready = message
            case Failed(problem):
                log.error("%s", problem)
            case Beat():
                if (reason := self._stall.feed(message)) is not None:
                    raise RuntimeError(reason)
                self._beat(message)
            case Words() | Translation() | Done() | Closed():
                self._say(message)
            case Retranslated():
                self._answer(message)

    def _say(self, message: Words | Translation | Done | Closed) -> None:
        with self._lock:
            claim = self._claims.get(message.stream)
            if claim is None or self._broken:
                return
            body = encoder.encode(msgspec.structs.replace(message, stream=claim.job.stream))
            try:
                pipe = self._client.pipeline(transaction=True)
                self._out(pipe, claim, {b"m": body})
                if isinstance(message, Closed):
                    self._finish(pipe, claim)
                    del self._claims[message.stream]
                elif isinstance(message, Done):
                    claim.got_on = True
                pipe.execute()
            except (RedisError, OSError) as error:
                self._break(error)

    def _answer(self, message: Retranslated) -> None:
        """What was written, in another language: to the session whose room it is of."""
        session, _, room = message.room.partition("/")
        fields = {b"w": b"", b"m": encoder.encode(msgspec.structs.replace(message, room=room))}
        with self._lock:
            if self._broken:
                return
            try:
                self._client.xadd(bus.words(session), fields, maxlen=bus.ENTRIES_OUT, approximate=True, nomkstream=True)
            except (RedisError, OSError) as error:
                self._break(error)

    def _out(self, pipe: Any, claim: _Claim, fields: dict[bytes, bytes]) -> None:
        # A stream that is not there belongs to a server that has gone: it is not made again.
        pipe.xadd(
            bus.words(claim.job.session),
            {b"w": claim.name.encode(), **fields},
            maxlen=bus.ENTRIES_OUT,
            approximate=True,
            nomkstream=True,
        )

    @staticmethod
    def _finish(pipe: Any, claim: _Claim) -> None:
        pipe.xack(bus.JOBS, bus.GROUP, claim.number)
        pipe.xdel(bus.JOBS, claim.number)
        pipe.delete(bus.head(claim.job), bus.voice(claim.job))

    def _beat(self, beat: Beat) -> None:
        """Says that we are here, and keeps our leases; those that we lost in the meantime are dropped."""
        with self._lock:
            if self._broken or self._ready is None:
                return
            self._signs += 1
            try:
                self._client.hset(bus.WORKERS, self.name, bus.encode(Sign(self._signs, self._ready, beat)))
                if not self._claims:
                    return
                flat = [value for c in self._claims.values() for value in (c.number, b"1" if c.got_on else b"0")]
                kept = set(self._client.eval(KEEP, 1, bus.JOBS, bus.GROUP, self.name, *flat))
                there = self._client.pipeline(transaction=False)
                for claim in self._claims.values():
                    there.exists(bus.head(claim.job))
                for claim, exists in zip(list(self._claims.values()), there.execute(), strict=True):
                    claim.got_on = False
                    if claim.number not in kept:
                        log.warning("a voice went to another worker: we were too slow")
                        self._drop(claim)
                    elif not exists:
                        self._acknowledge(claim)
                        self._drop(claim)
            except (RedisError, OSError) as error:
                self._break(error)

    def _drop(self, claim: _Claim) -> None:
        self._claims.pop(claim.name, None)
        self._dropped.append(claim.name)

    def _acknowledge(self, claim: _Claim) -> None:
        pipe = self._client.pipeline(transaction=True)
        self._finish(pipe, claim)
        pipe.execute()

    def _break(self, error: Exception) -> None:
        """Redis has gone, or does not answer: nothing of what we hold can be relied on."""
        if not self._broken or not self._told:
            log.warning("Redis at %s: %s", self._shown, error)
        self._broken = self._told = True
        for claim in list(self._claims.values()):
            self._drop(claim)

    # --- what the servers say ---

    def receive(self, patience: float) -> list[ToWorker] | None:
        with self._lock:
            if self.leaving.is_set():
                self._leave()
                return None
            try:
                messages = self._messages(patience)
            except (RedisError, OSError) as error:
                self._break(error)
                messages = []
            dropped, self._dropped = self._dropped, []
            claims = {bus.voice(claim.job): claim for claim in self._claims.values()}
            broken = self._broken
        gone: list[ToWorker] = [Drop(name) for name in dropped]
        if gone or messages:
            return [*gone, *messages]
        # Without the lock: what is recognised meanwhile must get out.
        if broken:
            time.sleep(RETRY)
            return []
        if not claims:
            time.sleep(patience)
            return []
        try:
            asked = {key: claim.last for key, claim in claims.items()}
            found = self._client.xread(asked, count=ENTRIES, block=max(1, int(patience * 1000)))
        except (RedisError, OSError) as error:
            with self._lock:
                self._break(error)
            return []
        heard: list[ToWorker] = []
        for key, entries in found:
            heard += self._entries(claims[key.decode()], entries)
        return heard

    def _messages(self, patience: float) -> list[ToWorker]:
        now = time.monotonic()
        if self._broken:
            self._connect()
        messages: list[ToWorker] = []
        if self._ready is None:
            return messages
        if now >= self._takeover_at:
            self._takeover_at = now + bus.LEASE / 5
            messages += self._take_over()
        if now >= self._ask_at and len(self._claims) < MOST_VOICES:
            self._ask_at = now + ASK_EVERY * (1 + len(self._claims))
            for _, entries in self._client.xreadgroup(bus.GROUP, self.name, {bus.JOBS: ">"}, count=1) or ():
                for number, fields in entries:
                    messages += self._take(number, fields, fresh=True)
        if now >= self._texts_at:
            self._texts_at = now + TEXTS_EVERY * (1 + len(self._claims))
            messages += self._texts()
        return messages

    def _texts(self) -> list[ToWorker]:
        """What was written. It is ours alone from here on: should we die over it, it stays as it was written."""
        asked = self._client.xreadgroup(bus.GROUP, self.name, {bus.TEXTS: ">"}, count=TEXTS_AT_ONCE)
        entries = [entry for _, found in asked or () for entry in found]
        if not entries:
            return []
        seconds, _ = self._client.time()
        numbers = [number for number, _ in entries]
        self._client.xack(bus.TEXTS, bus.GROUP, *numbers)
        self._client.xdel(bus.TEXTS, *numbers)
        messages: list[ToWorker] = []
        for number, fields in entries:
            text = bus.read(bus.texts, fields)
            if text is None:
                self.refused += 1
            elif int(number.partition(b"-")[0]) / 1000 > seconds - bus.STALE:
                room = f"{text.session}/{text.request.room}"
                messages += self._borrow(room, text)
                messages.append(msgspec.structs.replace(text.request, room=room))
        return messages

    def _borrow(self, room: str, text: Text) -> list[ToWorker]:
        """The glossary of a room that we may have no voice of."""
        ours = {f"{claim.job.session}/{claim.room}" for claim in self._claims.values()}
        if room in ours:
            return []
        known = bus.read(to_worker, self._client.get(bus.terms(text.session, text.request.room)))
        changes: list[ToWorker] = []
        if isinstance(known, SetGlossary):
            changes.append(SetGlossary(room, known.terms))
            self._borrowed[room] = None
            if len(self._borrowed) > TERMS_BORROWED:
                back, _ = self._borrowed.popitem(last=False)
                changes += [SetGlossary(back, [])] if back not in ours else []
        return changes

    def _connect(self) -> None:
        for stream in (bus.JOBS, bus.TEXTS):
            try:
                self._client.xgroup_create(stream, bus.GROUP, id="0", mkstream=True)
            except ResponseError as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise
        if self._told:
            log.warning("Redis at %s answers again", self._shown)
        self._broken = self._told = False

    def _take_over(self) -> list[ToWorker]:
        """Voices of workers that have fallen silent."""
        room = MOST_VOICES - len(self._claims)
        if room <= 0:
            return []
        idle = int(bus.LEASE * 1000)
        found = self._client.xautoclaim(bus.JOBS, bus.GROUP, self.name, min_idle_time=idle, count=min(4, room))
        messages: list[ToWorker] = []
        for number, fields in found[1]:
            messages += self._take(number, fields, fresh=False)
        return messages

    def _take(self, number: bytes, fields: Any, *, fresh: bool) -> list[ToWorker]:
        job = bus.read(bus.jobs, fields)
        if job is None:
            self.refused += 1
            self._client.xack(bus.JOBS, bus.GROUP, number)
            self._client.xdel(bus.JOBS, number)
            return []
        for old in [claim for claim in self._claims.values() if claim.number == number]:
            self._drop(old)
        self._taken += 1
        claim = _Claim(number, job, f"{self.name}:{self._taken}", b"0")
        both = self._client.pipeline(transaction=True)
        both.get(bus.head(job))
        both.xrange(bus.voice(job))
        body, entries = both.execute()
        head = bus.read(bus.heads, body)
        if head is None:  # the server has gone, or has said this anew under another session
            self._acknowledge(claim)
            return []
        claim.room = head.open.room
        abandoned = False
        if not fresh:
            log.warning("taking over a voice from a worker that fell silent")
            (pending,) = self._client.xpending_range(bus.JOBS, bus.GROUP, min=number, max=number, count=1) or (None,)
            abandoned = pending is not None and int(pending["times_delivered"]) > TRIES
        self._claims[claim.name] = claim
        pipe = self._client.pipeline(transaction=False)
        self._out(pipe, claim, {b"t": job.stream.encode()})
        pipe.execute()
        room = f"{job.session}/{head.open.room}"
        messages: list[ToWorker] = [
            SetReaders(room, head.readers),
            OpenStream(claim.name, room, head.open.language, head.open.utterance, head.open.among),
        ]
        known = bus.read(to_worker, self._client.get(bus.terms(job.session, head.open.room)))
        if isinstance(known, SetGlossary):
            messages.insert(0, SetGlossary(room, known.terms))
        rest = self._entries(claim, entries, head.until)
        if abandoned:
            log.error("audio of a voice ended %d workers and is left out", TRIES)
            rest = [message for message in rest if not isinstance(message, Audio)]
        return [*messages, *rest]

    def _entries(self, claim: _Claim, entries: Any, until: float = float("-inf")) -> list[ToWorker]:
        """A voice's messages under the names we use here; what is none, or is about another voice, is refused."""
        messages: list[ToWorker] = []
        for number, fields in entries:
            claim.last = number
            message = bus.read(to_worker, fields)
            if isinstance(message, SetGlossary):
                messages.append(SetGlossary(f"{claim.job.session}/{message.room}", message.terms))
                continue
            if isinstance(message, SetReaders):
                messages.append(SetReaders(f"{claim.job.session}/{message.room}", message.languages))
                continue
            if message is None or getattr(message, "stream", None) != claim.job.stream:
                self.refused += 1
                continue
            if isinstance(message, Audio):
                later = [packet for packet in message.packets if packet.media_ms >= until]
                if later:
                    messages.append(Audio(claim.name, later))
            elif not isinstance(message, OpenStream | Drop):
                messages.append(msgspec.structs.replace(message, stream=claim.name))
        return messages

    def _leave(self) -> None:
        """Our voices are others' at once."""
        try:
            for claim in self._claims.values():
                self._client.xclaim(
                    bus.JOBS, bus.GROUP, self.name, 0, [claim.number], idle=int(bus.LEASE * 2000), justid=True
                )
            self._client.hdel(bus.WORKERS, self.name)
        except (RedisError, OSError) as error:
            log.warning("Redis at %s: %s", self._shown, error)
