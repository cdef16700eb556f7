"""What other sites may show of a recording's link: Open Graph tags in its page, and oEmbed.

Only of what is public, or of a link whose whole code was given: a title tells who met about what, so of everything
else not even its existence is told.
"""

from __future__ import annotations

from html import escape
from urllib.parse import parse_qs, quote, urlsplit

import msgspec

from community.models import RecordingRow, Share
from signaling.call import Call
from signaling.endpoint import ApiError, Table
from signaling.passes import share_code, share_of

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


def _origin(call: Call) -> str:
    return call.services.settings.public_url.rstrip("/") or f"{call.request.scheme}://{call.request.host}"


async def _public(call: Call, recording: str) -> tuple[RecordingRow, Share] | None:
    """A recording that everybody may open, without a password."""
    store = call.services.store
    share = await store.shares.public(recording)
    row = await store.recordings.get(recording) if share is not None and share.password_hash is None else None
    return (row, share) if row is not None and share is not None and row.state == "ready" else None


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
        if share is not None and (share.audience == "members" or share.password_hash is not None):
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
    if not share.sites:
        return Card(type="link", title=row.title, provider_url=origin)
    source = f"{origin}/embed/{share.id}#k={share_code(call.services.secret, share.id)}"
    return Card(
        type="video",
        title=row.title,
        provider_url=origin,
        width=WIDTH,
        height=HEIGHT,
        html=f'<iframe src="{escape(source)}" width="{WIDTH}" height="{HEIGHT}" title="{escape(row.title)}" '
        'allow="fullscreen; picture-in-picture" style="border:0"></iframe>',
    )
