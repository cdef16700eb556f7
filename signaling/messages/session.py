"""What a page sends for itself: its media, its languages, its hand, what it writes."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from signaling.messages.base import Request
from signaling.values import Id, Institution, Language, Name, Revision, Sdp, Share, Tile, TrackLabel


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
    institution: Institution = ""


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


class SetInstitution(Request, kw_only=True, frozen=True):
    """Where somebody comes from, as it stands beneath their name: one's own, or as a moderator gives it."""

    participant: Id
    institution: Institution


class SendChat(Request, kw_only=True, frozen=True):
    """`key` makes a retry harmless: a line with a key seen before is acknowledged again and not repeated."""

    key: Id
    text: Annotated[str, Meta(min_length=1, max_length=4000)]
    to: Id | None = None


class RaiseHand(Request, kw_only=True, frozen=True):
    """Raise or lower one's own hand."""

    raised: bool


class Ping(Request, kw_only=True, frozen=True):
    """Heartbeat, every ten seconds; `sent` comes back in Pong."""

    sent: float


class Leave(Request, kw_only=True, frozen=True):
    """A clean goodbye: nobody waits for a resume."""
