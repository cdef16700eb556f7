"""What failed requests are answered with: JSON; for WHIP and WHEP problem details (RFC 9457), which RFC 9725 wants."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from aiohttp import web

from signaling.endpoint import ProblemDetails

MEDIA = "application/problem+json"
_RTC = re.compile(r"/whip/|/api/live/[^/]+/whep(/|$)")


def problem(path: str, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """The answer to a request for `path` that failed."""
    if _RTC.match(path) is None:
        return web.json_response({"code": code, "message": message}, status=status, headers=headers)
    details = ProblemDetails(title=HTTPStatus(status).phrase, status=status, detail=message, code=code)
    return web.Response(status=status, body=msgspec.json.encode(details), content_type=MEDIA, headers=headers)
