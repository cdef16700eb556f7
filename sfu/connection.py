"""One connection of a participant: ICE-lite session, DTLS association, the plane's transport, and their joint state."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from sfu.dtls import Certificate, DtlsSession, Fingerprint
from sfu.ice import Credentials, Event, IceLite, Route, RouteSelected
from sfu.interface import ConnectionKind, ConnectionState
from sfu.negotiation import LocalTransport
from sfu.plane import Plane, PlaneEvent, SrtpKeys
from sfu.redundancy import Wish
from sfu.sdp import IceParameters
from sfu.taps import VideoCodec

logger = logging.getLogger(__name__)

# ClientHellos that overtake the answer on its way through the WebSocket are kept: a retransmission would cost a second.
MAX_EARLY_DTLS = 4


@dataclass(slots=True)
class Edge:
    """What all connections of a server share. `handlers` takes the plane's events by source, or by
    transport for those that tell of one."""

    ice: IceLite
    plane: Plane
    certificate: Certificate
    send: Callable[[Route, bytes], None]
    clock: Callable[[], float]
    addresses: tuple[str, ...] = ()
    port: int = 0
    redundancy: Wish = "auto"
    first: VideoCodec = "VP9"
    connections: dict[str, Connection] = field(default_factory=dict)
    handlers: dict[str, Callable[[PlaneEvent, float], None]] = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)


class Connection:
    """`room` is the one whose streams it carries. `on_ready` is called once the plane has its transport, `on_state` at
    each change of `state`."""

    def __init__(
        self,
        edge: Edge,
        kind: ConnectionKind,
        room: str,
        on_ready: Callable[[], None],
        on_state: Callable[[ConnectionState], None],
    ) -> None:
        self.id = f"{kind}-{secrets.token_hex(8)}"
        self.kind = kind
        self._room = room
        self.session = str(secrets.randbits(62))
        self.version = 0
        self.ready = False
        self.state: ConnectionState = "new"
        self.remote: IceParameters | None = None
        self.fingerprints: tuple[Fingerprint, ...] = ()
        self._edge = edge
        self._on_ready = on_ready
        self._on_state = on_state
        self._credentials = Credentials.generate()
        self._route: Route | None = None
        self._dtls: DtlsSession | None = None
        self._early: list[bytes] = []
        self._task: asyncio.Task[None] | None = None
        self._ice_state: ConnectionState = "new"
        edge.ice.open(self.id, self._credentials, None, edge.clock())
        edge.connections[self.id] = self

    def local(self, setup: Literal["passive", "actpass"]) -> LocalTransport:
        """Our side, for an answer (``passive``) or an offer (``actpass``)."""
        edge = self._edge
        return LocalTransport(self._credentials, edge.certificate.fingerprint, setup, edge.addresses, edge.port)

    def set_remote(self, ice: IceParameters, fingerprints: tuple[Fingerprint, ...]) -> None:
        """What the peer's description says; the first one starts the handshake."""
        self.remote = ice
        self._edge.ice.set_remote(self.id, ice.ufrag)
        if self._dtls is not None or self.state == "closed":
            return
        self.fingerprints = fingerprints
        self._dtls = DtlsSession(self._edge.certificate, "server", list(fingerprints), self._send_dtls)
        for datagram in self._early:
            self._dtls.receive(datagram)
        self._early.clear()
        self._task = asyncio.get_running_loop().create_task(self._run(self._dtls), name=f"dtls {self.id}")
        self._edge.tasks.add(self._task)
        self._task.add_done_callback(self._edge.tasks.discard)

    def restart(self, remote: IceParameters | None) -> None:
        """ICE restart: new credentials, while the old route goes on carrying media."""
        self._credentials = Credentials.generate()
        self._edge.ice.restart(self.id, self._credentials, remote.ufrag if remote else None, self._edge.clock())
        if remote is not None:
            self.remote = remote
        if self._ice_state == "failed":
            self._ice_state = "new"

    def receive_dtls(self, datagram: bytes) -> bool:
        """A DTLS datagram from the validated route; false when it was dropped."""
        if self._dtls is not None:
            return self._dtls.receive(datagram)
        if len(self._early) >= MAX_EARLY_DTLS:
            return False
        self._early.append(datagram)
        return True

    def on_ice(self, event: Event) -> None:
        """What the ICE agent says about this session."""
        if isinstance(event, RouteSelected):
            self._route = event.route
            if self.ready:
                self._edge.plane.set_route(self.id, event.route)
        else:
            self._ice_state = event.state
            self._update()

    def close(self) -> None:
        """Ends everything at once, with a close_notify to the peer. May be called twice."""
        if self.state == "closed":
            return
        self._edge.ice.close(self.id)
        self._edge.connections.pop(self.id, None)
        if self.ready:
            self._edge.plane.remove_transport(self.id)
            self.ready = False
        if self._task is not None:
            self._task.cancel()
        self._set_state("closed")

    async def _run(self, dtls: DtlsSession) -> None:
        in_order = False
        try:
            in_order = await dtls.run(self._on_keys)
        except Exception:
            logger.exception("dtls of %s failed", self.id)
        finally:
            await dtls.close()
        if in_order:
            self.close()
        else:
            self._ice_state = "failed"
            self._update()

    def _on_keys(self, keys: SrtpKeys) -> None:
        if self.state == "closed":
            return
        self._edge.plane.add_transport(self.id, keys, self._route, self._room)
        self.ready = True
        self._on_ready()
        self._update()

    def _send_dtls(self, datagram: bytes) -> None:
        if self._route is not None:
            self._edge.send(self._route, datagram)

    def _update(self) -> None:
        if self._ice_state == "connected" and not self.ready:
            return
        self._set_state(self._ice_state)

    def _set_state(self, state: ConnectionState) -> None:
        if state != self.state and self.state != "closed":
            self.state = state
            self._on_state(state)
