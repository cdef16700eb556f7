"""Time-limited TURN credentials: user name ``expiry:id``, password HMAC-SHA1 of it (coturn's ``use-auth-secret``,
draft-uberti-behave-turn-rest)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time

from signaling.protocol import IceServer
from signaling.settings import Turn


def credentials(secret: str, expiry: int, participant: str) -> tuple[str, str]:
    """User name and password that coturn accepts until `expiry`, in seconds since the epoch."""
    username = f"{expiry}:{participant}"
    digest = hmac.new(secret.encode(), username.encode(), hashlib.sha1).digest()
    return username, base64.b64encode(digest).decode()


def ice_servers(turn: Turn, participant: str, now: float | None = None, lifetime: int | None = None) -> list[IceServer]:
    """What a browser is told; empty without TURN. `now` in seconds since the epoch, `lifetime` if not the setting's."""
    if not turn.urls:
        return []
    expiry = int(time.time() if now is None else now) + (turn.ttl if lifetime is None else lifetime)
    username, password = credentials(turn.secret, expiry, participant)
    return [IceServer(urls=list(turn.urls), username=username, credential=password)]
