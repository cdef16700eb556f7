"""What happened besides media, as the event journal keeps it. All times are room time in milliseconds."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec

from recorder.journal import bodies
from recorder.manifest import Cue
from recorder.parts import MediaFileInfo
from sfu.taps import Codec, Kind, TrackInfo, TrackSource


class Event(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base: `at` is when."""

    at: float


class Began(Event, frozen=True, kw_only=True):
    """Always first: the recording's timeline starts at `at`."""

    recording: str
    room: str
    title: str
    purpose: str
    started_by: str
    started_at: datetime


class Opened(Event, frozen=True, kw_only=True):
    """A track; `index` names its files."""

    index: int
    track: str
    participant: str
    kind: Kind
    source: TrackSource
    codec: Codec

    @property
    def info(self) -> TrackInfo:
        return TrackInfo(self.track, self.participant, self.kind, self.source, self.codec)


class Filed(Event, frozen=True, kw_only=True):
    """A new media file of a track; -1 is the mix."""

    index: int
    file: MediaFileInfo


class Muted(Event, frozen=True, kw_only=True):
    index: int
    muted: bool


class Closed(Event, frozen=True, kw_only=True):
    index: int


class Named(Event, frozen=True, kw_only=True):
    participant: str
    name: str


class Unheard(Event, frozen=True, kw_only=True):
    """From now on no machine may hear what `participant` says, or put their name to it; or it may again."""

    participant: str
    on: bool


class Interpreted(Event, frozen=True, kw_only=True):
    """From now on the microphone of `participant` is the interpreters' channel of this language; None: of the floor."""

    participant: str
    channel: str | None


class Spoke(Event, frozen=True, kw_only=True):
    """`participant` is the active speaker from now on; None: nobody."""

    participant: str | None


class Spotlit(Event, frozen=True, kw_only=True):
    """`participant` is to be shown whoever speaks, until further notice; None: nobody."""

    participant: str | None


class Lettered(Event, frozen=True, kw_only=True):
    """Viewers of the broadcast see the lower third of `participant` from here on, for a moment."""

    participant: str
    institution: str


class Aired(Event, frozen=True, kw_only=True):
    """From here on it was broadcast live, or not any more; with `aac` as AAC too."""

    on: bool
    aac: bool = False


class Held(Event, frozen=True, kw_only=True):
    """From now on nothing of anybody is written, for the broadcast pauses; or is again. What is from after `since` was
    cut before viewers had it."""

    on: bool
    since: float | None = None


class Said(Event, frozen=True, kw_only=True):
    cue: Cue


class Wrote(Event, frozen=True, kw_only=True):
    participant: str
    name: str
    text: str


class Turned(Event, frozen=True, kw_only=True):
    """The meeting came to an item of its agenda; a later one of the same `at` replaces it."""

    item: str


class Asked(Event, frozen=True, kw_only=True):
    """A question as it stands since `at`; a later one of the same id replaces it. `live_at` is when its answer began
    to be spoken. `name` is None where it was asked without one; `shown` is false once it was taken from everybody."""

    question: str
    name: str | None
    text: str
    votes: int
    shown: bool
    answer: str | None = None
    answered_by: str | None = None
    live_at: float | None = None


class Polled(Event, frozen=True, kw_only=True):
    """A poll as it stands since `at`; a later one of the same id replaces it. `opened_at` is when it could be answered
    first; `counts` are those that everybody may see. Taken away: not `shown`."""

    poll: str
    text: str
    choices: list[str]
    counts: list[int] | None
    voters: int
    opened_at: float
    shown: bool = True


class Failed(Event, frozen=True, kw_only=True):
    """Recording stopped early."""

    reason: str


class Ended(Event, frozen=True, kw_only=True):
    """A clean stop."""


AnyEvent = (
    Began
    | Opened
    | Filed
    | Muted
    | Closed
    | Named
    | Unheard
    | Interpreted
    | Spoke
    | Spotlit
    | Lettered
    | Aired
    | Held
    | Said
    | Wrote
    | Turned
    | Asked
    | Polled
    | Failed
    | Ended
)

encode = msgspec.json.Encoder().encode
_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


def decode(body: bytes) -> AnyEvent:
    return _decoder.decode(body)


def read_log(folder: Path) -> list[AnyEvent]:
    """A recording's event journal as far as it is whole."""
    log: list[AnyEvent] = []
    for body in bodies(folder / "journal" / "events"):
        try:
            log.append(decode(body))
        except (msgspec.DecodeError, UnicodeError):
            continue
    return log
