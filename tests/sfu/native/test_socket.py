"""The native plane at work on a real socket, with peers on loopback."""

from __future__ import annotations

import ctypes
import json
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from pylibsrtp import Policy, Session

from sfu.plane import SrtpKeys
from sfu.rtp import RtpPacket
from sfu.srtp import PROFILES
from tests.sfu.packets.conftest import Kit

pytest.importorskip("sfu.plane._native", reason="the native plane is not built")

from sfu.plane.compiled import NativePlane

PROFILE = "AEAD_AES_128_GCM"
IN, OUT = bytes(range(28)), bytes(range(50, 78))
KEYS = SrtpKeys(PROFILE, rx=IN, tx=OUT)


def session(key: bytes, direction: int) -> Session:
    policy = Policy(key=key, ssrc_type=direction, srtp_profile=PROFILES[PROFILE])
    policy.window_size = 4096
    return Session(policy)


def until(condition: Callable[[], bool]) -> None:
    """Polls: of counters nobody tells."""
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class End:
    """A peer with a UDP socket."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.connect((host, port))
        self.socket.settimeout(5)
        self.tx = session(IN, Policy.SSRC_ANY_OUTBOUND)
        self.rx = session(OUT, Policy.SSRC_ANY_INBOUND)

    @property
    def address(self) -> tuple:
        return self.socket.getsockname()

    def send(self, packet: RtpPacket) -> None:
        self.socket.send(self.tx.protect(packet.serialize()))

    def take(self) -> RtpPacket:
        """The next RTP packet."""
        while True:
            datagram = self.socket.recv(2048)
            if not 192 <= datagram[1] <= 223:
                return RtpPacket.parse(self.rx.unprotect(datagram))


@pytest.fixture(params=[("127.0.0.1", 1), ("::1", 1), ("127.0.0.1", 2), ("127.0.0.1", 4)], ids=str)
def place(request):
    return request.param


@pytest.fixture
def host(place):
    return place[0]


class Server:
    def __init__(self, host: str, threads: int = 1) -> None:
        self.sent: list[tuple[object, bytes]] = []
        self.sockets: list[socket.socket] = []
        self.port = 0
        for _ in range(threads):
            sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
            self.sockets.append(sock)
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind((host, self.port))
            self.port = sock.getsockname()[1]
        self.plane = NativePlane(lambda route, datagram: self.sent.append((route, datagram)), threads=threads)
        self.wake = self.plane.serve(self.sockets)
        self.ends: list[End] = []

    def end(self, host: str) -> End:
        self.ends.append(End(self.port, host))
        return self.ends[-1]

    def wait(self, seconds: float = 5.0) -> list[tuple[object, bytes]]:
        """What `poll` has, once it has something."""
        readable, _, _ = select.select([self.wake], [], [], seconds)
        assert readable, "the plane had nothing to tell"
        return list(self.plane.poll())

    def close(self) -> None:
        self.plane.release()
        for sock in self.sockets:
            sock.close()
        for end in self.ends:
            end.socket.close()


@pytest.fixture
def server(place):
    made = Server(*place)
    yield made
    made.close()


def connect(server: Server, host: str) -> tuple[End, End]:
    publisher, subscriber = server.end(host), server.end(host)
    server.plane.add_transport("p", KEYS, publisher.address)
    server.plane.add_transport("s", KEYS, subscriber.address)
    server.plane.add_source("p", Kit.video())
    server.plane.add_sink("s", Kit.sink("cam"))
    return publisher, subscriber


def test_bursts_pass_in_order_whatever_their_sizes(server, host):
    publisher, subscriber = connect(server, host)
    sizes = [1000, 1000, 1000, 400, 1100, 1100, 20, 1100, *[900] * 70]
    for n, size in enumerate(sizes):
        publisher.send(Kit.packet(n, (Kit.KEYFRAME if n == 0 else Kit.DELTA)[:2] + bytes(size)))
    got = [subscriber.take() for _ in sizes]
    assert [len(packet.payload) - 2 for packet in got] == sizes
    assert [packet.sequence - got[0].sequence for packet in got] == list(range(len(sizes)))
    assert server.plane.stats().packets_out == len(sizes)
    assert server.plane.stats().dropped == {}


def test_what_is_not_media_of_a_known_address_goes_up(server, host):
    stranger = server.end(host)
    stun, dtls = b"\x00\x01" + bytes(18), b"\x16" + bytes(40)
    stranger.socket.send(stun)
    stranger.socket.send(dtls)
    stranger.send(Kit.packet(1))
    came = []
    while len(came) < 3:
        came += server.wait()
    assert [data[0] for _, data in came] == [0, 0x16, 0x80]
    assert {route for route, _ in came} == {stranger.address}
    for junk in (b"", b"\xff\xff", b"\x80" + bytes(1600)):
        stranger.socket.send(junk)
    stranger.socket.send(stun)
    assert [data for _, data in server.wait()] == [stun]
    assert server.plane.stats().dropped == {"empty": 1, "unknown protocol": 1, "oversized": 1}


def test_an_address_that_is_claimed_is_the_transports_until_somebody_else_holds_it(server, host):
    publisher, subscriber = connect(server, host)
    moved = server.end(host)
    moved.tx = publisher.tx
    moved.send(Kit.packet(1, Kit.KEYFRAME))
    ((route, datagram),) = server.wait()
    server.plane.claim(route, "p")
    server.plane.receive("p", datagram, time.monotonic())
    first = subscriber.take()
    moved.send(Kit.packet(2))
    assert subscriber.take().sequence == first.sequence + 1
    asked: dict[object, None] = {}

    def holder(route: object) -> str | None:
        asked[route] = None
        return None if route == moved.address else "p"

    server.plane.heard(holder)
    assert moved.address in asked
    moved.send(Kit.packet(3))
    assert [route for route, _ in server.wait()] == [moved.address]


def test_queues_towards_a_python_that_does_not_listen_are_bounded(server, host):
    stranger = server.end(host)
    publisher, subscriber = connect(server, host)
    publisher.send(Kit.packet(0, Kit.KEYFRAME))
    subscriber.take()
    for n in range(1, 3001):
        stranger.socket.send(b"\x00\x01" + bytes(18))
        stranger.socket.send(b"\x80\x60" + bytes(40))
        if n % 50 == 0:  # paced by the plane's own work, lest the kernel's buffer is what bounds
            publisher.send(Kit.packet(n // 50))
            subscriber.take()
    expected = {"control queue full": 3000 - 2048, "media from stranger": 3000 - 256}
    until(lambda: server.plane.stats().dropped == expected)  # another thread may read what strangers send
    came = server.wait()
    assert len([data for _, data in came if data[0] == 0]) == 2048
    assert len([data for _, data in came if data[0] == 0x80]) == 256


def test_routes_that_are_no_addresses_are_pythons(server, host):
    publisher = server.end(host)
    connection = object()
    server.plane.add_transport("p", KEYS, publisher.address)
    server.plane.add_transport("t", KEYS, connection)
    server.plane.add_source("p", Kit.video())
    server.plane.add_sink("t", Kit.sink("cam"))
    publisher.send(Kit.packet(1, Kit.KEYFRAME))
    assert server.wait() == []
    ((route, datagram),) = server.sent
    assert route is connection
    assert RtpPacket.parse(session(OUT, Policy.SSRC_ANY_INBOUND).unprotect(datagram)).payload == Kit.KEYFRAME


def test_taps_and_events_come_with_the_tick(server, host):
    publisher, subscriber = connect(server, host)
    seen: list = []
    server.plane.set_tap("cam", seen.extend)
    for n in range(3):
        publisher.send(Kit.packet(n, Kit.KEYFRAME))
        subscriber.take()
    server.plane.tick(0.0)
    assert [packet.payload for packet in seen] == [Kit.KEYFRAME] * 3
    assert server.plane.source_stats("cam").keyframes == 3
    assert server.plane.drain() == []


def test_the_socket_is_the_callers_again_after_the_end(server, host):
    server.plane.release()
    server.plane.release()
    stranger = server.end(host)
    stranger.socket.send(b"\x00hello")
    (its, *_), _, _ = select.select(server.sockets, [], [], 5)
    assert its.recv(100) == b"\x00hello"
    server.wake = server.plane.serve(server.sockets)
    stranger.socket.send(b"\x00again")
    assert [data for _, data in server.wait()] == [b"\x00again"]


PEERS = """
import json, socket, sys, time
sys.path.insert(0, sys.argv[2])
from tests.sfu.native.test_socket import End
from tests.sfu.packets.conftest import Kit

