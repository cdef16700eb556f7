"""The wire: every message between a browser and the server, over one WebSocket, as JSON objects tagged by ``type``.

This module is the single source of truth: the JSON schema, the TypeScript types and docs/protocol.md are generated from
it (``python -m signaling.schema``), and a test fails when they drift. Unknown fields are ignored and unknown types are
refused, so that older clients keep working while `VERSION` stays the same. Identity and rights come from the session,
never from a message.

A client message may carry ``id``; the server then answers it with `Ack` or `Error` naming that id.
Times are room time (milliseconds since the room opened) unless a field says otherwise.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from captioning.caption import Caption

VERSION = 1

Id = Annotated[str, Meta(min_length=1, max_length=64)]
Name = Annotated[str, Meta(min_length=1, max_length=80)]
Language = Annotated[str, Meta(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=35)]
Sdp = Annotated[str, Meta(min_length=1, max_length=200_000)]
Revision = Annotated[int, Meta(ge=0)]
Source = Literal["microphone", "camera", "screen", "screen-audio"]
Kind = Literal["audio", "video"]
Role = Literal["host", "moderator", "participant", "viewer"]
Permission = Literal[
    "publish-audio", "publish-video", "publish-screen", "chat", "hand", "caption", "record", "moderate", "manage"
]


def _tag(name: str) -> str:
    """``SubscribeOffer`` becomes ``subscribe-offer``."""
    return "".join(f"-{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))


class Message(msgspec.Struct, rename="camel", kw_only=True, frozen=True, tag_field="type", tag=_tag):
    """Base of all messages."""


class Value(msgspec.Struct, rename="camel", kw_only=True, frozen=True):
    """Base of the values that messages carry."""


# --- values ---------------------------------------------------------------------------------------


class TrackLabel(Value, kw_only=True, frozen=True):
    """What the client says an m-line of its offer carries."""

    mid: Id
    source: Source


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
    """A participant as everyone sees them. `color` is an index (0 to 11) into the client's speaker palette."""

    id: str
    name: str
    role: Role
    color: int
    spoken: str | None = None
    hand: float | None = None
    connected: bool = True
    tracks: list[Track] = []


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


class RecordingState(Value, kw_only=True, frozen=True):
    """`state` is what everyone is told. `replay` is the page's path, once there is one."""

    state: Literal["off", "starting", "recording", "stopping", "failed"]
    recording: str | None = None
    by: str | None = None
    purpose: str | None = None
    since: float | None = None
    replay: str | None = None
    problem: str | None = None


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


class RoomInfo(Value, kw_only=True, frozen=True):
    """The room as everyone in it sees it."""

    id: str
    name: str
    lobby: bool
    captions: CaptionState
    recording: RecordingState


# --- client to server -----------------------------------------------------------------------------


class Request(Message, kw_only=True, frozen=True):
    """Base of client messages."""

    id: Annotated[int, Meta(ge=0, le=2**53)] | None = None


class Hello(Request, kw_only=True, frozen=True):
    """First message on a new socket, within ten seconds. `grant` is the JWT that POST /api/links/{code} gives.
    `resume` is the secret of an earlier Welcome and takes that participant over, tracks and all; the grant may have
    expired by then."""

    version: int
    grant: Annotated[str, Meta(max_length=4096)]
    name: Name
    resume: Annotated[str, Meta(max_length=128)] | None = None
    spoken: Language | None = None
    reads: Language | None = None


class PublishOffer(Request, kw_only=True, frozen=True):
    """The client's offer for what it sends; also a change of tracks and an ICE restart."""

    sdp: Sdp
    tracks: Annotated[list[TrackLabel], Meta(max_length=16)]


class SubscribeAnswer(Request, kw_only=True, frozen=True):
    """Answer to the SubscribeOffer of the same revision; a stale one is ignored."""

    sdp: Sdp
    revision: Revision


class SubscribeRestart(Request, kw_only=True, frozen=True):
    """The subscribe connection is lost: offer again with fresh ICE credentials (`rebuild`: a whole new connection)."""

    rebuild: bool = False


class SetMuted(Request, kw_only=True, frozen=True):
    """Mute or unmute a track of one's own."""

    track: Id
    muted: bool


class SetLanguages(Request, kw_only=True, frozen=True):
    """`spoken`: the language I speak, None to detect. `reads`: the language I read captions in, None for none."""

    spoken: Language | None = None
    reads: Language | None = None


class SendChat(Request, kw_only=True, frozen=True):
    """`key` makes a retry harmless: a line with a key seen before is acknowledged again and not repeated."""

    key: Id
    text: Annotated[str, Meta(min_length=1, max_length=4000)]
    to: Id | None = None


class RaiseHand(Request, kw_only=True, frozen=True):
    """Raise or lower one's own hand."""

    raised: bool


class MuteParticipant(Request, kw_only=True, frozen=True):
    """Moderators: mute somebody's tracks of a kind. They can unmute themselves again."""

    participant: Id
    kind: Kind


class LowerHand(Request, kw_only=True, frozen=True):
    """Moderators: lower somebody's hand."""

    participant: Id


class RemoveParticipant(Request, kw_only=True, frozen=True):
    """Moderators: put somebody out; their grant is no longer accepted."""

    participant: Id


class Admit(Request, kw_only=True, frozen=True):
    """Moderators: let somebody in from the lobby; everybody when `participant` is None."""

    participant: Id | None = None


