"""Garbage on every port while two people talk: its sender gets nowhere, and nobody else notices."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest_asyncio

from benchmarks.harness.browsers import chromium
from benchmarks.harness.server import ServerProcess
from tests.e2e.person import new_person


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(folder: Path) -> AsyncIterator[ServerProcess]:
    async with ServerProcess(folder, captions_enabled="false") as server:
        yield server


MESSAGES = (
    "",
    "{",
    "\u0000",
    "[1]",
    '{"type":"hello"}',
    '{"type":"no-such-thing"}',
    '{"type":"hello","version":1,"grant":"x.y.z","name":"N"}',
)


def spray_datagrams(port: int) -> None:
    """Bounded: 3,000 datagrams of every first byte, some far too long, some that look like STUN, DTLS and RTP."""
    with socket.socket(type=socket.SOCK_DGRAM) as stranger:
        for number in range(3000):
            size = (0, 1, 20, 200, 1400, 2000, 9000)[number % 7]
            body = bytes([(number * 7) % 256]) + os.urandom(size)
            stranger.sendto(body, ("127.0.0.1", port))
        stranger.sendto(b"\x80\x61" + bytes(1998), ("127.0.0.1", port))


async def garbage_stream(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(os.urandom(70_000))
        async with asyncio.timeout(15):
            return await reader.read(65_536)
    except (ConnectionError, TimeoutError):
        return b""
    finally:
        writer.close()


async def metric(server: ServerProcess, name: str) -> float:
    async with aiohttp.ClientSession() as http, http.get(f"{server.url}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


async def test_garbage_on_every_port_is_nobody_elses_problem(server: ServerProcess) -> None:
    async with chromium() as browser:
        ana, ben = await new_person(browser, server.url), await new_person(browser, server.url)
        await ana.join(server.links["host"], "Ana")
        await ben.join(server.links["guest"], "Ben")
        await ana.sees(1)
        before = await metric(server, "consilium_dropped_total")
        await asyncio.to_thread(spray_datagrams, server.media_port)
        await asyncio.gather(
            *(garbage_stream(server.media_port) for _ in range(10)), *(garbage_stream(server.port) for _ in range(10))
        )
        async with aiohttp.ClientSession() as http:
            for text in MESSAGES:
                async with http.ws_connect(f"{server.url}/ws/demo", origin=server.url) as ws:
                    await ws.send_str(text)
                    async with asyncio.timeout(10):
                        answer = await ws.receive()
                    assert answer.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.CLOSE), text
        for person in (ana, ben):
            await person.forget()
            await person.sees(1)
            await person.hears(1)
        assert await metric(server, "consilium_dropped_total") > before
