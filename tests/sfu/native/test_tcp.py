"""Media over TCP that the native plane carries, and the same room on both planes with a peer that does not read."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sfu.framing import frame
from sfu.links import TcpLink
from sfu.plane.choose import Outlet, PlaneName, StreamRoute, built
from sfu.rtp import RtpPacket
from sfu.server import Sfu
from tests.sfu.packets.conftest import Kit
from tests.sfu.people import CAMERA, MICROPHONE, Feed, Person, Recorded

pytest.importorskip("sfu.plane._native", reason="the native plane is not built")

from tests.sfu.native.test_socket import KEYS, Server, until

Join = Callable[..., Person]
HOST = "127.0.0.1"


class Connection(StreamRoute):
    """The server's side of a TCP connection, ready to be handed over."""

    def __init__(self, accepted: socket.socket, rest: bytes = b"", ready: bool = True) -> None:
        self.socket, self.rest, self.ready = accepted, rest, ready
        self.outlet: Outlet | None = None
        self.ended = 0

    def hand_over(self, adopt: Callable[[int, bytes], Outlet]) -> bool:
        if not self.ready:
            return False
        self.outlet = adopt(self.socket.detach(), self.rest)
        return True

    def lost(self) -> None:
        self.ended += 1


class Caller:
    """The far end, which frames what it sends as `tests.sfu.native.test_socket.End` seals it."""

    def __init__(self, server: Server) -> None:
        self.end = server.end(HOST)
        with socket.create_server((HOST, 0)) as listener:
            self.socket = socket.create_connection(listener.getsockname())
            accepted, _ = listener.accept()
        self.socket.settimeout(5)
        self.route = Connection(accepted)

    def frame(self, packet: RtpPacket) -> bytes:
        return frame(self.end.tx.protect(packet.serialize()))

    def send(self, packet: RtpPacket) -> None:
        self.socket.sendall(self.frame(packet))

    def exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            assert piece, "the connection was closed"
            data += piece
        return data

    def datagram(self) -> bytes:
        return self.exactly(int.from_bytes(self.exactly(2), "big"))

    def take(self) -> RtpPacket:
        while True:
            datagram = self.datagram()
            if not 192 <= datagram[1] <= 223:
                return RtpPacket.parse(self.end.rx.unprotect(datagram))

    def close(self) -> None:
        self.socket.close()
        with contextlib.suppress(OSError):
            self.route.socket.close()


@pytest.fixture(params=[1, 2])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    made = Server(HOST, request.param)
    yield made
    made.close()


@pytest.fixture
def call(server: Server) -> Iterator[Callable[[], Caller]]:
    callers: list[Caller] = []

    def make() -> Caller:
        callers.append(Caller(server))
        return callers[-1]

    yield make
    for caller in callers:
        caller.close()


Call = Callable[[], Caller]


def connect(server: Server, call: Call) -> tuple[Caller, Caller]:
    publisher, viewer = call(), call()
    server.plane.add_transport("p", KEYS, publisher.route, "room")
    server.plane.add_transport("s", KEYS, viewer.route, "room")
    server.plane.add_source("p", Kit.video())
    server.plane.add_sink("s", Kit.sink("cam"))
    return publisher, viewer


def test_media_goes_from_connection_to_connection_without_python(server: Server, call: Call) -> None:
    publisher, viewer = connect(server, call)
    stream = b"".join(publisher.frame(Kit.packet(n, Kit.DELTA if n else Kit.KEYFRAME)) for n in range(50))
    for at in range(0, len(stream), 91):  # frames split anywhere
        publisher.socket.sendall(stream[at : at + 91])
    got = [viewer.take() for _ in range(50)]
    assert [packet.sequence - got[0].sequence for packet in got] == list(range(50))
    assert server.sent == []
    assert server.plane.stats().dropped == {}


