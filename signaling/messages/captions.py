"""Captions put right, and typed by people."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from signaling.messages.base import Request
from signaling.values import Id, Language, Revision


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
