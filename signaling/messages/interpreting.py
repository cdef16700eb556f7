"""Interpreters' channels, and the sign-language interpreter."""

from __future__ import annotations

from signaling.messages.base import Request
from signaling.values import Id, Language


class SetInterpreter(Request, kw_only=True, frozen=True):
    """Moderators: whether somebody interprets into a language, until the meeting ends. Who may not speak cannot."""

    participant: Id
    language: Language
    interpreter: bool


class TakeChannel(Request, kw_only=True, frozen=True):
    """My microphone is this channel from now on, and not of the floor; whoever was on its air is off. None: I am off.
    Who comes off the air is muted."""

    language: Language | None = None


class SetRelay(Request, kw_only=True, frozen=True):
    """Interpreters of a channel, and moderators: what they hear instead of the floor, another channel (`listens`);
    None: the floor."""

    language: Language
    listens: Language | None = None


class HearChannel(Request, kw_only=True, frozen=True):
    """What I hear: this channel beside the floor, and its words with it; None: the floor alone. It need not be there
    yet."""

    language: Language | None = None


class SetSigning(Request, kw_only=True, frozen=True):
    """Moderators: the sign-language interpreter, whom every page shows beside whoever speaks; None: nobody."""

    participant: Id | None = None
