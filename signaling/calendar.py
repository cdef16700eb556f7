"""A broadcast as an entry for calendars (RFC 5545, written by icalendar)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from aiohttp import web
from icalendar import Calendar, Event

from signaling import admission
from signaling.broadcast import ticket_code
from signaling.call import Call
from signaling.endpoint import ApiError, Table
from signaling.live import viewed

table = Table()

LENGTH = timedelta(hours=1)
"""Nobody says how long a broadcast will be; calendars want to know."""


@table.add(
    "GET",
    "/api/live/{broadcast}/calendar.ics",
    media="text/calendar",
    errors=(401, 403, 404, 409),
    access="broadcast",
    tag="live",
)
async def get_calendar(call: Call) -> web.Response:
    """What is planned, as an entry for calendars, with the asker's own link. Taken again after the time was moved, it
    replaces the one before."""
    row, viewer = await viewed(call)
    if row.starts_at is None or row.state != "scheduled":
        raise ApiError(404, "not-found", "nothing is planned for a time to come")
    secret, ticket = call.services.secret, admission.held(viewer)
    code = admission.personal_code(secret, ticket) if ticket else ticket_code(secret, row.id, row.ticket)
    origin = call.services.settings.public_url.rstrip("/") or f"{call.request.scheme}://{call.request.host}"
    now, link = datetime.now(UTC), f"{origin}/live/{row.id}#k={code}"
    event = Event()
    event.add("uid", f"{row.id}@{call.request.host.partition(':')[0]}")
    event.add("sequence", max(0, int((now - row.created_at).total_seconds())))  # grows with every change
    event.add("dtstamp", now)
    event.add("dtstart", row.starts_at.astimezone(UTC))
    event.add("duration", LENGTH)
    event.add("summary", row.title)
    event.add("description", "\n\n".join(filter(None, (row.about, link))))
    event.add("url", link)
    calendar = Calendar()
    calendar.add("prodid", "-//Consilium//Broadcasts//EN")
    calendar.add("version", "2.0")
    calendar.add_component(event)
    headers = {"Content-Disposition": 'attachment; filename="broadcast.ics"', "Cache-Control": "private, no-store"}
    return web.Response(body=calendar.to_ical(), content_type="text/calendar", charset="utf-8", headers=headers)