def test_a_frame_that_was_begun_before_is_finished(server: Server, call: Call) -> None:
    publisher, viewer = call(), call()
    first = publisher.frame(Kit.packet(0, Kit.KEYFRAME))
    publisher.route.rest = first[:40]
    server.plane.add_transport("p", KEYS, publisher.route)
    server.plane.add_transport("s", KEYS, viewer.route)
    server.plane.add_source("p", Kit.video())
    server.plane.add_sink("s", Kit.sink("cam"))
    publisher.socket.sendall(first[40:])
    assert viewer.take().payload == Kit.KEYFRAME


def test_stun_and_dtls_go_up_and_python_answers_by_the_connection(server: Server, call: Call) -> None:
    caller, _ = connect(server, call)
    stun, dtls = b"\x00\x01" + bytes(18), b"\x16" + bytes(40)
    caller.socket.sendall(frame(stun) + frame(dtls) + frame(b"\xff\xff"))
    came: list[object] = []
    while len(came) < 2:
        came += server.wait()
    assert came == [(caller.route, stun), (caller.route, dtls)]
    assert caller.route.outlet is not None
    caller.route.outlet.send(b"\x01\x01answer")
    assert caller.datagram() == b"\x01\x01answer"
    until(lambda: server.plane.stats().dropped == {"unknown protocol": 1})


@pytest.mark.parametrize(("last", "counted"), [(b"\xff\xff", {"tcp framing": 1}), (b"", {})], ids=["junk", "end"])
def test_python_hears_of_a_connection_that_ends(
    server: Server, call: Call, last: bytes, counted: dict[str, int]
) -> None:
    publisher, viewer = connect(server, call)
    publisher.socket.sendall(last)
    if not last:
        publisher.socket.close()
    assert server.wait() == []
    assert (publisher.route.ended, viewer.route.ended) == (1, 0)
    assert server.plane.stats().dropped == counted
    if last:
        assert publisher.socket.recv(10) == b""
    assert publisher.route.outlet is not None
    publisher.route.outlet.send(b"\x00nobody")
    assert server.plane.stats().dropped == counted | {"tcp closed": 1}


def test_one_that_cannot_be_handed_over_yet_is_when_its_media_comes(server: Server, call: Call) -> None:
    publisher, viewer = call(), call()
    viewer.route.ready = False
    server.plane.add_transport("p", KEYS, publisher.route)
    server.plane.add_transport("s", KEYS, viewer.route)
    server.plane.add_source("p", Kit.video())
    server.plane.add_sink("s", Kit.sink("cam"))
    publisher.send(Kit.packet(0, Kit.KEYFRAME))
    assert server.wait() == []
    ((route, _),) = server.sent
    assert route is viewer.route
    server.plane.claim(viewer.route, "s")
    assert viewer.route.outlet is None
    viewer.route.ready = True
    server.plane.claim(viewer.route, "s")
    publisher.send(Kit.packet(1))
    assert viewer.take().payload == Kit.DELTA
    assert len(server.sent) == 1


def test_media_of_nobody_goes_up_until_it_is_somebodys_again(server: Server, call: Call) -> None:
    publisher, viewer = connect(server, call)
    publisher.send(Kit.packet(0, Kit.KEYFRAME))
    viewer.take()
    asked: list[object] = []

    def holder(route: object) -> None:
        asked.append(route)

    server.plane.heard(holder)
    assert publisher.route in asked
    publisher.send(Kit.packet(1))
    ((route, datagram),) = server.wait()
    assert route is publisher.route
    server.plane.claim(route, "p")
    server.plane.receive("p", datagram, time.monotonic())
    publisher.send(Kit.packet(2))
    assert [viewer.take().payload for _ in range(2)] == [Kit.DELTA] * 2
    server.plane.remove_transport("p")
    publisher.send(Kit.packet(3))
    assert [route for route, _ in server.wait()] == [publisher.route]


def test_a_viewer_moves_between_udp_and_tcp(server: Server, call: Call) -> None:
    publisher, viewer = connect(server, call)
    publisher.send(Kit.packet(0, Kit.KEYFRAME))
    numbers = [viewer.take().sequence]
    again = call()
    again.end.rx = viewer.end.rx
    for n, (route, take) in enumerate(
        [(viewer.end.address, viewer.end.take), (again.route, again.take), (viewer.route, viewer.take)], 1
    ):
        server.plane.set_route("s", route)
        publisher.send(Kit.packet(n))
        numbers.append(take().sequence)
    assert numbers == list(range(numbers[0], numbers[0] + 4))


