"""What is done to a broadcast."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from signaling.messages.base import Request
from signaling.values import BroadcastAudience, Id


class PlanBroadcast(Request, kw_only=True, frozen=True):
    """Needs the broadcast permission: plan a broadcast out of this room, or change what is planned. `starts_at` in ms
    since 1970. `renew`: the link that was given out opens nothing any more, there is a new one. `delay`: viewers have
    everything so many seconds later than it happens, by HLS only; None leaves it, and it cannot be changed on air.
    `audience`: whom it and its replay are for; None leaves it. Who is not among them any more is sent away."""

    title: Annotated[str, Meta(min_length=1, max_length=120)]
    about: Annotated[str, Meta(max_length=2000)] = ""
    starts_at: Annotated[float, Meta(ge=0, le=4e12)] | None = None
    renew: bool = False
    delay: Annotated[int, Meta(ge=0, le=30)] | None = None
    audience: BroadcastAudience | None = None


class MakeTickets(Request, kw_only=True, frozen=True):
    """Needs the broadcast permission: a ticket for each of these people. Answered with `Tickets`."""

    names: Annotated[list[Annotated[str, Meta(min_length=1, max_length=80)]], Meta(min_length=1, max_length=200)]


class RevokeTicket(Request, kw_only=True, frozen=True):
    """Needs the broadcast permission: a ticket opens nothing any more. Answered with `Tickets`."""

    ticket: Id


class ListTickets(Request, kw_only=True, frozen=True):
    """Needs the broadcast permission: asks for `Tickets`."""


class GoLive(Request, kw_only=True, frozen=True):
    """Needs the broadcast permission: viewers see and hear the stage after so many seconds. Recording begins with it,
    where it does not run yet."""

    countdown: Annotated[int, Meta(ge=0, le=60)] = 0


class PauseBroadcast(Request, kw_only=True, frozen=True):
    """Needs the broadcast permission: viewers see a holding page, and nothing is sent or recorded, until it goes on.
    What a delayed broadcast has not sent yet is never sent, and is cut out of the replay."""

    paused: bool


class EndBroadcast(Request, kw_only=True, frozen=True):
    """Needs the broadcast permission: a countdown is called off; what is live ends, and so does its recording."""


class Spotlight(Request, kw_only=True, frozen=True):
    """Needs the broadcast permission: whom viewers see whoever speaks; None: whoever speaks."""

    participant: Id | None = None


class AnswerHand(Request, kw_only=True, frozen=True):
    """Needs the broadcast permission: invite a viewer on stage, or take their hand down, which takes an invitation
    back too."""

    hand: Id
    answer: Literal["invite", "dismiss"]


class SendBack(Request, kw_only=True, frozen=True):
    """Needs the broadcast permission: a guest goes back to the audience."""

    participant: Id


class SetHands(Request, kw_only=True, frozen=True):
    """Needs the broadcast permission: whether viewers may raise a hand."""

    open: bool


class ShowName(Request, kw_only=True, frozen=True):
    """Needs the broadcast permission: viewers see this person's name and institution over the picture for a moment."""

    participant: Id


class AddPush(Request, kw_only=True, frozen=True):
    """Needs the broadcast permission: the broadcast goes to another platform too, whose `url` is ``rtmp://`` or
    ``rtmps://``. `key` is the stream key, a secret, which nobody is told again. Told with `Pushes`."""

    url: Annotated[str, Meta(min_length=1, max_length=512)]
    key: Annotated[str, Meta(max_length=512)] = ""


class RemovePush(Request, kw_only=True, frozen=True):
    """Needs the broadcast permission: it goes there no more, and its key is forgotten. Told with `Pushes`."""

    push: Id


class ListPushes(Request, kw_only=True, frozen=True):
    """Needs the broadcast permission: asks for `Pushes`."""


class SetHolding(Request, kw_only=True, frozen=True):
    """Needs the broadcast permission: the picture of the holding page, a PNG, JPEG or WebP in base64; empty: none."""

    image: Annotated[str, Meta(max_length=245_000)]


class Oversee(Request, kw_only=True, frozen=True):
    """Needs the broadcast permission: whether I am sent an `Overview` every second, until I leave."""

    on: bool
