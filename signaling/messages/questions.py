"""Questions: asked, voted for, settled."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from signaling.messages.base import Request
from signaling.values import Id, Reaction


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


class MakePoll(Request, kw_only=True, frozen=True):
    """Moderators: a new poll, which is theirs to see until it opens. `key` makes a retry harmless. With `several` more
    than one choice may be taken, with `live` everybody sees the counts while it is open."""

    key: Id
    text: Annotated[str, Meta(min_length=1, max_length=500)]
    choices: Annotated[list[Annotated[str, Meta(min_length=1, max_length=200)]], Meta(min_length=2, max_length=10)]
    several: bool = False
    live: bool = True


class SettlePoll(Request, kw_only=True, frozen=True):
    """Moderators: open it, close it, or take it away with all its ballots."""

    poll: Id
    state: Literal["open", "closed", "gone"]


class Ballot(Request, kw_only=True, frozen=True):
    """What one chooses, by number, instead of what one chose before; nothing: no ballot any more."""

    poll: Id
    choices: Annotated[list[Annotated[int, Meta(ge=0, le=9)]], Meta(max_length=10)]


class React(Request, kw_only=True, frozen=True):
    """A sign that everybody sees for a moment, counted with those of others."""

    reaction: Reaction
