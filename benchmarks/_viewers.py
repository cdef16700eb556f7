"""Viewers of a broadcast without a screen: players of low-latency HLS, and open event streams."""

from __future__ import annotations

import asyncio
import re
import time
from urllib.parse import urlsplit

import aiohttp

_PART = re.compile(r'#EXT-X-PART:DURATION=[\d.]+,URI="([va])(\d+)\.(\d+)\.m4s"')
_SEGMENT = re.compile(r"\n([va])(\d+)\.m4s")


async def ticket(http: aiohttp.ClientSession, link: str) -> tuple[str, str]:
    """The address of the broadcast's API and the cookie that opens it, for a viewers' link."""
    address, _, code = link.partition("#k=")
    base = address.replace("/live/", "/api/live/")
    async with http.post(f"{base}/access", json={"code": code}) as answer:
        answer.raise_for_status()
        return base, answer.headers["Set-Cookie"].partition(";")[0]


class Player:
    """Follows both renditions by blocking reloads and delta updates and fetches every part, as hls.js does."""

    def __init__(self, http: aiohttp.ClientSession, base: str, cookie: str) -> None:
        self.bytes = 0
        self.parts = 0
        self.late: list[float] = []
        """Seconds between two parts of the picture, as they came."""
        self._http, self._base, self._headers = http, base, {"Cookie": cookie}

    async def _get(self, path: str) -> bytes:
        async with self._http.get(f"{self._base}/hls/{path}", headers=self._headers) as answer:
            answer.raise_for_status()
            body = await answer.read()
        self.bytes += len(body)
        return body

    async def run(self) -> None:
        await self._get("master.m3u8")
        await asyncio.gather(self._follow("v", "video.m3u8"), self._follow("a", "audio.m3u8"))

    async def _follow(self, letter: str, name: str) -> None:
        text = (await self._get(name)).decode()
        number = len(_SEGMENT.findall(text))
        part, query = 0, f"?_HLS_msn={number}&_HLS_part=0"
        last = time.monotonic()
        while True:
            text = (await self._get(name + query + "&_HLS_skip=YES")).decode()
            listed = {(int(n), int(p)) for kind, n, p in _PART.findall(text) if kind == letter}
            while (number, part) in listed:
                await self._get(f"{letter}{number}.{part}.m4s")
                part += 1
                self.parts += 1
                if letter == "v":
                    self.late.append(time.monotonic() - last)
                    last = time.monotonic()
            if any(n == number + 1 for n, _ in listed) or f"\n{letter}{number}.m4s" in text:
                number, part = number + 1, 0
                continue
            query = f"?_HLS_msn={number}&_HLS_part={part}"


class _Ear(asyncio.Protocol):
    def __init__(self, request: bytes, heard: list[float], word: bytes) -> None:
        self._request, self._heard, self._word = request, heard, word
        self.ready = asyncio.get_running_loop().create_future()
        self._seen = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self.ready.done() and b"retry:" in data:
            self.ready.set_result(None)
        self._seen = (self._seen + data)[-4096:]
        if self._word in self._seen:
            self._seen = b""
            self._heard.append(time.monotonic())

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(exc or ConnectionError("the event stream ended"))


async def listen(base: str, cookie: str, count: int, word: bytes, heard: list[float]) -> list[asyncio.BaseTransport]:
    """Opens `count` event streams; when one tells `word` the moment goes to `heard`."""
    parts = urlsplit(base)
    host, port, loop = parts.hostname or "", parts.port or 80, asyncio.get_running_loop()
    request = f"GET {parts.path}/events HTTP/1.1\r\nHost: {parts.netloc}\r\nCookie: {cookie}\r\n\r\n".encode()
    transports: list[asyncio.BaseTransport] = []
    for at in range(0, count, 100):
        made = await asyncio.gather(
            *(
                loop.create_connection(lambda: _Ear(request, heard, word), host, port)
                for _ in range(min(100, count - at))
            )
        )
        await asyncio.gather(*(ear.ready for _, ear in made))
        transports += [transport for transport, _ in made]
    return transports
