"""Time-limited TURN credentials: user name ``expiry:id``, password HMAC-SHA1 of it (coturn's ``use-auth-secret``,
draft-uberti-behave-turn-rest)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time

from signaling.protocol import IceServer
from signaling.settings import Turn


def ice_servers(turn: Turn, participant: str, now: float | None = None) -> list[IceServer]:
    """What a browser is told; empty without TURN. `now` in seconds since the epoch."""
    if not turn.urls:
        return []
    username = f"{int(time.time() if now is None else now) + turn.ttl}:{participant}"
    digest = hmac.new(turn.secret.encode(), username.encode(), hashlib.sha1).digest()
    return [IceServer(urls=list(turn.urls), username=username, credential=base64.b64encode(digest).decode())]
