"""How a request is refused: a stable code for the sender, and nobody else notices."""

from __future__ import annotations

from typing import Literal

from signaling.protocol import Closed

Code = Literal[
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


class Refusal(Exception):
    """Answered with `protocol.Error`; the socket stays."""

    def __init__(self, code: Code, message: str, about: str | None = None) -> None:
        super().__init__(message)
        self.code: Code = code
        self.message = message
        self.about = about


class Turned(Exception):
    """Answered with `protocol.Closed`; the socket ends. `log` is a reason for the operator only."""

    def __init__(self, closed: Closed, log: str) -> None:
        super().__init__(closed.message)
        self.closed = closed
        self.log = log
