"""What all messages have in common."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


def _tag(name: str) -> str:
    """``SubscribeOffer`` becomes ``subscribe-offer``."""
    return "".join(f"-{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))


class Message(msgspec.Struct, rename="camel", kw_only=True, frozen=True, tag_field="type", tag=_tag):
    """Base of all messages."""


class Request(Message, kw_only=True, frozen=True):
    """Base of client messages."""

    id: Annotated[int, Meta(ge=0, le=2**53)] | None = None
