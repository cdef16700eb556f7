"""Sockets of a client's connection: one UDP socket, or one TCP connection with RFC 4571 framing (RFC 6544, active)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Protocol, cast

from sfu import framing

OnDatagram = Callable[[bytes], None]

READ_BATCH = 64


class Link(Protocol):
    """Where a client's datagrams go out and come in."""

    @property
    def peer(self) -> tuple[str, int]:
        """The address that it talks to."""

    def send(self, datagram: bytes) -> None:
        """Never blocks, never raises; what cannot be sent is lost."""

    def close(self) -> None: ...


class UdpLink:
    """A UDP socket that talks to one address only."""

    def __init__(self, address: tuple[str, int], on_datagram: OnDatagram) -> None:
        self.peer = address
        self._on_datagram = on_datagram
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._socket: socket.socket | None = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.connect(address)
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._readable)

    def send(self, datagram: bytes) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.send(datagram)

    def borrow(self) -> socket.socket:
        """The socket, for another who sends on it too. Raises `ConnectionError` once closed."""
        if self._socket is None:
            raise ConnectionError("the link is closed")
        return self._socket

    def hand_over(self) -> socket.socket:
        """The socket, for another who reads it from now on: this link only sends. Raises `ConnectionError`."""
        sock = self.borrow()
        asyncio.get_running_loop().remove_reader(sock.fileno())
        return sock

    def close(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _readable(self) -> None:
        for _ in range(READ_BATCH):
            if self._socket is None:
                return
            try:
                datagram = self._socket.recv(2048)
            except OSError:  # drained, or an ICMP error of an earlier send
                return
            if datagram:
                self._on_datagram(datagram)


class TcpLink(asyncio.Protocol):
    """An outgoing TCP connection; what is sent before it stands is lost, as over UDP."""

    def __init__(self, address: tuple[str, int], on_datagram: OnDatagram) -> None:
        self.peer = address
        self._on_datagram = on_datagram
        self._deframer = framing.Deframer()
        self._transport: asyncio.Transport | None = None
        self._closed = False
        loop = asyncio.get_running_loop()
        self._connecting = loop.create_task(self._connect(address))

    async def _connect(self, address: tuple[str, int]) -> None:
        with contextlib.suppress(OSError):
            await asyncio.get_running_loop().create_connection(lambda: self, *address)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._closed:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        try:
            datagrams = self._deframer.feed(data)
        except framing.FramingError:
            self.close()
            return
        for datagram in datagrams:
            self._on_datagram(datagram)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def send(self, datagram: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(framing.frame(datagram))

    def close(self) -> None:
        self._closed = True
        self._connecting.cancel()
        if self._transport is not None:
            self._transport.close()
