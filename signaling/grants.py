"""Grants: short-lived JWTs that say which room somebody may join, and as what. RFC 7519, HS256 only."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jwt

from signaling.protocol import Permission, Role
from signaling.rights import OF_ROLE

AUDIENCE = "consilium"
REPLAY_AUDIENCE = "consilium-replay"
LIVE_AUDIENCE = "consilium-live"
Reason = Literal["expired", "not-yet", "wrong-room", "wrong-signature", "wrong-audience", "malformed"]


class GrantRefused(Exception):
    """Not a good grant. `reason` is for the log; the bearer is told only that it does not open this room."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


@dataclass(frozen=True)
class Grant:
    """What a good grant says. `visitor` is the hash of the browser's cookie, so that a removed person stays out."""

    room: str
    role: Role
    permissions: frozenset[Permission]
    name: str | None
    jti: str
    visitor: str | None
    member: str | None
    guest: bool = False
    """Out of the audience of a broadcast: good only while the invitation stands (`signaling.hands`)."""


def load_secret(data: Path, setting: str) -> str:
    """The signing secret: the setting, or one made once and kept in the data folder for its owner only."""
    if setting:
        return setting
    path = data / "secret"
    try:
        return path.read_text("ascii").strip()
    except FileNotFoundError:
        pass
    data.mkdir(parents=True, exist_ok=True)
    made = secrets.token_urlsafe(48)
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(made + "\n", "ascii")
    return made


class Grants:
    """Mints and checks grants with one secret. Times are seconds since the epoch, given by the caller."""

    def __init__(self, secret: str, lifetime: int = 600) -> None:
        self._secret = secret
        self.lifetime = lifetime

    def mint(
        self,
        room: str,
        role: Role,
        now: float,
        *,
        name: str | None = None,
        lifetime: int | None = None,
        visitor: str | None = None,
        member: str | None = None,
        jti: str | None = None,
        guest: bool = False,
    ) -> str:
        """A grant for a room in a role; `lifetime` in seconds is the time to join, not the time to stay."""
        claims: dict[str, Any] = {
            "aud": AUDIENCE,
            "iat": int(now),
            "exp": int(now) + (lifetime if lifetime is not None else self.lifetime),
            "jti": jti or secrets.token_urlsafe(12),
            "room": room,
            "role": role,
            "permissions": sorted(OF_ROLE[role]),
        }
        claims |= {
            key: value for key, value in (("name", name), ("vis", visitor), ("mem", member), ("gst", guest)) if value
        }
        return jwt.encode(claims, self._secret, algorithm="HS256")

    def _claims(self, token: str, now: float, audience: str) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._secret,
                algorithms=["HS256"],
                audience=audience,
                options={
                    "require": ["exp", "iat", "aud"],
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except jwt.InvalidSignatureError:
            raise GrantRefused("wrong-signature") from None
        except jwt.InvalidAudienceError:
            raise GrantRefused("wrong-audience") from None
        except (jwt.PyJWTError, ValueError):
            raise GrantRefused("malformed") from None
        if not all(isinstance(claims.get(key), int) for key in ("exp", "iat")):
            raise GrantRefused("malformed")
        if claims["exp"] <= now:
            raise GrantRefused("expired")
        if claims["iat"] > now + 60:
            raise GrantRefused("not-yet")
        return claims

    def check(self, token: str, room: str, now: float) -> Grant:
        """The grant, if it is good for this room now; GrantRefused otherwise."""
        claims = self._claims(token, now, AUDIENCE)
        role, jti, name = claims.get("role"), claims.get("jti"), claims.get("name")
        if role not in OF_ROLE or not isinstance(jti, str) or not isinstance(claims.get("permissions"), list):
            raise GrantRefused("malformed")
        if claims.get("room") != room:
            raise GrantRefused("wrong-room")
        held = frozenset(p for p in claims["permissions"] if p in OF_ROLE[role])
        return Grant(
            room=room,
            role=role,
            permissions=held,
            name=name if isinstance(name, str) and name else None,
            jti=jti,
            visitor=claims.get("vis"),
            member=claims.get("mem"),
            guest=bool(claims.get("gst")),
        )

    def mint_replay(self, recording: str, link: str, now: float, lifetime: int = 12 * 3600) -> str:
        """The content of the cookie that opens one recording's media; `link` is the hash of the link it came by."""
        claims = {"aud": REPLAY_AUDIENCE, "iat": int(now), "exp": int(now) + lifetime, "rec": recording, "lnk": link}
        return jwt.encode(claims, self._secret, algorithm="HS256")

    def check_replay(self, token: str, recording: str, now: float) -> str:
        """The link's hash, if the cookie opens this recording; GrantRefused otherwise."""
        claims = self._claims(token, now, REPLAY_AUDIENCE)
        if claims.get("rec") != recording:
            raise GrantRefused("wrong-room")
        if not isinstance(claims.get("lnk"), str):
            raise GrantRefused("malformed")
        return str(claims["lnk"])

    def mint_live(self, broadcast: str, ticket: int, viewer: str, now: float, lifetime: int = 24 * 3600) -> str:
        """The content of the cookie that opens one broadcast for somebody who has its link of number `ticket`."""
        claims = {"aud": LIVE_AUDIENCE, "iat": int(now), "exp": int(now) + lifetime, "bro": broadcast, "tic": ticket,
                  "sub": viewer}  # fmt: skip
        return jwt.encode(claims, self._secret, algorithm="HS256")

    def check_live(self, token: str, broadcast: str, now: float) -> tuple[int, str]:
        """The number of the link and the viewer, if the cookie opens this broadcast; GrantRefused otherwise."""
        claims = self._claims(token, now, LIVE_AUDIENCE)
        if claims.get("bro") != broadcast:
            raise GrantRefused("wrong-room")
        if not isinstance(claims.get("tic"), int) or not isinstance(claims.get("sub"), str):
            raise GrantRefused("malformed")
        return int(claims["tic"]), str(claims["sub"])
