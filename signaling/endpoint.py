"""Typed HTTP endpoints: the table that the routes and `/api/openapi.json` are both made from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
from aiohttp import web

Access = Literal["anyone", "member", "administrator", "link", "recording", "broadcast"]


class Body(msgspec.Struct, rename="camel", kw_only=True, frozen=True):
    """Base of what requests and answers carry."""


class ApiError(Exception):
    """Answered as JSON (`signaling.problems`), with these headers too."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers


class Problem(Body, kw_only=True, frozen=True):
    """What a failed request is answered with. `code` is stable, `message` is for developers."""

    code: str
    message: str


class ProblemDetails(Body, kw_only=True, frozen=True):
    """What a failed request of WHIP or WHEP is answered with (RFC 9457). `code` is stable, `detail` is for developers.

    `type` says that `title` is the status in words and nothing more.
    """

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str


@dataclass(frozen=True)
class Endpoint:
    """One operation. `answer` None means that it answers something other than JSON (`media`), or nothing (``none``)."""

    method: str
    path: str
    handler: Callable[..., Awaitable[Any]]
    body: type[msgspec.Struct] | None
    answer: Any
    status: int
    errors: tuple[int, ...]
    access: Access
    media: str
    tag: str

    @property
    def details(self) -> bool:
        """Whether its errors are problem details."""
        return self.tag in ("whip", "whep")


@dataclass
class Table:
    """Endpoints in the order they were written."""

    endpoints: list[Endpoint] = field(default_factory=list)

    def add(
        self,
        method: str,
        path: str,
        *,
        body: type[msgspec.Struct] | None = None,
        answer: Any = None,
        status: int = 200,
        errors: tuple[int, ...] = (),
        access: Access = "anyone",
        media: str = "application/json",
        tag: str,
    ) -> Callable[[Callable[..., Awaitable[Any]]], Callable[..., Awaitable[Any]]]:
        """Decorator of a handler ``(call, body?)``."""

        def keep(handler: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
            self.endpoints.append(Endpoint(method, path, handler, body, answer, status, errors, access, media, tag))
            return handler

        return keep


async def read_body(request: web.Request, kind: type[msgspec.Struct], limit: int) -> Any:
    """The request's JSON as a struct; raises ApiError."""
    if request.content_type != "application/json":
        raise ApiError(415, "not-json", "send Content-Type: application/json")
    if request.content_length is not None and request.content_length > limit:
        raise ApiError(413, "too-large", f"at most {limit} bytes")
    try:
        data = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise ApiError(413, "too-large", f"at most {limit} bytes") from None
    try:
        return msgspec.json.decode(data or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ApiError(400, "malformed", str(error)[:200]) from None
