"""A client's end of one connection to the server: ICE controlling against a lite agent, DTLS client, SRTP."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Literal

from sfu import stun
from sfu.dtls import Certificate, DtlsSession, Fingerprint
from sfu.ice import Credentials
from sfu.links import Link, TcpLink, UdpLink
from sfu.negotiation import LocalTransport
from sfu.plane import SrtpKeys
from sfu.rtp import is_rtcp
from sfu.sdp import IceParameters
from sfu.srtp import Srtp, SrtpError
from sfu.stun import Attribute, Class

CHECK_EVERY = 0.05
KEEPALIVE_EVERY = 2.0
CONNECT_TIMEOUT = 10.0
PRIORITY = (110 << 24 | 65535 << 8 | 255).to_bytes(4, "big")

LinkKind = Literal["udp", "tcp"]


class ClientPeer:
    """Give it the server's description with `connect`; `connected` completes when media can flow."""

    def __init__(
        self,
        kind: LinkKind,
        on_rtp: Callable[[bytes], None],
        on_rtcp: Callable[[bytes], None],
        certificate: Certificate,
    ) -> None:
        self.credentials = Credentials.generate()
        self.certificate = certificate
        self.srtp: Srtp | None = None
        self.keys: SrtpKeys | None = None
        self.session = str(secrets.randbits(62))
        self.version = 0
        self.closed = asyncio.Event()
        self.links = 0
        self._kind = kind
        self._on_rtp = on_rtp
        self._on_rtcp = on_rtcp
        self._remote: IceParameters | None = None
        self._link: Link | None = None
        self._candidate: Link | None = None
        self._transactions: dict[bytes, Link] = {}
        self._nominated = asyncio.Event()
        self._keyed = asyncio.Event()
        self._tie_breaker = secrets.token_bytes(8)
        self._dtls: DtlsSession | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def local(self, setup: str) -> LocalTransport:
        """Our side for the SDP; a client needs no candidates, the server learns its address from the checks."""
        return LocalTransport(self.credentials, self.certificate.fingerprint, setup, (), 0)

    def renew(self) -> None:
        """ICE restart, first half: new credentials for the next description."""
        self.credentials = Credentials.generate()

    def remote_changes(self, remote: IceParameters) -> bool:
        """Whether the server has restarted ICE, which calls for new credentials of ours."""
        return self._remote is not None and remote != self._remote

    def connect(self, remote: IceParameters, address: tuple[str, int], fingerprints: list[Fingerprint]) -> None:
        """Takes the server's side. Other ICE parameters than before open a new socket, which replaces the old one."""
        if remote == self._remote or self.closed.is_set():
            return
        self._remote = remote
        self._nominated.clear()
        if self._candidate is not None and self._candidate is not self._link:
            self._candidate.close()
        self._candidate = self._open(address)
        if self._dtls is None:
            self._dtls = DtlsSession(self.certificate, "client", fingerprints, self.send)
            loop = asyncio.get_running_loop()
            self._tasks = [loop.create_task(self._checks()), loop.create_task(self._secure(self._dtls))]

    def _open(self, address: tuple[str, int]) -> Link:
        self.links += 1
        made: list[Link] = []

        def on_datagram(datagram: bytes) -> None:
            self._receive(made[0], datagram)

        made.append(UdpLink(address, on_datagram) if self._kind == "udp" else TcpLink(address, on_datagram))
        return made[0]

    async def connected(self) -> None:
        """Waits for a nominated route and keys. Raises `TimeoutError`, or `ConnectionError` when closed before."""
        ended = asyncio.create_task(self.closed.wait())
        ready = asyncio.create_task(self._ready())
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await asyncio.wait([ended, ready], return_when=asyncio.FIRST_COMPLETED)
            if not ready.done():
                raise ConnectionError("the connection was closed")
        finally:
            ended.cancel()
            ready.cancel()

    async def _ready(self) -> None:
        await self._nominated.wait()
        await self._keyed.wait()

    def send(self, datagram: bytes) -> None:
        """Raw, on the route in use."""
        link = self._link or self._candidate
        if link is not None:
            link.send(datagram)

    def send_rtp(self, packet: bytes) -> None:
        """Seals and sends; dropped before the keys are there. Raises `SrtpError` for an overlong packet."""
        if self.srtp is not None:
            self.send(self.srtp.seal_rtp(packet))

    def send_rtcp(self, packet: bytes) -> None:
        """Seals and sends a compound packet."""
        if self.srtp is not None:
            self.send(self.srtp.seal_rtcp(packet))

    @property
    def link(self) -> Link | None:
        """The nominated route; None before there is one."""
        return self._link

    async def close(self) -> None:
        """Says close_notify and ends."""
        if self._dtls is not None:
            await self._dtls.close()
        await self.vanish()

    async def vanish(self) -> None:
        """Ends without a word, as a computer does that loses its power."""
        if self._dtls is not None:
            self._dtls.drop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for link in {self._link, self._candidate} - {None}:
            link.close()  # type: ignore[union-attr]
        self._link = self._candidate = None
        self.closed.set()

    async def _checks(self) -> None:
        """Binding requests that nominate: quickly until answered, then now and then, which is consent too."""
        while True:
            link = self._candidate
            if link is not None and self._remote is not None:
                transaction = secrets.token_bytes(12)
                self._transactions[transaction] = link
                while len(self._transactions) > 16:
                    del self._transactions[next(iter(self._transactions))]
                attributes = [
                    (int(Attribute.USERNAME), f"{self._remote.ufrag}:{self.credentials.ufrag}".encode()),
                    (int(Attribute.PRIORITY), PRIORITY),
                    (int(Attribute.ICE_CONTROLLING), self._tie_breaker),
                    (int(Attribute.USE_CANDIDATE), b""),
                ]
                link.send(stun.build(Class.REQUEST, transaction, attributes, self._remote.password.encode()))
            await asyncio.sleep(KEEPALIVE_EVERY if self._nominated.is_set() else CHECK_EVERY)

    async def _secure(self, dtls: DtlsSession) -> None:
        await self._nominated.wait()
        await dtls.run(self._keys)
        self.closed.set()

    def _keys(self, keys: SrtpKeys) -> None:
        self.keys = keys
        self.srtp = Srtp(keys)
        self._keyed.set()

    def _receive(self, link: Link, datagram: bytes) -> None:
        first = datagram[0]
        if 127 < first < 192:
            if self.srtp is None:
                return
            try:
                if is_rtcp(datagram):
                    self._on_rtcp(self.srtp.open_rtcp(datagram))
                else:
                    self._on_rtp(self.srtp.open_rtp(datagram))
            except SrtpError:
                return
        elif 19 < first < 64:
            if self._dtls is not None:
                self._dtls.receive(datagram)
        elif first < 4:
            self._answered(link, datagram)

    def _answered(self, link: Link, datagram: bytes) -> None:
        try:
            message = stun.parse(datagram)
        except stun.StunError:
            return
        if message.kind is Class.REQUEST:
            self._reply(link, message)
            return
        asked = self._transactions.pop(message.transaction, None)
        if asked is not link or message.kind is not Class.SUCCESS or self._remote is None:
            return
        if not message.authentic(self._remote.password.encode()) or link is not self._candidate:
            return
        if self._link is not link:
            if self._link is not None:
                self._link.close()
            self._link = link
        self._nominated.set()

    def _reply(self, link: Link, request: stun.Message) -> None:
        """A server that is not lite checks us too and takes no media before its check is answered."""
        password = self.credentials.password.encode()
        if request.authentic(password):
            mapped = (int(Attribute.XOR_MAPPED_ADDRESS), stun.xor_address(link.peer, request.transaction))
            link.send(stun.build(Class.SUCCESS, request.transaction, [mapped], password))