def test_a_connection_does_not_go_to_a_room_of_another_worker(server: Server, call: Call) -> None:
    publisher, viewer = connect(server, call)
    other = server.end(HOST)
    server.plane.add_transport("o", KEYS, other.address, "other")
    server.plane.claim(viewer.route, "o")
    assert viewer.route.ended == server.plane.threads - 1
    publisher.send(Kit.packet(0, Kit.KEYFRAME))
    if server.plane.threads == 1:
        assert viewer.take().payload == Kit.KEYFRAME
    else:
        assert viewer.socket.recv(10) == b""


def test_connections_end_with_the_plane_and_by_will(server: Server, call: Call) -> None:
    publisher, viewer = connect(server, call)
    assert publisher.route.outlet is not None
    publisher.route.outlet.close()
    assert publisher.socket.recv(10) == b""
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    server.plane.release()
    assert viewer.socket.recv(10) == b""
    assert (publisher.route.ended, viewer.route.ended) == (0, 1)
    assert len(list(Path("/proc/self/fd").iterdir())) < descriptors
    assert len(server.plane._connections) == 0
    server.wake = server.plane.serve(server.sockets)


def test_a_reset_harms_nobody_else(server: Server, call: Call) -> None:
    publisher, viewer = connect(server, call)
    gone = call()
    server.plane.add_transport("g", KEYS, gone.route, "room")
    server.plane.add_sink("g", Kit.sink("cam", "gone"))
    gone.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    gone.socket.close()
    assert server.wait() == []
    assert gone.route.ended == 1
    for n in range(20):
        publisher.send(Kit.packet(n, Kit.DELTA if n else Kit.KEYFRAME))
    assert [viewer.take().payload for _ in range(20)][1:] == [Kit.DELTA] * 19


PEERS = """
import json, socket, sys, time
sys.path.insert(0, sys.argv[2])
from tests.sfu.native.test_socket import End
from tests.sfu.packets.conftest import Kit

publisher = End(int(sys.argv[1]))
viewer = socket.create_connection(("127.0.0.1", int(sys.argv[3])))
print(json.dumps(publisher.address), flush=True)
sys.stdin.readline()
viewer.setblocking(False)
times, sent, size = [], 0, 0
start = time.monotonic()
while time.monotonic() - start < 1.6:
    publisher.send(Kit.packet(sent, Kit.KEYFRAME if sent % 50 == 0 else Kit.DELTA))
    sent += 1
    time.sleep(0.005)
    try:
        size += len(viewer.recv(65536))
        times.append(time.monotonic())
    except BlockingIOError:
        pass
    if len(times) == 20:
        print("streaming", flush=True)
print(json.dumps({"sent": sent, "size": size, "times": times}), flush=True)
"""


def test_media_flows_on_while_python_is_stuck() -> None:
    """As over UDP: for 0.8 s nothing of Python runs in the server's process."""
    server, listener = Server(HOST), socket.create_server((HOST, 0))
    root = str(Path(__file__).parents[3])
    command = [sys.executable, "-c", PEERS, str(server.port), root, str(listener.getsockname()[1])]
    peers = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root)
    try:
        assert peers.stdin is not None and peers.stdout is not None
        publisher = json.loads(peers.stdout.readline())
        server.plane.add_transport("p", KEYS, tuple(publisher))
        server.plane.add_transport("s", KEYS, Connection(listener.accept()[0]))
        server.plane.add_source("p", Kit.video())
        server.plane.add_sink("s", Kit.sink("cam"))
        peers.stdin.write("go\n")
        peers.stdin.flush()
        assert peers.stdout.readline() == "streaming\n"
        stuck = time.monotonic()
        ctypes.PyDLL(None).usleep(800_000)  # PyDLL: without letting go of the lock
        free = time.monotonic()
        result = json.loads(peers.stdout.readline())
    finally:
        peers.kill()
        peers.communicate()
        server.close()
        listener.close()
    meanwhile = [at for at in result["times"] if stuck <= at <= free]
    gaps = [after - before for before, after in zip([stuck, *meanwhile], [*meanwhile, free], strict=True)]
    assert max(gaps) < 0.3, f"media stood still for {max(gaps):.3f} s"
    assert result["size"] > (result["sent"] - 10) * 100


