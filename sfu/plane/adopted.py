"""TCP connections that the native plane has taken over: which worker has them, by which number."""

from __future__ import annotations

from collections.abc import Sequence

from sfu.plane._native import Core
from sfu.plane.choose import Outlet, StreamRoute


class Connections:
    """Of one plane and its workers."""

    def __init__(self, cores: Sequence[Core]) -> None:
        self._cores = cores
        self._routes: dict[int, StreamRoute] = {}
        self._places: dict[StreamRoute, tuple[int, int]] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._routes)

    def route(self, number: int) -> StreamRoute | None:
        """The connection of that number, while it is open."""
        return self._routes.get(number)

    def place(self, route: StreamRoute, worker: int) -> tuple[int] | None:
        """How the worker knows the connection, which it takes over if need be; None where that cannot be now."""
        if route in self._places:
            at, number = self._places[route]
            if at == worker:
                return (number,)
            # It was another room's: no honest peer does that.
            self._cores[at].close_stream(number)
            self.lost(number)
            return None
        number = self._count + 1

        def adopt(descriptor: int, rest: bytes) -> Outlet:
            self._cores[worker].adopt(number, descriptor, rest)
            return _Outlet(self, worker, number)

        if not route.hand_over(adopt):
            return None
        self._count = number
        self._routes[number] = route
        self._places[route] = worker, number
        return (number,)

    def lost(self, number: int) -> None:
        """The connection has ended, which its route is told; unknown ones are ignored."""
        route = self._routes.pop(number, None)
        if route is not None:
            del self._places[route]
            route.lost()

    def all_lost(self) -> None:
        """The plane has closed all."""
        for number in list(self._routes):
            self.lost(number)

    def send(self, worker: int, number: int, datagram: bytes) -> None:
        """Sends or drops."""
        self._cores[worker].send_stream(number, datagram)

    def close(self, worker: int, number: int) -> None:
        """At once. The route hears no more of it."""
        route = self._routes.pop(number, None)
        if route is not None:
            del self._places[route]
            self._cores[worker].close_stream(number)


class _Outlet:
    """How a route sends by its connection and closes it (`sfu.plane.choose.Outlet`)."""

    def __init__(self, connections: Connections, worker: int, number: int) -> None:
        self._connections, self._worker, self._number = connections, worker, number

    def send(self, datagram: bytes) -> None:
        self._connections.send(self._worker, self._number, datagram)

    def close(self) -> None:
        self._connections.close(self._worker, self._number)
