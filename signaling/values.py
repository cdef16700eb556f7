"""The values that the protocol's messages carry, and their bounds. See `signaling.protocol`."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Id = Annotated[str, Meta(min_length=1, max_length=64)]
Name = Annotated[str, Meta(min_length=1, max_length=80)]
Language = Annotated[str, Meta(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=35)]
Sdp = Annotated[str, Meta(min_length=1, max_length=200_000)]
Revision = Annotated[int, Meta(ge=0)]
Source = Literal["microphone", "camera", "screen", "screen-audio"]
Kind = Literal["audio", "video"]
Answer = Literal["agreed", "refused"]
Level = Annotated[int, Meta(ge=0, le=3)]
Pixels = Annotated[int, Meta(ge=0, le=16384)]
Share = Annotated[float, Meta(ge=0, le=1)]
Written = Literal["chat", "question", "answer"]
QuestionState = Literal["waiting", "open", "live", "answered", "dismissed", "merged"]
Role = Literal["host", "moderator", "participant", "viewer"]
Permission = Literal[
    "publish-audio",
    "publish-video",
    "publish-screen",
    "chat",
    "hand",
    "caption",
    "record",
    "moderate",
    "manage",
    "ask",
    "answer",
    "broadcast",
    "transcribe",
]


class Value(msgspec.Struct, rename="camel", kw_only=True, frozen=True):
    """Base of the values that messages carry."""


class TrackLabel(Value, kw_only=True, frozen=True):
    """What the client says an m-line of its offer carries; of a picture also its full size in pixels."""

    mid: Id
    source: Source
    width: Pixels | None = None
    height: Pixels | None = None


class Track(Value, kw_only=True, frozen=True):
    """A published track as everyone sees it."""

    id: str
    participant: str
    kind: Kind
    source: Source
    muted: bool


class SubscribedTrack(Value, kw_only=True, frozen=True):
    """Which m-line of the subscribe offer carries which track."""

    mid: str
    track: str
    participant: str
    kind: Kind
    source: Source


class Person(Value, kw_only=True, frozen=True):
    """A participant as everyone sees them. `color` is an index (0 to 11) into the client's speaker palette; `quality`
    of their connection as in `Quality.level`, None before it was measured; `consent` is their answer to the recording
    that runs, None before they gave one. Who is not `captioned` does not want the machine to hear what they say,
    who is not `named` does not want their name beside it. A `captioner` may type captions instead of the machine and
    does so now where `captioning` is set: to somebody's id, or to ``*`` for everybody."""

    id: str
    name: str
    role: Role
    color: int
    spoken: str | None = None
    hand: float | None = None
    connected: bool = True
    quality: Level | None = None
    consent: Answer | None = None
    captioned: bool = True
    named: bool = True
    captioner: bool = False
    captioning: str | None = None
    tracks: list[Track] = []


class Tile(Value, kw_only=True, frozen=True):
    """How a video track is shown: its size in device pixels, whether any of it can be seen, whether it was pinned."""

    track: Id
    width: Pixels
    height: Pixels
    visible: bool
    pinned: bool = False


class WaitingPerson(Value, kw_only=True, frozen=True):
    """Somebody in the lobby; seen by those who may admit."""

    id: str
    name: str
    since: float


class ChatEntry(Value, kw_only=True, frozen=True):
    """One chat line. `to` is set for a private line."""

    id: str
    participant: str
    name: str
    text: str
    at: float
    to: str | None = None


class Question(Value, kw_only=True, frozen=True):
    """A question; `name` is None where it was asked without one. `waiting` for a moderator, `open` to votes, answered
    `live` now, `answered` (in writing where there is an `answer`), `dismissed`, or `merged` into another (`into`).
    `live_at` is when its answer began to be spoken."""

    id: str
    name: str | None
    text: str
    language: str | None
    at: float
    state: QuestionState
    votes: int
    answer: str | None = None
    answered_by: str | None = None
    live_at: float | None = None
    into: str | None = None


class QuestionRules(Value, kw_only=True, frozen=True):
    """Whether questions are taken, whether a moderator sees them before everybody does, whether they need a name."""

    open: bool = False
    moderated: bool = True
    anonymous: bool = False


class RecordingState(Value, kw_only=True, frozen=True):
    """`state` is what everyone is told. `replay` is the page's path, once there is one. `problem` says why it failed;
    while recording goes on it is ``disk-low`` when the disk will not do much longer, ``storage-away`` when the bucket
    that recordings go to cannot be reached, so that this one stays on the server's disk for now. Where it must `ask`,
    only those who agreed are recorded; else all who did not refuse."""

    state: Literal["off", "starting", "recording", "stopping", "failed"]
    recording: str | None = None
    by: str | None = None
    purpose: str | None = None
    since: float | None = None
    replay: str | None = None
    problem: str | None = None
    ask: bool = False


class CaptionState(Value, kw_only=True, frozen=True):
    """Whether words can be had now, and in which languages they can be read. `problem` says why not."""

    state: Literal["off", "loading", "ready", "overloaded", "failed"]
    spoken: list[str] = []
    read: list[str] = []
    lag_ms: float = 0.0
    problem: str | None = None


class IceServer(Value, kw_only=True, frozen=True):
    """As RTCConfiguration wants it. Empty unless the operator set up TURN."""

    urls: list[str]
    username: str | None = None
    credential: str | None = None


class BroadcastState(Value, kw_only=True, frozen=True):
    """A broadcast out of this room. `state` is ``scheduled`` while everybody is back stage. `starts_at` is when it is
    planned, in ms since 1970; `at` is the room time at which it goes live (``countdown``) or went. `link` is the path
    of the viewers' page with its code. `spotlight` is shown to viewers whoever speaks. `viewers` is how many pages
    follow it, `realtime` how many are sent WebRTC; `hidden` are the people whose picture all others cannot see, for it
    is VP8, which HLS has no room for."""

    id: str
    title: str
    about: str
    state: Literal["scheduled", "countdown", "live", "ending", "ended"]
    link: str
    starts_at: float | None = None
    at: float | None = None
    viewers: int = 0
    spotlight: str | None = None
    realtime: int = 0
    hidden: list[str] = []


class RoomInfo(Value, kw_only=True, frozen=True):
    """The room as everyone in it sees it. `spoken` are the languages that are spoken here; empty: any."""

    id: str
    name: str
    lobby: bool
    captions: CaptionState
    recording: RecordingState
    questions: QuestionRules = QuestionRules()
    broadcast: BroadcastState | None = None
    spoken: list[str] = []
