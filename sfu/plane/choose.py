"""Which plane runs: the one in Rust where it was built, else the one in Python."""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from typing import Literal, Protocol, runtime_checkable

from sfu.plane import Plane, Route, SendDatagram

PlaneName = Literal["auto", "native", "python"]


@runtime_checkable
class SocketPlane(Protocol):
    """A plane that reads UDP sockets itself, one for each of its threads; see `sfu.plane.compiled.NativePlane`."""

    threads: int

    def serve(self, socks: Sequence[socket.socket]) -> int: ...
    def release(self) -> None: ...
    def poll(self) -> Iterable[tuple[Route, bytes]]:
        """Also tells connections that it has taken over of their end."""

    def claim(self, route: Route, transport: str) -> None: ...
    def heard(self, holder: Callable[[Route], str | None]) -> None: ...


class StreamRoute(ABC):
    """A route that is a TCP connection, which such a plane may take over once it is known whose it is."""

    @abstractmethod
    def hand_over(self, adopt: Callable[[int, bytes], Outlet]) -> bool:
        """Calls `adopt` with a descriptor that it has to close and the beginning of a frame that was read already; what
        it gives is used from then on. False, and nothing has happened, where that is not possible at the moment."""

    @abstractmethod
    def lost(self) -> None:
        """The connection that was handed over has ended."""


class Outlet(Protocol):
    """What a plane gives for a connection that it has taken over."""

    def send(self, datagram: bytes) -> None:
        """Sends or drops."""

    def close(self) -> None:
        """At once; nothing is told of it any more."""


def built() -> bool:
    """Whether the native plane is there to be loaded."""
    return find_spec("sfu.plane._native") is not None


def make_plane(
    name: PlaneName, send: SendDatagram, threads: int = 1, send_picture: SendDatagram | None = None
) -> Plane:
    """`threads` is for the native plane; the one in Python has none of its own. `send_picture`, where it differs, is
    for what may be left out before anything else.

    Raises ValueError, with what to do, where the native plane is asked for and cannot be had."""
    if name == "native" or (name == "auto" and built()):
        try:
            from sfu.plane.compiled import NativePlane
        except ImportError as error:
            if name == "native":
                reason = "it was not built: install Rust (cargo) and run make again" if not built() else str(error)
                raise ValueError(f"there is no native plane, {reason}; or set plane to auto or python") from error
        else:
            return NativePlane(send, threads=threads)
    from sfu.plane.python import PythonPlane

    return PythonPlane(send, send_picture)
