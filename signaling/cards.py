"""What other sites may show of a recording's link: Open Graph tags in its page, and oEmbed.

Only of what is public, or of a link whose whole code was given: a title tells who met about what, so of everything
else not even its existence is told. A picture is there of what is public only.
"""

from __future__ import annotations

from html import escape
from urllib.parse import parse_qs, quote, urlsplit

import msgspec
from aiohttp import web

from community.models import RecordingRow, Share
from recorder.thumbnails import POSTER
from signaling.call import Call
from signaling.endpoint import ApiError, Table
from signaling.passes import VIEWERS_OF, Pass, passage_of, share_code, share_of
from signaling.thumbnails import has_poster, poster

table = Table()

WIDTH, HEIGHT = 800, 520
MOST_URL = 2000


class Card(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=False):
    """oEmbed 1.0, type ``video`` where it may be embedded, else ``link``."""

    type: str
    version: str = "1.0"
    title: str
    provider_name: str = "Consilium"
    provider_url: str
    cache_age: int = 3600
    html: str | None = None
    width: int | None = None
    height: int | None = None
    thumbnail_url: str | None = None
    thumbnail_width: int | None = None
    thumbnail_height: int | None = None


def _origin(call: Call) -> str:
    return call.services.settings.public_url.rstrip("/") or f"{call.request.scheme}://{call.request.host}"


async def _public(call: Call, recording: str) -> tuple[RecordingRow, Share] | None:
    """A recording that everybody may open, without a password."""
    store = call.services.store
    share = await store.shares.public(recording)
    row = await store.recordings.get(recording) if share is not None and share.password_hash is None else None
    return (row, share) if row is not None and share is not None and row.state == "ready" else None


def _way(row: RecordingRow, share: Share) -> Pass:
    return Pass(row, f"share:{share.id}", passage_of(share), chat=False)


async def _picture(call: Call, row: RecordingRow) -> str | None:
    """The address of a public recording's picture; None of any other, and where there is none."""
    found = await _public(call, row.id)
    if found is None or not await has_poster(call, _way(*found)):
        return None
    return f"{_origin(call)}/api/recordings/{quote(row.id)}/card.jpg"


async def tags(call: Call, recording: str) -> str:
    """For the head of a public recording's page; nothing for any other."""
    found = await _public(call, recording)
    if found is None:
        return ""
    row, _ = found
    address = f"{_origin(call)}/replay/{quote(recording)}"
    told = {
        "og:type": "video.other",
        "og:site_name": "Consilium",
        "og:title": row.title,
        "og:description": row.purpose or f"{row.started_at:%Y-%m-%d}",
        "og:url": address,
        "video:release_date": row.started_at.isoformat(),
    }
    if picture := await _picture(call, row):
        told |= {"og:image": picture, "og:image:width": str(POSTER[0]), "og:image:height": str(POSTER[1])}
    head = "".join(f'<meta property="{name}" content="{escape(value)}">' for name, value in told.items())
    endpoint = f"{_origin(call)}/api/oembed?url={quote(address, safe='')}"
    return head + f'<link rel="alternate" type="application/json+oembed" href="{escape(endpoint)}">'


async def _shared(call: Call, address: str) -> tuple[RecordingRow, Share]:
    """What the address opens. Raises ApiError, the same for all that it does not."""
    missing = ApiError(404, "not-found", "there is nothing to show of this address")
    try:
        parts = urlsplit(address[:MOST_URL])
    except ValueError:
        raise missing from None
    if f"{parts.scheme}://{parts.netloc}" != _origin(call):
        raise missing
    kind, _, name = parts.path.strip("/").partition("/")
    store = call.services.store
    code = parse_qs(parts.fragment).get("k", [""])[0]
    share: Share | None = None
    if code:
        known = share_of(call.services.secret, code)
        share = await store.shares.get(known) if known else None
        if share is not None and name not in (share.recording_id if kind == "replay" else share.id,):
            share = None
        if share is not None and (
            share.audience not in ("link", "public", VIEWERS_OF["link"]) or share.password_hash is not None
        ):
            share = None
    elif kind == "replay" and (found := await _public(call, name)):
        return found
    row = await store.recordings.get(share.recording_id) if share is not None else None
    if share is None or row is None:
        raise missing
    return row, share


@table.add("GET", "/api/oembed", answer=Card, errors=(404, 409, 429), tag="sharing")
async def oembed(call: Call) -> Card:
    """The card of a shared recording (https://oembed.com): `?url=` is its link, `#k=` included where it has one."""
    call.throttle(call.services.throttles.link)
    if call.request.query.get("format", "json") != "json":
        raise ApiError(409, "format", "only JSON")
    row, share = await _shared(call, call.request.query.get("url", ""))
    origin = _origin(call)
    picture = await _picture(call, row)
    width, height = POSTER if picture else (None, None)
    shown = Card(
        type="link",
        title=row.title,
        provider_url=origin,
        thumbnail_url=picture,
        thumbnail_width=width,
        thumbnail_height=height,
    )
    if not share.sites:
        return shown
    source = f"{origin}/embed/{share.id}#k={share_code(call.services.secret, share.id)}"
    return msgspec.structs.replace(
        shown,
        type="video",
        width=WIDTH,
        height=HEIGHT,
        html=f'<iframe src="{escape(source)}" width="{WIDTH}" height="{HEIGHT}" title="{escape(row.title)}" '
        'allow="fullscreen; picture-in-picture" style="border:0"></iframe>',
    )


@table.add("GET", "/api/recordings/{recording}/card.jpg", media="image/jpeg", errors=(404, 429, 503), tag="sharing")
async def card_picture(call: Call) -> web.Response:
    """A picture of a public recording, for the cards of other sites; 404 for every other."""
    call.throttle(call.services.throttles.link)
    found = await _public(call, call.arg("recording"))
    if found is None:
        raise ApiError(404, "not-found", "there is nothing to show of this address")
    data = await poster(call, _way(*found))
    return web.Response(body=data, headers={"Content-Type": "image/jpeg", "Cache-Control": "public, max-age=3600"})