publisher, subscriber = End(int(sys.argv[1])), End(int(sys.argv[1]))
print(json.dumps([publisher.address, subscriber.address]), flush=True)
sys.stdin.readline()
subscriber.socket.setblocking(False)
times, sent = [], 0
start = time.monotonic()
said = False
while time.monotonic() - start < 2.0:
    publisher.send(Kit.packet(sent, Kit.KEYFRAME if sent % 50 == 0 else Kit.DELTA))
    sent += 1
    time.sleep(0.005)
    try:
        while True:
            if not 192 <= subscriber.socket.recv(2048)[1] <= 223:
                times.append(time.monotonic())
    except BlockingIOError:
        pass
    if len(times) > 20 and not said:
        said = True
        print("streaming", flush=True)
print(json.dumps({"sent": sent, "times": times}), flush=True)
"""


def test_media_flows_on_while_python_is_stuck():
    """For a second nothing of Python runs in the server's process, for the interpreter lock is held."""
    server = Server("127.0.0.1")
    root = str(__import__("pathlib").Path(__file__).parents[3])
    peers = subprocess.Popen(
        [sys.executable, "-c", PEERS, str(server.port), root],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root,
    )  # fmt: skip
    try:
        assert peers.stdin is not None and peers.stdout is not None
        publisher, subscriber = json.loads(peers.stdout.readline())
        server.plane.add_transport("p", KEYS, tuple(publisher))
        server.plane.add_transport("s", KEYS, tuple(subscriber))
        server.plane.add_source("p", Kit.video())
        server.plane.add_sink("s", Kit.sink("cam"))
        peers.stdin.write("go\n")
        peers.stdin.flush()
        assert peers.stdout.readline() == "streaming\n"
        stuck = time.monotonic()
        ctypes.PyDLL(None).usleep(1_000_000)  # PyDLL: without letting go of the lock
        free = time.monotonic()
        assert free - stuck >= 1.0
        result = json.loads(peers.stdout.readline())
    finally:
        peers.kill()
        peers.communicate()
        server.close()
    meanwhile = [at for at in result["times"] if stuck <= at <= free]
    gaps = [after - before for before, after in zip([stuck, *meanwhile], [*meanwhile, free], strict=True)]
    assert max(gaps) < 0.3, f"media stood still for {max(gaps):.3f} s"
    assert len(result["times"]) >= result["sent"] - 10
