"""A real server in this process: real SFU, recorder and SQLite; captions off (their own tests have them)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from signaling import protocol
from signaling.server import Server
from signaling.settings import Settings

WAIT = 10.0


class Browser:
    """One WebSocket: messages as dictionaries, kept in order, waited for by type."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.seen: list[dict[str, Any]] = []
        self.welcome: dict[str, Any] = {}
        self._next = 0

    async def send(self, message: protocol.Message) -> None:
        await self.socket.send_str(msgspec.json.encode(message).decode())

    async def read(self) -> dict[str, Any] | None:
        """The next message; None at the end."""
        frame = await asyncio.wait_for(self.socket.receive(), WAIT)
        if frame.type is not aiohttp.WSMsgType.TEXT:
            return None
        message: dict[str, Any] = msgspec.json.decode(frame.data)
        msgspec.convert(message, protocol.ServerMessage)
        self.seen.append(message)
        return message

    async def wait(self, kind: str, where: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """Reads on until a message of this type; fails at the end of the socket."""
        while (message := await self.read()) is not None:
            if message["type"] == kind and where(message):
                return message
        raise AssertionError(f"the socket ended before {kind}; seen: {[m['type'] for m in self.seen]}")

    async def ask(self, message: protocol.Request) -> dict[str, Any]:
        """Sends with an id and returns the Ack or Error."""
        self._next += 1
        await self.send(msgspec.structs.replace(message, id=self._next))
        while (answer := await self.read()) is not None:
            if answer["type"] in ("ack", "error") and answer["id"] == self._next:
                return answer
        raise AssertionError("the socket ended before an answer")

    async def ended(self) -> dict[str, Any]:
        """Reads to the end; returns the Closed."""
        while await self.read() is not None:
            pass
        assert self.seen and self.seen[-1]["type"] == "closed", [m["type"] for m in self.seen]
        return self.seen[-1]

    @property
    def id(self) -> str:
        return str(self.welcome["participant"])


class House:
    """A running server and ways to come in."""

    def __init__(self, server: Server, http: aiohttp.ClientSession) -> None:
        self.server = server
        self.http = http
        self.url = f"http://127.0.0.1:{server.port}"
        self._codes: dict[str, str] = {}

    async def codes(self) -> dict[str, str]:
        if not self._codes:
            links = await self.server.links()
            self._codes = {name: str(getattr(links, name)).rsplit("/", 1)[1] for name in ("host", "guest", "viewer")}
        return self._codes

    async def grant(self, role: str = "guest") -> str:
        async with self.http.post(f"{self.url}/api/links/{(await self.codes())[role]}", json={}) as answer:
            assert answer.status == 200
            return str((await answer.json())["grant"])

    async def socket(self, room: str = "demo", **headers: str) -> Browser:
        return Browser(await self.http.ws_connect(f"{self.url}/ws/{room}", headers=headers, autoping=True))

    async def hello(self, role: str = "guest", name: str = "Ana", **more: Any) -> Browser:
        """Says hello and returns at once."""
        browser = await self.socket()
        grant = more.pop("grant", None) or await self.grant(role)
        await browser.send(protocol.Hello(version=protocol.VERSION, grant=grant, name=name, **more))
        return browser

    async def join(self, role: str = "guest", name: str = "Ana", **more: Any) -> Browser:
        """Comes in."""
        browser = await self.hello(role, name, **more)
        browser.welcome = await browser.wait("welcome")
        return browser


def settings(folder: Path, **more: Any) -> Settings:
    return msgspec.convert(
        {
            "port": 0,
            "data_dir": str(folder),
            "media": {"host": "127.0.0.1", "port": 0},
            "captions": {"enabled": False},
            "recordings": {"min_free_mb": 0},
            **more,
        },
        Settings,
    )


Open = Callable[..., Awaitable[House]]


@pytest.fixture
async def open_house(tmp_path: Path) -> AsyncIterator[Open]:
    """Starts servers; keyword arguments are settings."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        servers: list[Server] = []

        async def start(**more: Any) -> House:
            server = Server(settings(tmp_path / "data", **more))
            await server.start()
            servers.append(server)
            await server.links()
            return House(server, http)

        yield start
        for server in servers:
            await server.stop()


@pytest.fixture
async def house(open_house: Open) -> House:
    return await open_house()
