"""`/api/openapi.json` (OpenAPI 3.1), made from the endpoint table."""

from __future__ import annotations

import inspect
import re
from typing import Any

import msgspec

from signaling import __version__
from signaling.endpoint import Access, Endpoint, Problem, ProblemDetails
from signaling.problems import MEDIA

SECURITY: dict[Access, list[dict[str, list[str]]]] = {
    "anyone": [],
    "link": [],
    "member": [{"session": []}],
    "administrator": [{"session": []}],
    "recording": [{"session": []}, {"replay": []}],
    "broadcast": [{"live": []}],
}
REASONS = {
    400: "The request is malformed.",
    401: "Nobody is logged in.",
    403: "Not allowed.",
    404: "There is no such thing, or you may not know of it.",
    409: "Not now.",
    412: "It has changed meanwhile.",
    413: "Too large.",
    415: "Not the content type that is wanted here.",
    422: "Understood, but nothing of it can be done.",
    416: "No such range.",
    428: "Say which one you mean.",
    429: "Too many requests; try again later.",
    503: "Not available now.",
}


def document(endpoints: list[Endpoint]) -> dict[str, Any]:
    """The whole document."""
    kinds = [kind for e in endpoints for kind in (e.body, e.answer) if kind is not None] + [Problem, ProblemDetails]
    schemas, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    by_kind = {repr(kind): schema for kind, schema in zip(kinds, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, by_kind)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Consilium",
            "version": __version__,
            "description": "The HTTP half of the server; the WebSocket half is in docs/protocol.md.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": "consilium_session"},
                "replay": {"type": "apiKey", "in": "cookie", "name": "consilium_replay"},
                "live": {"type": "apiKey", "in": "cookie", "name": "consilium_live"},
            },
        },
    }


def _operation(endpoint: Endpoint, by_kind: dict[str, Any]) -> dict[str, Any]:
    text = inspect.cleandoc(endpoint.handler.__doc__ or "")
    summary, _, description = text.partition("\n")
    answer: dict[str, Any] = {"description": "Done."}
    if endpoint.answer is not None:
        answer["content"] = {endpoint.media: {"schema": by_kind[repr(endpoint.answer)]}}
    elif endpoint.media not in ("application/json", "none"):
        answer["content"] = {endpoint.media: {}}
    problem = {"application/json": {"schema": by_kind[repr(Problem)]}}
    if endpoint.details:
        problem = {MEDIA: {"schema": by_kind[repr(ProblemDetails)]}}
    errors = sorted({*endpoint.errors, *((400, 413, 415) if endpoint.body else ())})
    operation: dict[str, Any] = {
        "operationId": endpoint.handler.__name__,
        "tags": [endpoint.tag],
        "summary": summary.rstrip("."),
        "responses": {
            str(endpoint.status): answer,
            **{str(status): {"description": REASONS[status], "content": problem} for status in errors},
        },
    }
    if description.strip():
        operation["description"] = " ".join(description.split())
    if names := re.findall(r"\{(\w+)\}", endpoint.path):
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
        ]
    if endpoint.body is not None:
        content = {"application/json": {"schema": by_kind[repr(endpoint.body)]}}
        operation["requestBody"] = {"required": True, "content": content}
    if SECURITY[endpoint.access]:
        operation["security"] = SECURITY[endpoint.access]
    return operation
