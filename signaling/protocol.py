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
from captioning.guard import Doubt

# isort: off
from signaling.values import (
    Answer as Answer,
    BroadcastState as BroadcastState,
    CaptionState as CaptionState,
    ChatEntry as ChatEntry,
    IceServer as IceServer,
    Id as Id,
    Kind as Kind,
    Language as Language,
    Level as Level,
    Name as Name,
    Permission as Permission,
    Person as Person,
    Pixels as Pixels,
    Question as Question,
    QuestionRules as QuestionRules,
    QuestionState as QuestionState,
    RecordingState as RecordingState,
    Revision as Revision,
    Role as Role,
    RoomInfo as RoomInfo,
    Sdp as Sdp,
    Share as Share,
    Source as Source,
    SubscribedTrack as SubscribedTrack,
    Tile as Tile,
    Track as Track,
    TrackLabel as TrackLabel,
    Value as Value,
    WaitingPerson as WaitingPerson,
    Written as Written,
)
# isort: on

VERSION = 1


def _tag(name: str) -> str:
    """``SubscribeOffer`` becomes ``subscribe-offer``."""
    return "".join(f"-{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))


class Message(msgspec.Struct, rename="camel", kw_only=True, frozen=True, tag_field="type", tag=_tag):
    """Base of all messages."""


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
    captioned: bool = True
    named: bool = True


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


class View(Request, kw_only=True, frozen=True):
    """What the page shows: every video track that it was offered, once each. Whoever sends none gets all in full size;
    a track that is not listed yet comes small. What is not visible is not sent."""

    tiles: Annotated[list[Tile], Meta(max_length=1000)]


class MediaReport(Request, kw_only=True, frozen=True):
    """What the browser's own statistics say about the last seconds: video freezes and the time frozen, the share of
    sound that had to be made up, loss and jitter of what it receives, round trip, and what holds its sending back."""

    freezes: Annotated[int, Meta(ge=0, le=10_000)]
    frozen_ms: Annotated[float, Meta(ge=0, le=600_000)]
    concealed: Share
    loss: Share
    jitter_ms: Annotated[float, Meta(ge=0, le=600_000)]
    round_trip_ms: Annotated[float, Meta(ge=0, le=600_000)] | None = None
    limited_by: Literal["none", "cpu", "bandwidth", "other"] = "none"


class SetMuted(Request, kw_only=True, frozen=True):
    """Mute or unmute a track of one's own."""

    track: Id
    muted: bool


class SetLanguages(Request, kw_only=True, frozen=True):
    """`spoken`: the language I speak, None to detect. `reads`: the language I read captions in, None for none."""

    spoken: Language | None = None
    reads: Language | None = None


class SetCaptioned(Request, kw_only=True, frozen=True):
    """Whether what I say is captioned. Who is not is not listened to by the machine at all. Who is not `named` has an
    id of their own in captions, which begins with a tilde and belongs to nobody here, and no name in recordings."""

    captioned: bool
    named: bool = True


class CorrectCaption(Request, kw_only=True, frozen=True):
    """Moderators: write a final original anew. `revision` is the one they saw; if it changed meanwhile the answer is
    the error `conflict`. Translations, the recording and its transcript follow."""

    segment: Annotated[str, Meta(min_length=1, max_length=80)]
    revision: Revision
    text: Annotated[str, Meta(min_length=1, max_length=2000)]


class AddTerm(Request, kw_only=True, frozen=True):
    """Moderators: a term for this room's glossary, and what it was `heard` as; a term that is known gains that."""

    term: Annotated[str, Meta(min_length=1, max_length=120)]
    language: Language
    heard: Annotated[str, Meta(max_length=120)] = ""


class SetCaptioner(Request, kw_only=True, frozen=True):
    """Moderators: whether somebody may type captions instead of the machine, until the meeting ends."""

    participant: Id
    captioner: bool


class TakeCaptions(Request, kw_only=True, frozen=True):
    """Needs the transcribe permission: I type what `of` says from now on (None: what everybody says) and the machine
    does not listen to them; or, with `taken` false, the machine listens again. It also does while my connection is
    lost, and after a minute without a line, until the next."""

    of: Id | None = None
    taken: bool = True


class WriteCaption(Request, kw_only=True, frozen=True):
    """Needs the transcribe permission: a line of captions, the whole of it as it stands; others see it grow. `line`
    names it among mine; a new one ends the one before. `final`: it is done, and is translated. Where I type for
    everybody it is what `speaker` says (None: whoever speaks as it begins)."""

    line: Id
    text: Annotated[str, Meta(max_length=500)]
    language: Language
    final: bool = False
    speaker: Id | None = None


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


class SetSpoken(Request, kw_only=True, frozen=True):
    """Moderators: the languages that are spoken in this room. In whoever does not say what they speak, nothing else is
    heard. Empty: anything that can be recognised. Kept for the next meeting."""

    languages: Annotated[list[Language], Meta(max_length=20)]


class SetRole(Request, kw_only=True, frozen=True):
    """Moderators: give somebody another role until the meeting ends: a viewer comes on stage, or goes back. Nobody
    gives rights that they do not hold, or changes who stands above them."""

    participant: Id
    role: Role


class StartRecording(Request, kw_only=True, frozen=True):
    """Needs the record permission. Everyone is told, late joiners too."""

    purpose: Annotated[str, Meta(max_length=200)] = ""


class Consent(Request, kw_only=True, frozen=True):
    """Whether I may be recorded, in the recording that runs. Who refuses stays, and nothing of them is written from
    then on; the answer may be changed at any time."""

    agreed: bool


class StopRecording(Request, kw_only=True, frozen=True):
    """Needs the record permission."""


class Ask(Request, kw_only=True, frozen=True):
    """A question to those on stage. `key` makes a retry harmless. `anonymous`: without one's name, where that is
    allowed."""

    key: Id
    text: Annotated[str, Meta(min_length=1, max_length=1000)]
    anonymous: bool = False


class Vote(Request, kw_only=True, frozen=True):
    """I want this question answered too; or, with `up` false, not any more."""

    question: Id
    up: bool = True


class SettleQuestion(Request, kw_only=True, frozen=True):
    """Needs the answer permission: publish a question, answer it live or in writing, put it aside, take that back."""

    question: Id
    state: Literal["open", "live", "answered", "dismissed"]
    answer: Annotated[str, Meta(max_length=4000)] | None = None


class MergeQuestion(Request, kw_only=True, frozen=True):
    """Needs the answer permission: two questions are one."""

    question: Id
    into: Id


class SetQuestions(Request, kw_only=True, frozen=True):
    """Moderators: the rules for questions."""

    open: bool
    moderated: bool
    anonymous: bool


class PlanBroadcast(Request, kw_only=True, frozen=True):
    """Needs the broadcast permission: plan a broadcast out of this room, or change what is planned. `starts_at` in ms
    since 1970. `renew`: the link that was given out opens nothing any more, there is a new one."""

    title: Annotated[str, Meta(min_length=1, max_length=120)]
    about: Annotated[str, Meta(max_length=2000)] = ""
    starts_at: Annotated[float, Meta(ge=0, le=4e12)] | None = None
    renew: bool = False


class GoLive(Request, kw_only=True, frozen=True):
    """Needs the broadcast permission: viewers see and hear the stage after so many seconds. Recording begins with it,
    where it does not run yet."""

    countdown: Annotated[int, Meta(ge=0, le=60)] = 0


class EndBroadcast(Request, kw_only=True, frozen=True):
    """Needs the broadcast permission: a countdown is called off; what is live ends, and so does its recording."""


class Spotlight(Request, kw_only=True, frozen=True):
    """Needs the broadcast permission: whom viewers see whoever speaks; None: whoever speaks."""

    participant: Id | None = None


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
    | View
    | MediaReport
    | SetMuted
    | SetLanguages
    | SetCaptioned
    | CorrectCaption
    | AddTerm
    | SetCaptioner
    | TakeCaptions
    | WriteCaption
    | SendChat
    | RaiseHand
    | MuteParticipant
    | LowerHand
    | RemoveParticipant
    | Admit
    | Deny
    | SetLobby
    | SetSpoken
    | SetRole
    | StartRecording
    | Consent
    | StopRecording
    | Ask
    | Vote
    | SettleQuestion
    | MergeQuestion
    | SetQuestions
    | PlanBroadcast
    | GoLive
    | EndBroadcast
    | Spotlight
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
    questions: list[Question] = []
    voted: list[str] = []


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


class Rendered(Message, kw_only=True, frozen=True):
    """A chat line, a question or its answer (`about` is its id) in the language you read; it was written in `source`.
    `pivot` is the language that the translation went through, `guard` says what it may have wrong."""

    of: Written
    about: str
    source: str
    language: str
    text: str
    pivot: str | None = None
    guard: list[Doubt] = []


class QuestionsChanged(Message, kw_only=True, frozen=True):
    """The new state of questions, a few times a second at most, however many were asked; `gone` are seen no more."""

    changed: list[Question]
    gone: list[str] = []


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


class Encodings(Message, kw_only=True, frozen=True):
    """Which encodings (rids) of your simulcast track somebody wants: send these and no others."""

    track: str
    active: list[str]


class Quality(Message, kw_only=True, frozen=True):
    """Every few seconds: how your connections fare, as the server measures them and your browser reports. `level` 0
    lost, 1 poor, 2 fair, 3 good, with that of either direction beside it.

    Rates in bit/s: `estimate` is what the way to you can take (None while unknown), `wanted` what everything that you
    show in full would need, `sent` what is sent now. `reduced` counts pictures that come smaller than they are shown
    for want of bandwidth. `frozen_ms` is your browser's, over its last report.
    """

    level: Level
    publish_level: Level
    subscribe_level: Level
    publish_loss: float
    subscribe_loss: float
    publish_jitter_ms: float = 0.0
    subscribe_jitter_ms: float = 0.0
    round_trip_ms: float | None = None
    estimate: float | None = None
    wanted: float = 0.0
    sent: float = 0.0
    reduced: int = 0
    frozen_ms: float = 0.0
    limited_by: Literal["none", "cpu", "bandwidth", "other"] = "none"


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
        "conflict",
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
    | Rendered
    | QuestionsChanged
    | RoomChanged
    | LobbyChanged
    | PermissionsChanged
    | MutedBy
    | Encodings
    | Quality
    | Closed
    | Pong
    | Ack
    | Error
)

encoder = msgspec.json.Encoder()
client_decoder: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
server_decoder: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(ServerMessage)
