"""Recorded sound into words again, with time to spare.

The same recogniser as live, without drafts: utterances are cut as they were, but nobody waits, so the model may be a
larger one. Sound is Opus in files whose packets carry the recording's time, as the recorder writes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import IO

import msgspec

from captioning.engine import Engine
from captioning.glossary import Term
from captioning.messages import (
    Audio,
    CloseStream,
    OpenStream,
    Packet,
    SetGlossary,
    SetReaders,
    ToServer,
    Translation,
    Words,
)
from captioning.recogniser import Recogniser
from captioning.scheduler import Scheduler, SchedulerSettings
from captioning.translate import Translator

NEVER = SchedulerSettings(longest=-1.0, back=-1.0)
"""No drafts: they would be rarer than is worth it, whatever the load."""
GATHER = 50
"""Packets heard at a time, a second of them."""
MOST_BYTES = 1_500
OPUS_RATE = 48_000


class Voice(msgspec.Struct, frozen=True):
    """One microphone: its `files` in order, the languages that may be `among` what is said, and when nothing of it may
    be heard, as (start, end) in ms of the recording."""

    files: list[str]
    among: list[str]
    unheard: list[tuple[float, float]] = []


class Request(msgspec.Struct, frozen=True):
    """`settings` are a worker's (`captioning.worker.Settings`); `readers` the languages to translate to."""

    settings: dict[str, object]
    voices: list[Voice]
    readers: list[str]
    terms: list[Term]
    duration: float


class Said(msgspec.Struct, frozen=True):
    """One utterance of a voice (by its place in the request) in one language; as in `captioning.caption.Caption`."""

    voice: int
    utterance: int
    source: str
    language: str
    start: float
    end: float
    text: str
    guard: list[str] = []
    heard: str | None = None
    doubtful: list[int] = []


def transcribe(
    engine: Engine,
    translator: Translator,
    request: Request,
    opened: Callable[[str], IO[bytes]],
    tell: Callable[[float], None] = lambda part: None,
) -> list[Said]:
    """Every final of every voice; `opened` opens its files, `tell` is given the progress, 0 to 1. Raises OSError for
    sound that cannot be read."""
    found: list[Said] = []

    def hear(message: ToServer) -> None:
        match message:
            case Words(stream, number, start, end, language, text, _, True, _, heard, doubtful) if text:
                times = start, end
                found.append(Said(int(stream), number, language, language, *times, text, [], heard, doubtful))
            case Translation(stream, number, start, end, source, language, text, True, _, _, guard) if text:
                doubts = [str(doubt) for doubt in guard]
                found.append(Said(int(stream), number, source, language, start, end, text, doubts))

    for number, voice in enumerate(request.voices):
        recogniser = Recogniser(engine, translator, hear, Scheduler(NEVER))
        recogniser.handle(SetReaders("", request.readers), 0.0)
        recogniser.handle(SetGlossary("", request.terms), 0.0)
        recogniser.handle(OpenStream(str(number), "", None, 0, voice.among), 0.0)
        now = 0.0
        for packets in _gathered(_allowed(packets_of(voice.files, opened), voice.unheard)):
            now = max(now, packets[-1].media_ms / 1000)
            recogniser.handle(Audio(str(number), packets), now)
            _work(recogniser, now)
            tell(min(1.0, (number + now * 1000 / max(1.0, request.duration)) / len(request.voices)))
        recogniser.handle(CloseStream(str(number)), now)
        _work(recogniser, now)
    return found


def _work(recogniser: Recogniser, now: float) -> None:
    while (work := recogniser.take(lambda: now, 0.0)) is not None:
        recogniser.work(work, lambda: now)


def packets_of(files: Iterable[str], opened: Callable[[str], IO[bytes]]) -> Iterator[Packet]:
    """The Opus packets of a voice's files, on the recording's time. Raises OSError."""
    import av

    for file in files:
        try:
            with opened(file) as source, av.open(source, "r") as container:
                for packet in container.demux(container.streams.audio[0]):
                    if packet.pts is not None and packet.time_base is not None and 0 < packet.size <= MOST_BYTES:
                        seconds = float(packet.pts * packet.time_base)
                        yield Packet(round(seconds * OPUS_RATE), seconds * 1000, bytes(packet))
        except (av.FFmpegError, IndexError) as error:
            raise OSError(f"{file} cannot be read: {error}") from error


def _allowed(packets: Iterable[Packet], unheard: list[tuple[float, float]]) -> Iterator[Packet]:
    """Without what nobody may hear; the gap is silence."""
    return (one for one in packets if not any(start <= one.media_ms < end for start, end in unheard))


def _gathered(packets: Iterable[Packet]) -> Iterator[list[Packet]]:
    gathered: list[Packet] = []
    for packet in packets:
        gathered.append(packet)
        if len(gathered) == GATHER:
            yield gathered
            gathered = []
    if gathered:
        yield gathered
