"""What is measured: the bare loop, our server with either plane, and other servers, all behind one small interface.

A contender is a process of its own on the server's core with one publisher and its viewers connected.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import sys
from collections.abc import Callable
from typing import Protocol

import aiohttp

from benchmarks.load.build import CannotBuild, compiled
from benchmarks.load.generator import Publisher, Receiver
from benchmarks.load.host import HostSignalling
from benchmarks.load.janus import Janus
from benchmarks.load.keys import SessionKeys, session_keys
from benchmarks.load.livekit import LiveKit
from benchmarks.load.process import Process
from benchmarks.load.webrtc import BUFFER, Signalling, Source, Viewer, report_for
from sfu.plane import ExtensionIds
from sfu.srtp import KEY_LENGTHS

TOGETHER = 4
"""Viewers that shake hands at a time: both ends' Python is busy then, and nobody waits long."""

MID = ExtensionIds(mid=4)
FIRST_SSRC = 0x10000
"""What `limit.c` gives its first subscriber."""


class Absent(Exception):
    """It cannot be measured here; the text says why."""


class Contender(Protocol):
    """`start` connects everybody; then `publisher` sends and `receiver` counts."""

    name: str
    receiver: Receiver

    @property
    def publisher(self) -> Publisher: ...
    @property
    def process(self) -> Process: ...
    async def start(self, viewers: int) -> None:
        """Raises `Absent`."""

    async def stop(self) -> None: ...


def _fresh() -> SessionKeys:
    return session_keys(secrets.token_bytes(KEY_LENGTHS["AEAD_AES_128_GCM"]))


def _socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock


class Limit:
    """The bare loop in C: keys are given, there is no handshake."""

    name = "limit"

    def __init__(self) -> None:
        self.receiver = Receiver(64)
        self._sockets: list[socket.socket] = []
        self._process: Process | None = None
        self._publisher: Publisher | None = None

    @property
    def publisher(self) -> Publisher:
        assert self._publisher is not None
        return self._publisher

    @property
    def process(self) -> Process:
        assert self._process is not None
        return self._process

    async def start(self, viewers: int) -> None:
        try:
            program = compiled("limit/limit.c")
        except CannotBuild as error:
            raise Absent(str(error)) from None
        own = _fresh()
        lines = [str(viewers), f"{own.key.hex()} {own.salt.hex()}"]
        for number in range(viewers):
            keys, ear = _fresh(), _socket()
            self._sockets.append(ear)
            self.receiver.add(ear, FIRST_SSRC + number, keys)
            lines.append(f"{keys.key.hex()} {keys.salt.hex()} 127.0.0.1 {ear.getsockname()[1]}")
        self._process = Process(str(program))
        await self._process.start("\n".join(lines) + "\n")
        out = _socket()
        out.connect(("127.0.0.1", int(await self._process.line())))
        await self._process.line()
        self._sockets.append(out)
        self._publisher = Publisher(out, own, 1, 96, MID, "0")

    async def stop(self) -> None:
        if self._process is not None:
            await self._process.stop()
        self.receiver.close()
        for sock in self._sockets:
            sock.close()


class Direct:
    """No server at all: from the publisher's socket to the viewer's, to know what the path itself takes."""

    def __init__(self) -> None:
        keys, ear, out = _fresh(), _socket(), _socket()
        out.connect(ear.getsockname())
        self._sockets = (ear, out)
        self.receiver = Receiver(1)
        self.receiver.add(ear, 1, keys)
        self.publisher = Publisher(out, keys, 1, 96, MID, "0")

    def close(self) -> None:
        self.receiver.close()
        self.publisher.close()
        for sock in self._sockets:
            sock.close()


class _WebRtc:
    """A server that takes real WebRTC connections."""

    name = ""

    def __init__(self, http: aiohttp.ClientSession, capacity: int) -> None:
        self.receiver = Receiver(capacity)
        self._http = http
        self._source = Source()
        self._signalling: Signalling | None = None
        self._viewers: list[Viewer] = []
        self._reports: asyncio.Task[None] | None = None

    @property
    def publisher(self) -> Publisher:
        assert self._source.publisher is not None
        return self._source.publisher

    async def _connect(self, signalling: Signalling, viewers: int) -> None:
        self._signalling = signalling
        await self._source.connect(signalling)
        self._reports = asyncio.create_task(report_for(self._viewers))
        await self.admit(viewers)

    async def admit(self, viewers: int) -> None:
        """That many viewers more; returns when media has reached each. Raises `ConnectionError`, `TimeoutError`."""
        assert self._signalling is not None
        # Packets make the track known to all, and open each viewer's stream with a key frame.
        flow = asyncio.create_task(self.publisher.send(10_000_000, burst=1, size=200, rate=20))
        try:
            for at in range(0, viewers, TOGETHER):
                new = [
                    Viewer(f"viewer-{len(self._viewers) + number}", self.receiver)
                    for number in range(min(TOGETHER, viewers - at))
                ]
                self._viewers += new
                await asyncio.gather(*(viewer.connect(self._signalling) for viewer in new))
            async with asyncio.timeout(20):
                while any(counters.packets == 0 for counters in self.receiver.all()):
                    self.publisher.keyframe()
                    await asyncio.sleep(0.1)
        finally:
            self.publisher.stop()
            await flow

    async def _disconnect(self) -> None:
        if self._reports is not None:
            self._reports.cancel()
            await asyncio.gather(self._reports, return_exceptions=True)
        await asyncio.gather(*(viewer.close() for viewer in self._viewers), return_exceptions=True)
        await self._source.close()
        self.receiver.close()


class Ours(_WebRtc):
    """Our media server with one of its planes."""

    def __init__(self, http: aiohttp.ClientSession, plane: str, capacity: int = 64) -> None:
        super().__init__(http, capacity)
        self.name = plane
        self.process = Process(sys.executable, "-m", "benchmarks.load.host", plane)

    async def start(self, viewers: int) -> None:
        await self.process.start()
        try:
            port = json.loads(await self.process.line())["port"]
        except RuntimeError as error:
            raise Absent(str(error).strip().splitlines()[-1]) from None
        await self._connect(HostSignalling(self._http, port), viewers)

    async def stop(self) -> None:
        await self._disconnect()
        await self.process.stop()


class OurRoom(_WebRtc):
    """One room of a server of ours that runs already."""

    async def start(self, port: int, room: int, viewers: int) -> None:
        """Connects its publisher and that many viewers."""
        await self._connect(HostSignalling(self._http, port, room), viewers)

    async def stop(self) -> None:
        """Leaves; the server stays."""
        await self._disconnect()


class _Server(Signalling, Protocol):
    """Somebody else's server: a process, and how offers get to it."""

    @property
    def process(self) -> Process: ...
    async def start(self) -> None:
        """Raises `RuntimeError` where it does not come up."""

    async def stop(self) -> None: ...


class Peer(_WebRtc):
    """Another project's server, as installed on this machine."""

    def __init__(self, http: aiohttp.ClientSession, name: str, capacity: int = 64) -> None:
        super().__init__(http, capacity)
        self.name = name
        self._server: _Server = PEERS[name](http)

    @property
    def process(self) -> Process:
        return self._server.process

    async def start(self, viewers: int) -> None:
        try:
            await self._server.start()
        except RuntimeError as error:
            raise Absent(str(error)) from None
        await self._connect(self._server, viewers)

    async def stop(self) -> None:
        await self._disconnect()
        await self._server.stop()


PEERS: dict[str, Callable[[aiohttp.ClientSession], _Server]] = {"janus": Janus, "livekit": LiveKit}
