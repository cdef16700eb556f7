"""The façade: `Sfu` owns the ports, the plane and the clockwork; `SfuRoom` is a room on it (docs/architecture.md)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Hashable

from sfu.addresses import candidate_addresses
from sfu.connection import Edge
from sfu.dtls import Certificate
from sfu.ice import Event, IceLite
from sfu.interface import (
    ConnectionQuality,
    Offer,
    OfferedTrack,
    Published,
    RoomEvents,
    SdpError,
    SfuConfig,
    SfuStats,
    TrackLabel,
)
from sfu.ledger import Ledger
from sfu.plane import BandwidthEstimate, Plane
from sfu.plane.choose import SocketPlane, make_plane
from sfu.ports import Ports
from sfu.room import SfuRoom
from sfu.stun import Address

__all__ = [
    "ConnectionQuality",
    "Offer",
    "OfferedTrack",
    "Published",
    "RoomEvents",
    "SdpError",
    "Sfu",
    "SfuConfig",
    "SfuRoom",
    "SfuStats",
    "TrackLabel",
]

logger = logging.getLogger(__name__)

TICK = 0.02
ICE_TICK = 0.5


class Sfu:
    """One server: one port, one plane, one certificate, any number of rooms."""

    def __init__(self, config: SfuConfig) -> None:
        """Raises `ValueError` for a plane that is not there or a public address that is none."""
        self._config = config
        self._ports = Ports(self)
        self._ice = IceLite()
        self._clock = time.monotonic
        self._plane: Plane = make_plane(config.plane, self._ports.send, config.threads, self._ports.send_picture)
        self._reader = self._ports.plane = self._plane if isinstance(self._plane, SocketPlane) else None
        edge = Edge(
            self._ice,
            self._plane,
            Certificate(),
            self._ports.send,
            self._clock,
            redundancy=config.redundancy,
            first=config.video_codec,
        )
        self._edge = edge
        self._rooms: dict[str, SfuRoom] = {}
        self._ledger = Ledger()
        self._dropped: Counter[str] = Counter()
        self._timer: asyncio.TimerHandle | None = None
        self._ice_ticked = 0.0

    @property
    def port(self) -> int:
        """The UDP and TCP port, once started."""
        return self._ports.port

    @property
    def plane_name(self) -> str:
        """Which plane forwards: ``python`` or ``native``."""
        return self._plane.name

    async def start(self) -> None:
        """Binds the ports. Raises `OSError` with the address when that is not possible."""
        await self._ports.start(self._config.host, self._config.port)
        self._edge.addresses = candidate_addresses(self._config.host, self._config.public_addresses)
        self._edge.port = self._ports.port
        self._timer = asyncio.get_running_loop().call_later(TICK, self._tick)
        where = ", ".join(self._edge.addresses)
        threads = 0 if self._reader is None else self._reader.threads
        logger.info(
            "media on port %d by the %s plane, %s, offering %s",
            self.port,
            self._plane.name,
            f"{threads} thread{'s' * (threads != 1)}" if threads else "on the event loop",
            where,
        )

    async def stop(self) -> None:
        """Closes every room and says goodbye on every connection."""
        for room in list(self._rooms.values()):
            room.close()
        if tasks := list(self._edge.tasks):
            await asyncio.wait(tasks, timeout=2.0)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await self._ports.stop()

    def open_room(self, room: str, events: RoomEvents) -> SfuRoom:
        """Raises `ValueError` when a room of that name is open."""
        if room in self._rooms:
            raise ValueError(f"room {room} is already open")
        opened = SfuRoom(room, self._edge, events, self._config.max_bitrate, self._room_closed, self._ledger)
        self._rooms[room] = opened
        return opened

    def stats(self) -> SfuStats:
        """Counters since the start."""
        plane = self._plane.stats()
        rooms = self._rooms.values()
        return SfuStats(
            rooms=len(self._rooms),
            participants=sum(r.participants for r in rooms),
            connections=len(self._edge.connections),
            tracks=sum(r.tracks for r in rooms),
            forwards=sum(r.forwards for r in rooms),
            tcp_connections=self._ports.tcp_connections,
            packets_in=plane.packets_in,
            packets_out=plane.packets_out,
            dropped=dict(self._dropped + self._ports.dropped + Counter(plane.dropped)),
            layers=self._ledger.stats(r.present() for r in rooms),
            viewers=sum(r.viewers[0] for r in rooms),
            reduced_viewers=sum(r.viewers[1] for r in rooms),
        )

    # --- what the ports bring (sfu.ports.Receiver) ----------------------------------------------

    def on_stun(self, route: Hashable, address: Address, datagram: bytes) -> bool:
        reaction = self._ice.receive(route, address, datagram, self._clock())
        for event in reaction.events:
            self._ice_event(event)
        if reaction.reply is not None:
            self._ports.send(route, reaction.reply)
        if reaction.session is None:
            self._dropped[f"stun {reaction.reason.partition(':')[0]}"] += 1
        return reaction.session is not None

    def on_dtls(self, route: Hashable, datagram: bytes) -> None:
        holder = self._ice.holder(route, self._clock())
        connection = self._edge.connections.get(holder) if holder is not None else None
        if connection is None:
            self._dropped["dtls from stranger"] += 1
        elif not connection.receive_dtls(datagram):
            self._dropped["dtls queue full"] += 1

    def on_media(self, route: Hashable, datagram: bytes) -> None:
        now = self._clock()
        holder = self._ice.holder(route, now)
        if holder is None:
            self._dropped["media from stranger"] += 1
            return
        if self._reader is not None:
            self._reader.claim(route, holder)
        self._plane.receive(holder, datagram, now)

    def on_route_closed(self, route: Hashable) -> None:
        self._ice.close_route(route)

    # --- clockwork ------------------------------------------------------------------------------

    def _tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(TICK, self._tick)
        now = self._clock()
        self._plane.tick(now)
        for event in self._plane.drain():
            about = event.transport if isinstance(event, BandwidthEstimate) else event.source
            if (handle := self._edge.handlers.get(about)) is not None:
                self._guard(handle, event, now)
        if now - self._ice_ticked >= ICE_TICK:
            self._ice_ticked = now
            if self._reader is not None:
                self._reader.heard(lambda route: self._ice.holder(route, now))
            for change in self._ice.tick(now):
                self._ice_event(change)
        for room in list(self._rooms.values()):
            self._guard(room.tick, now)

    @staticmethod
    def _guard(call: Callable[..., None], *arguments: object) -> None:
        """What goes wrong in one room must not stop the clock of the others."""
        try:
            call(*arguments)
        except Exception:
            logger.exception("a room failed")

    def _ice_event(self, event: Event) -> None:
        connection = self._edge.connections.get(event.session)
        if connection is not None:
            connection.on_ice(event)

    def _room_closed(self, room: SfuRoom) -> None:
        self._rooms.pop(room.id, None)
