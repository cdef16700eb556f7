"""The aiohttp application: routes, security headers, JSON errors. One page for every client-side route."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from functools import cache

import msgspec
import structlog
from aiohttp import web

from recorder.sealing.blocks import SealBroken
from recorder.storage.bucket import StorageAway
from signaling.administration import table as administration_table
from signaling.agendas import table as agendas_table
from signaling.api import table as api_table
from signaling.asked import table as asked_table
from signaling.calendar import table as calendar_table
from signaling.call import Call, Services
from signaling.cards import table as cards_table
from signaling.cards import tags
from signaling.check import install as install_checks
from signaling.check import table as check_table
from signaling.consents import table as consents_table
from signaling.editing import table as editing_table
from signaling.endpoint import ApiError, Endpoint, read_body
from signaling.glossaries import table as glossary_table
from signaling.grid import table as grid_table
from signaling.imports import table as imports_table
from signaling.live import table as live_table
from signaling.loopback import Checks
from signaling.membership import table as membership_table
from signaling.metrics import Metrics
from signaling.onstage import table as onstage_table
from signaling.openapi import document
from signaling.participation import table as participation_table
from signaling.problems import problem
from signaling.reading import table as reading_table
from signaling.replay import table as replay_table
from signaling.shares import ancestors, check_sites
from signaling.shares import table as shares_table
from signaling.shell import Shell
from signaling.socket import Sockets
from signaling.thumbnails import table as thumbnails_table
from signaling.transcripts import table as transcripts_table
from signaling.whep import WhepSessions
from signaling.whep import install as install_whep
from signaling.whep import table as whep_table
from signaling.whip import CORS, METHODS, METHODS_OF_SESSION, WhipSessions
from signaling.whip import install as install_whip
from signaling.whip import table as whip_table
from signaling.wordings import table as wordings_table

log = structlog.get_logger("http")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PAGES = (
    "/",
    "/j/{code}",
    "/r/{room}",
    "/setup/{code}",
    "/invitation",
    "/login",
    "/admin",
    "/replay/{id}/edit",
    "/help/api",
    "/check",
    "/live/{id}",
)

FRAME = web.RequestKey("frame", str)
"""On a request: who may frame its answer."""

ENDPOINTS = [
    *api_table.endpoints,
    *agendas_table.endpoints,
    *replay_table.endpoints,
    *grid_table.endpoints,
    *thumbnails_table.endpoints,
    *editing_table.endpoints,
    *reading_table.endpoints,
    *consents_table.endpoints,
    *wordings_table.endpoints,
    *imports_table.endpoints,
    *cards_table.endpoints,
    *shares_table.endpoints,
    *administration_table.endpoints,
    *live_table.endpoints,
    *calendar_table.endpoints,
    *onstage_table.endpoints,
]
ENDPOINTS += check_table.endpoints
ENDPOINTS += participation_table.endpoints
ENDPOINTS += whip_table.endpoints
ENDPOINTS += whep_table.endpoints
ENDPOINTS += [
    *asked_table.endpoints,
    *membership_table.endpoints,
    *glossary_table.endpoints,
    *transcripts_table.endpoints,
]


@cache
def openapi() -> bytes:
    """`/api/openapi.json`."""
    return msgspec.json.encode(document(ENDPOINTS))


def security_headers(host: str, frame: str | None = None, bucket: str = "") -> dict[str, str]:
    """On every answer. `host` is the Host header, already known to be ours; `frame` says who may frame the page (None:
    nobody); `bucket` is the origin that media may come from too."""
    policy = {
        "default-src": "'self'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data: blob:",
        "media-src": f"'self' blob: {bucket}".strip(),
        "worker-src": "'self' blob:",
        "connect-src": f"'self' ws://{host} wss://{host} {bucket}".strip(),
        "font-src": "'self'",
        "object-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": frame or "'none'",
    }
    headers = {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Server": "Consilium",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Permissions-Policy": "camera=(self), microphone=(self), display-capture=(self), geolocation=(), payment=()",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if frame is not None:
        del headers["X-Frame-Options"]  # it knows no lists; browsers that know neither are gone
    return headers


def make_app(services: Services, shell: Shell, metrics: Metrics, sockets: Sockets, checks: Checks) -> web.Application:
    """Everything under one roof."""
    settings = services.settings
    bucket = services.library.shelf.origin

    async def guard(request: web.Request) -> web.StreamResponse | None:
        """What is refused before anything else looks at it."""
        if request.path != "/healthz" and not services.origins.known_host(request.host):
            return problem(request.path, 421, "host", "this server is not known by this name: set public_url")
        if request.path.startswith("/whip/"):
            return None  # a bearer token counts there and no cookie: RFC 9725 wants it open to pages of other sites
        cross = not services.origins.same_origin(request.headers.get("Origin"), request.host)
        if cross and (request.method not in ("GET", "HEAD") or request.path.startswith("/ws/")):
            return problem(request.path, 403, "origin", "requests from other sites are refused")
        return None

    @web.middleware
    async def outermost(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = await guard(request) or await handler(request)
        except ApiError as error:
            metrics.http_refused.labels(error.code).inc()
            log.info("refused", status=error.status, code=error.code, route=_route(request))
            response = problem(request.path, error.status, error.code, error.message, error.headers)
        except (StorageAway, SealBroken) as error:
            metrics.http_refused.labels("unavailable").inc()
            log.warning("a recording cannot be read", route=_route(request), error=str(error))
            response = problem(request.path, 503, "unavailable", str(error))
        except web.HTTPException as error:
            metrics.http_refused.labels(str(error.status)).inc()
            reason = error.reason or ""
            response = problem(request.path, error.status, reason.lower().replace(" ", "-"), reason)
            if "Allow" in error.headers:
                response.headers["Allow"] = error.headers["Allow"]
        except Exception:
            log.exception("a request failed", route=_route(request))
            response = problem(request.path, 500, "internal", "this is our fault; it is in the server's log")
        if not response.prepared:
            host = request.host if services.origins.known_host(request.host) else "localhost"
            response.headers.update(security_headers(host, request.get(FRAME), bucket))
            if request.path.startswith("/whip/"):
                response.headers.update(CORS)
            if request.path.startswith("/api/"):
                response.headers.setdefault("Cache-Control", "no-store")
        return response

    def endpoint(found: Endpoint) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            call = Call(request, services)
            if found.body is not None:
                body = await read_body(request, found.body, settings.limits.body_bytes)
                result = await found.handler(call, body)
            else:
                result = await found.handler(call)
            if isinstance(result, web.StreamResponse):
                response = result
            else:
                body = msgspec.json.encode(result)
                response = web.Response(body=body, content_type="application/json", status=found.status)
            call.finish(response)
            return response

        return handle

    async def page(request: web.Request) -> web.StreamResponse:
        return shell.page(request)

    async def embed(request: web.Request) -> web.StreamResponse:
        request[FRAME] = await ancestors(Call(request, services))
        return shell.page(request)

    async def embed_live(request: web.Request) -> web.StreamResponse:
        request[FRAME] = " ".join(check_sites(settings.broadcast.sites)) or "'none'"
        return shell.page(request)

    async def replay(request: web.Request) -> web.StreamResponse:
        return shell.page(request, await tags(Call(request, services), request.match_info["id"]))

    async def static(request: web.Request) -> web.StreamResponse:
        if request.path.startswith("/whip/"):  # RFC 9725 keeps GET and HEAD for later
            session = request.path.count("/") > 2
            raise web.HTTPMethodNotAllowed(request.method, METHODS_OF_SESSION if session else METHODS)
        response = shell.file(request, request.match_info["name"])
        if response is None:
            raise web.HTTPNotFound
        return response

    async def socket(request: web.Request) -> web.StreamResponse:
        call = Call(request, services)
        return await sockets.serve(request, request.match_info["room"], call.address, call.visitor())

    async def read_metrics(request: web.Request) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        token = settings.metrics.token
        by_token = bool(token) and hmac.compare_digest(given.encode(), token.encode())
        if not settings.metrics.enabled:
            raise web.HTTPNotFound
        if not by_token and not services.origins.is_direct_loopback(request.remote, request.headers):
            raise ApiError(403, "not-allowed", "only from this machine, or with the token of the settings")
        return web.Response(body=metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    app = web.Application(middlewares=[outermost], client_max_size=settings.limits.body_bytes)
    install_checks(app, checks)
    install_whip(app, WhipSessions(services.hub))
    install_whep(app, WhepSessions(services.settings.broadcast.realtime_viewers))
    for found in ENDPOINTS:
        app.router.add_route(found.method, found.path, endpoint(found))
    for path in PAGES:
        app.router.add_get(path, page)
    check_sites(settings.broadcast.sites)
    app.router.add_get("/embed/{share}", embed)
    app.router.add_get("/embed/live/{id}", embed_live)
    app.router.add_get("/replay/{id}", replay)
    app.router.add_get("/ws/{room}", socket)
    app.router.add_get("/metrics", read_metrics)
    app.router.add_get("/{name:.+}", static)
    return app


def _route(request: web.Request) -> str:
    """The route's pattern: paths carry codes, which stay out of the log."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unknown"
