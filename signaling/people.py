"""Somebody in a room, as the server keeps them."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from sfu.interface import ConnectionKind, ConnectionState
from signaling import protocol
from signaling.protocol import Language, Permission, Role
from signaling.quality import Steady
from signaling.values import Answer

COLORS = 12


class Peer(Protocol):
    """A participant's socket, as a room sees it. Nothing here waits."""

    def send(self, message: protocol.Message, key: object | None = None) -> None:
        """Queues a message; with a `key` it replaces a waiting one of the same key."""

    def send_encoded(self, data: bytes, key: object | None = None) -> None:
        """The same, encoded once for everybody."""

    def connection(self, connection: ConnectionKind, state: ConnectionState) -> None:
        """What became of one of the participant's media connections."""

    def close(self, closed: protocol.Closed) -> None:
        """Says why, then ends the socket."""


@dataclass
class Participant:
    """`lost_at` (seconds, monotonic) is when the socket went; None while there is one. `report` of their browser came
    at the room time `reported`. Who does not `watch` only publishes (WHIP). `hears` is the interpreters' channel that
    they chose. A `guest` came out of the audience of a broadcast."""

    id: str
    name: str
    role: Role
    permissions: frozenset[Permission]
    jti: str
    visitor: str | None
    member: str | None
    resume: str
    peer: Peer | None
    watches: bool = True
    spoken: Language | None = None
    reads: Language | None = None
    captioned: bool = True
    named: bool = True
    captioner: bool = False
    captioning: str | None = None
    guest: bool = False
    institution: str = ""
    hears: Language | None = None
    color: int = 0
    hand: float | None = None
    lost_at: float | None = None
    tracks: dict[str, protocol.Track] = field(default_factory=dict)
    report: protocol.MediaReport | None = None
    reported: float = 0.0
    quality: Steady = field(default_factory=Steady)
    consent: Answer | None = None

    def may(self, permission: Permission) -> bool:
        """Whether they hold a permission."""
        return permission in self.permissions

    def view(self) -> protocol.Person:
        """As everyone sees them."""
        return protocol.Person(
            id=self.id,
            name=self.name,
            role=self.role,
            color=self.color,
            spoken=self.spoken,
            hand=self.hand,
            connected=self.peer is not None,
            quality=self.quality.level,
            consent=self.consent,
            captioned=self.captioned,
            named=self.named,
            captioner=self.captioner,
            captioning=self.captioning,
            guest=self.guest,
            institution=self.institution,
            tracks=list(self.tracks.values()),
        )


def outsider(known: str, name: str | None = None, language: str | None = None) -> Participant:
    """Somebody who asks or votes without being in the room: a viewer of its broadcast."""
    return Participant(
        id=known, name=name or "", role="viewer", permissions=frozenset({"ask"}), jti="", visitor=None, member=None,
        resume="", peer=None, spoken=language,
    )  # fmt: skip


def new_id() -> str:
    """A participant's id: also a token in session descriptions."""
    return "p" + secrets.token_hex(8)


def free_color(taken: Iterable[int]) -> int:
    """The least used colour, the lowest of those."""
    counts = [0] * COLORS
    for color in taken:
        counts[color % COLORS] += 1
    return counts.index(min(counts))
