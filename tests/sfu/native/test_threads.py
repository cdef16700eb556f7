"""Several threads on one port: rooms that are one thread's, datagrams that arrive at another's socket."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sfu.packets.conftest import Kit

pytest.importorskip("sfu.plane._native", reason="the native plane is not built")

from tests.sfu.native.test_socket import KEYS, End, Server

HOST = "127.0.0.1"
VIEWERS = 12


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(HOST, threads=2)
    yield made
    made.close()


class Room:
    """One publisher and its viewers; ids begin with the room's name."""

    def __init__(self, server: Server, name: str, viewers: int = VIEWERS) -> None:
        self.server, self.name, self.sent = server, name, 0
        self.publisher = server.end(HOST)
        self.add(f"{name}-p", self.publisher)
        server.plane.add_source(f"{name}-p", Kit.video(f"{name}-cam"))
        self.viewers = [self.view(number) for number in range(viewers)]

    def add(self, transport: str, end: End) -> None:
        self.server.plane.add_transport(transport, KEYS, end.address, self.name)

    def view(self, number: int) -> End:
        end, transport = self.server.end(HOST), f"{self.name}-{number}"
        self.add(transport, end)
        self.server.plane.add_sink(transport, Kit.sink(f"{self.name}-cam", f"{transport}-sink"))
        return end

    def send(self, count: int = 1) -> None:
        for _ in range(count):
            self.publisher.send(Kit.packet(self.sent, Kit.KEYFRAME if self.sent % 10 == 0 else Kit.DELTA))
            self.sent += 1


def in_order(end: End, count: int) -> None:
    numbers = [end.take().sequence for _ in range(count)]
    assert numbers == list(range(numbers[0], numbers[0] + count))


def until_media_threads(wanted: list[str]) -> None:
    """A thread names itself, and is listed for a moment after it was joined."""
    deadline = time.monotonic() + 5
    while True:
        names = []
        for task in Path("/proc/self/task").iterdir():
            with contextlib.suppress(OSError):
                names.append((task / "comm").read_text().strip())
        media = sorted(name for name in names if name.startswith("media"))
        if media == wanted:
            return
        assert time.monotonic() < deadline, media
        time.sleep(0.001)


def test_each_room_is_one_workers_wherever_its_datagrams_arrive(server: Server) -> None:
    rooms = [Room(server, "a"), Room(server, "b")]
    assert server.plane._groups.load == (2 * VIEWERS + 1,) * 2
    # More publishers, so that some of each room are heard at the other worker's socket (but once in 2^15 runs).
    talkers = []
    for room in rooms:
        for number in range(8):
            end = server.end(HOST)
            room.add(f"{room.name}-t{number}", end)
            server.plane.add_source(f"{room.name}-t{number}", Kit.video(f"{room.name}-more{number}"))
            talkers.append(end)
    for room in rooms:
        room.send(40)
    for end in talkers:
        end.send(Kit.packet(0, Kit.KEYFRAME))
    for room in rooms:
        for end in room.viewers:
            in_order(end, 40)
    # Each worker has had the packets of its own room.
    deadline = time.monotonic() + 5
    while any(core.stats()[:2] != (48, 40 * VIEWERS) for core in server.plane._cores):
        assert time.monotonic() < deadline, [core.stats() for core in server.plane._cores]
        time.sleep(0.01)
    assert server.plane.stats().dropped == {}
    handed = [core.handed() for core in server.plane._cores]
    assert sum(handed) > 0, "no datagram came by the other worker's socket"


def test_people_join_and_leave_while_media_flows(server: Server) -> None:
    rooms = [Room(server, "a", 2), Room(server, "b", 2)]
    done = threading.Event()

    def feed() -> None:
        while not done.is_set():
            for room in rooms:
                room.send()
            time.sleep(0.002)

    staying: list[tuple[Room, End, list[int]]] = [(room, end, []) for room in rooms for end in room.viewers]
    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        for number in range(10, 35):
            for room in rooms:
                end = room.view(number)
                in_order(end, 3)
                server.plane.remove_transport(f"{room.name}-{number}")
            for room, end, numbers in staying:  # as much as is certain to come, before the kernel's buffer is full
                numbers += [end.take().sequence for _ in range(room.sent - 1 - len(numbers))]
    finally:
        done.set()
        feeder.join()
    for room, end, numbers in staying:
        numbers += [end.take().sequence for _ in range(room.sent - len(numbers))]
        assert numbers == list(range(numbers[0], numbers[0] + room.sent))
    assert server.plane._groups.load == (5, 5)
    assert server.plane.stats().dropped == {}


def test_an_address_moves_to_a_room_of_another_worker(server: Server) -> None:
    """An ICE restart moves a publisher; and an address that was one room's becomes another's."""
    rooms = [Room(server, "a", 1), Room(server, "b", 1)]
    for room in rooms:
        room.send(3)
        in_order(room.viewers[0], 3)
    for _ in range(6):  # so that both sockets see a move
        for room in rooms:
            old, new = room.publisher, server.end(HOST)
            new.tx = old.tx
            server.plane.set_route(f"{room.name}-p", new.address)
            room.publisher = new
            room.send(3)
            in_order(room.viewers[0], 3)
    a, b = rooms
    b.publisher.socket, a.publisher.socket = a.publisher.socket, b.publisher.socket
    for room in rooms:
        server.plane.claim(room.publisher.address, f"{room.name}-p")
    for room in rooms:
        room.send(3)
        in_order(room.viewers[0], 3)
    assert server.plane.stats().dropped == {}
    held = {room.publisher.address: f"{room.name}-p" for room in rooms}
    server.plane.heard(lambda route: held.get(route))
    a.send()
    in_order(a.viewers[0], 1)
    # A transport that has gone takes all of its addresses with it, those of its room's other worker stay.
    server.plane.remove_transport("a-p")
    a.send()
    assert [route for route, _ in server.wait()] == [a.publisher.address]
    b.send()
    in_order(b.viewers[0], 1)


def test_rooms_that_end_make_room_for_others(server: Server) -> None:
    for turn in range(4):
        rooms = [Room(server, f"{turn}{name}", 1) for name in "ab"]
        assert server.plane._groups.load == (3, 3)
        for room in rooms:
            room.send()
            room.viewers[0].take()
            server.plane.remove_transport(f"{room.name}-p")
            server.plane.remove_transport(f"{room.name}-0")
    assert server.plane._groups.load == (0, 0)
    plane = server.plane
    assert (plane._transports, plane._sources, plane._sinks) == ({}, {}, {})


def test_threads_end_and_begin_again_under_load(server: Server) -> None:
    room = Room(server, "a")
    done = threading.Event()

    def feed() -> None:
        while not done.is_set():
            room.send()
            time.sleep(0.0005)

    until_media_threads(["media 0", "media 1"])
    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        for _ in range(5):
            room.viewers[0].take()
            server.plane.release()
            until_media_threads([])
            server.wake = server.plane.serve(server.sockets)
    finally:
        done.set()
        feeder.join()
    until_media_threads(["media 0", "media 1"])


def test_as_many_sockets_as_threads(server: Server) -> None:
    server.plane.release()
    with pytest.raises(ValueError, match="shorter"):
        server.plane.serve(server.sockets[:1])
    until_media_threads([])
    assert not server.plane.serving
    server.wake = server.plane.serve(server.sockets)
