"""The demo room and its links. The codes are made from the server's secret, so they stay the same over restarts."""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode

from community.store import Store
from signaling.protocol import Role

ROOM = "demo"
ROLES: dict[str, Role] = {"host": "host", "guest": "participant", "viewer": "viewer"}


def code(secret: str, purpose: str) -> str:
    """128 bits that nobody without the secret can guess."""
    digest = hmac.new(secret.encode(), f"link:{purpose}".encode(), hashlib.sha256).digest()
    return urlsafe_b64encode(digest[:16]).decode().rstrip("=")


async def open_demo(store: Store, secret: str) -> dict[str, str]:
    """Makes the room and its links where they are missing; returns the codes by name."""
    if await store.rooms.get(ROOM) is None:
        await store.rooms.create(ROOM, "Demo")
    codes = {}
    for name, role in ROLES.items():
        codes[name] = code(secret, f"demo-{name}")
        if await store.links.open(codes[name]) is None:
            await store.links.create(role=role, room=ROOM, code=codes[name])
    return codes
