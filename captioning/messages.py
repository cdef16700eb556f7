"""What the server and a caption worker say to each other, as msgpack arrays. See `captioning.bus` for how they travel.

A stream is one audio track. The server numbers segments by (stream, utterance); a worker that takes a stream over
gets the number to go on from and the audio since the last finished utterance, so a worker that dies loses nothing.
"""

from __future__ import annotations

import msgspec

from captioning.glossary import Term
from captioning.guard import Doubt


class Message(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """Base of all messages."""


class Packet(msgspec.Struct, array_like=True, frozen=True):
    """One Opus packet. `timestamp` is unwrapped RTP time at 48 kHz, `media_ms` room time."""

    timestamp: int
    media_ms: float
    payload: bytes


# --- server to worker -----------------------------------------------------------------------------


class OpenStream(Message, frozen=True):
    """Start hearing a stream. `language` is declared, or None to detect `among` what the room speaks (empty: all).
    `utterance` is the first number to use."""

    stream: str
    room: str
    language: str | None
    utterance: int
    among: list[str] = []


class Audio(Message, frozen=True):
    """Packets of one stream, in order."""

    stream: str
    packets: list[Packet]


class SetLanguage(Message, frozen=True):
    """The declared language of a stream changed, or what it may be; as in `OpenStream`."""

    stream: str
    language: str | None
    among: list[str] = []


class SetReaders(Message, frozen=True):
    """The languages that somebody in the room reads now."""

    room: str
    languages: list[str]


class SetGlossary(Message, frozen=True):
    """The terms of the room and of its organisation; the whole list each time."""

    room: str
    terms: list[Term]


class Flush(Message, frozen=True):
    """The stream fell silent for certain (muted): finish what is open now."""

    stream: str


class CloseStream(Message, frozen=True):
    """The stream is over: finish what is open, then forget it."""

    stream: str


class Drop(Message, frozen=True):
    """Forget the stream without another word: somebody else has it now."""

    stream: str


class Retranslate(Message, frozen=True):
    """A person wrote a segment anew: say it in the languages that are read. `correction` is the original's revision;
    `terms` are those in the text, where there is no room whose glossary has them."""

    room: str
    segment: str
    correction: int
    source: str
    text: str
    readers: list[str]
    terms: list[Term] = []


class Stop(Message, frozen=True):
    """Leave. Nothing more is expected."""


# --- worker to server -----------------------------------------------------------------------------


class Ready(Message, frozen=True):
    """Models are loaded. `spoken` and `read` are the languages possible."""

    spoken: list[str]
    read: list[str]


class Failed(Message, frozen=True):
    """The worker cannot work and leaves; `problem` is for the operator."""

    problem: str


class Words(Message, frozen=True):
    """What an utterance says so far. An empty final takes back what was shown. `heard` and `doubtful` as in
    `captioning.caption.Caption`."""

    stream: str
    utterance: int
    start: float
    end: float
    language: str
    stable: str
    tail: str
    final: bool
    confidence: float | None
    heard: str | None = None
    doubtful: list[int] = []


class Translation(Message, frozen=True):
    """The utterance in a language somebody reads. `engine`, `pivot` and `guard` as in `captioning.caption.Caption`."""

    stream: str
    utterance: int
    start: float
    end: float
    source: str
    language: str
    text: str
    final: bool
    engine: str
    pivot: str | None
    guard: list[Doubt] = []


class Retranslated(Message, frozen=True):
    """Answer to `Retranslate`, one for each language that there is a way to."""

    room: str
    segment: str
    correction: int
    language: str
    text: str
    engine: str
    pivot: str | None
    guard: list[Doubt] = []


class Done(Message, frozen=True):
    """Everything of the stream before `until` (room ms) is dealt with. `utterance` is the next number."""

    stream: str
    utterance: int
    until: float


class Closed(Message, frozen=True):
    """A CloseStream is carried out: no more about this stream."""

    stream: str


class Beat(Message, frozen=True):
    """Twice a second. `busy` is how long the current decode has been running, in seconds. `counters` since the worker
    began."""

    lag_ms: float
    queue: int
    streams: int
    overloaded: bool
    busy: float
    cpu: float
    counters: dict[str, int]


ToWorker = OpenStream | Audio | SetLanguage | SetReaders | SetGlossary | Flush | CloseStream | Drop | Retranslate | Stop
ToServer = Ready | Failed | Words | Translation | Retranslated | Done | Closed | Beat

encoder = msgspec.msgpack.Encoder()
to_worker: msgspec.msgpack.Decoder[ToWorker] = msgspec.msgpack.Decoder(ToWorker)
to_server: msgspec.msgpack.Decoder[ToServer] = msgspec.msgpack.Decoder(ToServer)