# --- a room on either plane -------------------------------------------------------------------------


@pytest.fixture(params=["python", "native"])
def media_plane(request: pytest.FixtureRequest) -> PlaneName:
    if request.param == "native" and not built():
        pytest.skip("the native plane is not built")
    return request.param


async def test_a_peer_that_does_not_read_loses_pictures_and_keeps_sound(
    join: Join, events: Recorded, sfu: Sfu, media_plane: PlaneName
) -> None:
    ana, tom = join("ana"), join("tom", transport="tcp")
    tom.listen()
    await ana.publish([MICROPHONE, CAMERA])
    sound, picture = ana.tracks["0"], ana.tracks["1"]
    voice = Feed(ana.client, "0", period=0.02, clock=48000)
    video = Feed(ana.client, "1", period=0.001, clock=90000, size=1100)
    async with voice, video:
        await events.until(lambda: all(len(tom.packets.get(track, ())) > 20 for track in (sound, picture)))
        (connection,) = sfu._ports._connections
        assert connection.handed_over == (media_plane == "native")
        peer = tom.client.subscribing
        assert peer is not None and isinstance(peer.link, TcpLink)
        transport = peer.link._transport
        assert transport is not None
        transport.pause_reading()
        heard, seen = len(tom.packets[sound]), len(tom.packets[picture])
        await soon(lambda: sfu.stats().dropped.get("tcp peer too slow", 0) > 20)
        lost = sfu.stats().dropped["tcp peer too slow"]
        transport.resume_reading()
        await events.until(lambda: len(tom.packets[sound]) > heard + 30 and len(tom.packets[picture]) > seen + 100)
    numbers = [packet.sequence for packet in tom.packets[sound]]
    missing = sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers))
    assert (missing, numbers) == ([], sorted(numbers)), sfu.stats().dropped
    assert lost > 20
    assert "tcp framing" not in sfu.stats().dropped
    assert events.states["tom", "subscribe"] == "connected"


async def test_people_on_tcp_talk_come_back_and_leave_nothing_behind(
    join: Join, events: Recorded, sfu: Sfu, media_plane: PlaneName
) -> None:
    ana, tom = join("ana", transport="tcp"), join("tom", transport="tcp")
    tom.listen()
    await ana.publish([MICROPHONE])
    track = ana.tracks["0"]
    async with Feed(ana.client, "0", period=0.02, clock=48000):
        await events.until(lambda: len(tom.packets.get(track, ())) > 20)
        assert [c.handed_over for c in sfu._ports._connections] == [media_plane == "native"] * 2
        old = {c for c in sfu._ports._connections if c.address == peer_address(ana)}
        assert len(old) == 1
        await ana.client.accept(await ana.exchange(ana.client.restart(), ana.client.labels))  # on a new connection
        await soon(lambda: len(sfu._ports._connections) == 2 and old.isdisjoint(sfu._ports._connections))
        have = len(tom.packets[track])
        await events.until(lambda: len(tom.packets[track]) > have + 20)
        assert [c.handed_over for c in sfu._ports._connections] == [media_plane == "native"] * 2
    await ana.close()
    await tom.close()
    await events.until(lambda: set(events.states.values()) == {"closed"})
    await soon(lambda: not sfu._ports._connections)


async def soon(condition: Callable[[], bool]) -> None:
    """Polls: nobody is told of connections and counters."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def peer_address(person: Person) -> tuple[str, int]:
    peer = person.client.publishing
    assert peer is not None and isinstance(peer.link, TcpLink) and peer.link._transport is not None
    address: tuple[str, int] = peer.link._transport.get_extra_info("sockname")
    return address
