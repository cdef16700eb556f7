"""What moderators do to a meeting, and its recording."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from signaling.messages.base import Request
from signaling.values import AgendaItem, Id, Kind, Language, Layout, Role


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


class SetAgenda(Request, kw_only=True, frozen=True):
    """Moderators: what the meeting is about, in order; empty: no agenda. Kept for the next meeting."""

    items: Annotated[list[AgendaItem], Meta(max_length=50)]


class MarkAgenda(Request, kw_only=True, frozen=True):
    """Moderators: the meeting now deals with the item at `current` (from 0), which reads `item`; `conflict` where it
    reads otherwise. None: with nothing on the agenda. Each start is a chapter of the recording."""

    current: Annotated[int, Meta(ge=0, lt=50)] | None
    item: Annotated[str, Meta(max_length=120)] | None = None


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


class SetLayout(Request, kw_only=True, frozen=True):
    """Moderators: every page shows people so from now on, until whoever reads it chooses for themselves. None: as each
    page would by itself."""

    layout: Layout | None = None
