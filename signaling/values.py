"""The values that the protocol's messages carry, and their bounds. See `signaling.protocol`."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Id = Annotated[str, Meta(min_length=1, max_length=64)]
Name = Annotated[str, Meta(min_length=1, max_length=80)]
Institution = Annotated[str, Meta(max_length=80)]
Language = Annotated[str, Meta(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=35)]
Sdp = Annotated[str, Meta(min_length=1, max_length=200_000)]
Revision = Annotated[int, Meta(ge=0)]
Source = Literal["microphone", "camera", "screen", "screen-audio"]
Kind = Literal["audio", "video"]
Answer = Literal["agreed", "refused"]
Level = Annotated[int, Meta(ge=0, le=3)]
Pixels = Annotated[int, Meta(ge=0, le=16384)]
Share = Annotated[float, Meta(ge=0, le=1)]
Layout = Literal["speaker", "grid"]
HandState = Literal["raised", "invited", "stage"]
Tier = Literal["realtime", "hls"]
Written = Literal["chat", "question", "answer", "poll"]
Reaction = Literal["applause", "heart", "agree", "laugh", "celebrate", "insight"]
PollState = Literal["draft", "open", "closed"]
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
    does so now where `captioning` is set: to somebody's id, or to ``*`` for everybody. A `guest` came out of the
    audience of a broadcast, and can be sent back there."""

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
    guest: bool = False
    institution: str = ""
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


class AudienceHand(Value, kw_only=True, frozen=True):
    """A viewer of the broadcast who wants to come on stage: `raised` at the room time `at`, ``invited``, or on
    ``stage``. Seen by those who may broadcast."""

    id: str
    name: str
    at: float
    state: HandState


class AudienceTier(Value, kw_only=True, frozen=True):
    """Viewers of a broadcast by how they get it: ``realtime`` (WebRTC) or ``hls``. `viewers` is how many the server
    counts, `reporting` how many pages told in their last interval how it went: in how many the picture or the sound
    stood still (`stalled`), for what share of all the time that was watched, and how far they are behind the stage."""

    tier: Tier
    viewers: int
    reporting: int
    stalled: int
    stalled_share: float
    latency_ms: float | None = None
    latency_p95_ms: float | None = None


class Seat(Value, kw_only=True, frozen=True):
    """Somebody on stage as they come in, for those who run the broadcast: the loudest moment of the last second from 0
    (silent) to 1, whether sound and picture come, how large the picture is and how much comes, in bit/s. `quality` is
    of their way to the server as in `Quality.publish_level`; losses are from 0 to 1."""

    participant: str
    level: float = 0.0
    sound: bool = False
    picture: bool = False
    height: int = 0
    bitrate: float = 0.0
    quality: Level = 0
    loss: float = 0.0
    round_trip_ms: float | None = None


class WordsRead(Value, kw_only=True, frozen=True):
    """Captions in one language: how many read it, in the room and before the broadcast, and by how much its newest line
    came after the end of what was said (`lag_ms`), None where none came in the last minute."""

    language: str
    readers: int
    lag_ms: float | None = None


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


class Poll(Value, kw_only=True, frozen=True):
    """`counts` says how often each choice was taken; None while that is not told: with `live` it is while the poll is
    open, else once it is closed. `voters` is how many took part."""

    id: str
    text: str
    choices: list[str]
    several: bool
    live: bool
    state: PollState
    voters: int
    at: float
    counts: list[int] | None = None


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


BroadcastAudience = Literal["link", "members", "tickets"]


class PushState(Value, kw_only=True, frozen=True):
    """A platform that a broadcast goes to. `server` is shown without application and key. ``waiting``: for the
    broadcast; ``failed``: it is tried again, and `reason` says why; ``live`` and ``slow``: something was left out.
    `codec`: the picture's, which platforms do not take: they get a dark one, and all of the sound."""

    id: str
    server: str
    state: Literal["waiting", "connecting", "live", "failed"]
    reason: Literal["unreachable", "private", "closed", "slow"] | None = None
    codec: str | None = None


class BroadcastState(Value, kw_only=True, frozen=True):
    """A broadcast out of this room. `state` is ``scheduled`` while everybody is back stage. `starts_at` is when it is
    planned, in ms since 1970; `at` is the room time at which it goes live (``countdown``) or went. `link` is the path
    of the viewers' page with its code. `spotlight` is shown to viewers whoever speaks. `viewers` is how many pages
    follow it, `realtime` how many are sent WebRTC; `hidden` are the people whose picture all others cannot see, for it
    is VP8, which HLS has no room for. Viewers are `delay` seconds behind. `audience`: it is for who has the link, for
    those of them who have an account, or for who has a ticket."""

    id: str
    title: str
    about: str
    state: Literal["scheduled", "countdown", "live", "paused", "ending", "ended"]
    link: str
    starts_at: float | None = None
    at: float | None = None
    viewers: int = 0
    spotlight: str | None = None
    realtime: int = 0
    hidden: list[str] = []
    image: bool = False
    delay: int = 0
    audience: BroadcastAudience = "link"


class Ticket(Value, kw_only=True, frozen=True):
    """One viewer's own way to a broadcast: `link` is the path of its page with their code. `used`: somebody came with
    it; `watching`: its page is open now."""

    id: str
    name: str
    link: str
    used: bool = False
    watching: bool = False


class Channel(Value, kw_only=True, frozen=True):
    """What is interpreted into a `language`: the `interpreters` who were given it, who of them is on the air
    (`speaking`) and the other channel that they hear instead of the floor (`listens`; relay). The microphone of who is
    on the air is the channel, and is sent to those who hear it only."""

    language: str
    interpreters: list[str]
    speaking: str | None = None
    listens: str | None = None


AGENDA_ITEM = 120
"""The longest item of an agenda, in characters."""
AgendaItem = Annotated[str, Meta(min_length=1, max_length=AGENDA_ITEM)]


class Agenda(Value, kw_only=True, frozen=True):
    """What a meeting is about, in order. `current` is the place (from 0) of what is being dealt with; None: of nothing
    on it."""

    items: list[str] = []
    current: int | None = None


class RoomInfo(Value, kw_only=True, frozen=True):
    """The room as everyone in it sees it. `spoken` are the languages that are spoken here; empty: any. `signing` is the
    sign-language interpreter, who is to be seen in every layout. `layout` is how pages were asked to show people."""

    id: str
    name: str
    lobby: bool
    captions: CaptionState
    recording: RecordingState
    questions: QuestionRules = QuestionRules()
    broadcast: BroadcastState | None = None
    spoken: list[str] = []
    channels: list[Channel] = []
    signing: str | None = None
    layout: Layout | None = None
    agenda: Agenda = Agenda()
