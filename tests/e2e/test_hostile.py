"""Garbage on every port while two people talk: its sender gets nowhere, and nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest_asyncio

from benchmarks.harness.browsers import chromium
from benchmarks.harness.server import ServerProcess
from fuzz import corpus
from sfu.client import ClientTrack, MediaClient
from sfu.framing import FramingError, frame
from sfu.srtp import SrtpError
from signaling import protocol
from signaling.client import Participant, redeem
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


def aimed(data: bytes, ssrc: int) -> bytes:
    """An RTP packet, or what claims to be one, of another stream."""
    return data[:8] + ssrc.to_bytes(4, "big") + data[12:] if len(data) >= 12 else data


async def insider(server: ServerProcess, http: aiohttp.ClientSession) -> None:
    """Somebody who is in the room by right, with keys and all, and sends what the fuzzers found."""
    media = MediaClient(name="mallory")
    offered = asyncio.Event()

    def hear(message: protocol.ServerMessage) -> None:
        if isinstance(message, protocol.SubscribeOffer):
            offered.set()

    inside = Participant(http, media, "Mallory", on_message=hear)
    tracks = [ClientTrack("microphone", "OPUS"), ClientTrack("camera", "VP8")]
    await inside.enter(await redeem(http, server.links["guest"]), tracks)
    await offered.wait()
    await media.subscribed()
    ssrcs = [stream.ssrc for stream in media.sent.values()]
    kinds = [stream.chosen.payload_type for stream in media.sent.values() if stream.chosen is not None]
    plain = [data for name in ("rtp", "srtp") for data in corpus.read(name)]
    for block in corpus.read("extensions"):
        words = block[2:] + bytes(-len(block[2:]) % 4)
        head = bytes((0x90, kinds[0])) + bytes(10)
        plain.append(head + block[:2] + (len(words) // 4).to_bytes(2, "big") + words + b"payload")
    plain += [bytes((0x80, kinds[1])) + bytes(10) + data[3:] for data in corpus.read("payload")]
    for peer in (media.publishing, media.subscribing):
        assert peer is not None and peer.srtp is not None
        for number, data in enumerate(plain):
            sequence = (40_000 + number).to_bytes(2, "big")
            for packet in (data, aimed(data[:2] + sequence + data[4:], ssrcs[number % 2])):
                with contextlib.suppress(SrtpError):
                    peer.send(peer.srtp.seal_rtp(packet[:1300]))
        for data in corpus.read("rtcp"):
            for media_ssrc in (None, *media.received):
                told = data if media_ssrc is None else data[:8] + media_ssrc.to_bytes(4, "big") + data[12:]
                with contextlib.suppress(SrtpError):
                    peer.send(peer.srtp.seal_rtcp(told[:1300]))
        for data in (*corpus.read("stun"), *plain):
            peer.send(data[:1500])
        await asyncio.sleep(0.05)
    await inside.vanish()


async def talker(server: ServerProcess, http: aiohttp.ClientSession, messages: list[bytes]) -> None:
    """Says everything that was ever found, in the room; is answered each time or shown out."""
    invitation = await redeem(http, server.links["guest"])
    async with http.ws_connect(f"{server.url}/ws/{invitation.room}", origin=server.url) as ws:
        hello = protocol.Hello(version=protocol.VERSION, grant=invitation.grant, name="Trudy")
        await ws.send_str(protocol.encoder.encode(hello).decode())
        for data in messages:
            if ws.closed:
                return
            with contextlib.suppress(ConnectionError, UnicodeError):
                await ws.send_str(data.decode())
        with contextlib.suppress(ConnectionError):
            await ws.send_bytes(b"\x00")


async def requests(server: ServerProcess, http: aiohttp.ClientSession) -> set[int]:
    """The statuses that bodies get which are no WHIP, no JSON and no glossary."""
    code = server.links["guest"].rpartition("/")[2]
    bearer = {"Authorization": f"Bearer {code}"}
    found = set()
    for name, path, kind in (
        ("whip", "/whip/demo", "application/sdp"),
        ("sdp", "/whip/demo", "application/sdp"),
        ("glossary", "/api/rooms/demo/glossary", "text/csv"),
        ("glossary", "/api/glossary", "application/xml"),
        ("messages", f"/api/links/{code}", "application/json"),
    ):
        for data in corpus.read(name)[:12]:
            if b"a=fingerprint" in data:
                data = data.replace(b"a=rtcp-mux", b"a=rtcp-mix")  # near enough, but no publisher
            async with http.post(f"{server.url}{path}", data=data, headers={"Content-Type": kind, **bearer}) as answer:
                found.add(answer.status)
                await answer.read()
    return found


async def framed(port: int) -> None:
    """Streams of frames (RFC 4571) with everything that is no DTLS and no STUN in them."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(ConnectionError, FramingError):
        for data in (*corpus.read("stun"), *corpus.read("rtp"), *corpus.read("rtcp")):
            writer.write(frame(data[:1500]))
        writer.write(b"".join(corpus.read("framing")))
        await writer.drain()
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
            said = [*corpus.read("messages"), b"[" * 3000, b'{"type":"chat","text":"\\ud800"}']
            await asyncio.gather(
                insider(server, http),
                *(talker(server, http, said[at::6]) for at in range(6)),
                *(framed(server.media_port) for _ in range(4)),
            )
            statuses = await requests(server, http)
            assert statuses and max(statuses) < 500, statuses
        for person in (ana, ben):
            await person.forget()
            await person.sees(1)
            await person.hears(1)
        assert await metric(server, "consilium_dropped_total") > before
        assert await metric(server, 'consilium_dropped_total{reason="malformed"}') > 10, "the insider was heard"
    log = server.log.read_text(errors="replace")
    assert "Traceback" not in log and "a request failed" not in log, log[-4000:]
