"""The edge under fire: strangers, garbage, oversized datagrams, slow and silent TCP peers, while a call goes on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
from collections.abc import Callable, Iterator

import pytest

from sfu import ports, stun
from sfu import tcp as tcp_routes
from sfu.framing import frame
from sfu.server import Sfu, SfuRoom
from sfu.stun import Attribute, Class
from tests.sfu.people import MICROPHONE, Feed, Person, Recorded

Join = Callable[..., Person]


@pytest.fixture
def stranger(sfu: Sfu) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect(("127.0.0.1", sfu.port))
        yield sock


async def until(condition: Callable[[], bool]) -> None:
    """Polls: the server tells nobody about what it drops."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def until_dropped(sfu: Sfu, reason: str, count: int = 1) -> None:
    await until(lambda: sfu.stats().dropped.get(reason, 0) >= count)


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (b"\x80\x61" + bytes(1998), "oversized"),
        (b"\x80\x61" + bytes(200), "media from stranger"),
        (b"\x80\xc8" + bytes(26), "media from stranger"),
        (b"\x16\xfe\xfd" + bytes(50), "dtls from stranger"),
        (b"\xff" * 20, "unknown protocol"),
        (b"GET / HTTP/1.1\r\n\r\n", "unknown protocol"),
        (b"", "empty"),
        (b"\x00", "stun malformed"),
        (stun.build(Class.REQUEST, bytes(12)), "stun unauthenticated"),
        (stun.build(Class.SUCCESS, bytes(12)), "stun unexpected response"),
    ],
)
async def test_stranger_is_dropped_with_a_reason(
    sfu: Sfu, stranger: socket.socket, datagram: bytes, reason: str
) -> None:
    stranger.send(datagram)
    await until_dropped(sfu, reason)


async def test_call_survives_a_flood_of_garbage(
    join: Join, events: Recorded, sfu: Sfu, stranger: socket.socket
) -> None:
    ana, ben = join("ana"), join("ben")
    ben.listen()
    await ana.publish([MICROPHONE])
    peer = ana.client._publish
    assert peer is not None
    noise = random.Random(7)
    async with Feed(ana.client, "0", period=0.02, clock=48000) as feed:
        track = ana.tracks["0"]
        await events.until(lambda: len(ben.packets.get(track, ())) > 5)
        before = feed.sent
        for number in range(2000):
            datagram = noise.randbytes(noise.choice((1, 12, 40, 300, 1400, 1700)))
            for sender in (stranger.send, peer.send):
                try:
                    sender(bytes([noise.choice((0, 1, 20, 22, 63, 64, 128, 144, 191, 255))]) + datagram[1:])
                except BlockingIOError:
                    continue
            if number % 20 == 0:
                await asyncio.sleep(0.005)
    assert events.states["ana", "publish"] == "connected"
    # Every packet sent during the flood came.
    packets = ben.packets[track]
    await events.until(lambda: int.from_bytes(packets[-1].payload[:4], "big") == feed.sent - 1)
    came = {int.from_bytes(p.payload[:4], "big") for p in packets}
    assert came >= set(range(before, feed.sent))


async def test_oversized_datagram_from_the_peer_itself_is_dropped(join: Join, sfu: Sfu, events: Recorded) -> None:
    ana = join("ana")
    await ana.publish([MICROPHONE])
    assert ana.client._publish is not None
    ana.client._publish.send(b"\x80\x61" + bytes(1900))
    ana.client._publish.send(b"\x16\xfe\xfd" + bytes(1900))
    await until_dropped(sfu, "oversized", 2)
    assert events.states["ana", "publish"] == "connected"


async def test_dtls_before_any_check_reaches_no_session(
    room: SfuRoom, join: Join, sfu: Sfu, stranger: socket.socket
) -> None:
    ana = join("ana")
    await room.publish("ana", ana.client.offer([MICROPHONE]), ana.client.labels)
    (connection,) = sfu._edge.connections.values()
    hello = b"\x16\xfe\xff" + bytes(8) + b"\x00\x10" + os.urandom(16)
    stranger.send(hello)
    await until_dropped(sfu, "dtls from stranger")
    assert connection.state == "new"
    assert connection._dtls is not None
    assert connection._dtls._pipe._queue.empty()


async def test_stun_error_is_never_larger_than_the_request(sfu: Sfu, stranger: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    request = stun.build(Class.REQUEST, bytes(12), [(Attribute.USERNAME, b"nobody:me")], b"x" * 22)
    stranger.send(request)
    reply = await asyncio.wait_for(loop.sock_recv(stranger, 2048), 5)
    assert stun.parse(reply).error_code == 401
    assert len(reply) <= len(request)


async def tcp(sfu: Sfu) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", sfu.port)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "tcp framing"),
        (frame(b"\x16\xfe\xfd" + bytes(40)), "tcp without stun"),
        (frame(b"\x80\x61" + bytes(40)), "tcp without stun"),
        (b"\xff\xff", "tcp framing"),
    ],
)
async def test_tcp_that_does_not_begin_with_stun_is_closed(sfu: Sfu, data: bytes, reason: str) -> None:
    reader, writer = await tcp(sfu)
    writer.write(data)
    with contextlib.suppress(ConnectionResetError):
        assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    assert sfu.stats().dropped[reason] == 1
    assert sfu.stats().tcp_connections == 0


async def test_silent_tcp_is_closed_in_time(sfu: Sfu, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp_routes, "AUTHENTICATE_WITHIN", 0.1)
    reader, writer = await tcp(sfu)
    with contextlib.suppress(ConnectionResetError):
        assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    assert sfu.stats().dropped["tcp without stun"] == 1


async def test_tcp_connections_are_limited(sfu: Sfu, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "MAX_TCP_PER_ADDRESS", 3)
    writers = [(await tcp(sfu))[1] for _ in range(5)]
    await until_dropped(sfu, "tcp connection limit", 2)
    assert sfu.stats().tcp_connections == 3
    for writer in writers:
        writer.close()


async def test_peer_that_does_not_read_loses_media_not_the_server_memory(sfu: Sfu) -> None:
    _, writer = await tcp(sfu)
    await until(lambda: bool(sfu._ports._connections))
    (route,) = sfu._ports._connections
    for _ in range(20_000):
        sfu._ports.send(route, bytes(1200))
    assert sfu.stats().dropped["tcp peer too slow"] > 1000
    assert 0 < route.backlog <= tcp_routes.MAX_BACKLOG
    writer.close()
