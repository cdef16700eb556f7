"""The plane in Rust (`sfu/plane/native`), which owns the UDP sockets and forwards in its own threads.

Each thread is a worker with a plane and a socket of its own; a group of transports (a room) is one worker's for as long
as it lasts (`sfu.plane.groups`). Until `serve` it is synchronous, like the Python plane: calls give what leaves to
`send` before they return. While it serves sockets, media from validated addresses never meets Python, which may be busy
for a second and nobody sees it; what it has to know comes in batches: taps and events when the plane is ticked, STUN,
DTLS and media from addresses that nobody has validated through `poll`.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, cast

from sfu.plane import (
    ALL_LAYERS,
    AudioLevel,
    BandwidthEstimate,
    KeyframeWanted,
    Layers,
    PlaneEvent,
    PlanePacket,
    PlaneStats,
    Route,
    SendDatagram,
    SenderReportSeen,
    SinkSpec,
    SinkStats,
    SinkSwitched,
    SourceEnded,
    SourceSpec,
    SourceStats,
    SrtpKeys,
    TransportStats,
)
from sfu.plane._native import Core, Directory
from sfu.plane.adopted import Connections
from sfu.plane.choose import StreamRoute
from sfu.plane.groups import Groups
from sfu.plane.transport import CNAME

Tap = Callable[[Sequence[PlanePacket]], None]

_EVENTS: dict[str, Callable[..., PlaneEvent]] = {
    "level": AudioLevel,
    "report": SenderReportSeen,
    "keyframe": KeyframeWanted,
    "ended": SourceEnded,
    "switched": SinkSwitched,
    "estimate": BandwidthEstimate,
}


class NativePlane:
    """See `sfu.plane.Plane`. `send` is called with a transport's route for every datagram that leaves, but for those
    to socket addresses (tuples) while the plane serves a socket.

    `seed` repeats a run: SSRCs and first numbers come from it. Misuse raises as in the Python plane.
    Names are known to one worker each: an unknown one is asked of the first, which says so.
    """

    name = "native"

    def __init__(self, send: SendDatagram, seed: int | None = None, threads: int = 1) -> None:
        seed, directory = secrets.randbits(64) if seed is None else seed, Directory(threads)
        self.threads = threads
        self._cores = [Core((seed + worker) % 2**64, CNAME, directory, worker) for worker in range(threads)]
        self._groups = Groups(threads)
        self._transports: dict[str, tuple[int, str]] = {}
        self._sources: dict[str, int] = {}
        self._sinks: dict[str, int] = {}
        self._send = send
        self._wake = -1
        self._routes: dict[int, Route] = {}
        self._connections = Connections(self._cores)
        self._numbers: dict[str, int] = {}
        self._taps: dict[int, Tap] = {}
        self._tapped: dict[str, int] = {}
        self._count = 0

    # --- the socket ---

    @property
    def serving(self) -> bool:
        """Whether a socket is the plane's at the moment."""
        return self._wake >= 0

    def serve(self, socks: Sequence[socket.socket]) -> int:
        """Takes over reading the sockets, as many as there are `threads`, which must stay open until `release`. Gives
        the file descriptor that is readable when `poll` has something. Raises `OSError`."""
        wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        try:
            for core, sock in zip(self._cores, socks, strict=True):
                core.serve(sock.fileno(), wake)
        except (OSError, ValueError):
            for core in self._cores:
                core.stop()
            os.close(wake)
            raise
        self._wake = wake
        return wake

    def release(self) -> None:
        """Ends the plane's threads, and the connections that it has taken over; the sockets are the caller's again."""
        if self._wake >= 0:
            for core in self._cores:
                core.stop()
            os.close(self._wake)
            self._wake = -1
            self._connections.all_lost()

    def poll(self) -> Iterator[tuple[Route, bytes]]:
        """What came and is not for the plane, with where it came from. The end of a connection is told after that."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wake)
        for core in self._cores:
            came, leave, ended = core.poll()
            for place, datagram in came:
                route = self._route(place)
                if route is not None:
                    yield route, datagram
            for number, datagram in leave:
                self._leave(number, datagram)
            for number in ended:
                self._connections.lost(number)

    def _route(self, place: tuple[Any, ...]) -> Route | None:
        """What the core knows as an address, or as the number of a connection in a tuple."""
        return self._connections.route(place[0]) if len(place) == 1 else place

    def claim(self, route: Route, transport: str) -> None:
        """The address was validated for a transport: what comes from it is that transport's."""
        if not self.serving or transport not in self._transports:
            return
        worker, _ = self._transports[transport]
        if isinstance(route, StreamRoute):
            place = self._connections.place(route, worker)
            if place is None:
                return
            if self._routes.get(self._numbers.get(transport, 0)) is route:  # it could not be taken over before
                self._cores[worker].set_route(transport, place)
                self._remember(transport, place)
            self._cores[worker].bind(place, transport)
        elif type(route) is tuple:
            self._cores[worker].bind(route, transport)

    def heard(self, holder: Callable[[Route], str | None]) -> None:
        """Asks for every address that media came from lately whose it is by now; others are forgotten."""
        if self.serving:
            for core in self._cores:
                for place, transport in core.heard():
                    route = self._route(place)
                    if route is not None and holder(route) != transport:
                        core.unbind(place)

    # --- transports ---

    def add_transport(self, transport: str, keys: SrtpKeys, route: Route, group: str = "") -> None:
        worker, _ = self._transports.get(transport) or (self._groups.where(group), group)
        number = self._number(route, worker)
        try:
            self._cores[worker].add_transport(transport, keys.profile, keys.rx, keys.tx, number)
        except Exception:
            self._routes.pop(cast("int", number), None)
            raise
        self._transports[transport] = self._groups.join(group), group
        self._remember(transport, number)

    def _of(self, transport: str) -> Core:
        """The worker that has the transport."""
        worker, _ = self._transports.get(transport, (0, ""))
        return self._cores[worker]

    def set_route(self, transport: str, route: Route) -> None:
        worker, _ = self._transports.get(transport, (0, ""))
        number = self._number(route, worker)
        self._cores[worker].set_route(transport, number)
        self._remember(transport, number)

    def _number(self, route: Route, worker: int) -> Hashable:
        """A route as the core knows it: addresses of the socket as they are, connections that it has taken over by
        their number in a tuple, others by a number."""
        if self.serving and type(route) is tuple:
            return route
        if self.serving and isinstance(route, StreamRoute):
            place = self._connections.place(route, worker)
            if place is not None:
                return place
        self._count += 1
        self._routes[self._count] = route
        return self._count

    def _remember(self, transport: str, number: Hashable) -> None:
        before = self._numbers.pop(transport, None)
        if before is not None:
            self._routes.pop(before, None)
        if isinstance(number, int):
            self._numbers[transport] = number

    def remove_transport(self, transport: str) -> None:
        sources, sinks = self._of(transport).remove_transport(transport)
        for source in sources:
            self._forget_tap(source)
            self._sources.pop(source, None)
        for sink in sinks:
            self._forget_sink(sink)
        self._remember(transport, None)
        if transport in self._transports:
            _, group = self._transports.pop(transport)
            self._groups.leave(group)

    def _forget_sink(self, sink: str) -> None:
        worker = self._sinks.pop(sink, None)
        if worker is not None:
            self._groups.weigh(worker, -1)

    def set_bitrate(self, transport: str, bits_per_second: int | None) -> None:
        self._of(transport).set_bitrate(transport, bits_per_second)

    def set_redundancy(self, transport: str, wanted: bool) -> None:
        self._of(transport).set_redundancy(transport, wanted)

    def set_wanted_bitrate(self, transport: str, bits_per_second: float) -> None:
        self._of(transport).set_wanted_bitrate(transport, bits_per_second)

    # --- sources ---

    def add_source(self, transport: str, source: SourceSpec) -> None:
        self._of(transport).add_source(transport, source)
        self._sources[source.id] = self._transports[transport][0]

    def _from(self, source: str) -> Core:
        """The worker that has the source."""
        return self._cores[self._sources.get(source, 0)]

    def pause_source(self, source: str, paused: bool) -> None:
        self._from(source).pause_source(source, paused)
        self._show()

    def remove_source(self, source: str) -> None:
        self._from(source).remove_source(source)
        self._sources.pop(source, None)
        self._forget_tap(source)

    def set_tap(self, source: str, tap: Tap | None) -> None:
        self._forget_tap(source)
        if tap is None:
            self._from(source).set_tap(source, None)
            return
        self._count += 1
        if self._from(source).set_tap(source, self._count):
            self._taps[self._count] = tap
            self._tapped[source] = self._count

    def _forget_tap(self, source: str) -> None:
        number = self._tapped.pop(source, None)
        if number is not None:
            del self._taps[number]

    def request_keyframe(self, source: str, now: float) -> bool:
        asked = bool(self._from(source).request_keyframe(source, now))
        self._flush()
        return asked

    # --- sinks ---

    def add_sink(self, transport: str, sink: SinkSpec) -> None:
        self._of(transport).add_sink(transport, sink)
        worker, _ = self._transports[transport]
        self._sinks[sink.id] = worker
        self._groups.weigh(worker, 1)

    def _to(self, sink: str) -> Core:
        """The worker that has the sink."""
        return self._cores[self._sinks.get(sink, 0)]

    def pause_sink(self, sink: str, paused: bool) -> None:
        self._to(sink).pause_sink(sink, paused)

    def aim_sink(self, sink: str, source: str, layers: Layers = ALL_LAYERS) -> None:
        self._to(sink).aim_sink(sink, source, layers.spatial, layers.temporal)

    def remove_sink(self, sink: str) -> None:
        self._to(sink).remove_sink(sink)
        self._forget_sink(sink)

    # --- packets and time ---

    def receive(self, transport: str, datagram: bytes, now: float) -> None:
        self._of(transport).receive(transport, datagram, now)
        if not self.serving:
            self._flush()
            self._show()

    def tick(self, now: float) -> None:
        """While the plane serves a socket its thread keeps the time; taps are shown what came meanwhile."""
        if not self.serving:
            for core in self._cores:
                core.tick(now)
            self._flush()
        self._show()

    def drain(self) -> list[PlaneEvent]:
        return [_EVENTS[kind](*fields) for core in self._cores for kind, *fields in core.drain()]

    def _flush(self) -> None:
        if not self.serving:
            for core in self._cores:
                for number, datagram in core.take_sent():
                    self._leave(number, datagram)

    def _leave(self, number: int, datagram: bytes) -> None:
        route = self._routes.get(number)
        if route is not None:
            self._send(route, datagram)

    def _show(self) -> None:
        if self._taps:
            for core in self._cores:
                for number, packets in core.take_tapped():
                    tap = self._taps.get(number)
                    if tap is not None:
                        tap([PlanePacket(*fields) for fields in packets])

    # --- counters ---

    def layer_rates(self, source: str) -> dict[tuple[int, int], float]:
        return dict(self._from(source).layer_rates(source))

    def transport_stats(self, transport: str) -> TransportStats | None:
        stats = self._of(transport).transport_stats(transport)
        return TransportStats(*stats) if stats is not None else None

    def source_stats(self, source: str) -> SourceStats | None:
        stats = self._from(source).source_stats(source)
        return SourceStats(*stats) if stats is not None else None

    def sink_stats(self, sink: str) -> SinkStats | None:
        stats = self._to(sink).sink_stats(sink)
        return SinkStats(*stats) if stats is not None else None

    def stats(self) -> PlaneStats:
        packets_in, packets_out, dropped = 0, 0, Counter[str]()
        for core in self._cores:
            came, left, lost = core.stats()
            packets_in, packets_out = packets_in + came, packets_out + left
            dropped.update(lost)
        return PlaneStats(packets_in, packets_out, dict(dropped))