class Deny(Request, kw_only=True, frozen=True):
    """Moderators: turn somebody in the lobby away."""

    participant: Id


class SetLobby(Request, kw_only=True, frozen=True):
    """Moderators: turn the lobby on or off."""

    enabled: bool


class StartRecording(Request, kw_only=True, frozen=True):
    """Needs the record permission. Everyone is told, late joiners too."""

    purpose: Annotated[str, Meta(max_length=200)] = ""


class StopRecording(Request, kw_only=True, frozen=True):
    """Needs the record permission."""


class Ping(Request, kw_only=True, frozen=True):
    """Heartbeat, every ten seconds; `sent` comes back in Pong."""

    sent: float


class Leave(Request, kw_only=True, frozen=True):
    """A clean goodbye: nobody waits for a resume."""


ClientMessage = (
    Hello
    | PublishOffer
    | SubscribeAnswer
    | SubscribeRestart
    | SetMuted
    | SetLanguages
    | SendChat
    | RaiseHand
    | MuteParticipant
    | LowerHand
    | RemoveParticipant
    | Admit
    | Deny
    | SetLobby
    | StartRecording
    | StopRecording
    | Ping
    | Leave
)

# --- server to client -----------------------------------------------------------------------------


class Waiting(Message, kw_only=True, frozen=True):
    """In the lobby: somebody must admit you. `position` counts from 1."""

    participant: str
    room: str
    position: int


class Welcome(Message, kw_only=True, frozen=True):
    """You are in. The whole state, so that nothing before it matters; also sent after a resume (`resumed`)."""

    version: int
    participant: str
    resume: str
    resumed: bool
    now: float
    permissions: list[Permission]
    room: RoomInfo
    people: list[Person]
    chat: list[ChatEntry]
    captions: list[Caption]
    waiting: list[WaitingPerson]
    ice_servers: list[IceServer]


class Joined(Message, kw_only=True, frozen=True):
    """Somebody came in."""

    person: Person


class Changed(Message, kw_only=True, frozen=True):
    """Somebody's name, role, hand, language, tracks or connection changed: the whole new state."""

    person: Person


class Left(Message, kw_only=True, frozen=True):
    """Somebody went. `reason` is ``left``, ``lost`` or ``removed``."""

    participant: str
    reason: Literal["left", "lost", "removed"]


class PublishAnswer(Message, kw_only=True, frozen=True):
    """Answer to PublishOffer, with the ids of the tracks by m-line."""

    sdp: str
    tracks: dict[str, str]


class SubscribeOffer(Message, kw_only=True, frozen=True):
    """What the server will send you; answer with the same `revision`. `rebuild`: start a new RTCPeerConnection."""

    sdp: str
    revision: int
    tracks: list[SubscribedTrack]
    rebuild: bool = False


class Speakers(Message, kw_only=True, frozen=True):
    """Who is speaking now, loudest first."""

    participants: list[str]


class Captioned(Message, kw_only=True, frozen=True):
    """New or revised words. You get originals, and the language you read."""

    caption: Caption


class Chatted(Message, kw_only=True, frozen=True):
    """A chat line, one's own included."""

    entry: ChatEntry


class RoomChanged(Message, kw_only=True, frozen=True):
    """Lobby, captions or recording changed: the whole new state."""

    room: RoomInfo


class LobbyChanged(Message, kw_only=True, frozen=True):
    """To those who may admit: who waits now."""

    waiting: list[WaitingPerson]


class PermissionsChanged(Message, kw_only=True, frozen=True):
    """What you may do now."""

    role: Role
    permissions: list[Permission]


class MutedBy(Message, kw_only=True, frozen=True):
    """A moderator muted your track: stop sending and show it."""

    track: str
    by: str


class Quality(Message, kw_only=True, frozen=True):
    """Every few seconds: how your connections fare, as the server measures. `level` 0 lost, 1 bad, 2 fair, 3 good."""

    level: Annotated[int, Meta(ge=0, le=3)]
    publish_loss: float
    subscribe_loss: float
    round_trip_ms: float | None = None


class Closed(Message, kw_only=True, frozen=True):
    """The last message on a socket; do not come back by yourself unless `retry`."""

    reason: Literal["removed", "denied", "replaced", "room-closed", "shutdown", "grant", "protocol", "timeout", "full"]
    message: str
    retry: bool


class Pong(Message, kw_only=True, frozen=True):
    """Answer to Ping; `now` is the room clock, for the client to set its own by."""

    sent: float
    now: float


class Ack(Message, kw_only=True, frozen=True):
    """The request with this id is done, and is kept if it was something to keep."""

    id: int


class Error(Message, kw_only=True, frozen=True):
    """A request failed. `code` is stable; `message` is for developers (the client has its own words per code)."""

    code: Literal[
        "malformed",
        "unknown-type",
        "too-large",
        "too-fast",
        "not-allowed",
        "not-found",
        "bad-sdp",
        "bad-state",
        "unavailable",
        "disk-full",
        "internal",
    ]
    message: str
    id: int | None = None
    about: str | None = None


ServerMessage = (
    Waiting
    | Welcome
    | Joined
    | Changed
    | Left
    | PublishAnswer
    | SubscribeOffer
    | Speakers
    | Captioned
    | Chatted
    | RoomChanged
    | LobbyChanged
    | PermissionsChanged
    | MutedBy
    | Quality
    | Closed
    | Pong
    | Ack
    | Error
)

encoder = msgspec.json.Encoder()
client_decoder: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
server_decoder: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(ServerMessage)
