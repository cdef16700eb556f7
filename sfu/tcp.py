"""Media over TCP (RFC 6544, passive): one accepted connection, framed per RFC 4571, which is a route of its own.

It has to bring an authentic STUN request soon or is closed. asyncio carries it until a plane that reads sockets itself
takes it over (`sfu.plane.choose.StreamRoute`), which it does once it knows whose media it is; what is sent here goes by
the plane from then on. A peer that reads too slowly loses whole datagrams, pictures first: `MAX_PICTURES` of the
`MAX_BACKLOG` bytes that may wait are theirs (`native/src/streams.rs` does the same).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections import Counter
from collections.abc import Callable
from typing import Protocol, cast

from sfu import framing
from sfu.plane.choose import Outlet, StreamRoute

AUTHENTICATE_WITHIN = 10.0
# Half a second of a 2.5 Mbit/s stream: a reader slower than that gets holes, not an ever older picture.
MAX_BACKLOG = 160_000
MAX_PICTURES = 120_000
OPTIONS = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    # What the kernel holds unsent is as late as what we hold: the bound is ours alone to draw.
    (socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 64 << 10),
    # A peer that is gone is noticed within a minute, whether anything is sent or not.
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 20),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)


class Owner(Protocol):
    """Who has the connections: `sfu.ports.Ports`."""

    dropped: Counter[str]

    def admit(self, connection: TcpRoute, host: str) -> bool: ...
    def forget(self, connection: TcpRoute, host: str) -> None: ...
    def dispatch(self, route: TcpRoute, address: tuple[str, int], datagram: bytes) -> bool: ...


class TcpRoute(asyncio.Protocol, StreamRoute):
    """One TCP connection. Hashable by identity, which makes it a route."""

    def __init__(self, owner: Owner) -> None:
        self.address: tuple[str, int] = ("", 0)
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._outlet: Outlet | None = None
        self._deframer = framing.Deframer()
        self._admitted = False
        self._authentic = False
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def handed_over(self) -> bool:
        """Whether a plane has it."""
        return self._outlet is not None

    @property
    def backlog(self) -> int:
        """Bytes that wait here for the peer to read; 0 where a plane has it."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self.address = peer[:2] if peer else ("0.0.0.0", 0)
        self._admitted = self._owner.admit(self, self.address[0])
        if not self._admitted:
            self._transport.abort()
            return
        sock = transport.get_extra_info("socket")
        for option in OPTIONS:
            with contextlib.suppress(OSError, AttributeError):
                sock.setsockopt(*option)
        self._transport.set_write_buffer_limits(high=MAX_BACKLOG)
        self._deadline = asyncio.get_running_loop().call_later(AUTHENTICATE_WITHIN, self._too_late)

    def data_received(self, data: bytes) -> None:
        if not self._admitted:
            return
        try:
            datagrams = self._deframer.feed(data)
        except framing.FramingError:
            self._owner.dropped["tcp framing"] += 1
            self.abort()
            return
        for datagram in datagrams:
            if not self._authentic and not datagram[0] < 4:
                self._owner.dropped["tcp without stun"] += 1
                self.abort()
                return
            if self._owner.dispatch(self, self.address, datagram):
                self._authentic = True

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._outlet is None:
            self._gone()

    def _gone(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        if self._admitted:
            self._admitted = False
            self._owner.forget(self, self.address[0])

    # --- a plane that takes it over ---

    def hand_over(self, adopt: Callable[[int, bytes], Outlet]) -> bool:
        transport = self._transport
        if transport is None or transport.is_closing() or not self._admitted or transport.get_write_buffer_size():
            return False
        try:
            descriptor = os.dup(transport.get_extra_info("socket").fileno())
            self._outlet = adopt(descriptor, self._deframer.rest)
        except OSError:
            self._owner.dropped["tcp not handed over"] += 1
            return False
        if self._deadline is not None:
            self._deadline.cancel()
        transport.abort()  # closes its own descriptor of the connection only
        return True

    def lost(self) -> None:
        self._gone()

    # --- sending ---

    def send(self, datagram: bytes, picture: bool = False) -> None:
        """Drops when the peer reads too slowly."""
        transport = self._transport
        if self._outlet is not None:
            self._outlet.send(datagram)
        elif transport is None or transport.is_closing():
            self._owner.dropped["tcp closed"] += 1
        elif len(datagram) > framing.MAX_DATAGRAM:
            self._owner.dropped["oversized"] += 1
        else:
            waiting = transport.get_write_buffer_size() + 2 + len(datagram)
            if waiting > (MAX_PICTURES if picture else MAX_BACKLOG):
                self._owner.dropped["tcp peer too slow"] += 1
            else:
                transport.write(framing.frame(datagram))

    def abort(self) -> None:
        """Ends the connection at once."""
        if self._outlet is not None:
            self._outlet.close()
            self._gone()
        elif self._transport is not None:
            self._transport.abort()

    def _too_late(self) -> None:
        if not self._authentic:
            self._owner.dropped["tcp without stun"] += 1
            self.abort()
