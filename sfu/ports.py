"""The one UDP port and the TCP port of the same number: the only ones media ever uses.

What arrives is sorted by its first byte (RFC 7983) after its size was checked; what is none of STUN, DTLS and SRTP is
dropped and counted. A UDP route is the socket address itself; a TCP route (`sfu.tcp`) is its connection.

Where the plane reads sockets itself (`Ports.plane`), one of UDP for each of its threads, which share the port, and TCP
connections from when it knows whose they are, what it leaves to others comes from it in batches.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections import Counter
from collections.abc import Hashable
from typing import Protocol, cast

from sfu import framing
from sfu.plane.choose import SocketPlane
from sfu.stun import Address
from sfu.tcp import TcpRoute

logger = logging.getLogger(__name__)

Route = Hashable

MAX_DATAGRAM = framing.MAX_DATAGRAM
SOCKET_BUFFER = 8 << 20
# Datagrams read per wake-up: enough to drain a burst, few enough that timers stay punctual.
READ_BATCH = 128
MAX_TCP = 1024
MAX_TCP_PER_ADDRESS = 64


class Receiver(Protocol):
    """Who takes what the ports let through. Called on the event loop; must not raise for bad input."""

    def on_stun(self, route: Route, address: Address, datagram: bytes) -> bool:
        """True when the datagram was authentic."""

    def on_dtls(self, route: Route, datagram: bytes) -> None: ...
    def on_media(self, route: Route, datagram: bytes) -> None: ...
    def on_route_closed(self, route: Route) -> None: ...


class Ports:
    """Owns the sockets from `start` to `stop`. `dropped` counts what was not let through, by reason."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self.plane: SocketPlane | None = None
        """Who reads sockets in our stead; set before the start."""
        self._udp: socket.socket | None = None
        self._others: list[socket.socket] = []
        self._reading = -1
        self._server: asyncio.Server | None = None
        self._connections: set[TcpRoute] = set()
        self._per_address: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.host = ""
        self.port = 0

    @property
    def tcp_connections(self) -> int:
        """How many TCP connections are open."""
        return len(self._connections)

    async def start(self, host: str, port: int) -> None:
        """Binds both. Raises `OSError` naming the address when that is not possible."""
        infos = await asyncio.get_running_loop().getaddrinfo(host or "::", port, type=socket.SOCK_DGRAM)
        family, _, _, _, address = infos[0]
        for attempt in range(20):
            try:
                await self._bind(family, host or "::", cast("tuple[str, int]", address))
                return
            except OSError as error:
                self._close_sockets()
                # With port 0 the UDP port may be taken for TCP: try another pair.
                if port != 0 or attempt == 19:
                    reason = error.strerror or str(error)
                    raise OSError(error.errno, f"cannot bind {host}:{port} for media: {reason}") from error

    async def _bind(self, family: int, host: str, address: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        udp = self._udp = _udp_socket(family, host)
        udp.bind(address)
        self.host, self.port = host, udp.getsockname()[1]
        tcp = socket.socket(family, socket.SOCK_STREAM)
        try:
            tcp.setblocking(False)
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6 and host == "::":
                tcp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            tcp.bind((*address[:1], self.port, *address[2:]))
            self._server = await loop.create_server(lambda: TcpRoute(self), sock=tcp, backlog=128)
        except OSError:
            tcp.close()
            raise
        if self.plane is not None and self.plane.threads > 1:
            # The first one was bound alone, so that a port that another server has is refused; only now it is shared.
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            for _ in range(self.plane.threads - 1):
                other = _udp_socket(family, host)
                self._others.append(other)
                other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                other.bind(udp.getsockname())
        self._reading = udp.fileno() if self.plane is None else self.plane.serve([udp, *self._others])
        loop.add_reader(self._reading, self._readable if self.plane is None else self._poll)

    async def stop(self) -> None:
        """Closes everything."""
        for connection in list(self._connections):
            connection.abort()
        self._close_sockets()
        # Lets the aborted transports deliver their `connection_lost`.
        await asyncio.sleep(0)

    def _close_sockets(self) -> None:
        if self._reading >= 0:
            asyncio.get_running_loop().remove_reader(self._reading)
            self._reading = -1
            if self.plane is not None:
                self.plane.release()
        for sock in (self._udp, *self._others):
            if sock is not None:
                sock.close()
        self._udp = None
        self._others.clear()
        if self._server is not None:
            self._server.close()
            self._server = None

    def send_picture(self, route: Route, datagram: bytes) -> None:
        """As `send`, of what is dropped first where a peer reads too slowly."""
        self.send(route, datagram, picture=True)

    def send(self, route: Route, datagram: bytes, picture: bool = False) -> None:
        """Sends or drops, never blocks and never raises."""
        if type(route) is tuple:
            try:
                self._udp.sendto(datagram, route)  # type: ignore[union-attr]
            except BlockingIOError:
                self.dropped["udp send buffer full"] += 1
            except (OSError, AttributeError):
                # Unreachable peers and a stopped port: liveness will tell.
                self.dropped["udp send failed"] += 1
        else:
            cast("TcpRoute", route).send(datagram, picture)

    def _readable(self) -> None:
        udp = self._udp
        if udp is None:
            return
        for _ in range(READ_BATCH):
            try:
                datagram, address = udp.recvfrom(2048)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:  # an ICMP error of an earlier send, for example
                logger.debug("udp receive: %s", error)
                return
            self.dispatch(address, address, datagram)

    def _poll(self) -> None:
        if self.plane is not None:
            for route, datagram in self.plane.poll():
                address = route.address if isinstance(route, TcpRoute) else cast("Address", route)
                self.dispatch(route, address, datagram)

    def dispatch(self, route: Route, address: tuple[str, int], datagram: bytes) -> bool:
        """Sorts one datagram; true for authentic STUN."""
        size = len(datagram)
        if size > MAX_DATAGRAM:
            self.dropped["oversized"] += 1
        elif size == 0:
            self.dropped["empty"] += 1
        elif 127 < (first := datagram[0]) < 192:
            self._receiver.on_media(route, datagram)
        elif first < 4:
            return self._receiver.on_stun(route, address, datagram)
        elif 19 < first < 64:
            self._receiver.on_dtls(route, datagram)
        else:
            self.dropped["unknown protocol"] += 1
        return False

    def admit(self, connection: TcpRoute, host: str) -> bool:
        """Whether one more TCP connection from `host` is allowed; it is counted then."""
        if len(self._connections) >= MAX_TCP or self._per_address[host] >= MAX_TCP_PER_ADDRESS:
            self.dropped["tcp connection limit"] += 1
            return False
        self._connections.add(connection)
        self._per_address[host] += 1
        return True

    def forget(self, connection: TcpRoute, host: str) -> None:
        """The connection that was admitted has ended."""
        self._connections.discard(connection)
        self._per_address[host] -= 1
        if self._per_address[host] <= 0:
            del self._per_address[host]
        self._receiver.on_route_closed(connection)


def _udp_socket(family: int, host: str) -> socket.socket:
    udp = socket.socket(family, socket.SOCK_DGRAM)
    udp.setblocking(False)
    if family == socket.AF_INET6 and host == "::":
        udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    for option, forced in ((socket.SO_RCVBUF, 33), (socket.SO_SNDBUF, 32)):
        udp.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER)
        with contextlib.suppress(OSError):  # SO_*BUFFORCE, for root only
            udp.setsockopt(socket.SOL_SOCKET, forced, SOCKET_BUFFER)
    return udp
