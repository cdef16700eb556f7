"""Names, limits and entries of the Redis transport: caption workers on other machines, fed by Redis Streams.

Each voice is one job in the stream `JOBS`, read by the consumer group `GROUP`: a worker that has read it holds it (the
entry stays pending) and keeps its lease by claiming it again and again; when a worker falls silent for `LEASE`, another
claims the job. Beside the job, a voice has its packets (a stream, bounded, cut behind what is dealt with) and a `Head`:
where to begin. So whoever takes a voice over reads both at once and goes on. The job is acknowledged when the voice has
ended. The server keeps the audio too, so that Redis may lose everything: a new session then begins from there.

What is written (chat, corrections, captions typed by a person) waits in the stream `TEXTS` for whichever worker asks
first. A worker that dies over it, or is slower than `STALE`, leaves it without a translation.

What workers say goes into one stream per session, each entry with the claim it was said under; the server believes
only the newest claim of a voice, so that a worker which was only slow cannot speak for one that has taken over.
"""

from __future__ import annotations

from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from captioning.messages import Beat, OpenStream, Ready, Retranslate

PREFIX = "consilium:captions:1"
JOBS, GROUP, WORKERS = f"{PREFIX}:jobs", "workers", f"{PREFIX}:workers"
TEXTS = f"{PREFIX}:texts"

LEASE = 5.0
"""Seconds of silence after which a worker's voices go to others."""
ALIVE = 4.0
"""Seconds without a sign after which a worker does not count as there."""
TERMS_KEPT = 86_400
"""Seconds that a room's glossary outlives its last change; without it words are recognised all the same."""
KEPT = 60
"""Seconds that keys outlive a server that vanished."""
STALE = 60
"""Seconds after which nobody waits for a translation any more."""
ENTRIES_IN, ENTRIES_OUT, ENTRIES_JOBS, ENTRIES_TEXTS = 4_000, 20_000, 10_000, 2_000
"""Bounds of the streams. Packets come in entries of 60 ms: two minutes and more."""
LARGEST_ENTRY = 1 << 20
CONNECT_WITHIN, ANSWER_WITHIN = 3.0, 5.0
PROBLEM_WITHIN = 3.0
"""Seconds that a server waits for a first worker before it says that there is none."""

SCHEMES = ("redis", "rediss", "unix")


class Head(msgspec.Struct, array_like=True, frozen=True):
    """Where a voice goes on: `open` has the next utterance's number; before `until` (room ms) all is dealt with."""

    open: OpenStream
    until: float
    readers: list[str]


class Job(msgspec.Struct, array_like=True, frozen=True):
    """One voice of one session of a server."""

    session: str
    stream: str


class Text(msgspec.Struct, array_like=True, frozen=True):
    """Something written, of one session of a server."""

    session: str
    request: Retranslate


class Sign(msgspec.Struct, array_like=True, frozen=True):
    """A worker's sign of life: `number` changes with each, so that no clocks need to agree."""

    number: int
    ready: Ready
    beat: Beat


encode = msgspec.msgpack.Encoder().encode
heads: msgspec.msgpack.Decoder[Head] = msgspec.msgpack.Decoder(Head)
jobs: msgspec.msgpack.Decoder[Job] = msgspec.msgpack.Decoder(Job)
texts: msgspec.msgpack.Decoder[Text] = msgspec.msgpack.Decoder(Text)
signs: msgspec.msgpack.Decoder[Sign] = msgspec.msgpack.Decoder(Sign)

T = TypeVar("T")


def voice(job: Job) -> str:
    """Key of a voice's packets."""
    return f"{PREFIX}:{job.session}:in:{job.stream}"


def head(job: Job) -> str:
    """Key of a voice's head."""
    return f"{PREFIX}:{job.session}:head:{job.stream}"


def terms(session: str, room: str) -> str:
    """Key of a room's glossary."""
    return f"{PREFIX}:{session}:terms:{room}"


def words(session: str) -> str:
    """Key of what workers say to a session."""
    return f"{PREFIX}:{session}:out"


def read(decoder: msgspec.msgpack.Decoder[T], fields: Any, name: bytes = b"m") -> T | None:
    """A message out of an entry's fields; None for what is not one, or too large."""
    body = fields.get(name) if isinstance(fields, dict) else fields
    if not isinstance(body, bytes) or len(body) > LARGEST_ENTRY:
        return None
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def shown(url: str) -> str:
    """The URL without its password, for logs."""
    parts = urlsplit(url)
    host = parts.hostname or parts.path
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")
