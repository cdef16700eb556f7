"""Connection checks: short-lived rooms in which a browser hears its own sound come back through the real media plane.

One `Check` may try each of its paths (UDP, TCP, each TURN address); a path is a room of two participants, both the
same browser: `up` publishes a tone, `down` subscribes to it. Everything is bounded: checks at once, in all and by
address, their length, the bytes of the bandwidth measurement.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from sfu.interface import ConnectionKind, ConnectionState, Offer, RoomEvents, TrackLabel
from sfu.room import SfuRoom
from sfu.taps import TrackInfo
from signaling.protocol import IceServer
from signaling.settings import Turn
from signaling.turn import ice_servers

SECONDS = 90.0
"""How long a check lives."""
AT_ONCE, AT_ONCE_PER_ADDRESS = 32, 3
TRANSFERS_AT_ONCE = 4
BYTES = 16 << 20
"""What one check may move in each direction to measure bandwidth."""
RELAYS = 6
"""TURN addresses that are tried; more are not worth a person's time."""
OFFER_WITHIN = 3.0

OpenRoom = Callable[[str, RoomEvents], SfuRoom]
Kind = Literal["udp", "tcp", "relay"]
Direction = Literal["down", "up"]


class Busy(Exception):
    """Too much is going on; the text is for a person."""


@dataclass(frozen=True)
class Path:
    """A way that media may take. `server` is the TURN address to force, for a relay."""

    id: str
    kind: Kind
    server: IceServer | None = None


class _Loop:
    """One path being tried (a `sfu.interface.RoomEvents`: of what the room tells, only the offer matters)."""

    def __init__(self, open_room: OpenRoom, name: str) -> None:
        self._offer: asyncio.Future[Offer] = asyncio.get_running_loop().create_future()
        self.room = open_room(name, self)
        self.room.add_participant("up")
        self.room.add_participant("down")

    def offer(self, participant: str, offer: Offer) -> None:
        if not self._offer.done():
            self._offer.set_result(offer)

    def track_added(self, track: TrackInfo) -> None: ...
    def track_removed(self, track: TrackInfo) -> None: ...
    def speakers(self, participants: list[str]) -> None: ...
    def connection(self, participant: str, connection: ConnectionKind, state: ConnectionState) -> None: ...
    def encodings(self, participant: str, track: str, active: list[str]) -> None: ...

    async def begin(self, sdp: str, mid: str) -> tuple[str, Offer]:
        """Takes the offer of what is sent up; returns the answer, and the offer of what comes down."""
        published = await self.room.publish("up", sdp, [TrackLabel(mid, "microphone")])
        self.room.subscribe("down")
        async with asyncio.timeout(OFFER_WITHIN):
            return published.sdp, await self._offer

    def close(self) -> None:
        self._offer.cancel()
        self.room.close()


@dataclass
class Check:
    """One person's check. `allowance` is what may still be moved, in bytes."""

    id: str
    address: str
    paths: dict[str, Path]
    loops: dict[str, _Loop] = field(default_factory=dict)
    allowance: dict[Direction, int] = field(default_factory=lambda: {"down": BYTES, "up": BYTES})
    moving: bool = False
    timer: asyncio.TimerHandle | None = None


class Checks:
    """All checks of the server."""

    def __init__(self, open_room: OpenRoom, turn: Turn) -> None:
        self._open_room = open_room
        self._turn = turn
        self._checks: dict[str, Check] = {}
        self._by_address: Counter[str] = Counter()
        self._transfers = 0
        self._rooms = 0

    def open(self, address: str) -> Check:
        """Raises Busy."""
        if len(self._checks) >= AT_ONCE:
            raise Busy("too many people check their connection now; try again in a minute")
        if self._by_address[address] >= AT_ONCE_PER_ADDRESS:
            raise Busy("too many checks from this address; close the others or wait a minute")
        check = Check(secrets.token_urlsafe(18), address, {path.id: path for path in self._paths()})
        check.timer = asyncio.get_running_loop().call_later(SECONDS, self.close, check)
        self._checks[check.id] = check
        self._by_address[address] += 1
        return check

    def _paths(self) -> list[Path]:
        # Given to anybody who opens the page, so they last no longer than the check.
        servers = ice_servers(self._turn, "check", lifetime=int(SECONDS) + 30)
        relays = [
            IceServer(urls=[url], username=server.username, credential=server.credential)
            for server in servers
            for url in server.urls
            if url.startswith(("turn:", "turns:"))
        ]
        found = [Path(f"relay-{index}", "relay", server) for index, server in enumerate(relays[:RELAYS])]
        return [Path("udp", "udp"), Path("tcp", "tcp"), *found]

    def find(self, check: str) -> Check:
        """Raises KeyError for one that is not there any more."""
        return self._checks[check]

    async def begin(self, check: Check, path: str, sdp: str, mid: str) -> tuple[str, Offer]:
        """Starts a path, over again if it was started before. Raises KeyError, SdpError, Busy."""
        if path not in check.paths:
            raise KeyError(path)
        self.end(check, path)
        self._rooms += 1
        # No room that people meet in can have this name (signaling.api.ROOM_ID).
        loop = check.loops[path] = _Loop(self._open_room, f"check:{self._rooms}")
        try:
            return await loop.begin(sdp, mid)
        except TimeoutError:
            self.end(check, path)
            raise Busy("the server is too busy to check a connection; try again in a minute") from None
        except BaseException:
            self.end(check, path)
            raise

    async def answer(self, check: Check, path: str, revision: int, sdp: str) -> None:
        """The browser's answer for what comes down. Raises KeyError, SdpError."""
        await check.loops[path].room.answer("down", revision, sdp)

    def end(self, check: Check, path: str) -> None:
        """Ends a path; one that is not there is ignored."""
        if (loop := check.loops.pop(path, None)) is not None:
            loop.close()

    def take(self, check: Check, direction: Direction, size: int) -> None:
        """Counts a transfer in; `moved` must follow. Raises Busy."""
        if check.moving or size > check.allowance[direction]:
            raise Busy("this check has moved enough; start a new one")
        if self._transfers >= TRANSFERS_AT_ONCE:
            raise Busy("the server measures the bandwidth of others now; try again in a minute")
        check.allowance[direction] -= size
        check.moving = True
        self._transfers += 1

    def moved(self, check: Check) -> None:
        """The transfer is over."""
        check.moving = False
        self._transfers -= 1

    def close(self, check: Check) -> None:
        """Ends a check; one that has ended is ignored."""
        if self._checks.pop(check.id, None) is None:
            return
        if check.timer is not None:
            check.timer.cancel()
        for path in list(check.loops):
            self.end(check, path)
        self._by_address[check.address] -= 1
        if self._by_address[check.address] <= 0:
            del self._by_address[check.address]

    def stop(self) -> None:
        """Ends all."""
        for check in list(self._checks.values()):
            self.close(check)
