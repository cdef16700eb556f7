"""From the server to a page."""

from __future__ import annotations

from typing import Literal

import msgspec

from captioning.caption import Caption
from captioning.guard import Doubt
from signaling.messages.base import Message
from signaling.values import (
    AudienceHand,
    AudienceTier,
    ChatEntry,
    IceServer,
    Level,
    Permission,
    Person,
    Poll,
    PushState,
    Question,
    Reaction,
    Role,
    RoomInfo,
    Seat,
    SubscribedTrack,
    Ticket,
    WaitingPerson,
    WordsRead,
    Written,
)


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
    questions: list[Question] = msgspec.field(default_factory=list)
    voted: list[str] = msgspec.field(default_factory=list)
    hands: list[AudienceHand] = msgspec.field(default_factory=list)
    hands_open: bool = True
    polls: list[Poll] = msgspec.field(default_factory=list)
    ballots: dict[str, list[int]] = msgspec.field(default_factory=dict)


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
    guard: list[Doubt] = msgspec.field(default_factory=list)


class QuestionsChanged(Message, kw_only=True, frozen=True):
    """The new state of questions, a few times a second at most, however many were asked; `gone` are seen no more,
    `voted` are those that one has asked for by now. One that was `merged` is told to all who saw it."""

    changed: list[Question]
    gone: list[str] = msgspec.field(default_factory=list)
    voted: list[str] = msgspec.field(default_factory=list)


class PollsChanged(Message, kw_only=True, frozen=True):
    """The new state of polls, a few times a second at most, however many vote; `gone` are seen no more."""

    changed: list[Poll]
    gone: list[str] = msgspec.field(default_factory=list)


class Reacted(Message, kw_only=True, frozen=True):
    """How often each sign was given in the last half second."""

    counts: dict[Reaction, int]


class RoomChanged(Message, kw_only=True, frozen=True):
    """Lobby, captions or recording changed: the whole new state."""

    room: RoomInfo


class LobbyChanged(Message, kw_only=True, frozen=True):
    """To those who may admit: who waits now."""

    waiting: list[WaitingPerson]


class HandsChanged(Message, kw_only=True, frozen=True):
    """To those who may broadcast: which viewers raise a hand, and whether they may."""

    hands: list[AudienceHand]
    open: bool


class Overview(Message, kw_only=True, frozen=True):
    """To those who asked for it (`Oversee`), once a second: who is on stage and how they come in, how it fares at the
    viewers', captions by language. `shed` counts drafts of captions that this server left out in the last minute, for
    want of time. `disk_free` is what recordings may fill
    before no new one begins, in bytes, `disk_s` for how long that does at the rate
    of the last minute; None while it is not known."""

    seats: list[Seat]
    audience: list[AudienceTier]
    words: list[WordsRead]
    shed: int = 0
    disk_free: int | None = None
    disk_s: float | None = None


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

    reason: Literal[
        "removed", "denied", "replaced", "room-closed", "shutdown", "grant", "protocol", "timeout", "full", "audience"
    ]
    message: str
    retry: bool


class Pong(Message, kw_only=True, frozen=True):
    """Answer to Ping; `now` is the room clock, for the client to set its own by."""

    sent: float
    now: float


class Pushes(Message, kw_only=True, frozen=True):
    """To those who run the broadcast: where it goes besides its page, at most `most` (0: nowhere)."""

    pushes: list[PushState]
    most: int


class Tickets(Message, kw_only=True, frozen=True):
    """To who asked: the tickets of the broadcast that are good, in order of names."""

    tickets: list[Ticket]


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
