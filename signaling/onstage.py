"""A viewer's way on stage over HTTP: the hand, and the grant of who was invited."""

from __future__ import annotations

import secrets
import time

import structlog

from signaling.api import Done, Granted
from signaling.call import VISITOR_COOKIE, Call
from signaling.endpoint import Body, Table
from signaling.live import refused, watching
from signaling.names import clean
from signaling.refusal import Refusal
from signaling.rights import permissions
from signaling.values import Name

table = Table()
log = structlog.get_logger("onstage")


class NewHand(Body, kw_only=True, frozen=True):
    """A hand goes up, by this `name`; or, with `raised` false, down, which declines an invitation too."""

    raised: bool
    name: Name | None = None


@table.add(
    "POST",
    "/api/live/{broadcast}/hand",
    body=NewHand,
    answer=Done,
    errors=(400, 401, 403, 404, 409, 429, 503),
    access="broadcast",
    tag="live",
)
async def raise_hand(call: Call, body: NewHand) -> Done:
    """Ask to come on stage, where hands are taken. How it stands is told by the event ``stage``."""
    on_air, viewer = await watching(call, acting=True)
    call.throttle(call.services.throttles.questions)
    call.throttle(call.services.throttles.question, f"hand {viewer}")
    try:
        if body.raised:
            on_air.hands.lift(viewer, clean(body.name or ""))
        else:
            on_air.hands.lower(viewer)
    except Refusal as error:
        raise refused(error) from None
    return Done()


@table.add(
    "POST",
    "/api/live/{broadcast}/stage",
    answer=Granted,
    errors=(401, 403, 404, 409, 429),
    access="broadcast",
    tag="live",
)
async def come_on_stage(call: Call) -> Granted:
    """The grant of a viewer whom those on stage invited: it opens the room once, while the invitation stands."""
    on_air, viewer = await watching(call, acting=True)
    call.throttle(call.services.throttles.question, f"hand {viewer}")
    try:
        hand = on_air.hands.come(viewer)
    except Refusal as error:
        raise refused(error) from None
    room, title = on_air.place
    if call.visitor() is None:  # by which whoever is removed stays out
        call.set_cookie(VISITOR_COOKIE, secrets.token_urlsafe(16), age=365 * 86400)
    grants = call.services.grants
    grant = grants.mint(
        room, "participant", time.time(), name=hand.name, visitor=call.visitor(), jti=hand.jti, guest=True
    )
    log.info("invited on stage", room=room, broadcast=call.arg("broadcast"))
    return Granted(
        room=room,
        title=title,
        role="participant",
        permissions=sorted(permissions("participant")),
        grant=grant,
        expires_in=grants.lifetime,
    )
