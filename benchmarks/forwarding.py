"""CPU time per forwarded packet, of the Python plane and of a bare loop that only decrypts, encrypts and sends.

One publisher and its subscribers live in a second process with real UDP sockets on loopback; the forwarder is this
one. Both forwarders run by turns in the same rounds, with the same receive loop, socket, keys and packets:

- `python`: `PythonPlane`, whole: header parsing, numbering, history, NACK tracking, key frames, header extensions,
  statistics, reports on a tick every 20 ms;
- `bare`: pylibsrtp unprotect, then protect and sendto for each subscriber, and nothing else.

A figure is this process's CPU time, kernel included, over the packets that left: receiving and decrypting are spread
over the subscribers, and on loopback the sender also pays for the receiver's half of the kernel's work. No event
loop, no ICE and no DTLS are in it. Every payload is decrypted and compared at the receivers, after the clock has
stopped.
"""

from __future__ import annotations

import multiprocessing
import secrets
import select
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from pylibsrtp import Policy, Session

from benchmarks.figures import spread
from sfu.plane import ExtensionIds, SinkSpec, SourceSpec, SrtpKeys, SrtpProfile
from sfu.plane.python import PythonPlane
from sfu.rtp import RtpPacket
from sfu.srtp import KEY_LENGTHS, PROFILES
from sfu.taps import Codec

PROFILE: SrtpProfile = "AEAD_AES_128_GCM"
TICK = 0.02
QUIET = 0.5
BUFFER = 8 << 20

Address = tuple[str, int]
Forwarder = Callable[[bytes, float], None]


@dataclass(frozen=True)
class Case:
    """`payload` bytes to `subscribers`, `packets` in all, `burst` at once, `rate` packets per second."""

    name: str
    subscribers: int
    payload: int
    burst: int
    packets: int
    rate: int
    rounds: int


HEADLINE = Case("n9_1200_burst8", 9, 1200, 8, 1200, 1000, 5)
OTHERS = (
    Case("n49_1200_burst8", 49, 1200, 8, 200, 150, 3),
    Case("n9_160_burst8", 9, 160, 8, 800, 1000, 3),
    Case("n9_1200_burst1", 9, 1200, 1, 500, 500, 3),
)


@dataclass(frozen=True)
class Leg:
    """Keys of one transport, seen from the forwarder."""

    keys: SrtpKeys

    @staticmethod
    def make() -> Leg:
        size = KEY_LENGTHS[PROFILE]
        return Leg(SrtpKeys(PROFILE, secrets.token_bytes(size), secrets.token_bytes(size)))


def _session(key: bytes, direction: int) -> Session:
    return Session(Policy(key=key, ssrc_type=direction, srtp_profile=PROFILES[PROFILE]))


def _socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, BUFFER)
    return sock


def _payload(case: Case, number: int) -> bytes:
    """Starts like a VP8 key frame once, then like frames between; unlike any other packet's."""
    head = bytes((0x10, 0x00 if number == 0 else 0x01)) + number.to_bytes(4, "big")
    return head + bytes((number * 7 + at) & 0xFF for at in range(case.payload - len(head)))


# --- the second process: publisher and subscribers ---


def peers(pipe: Connection, case: Case, publisher: Leg, subscribers: list[Leg], target: Address) -> None:
    """Sends when told, keeps what comes, then decrypts and compares. Answers (received, wrong)."""
    tx = _session(publisher.keys.rx, Policy.SSRC_ANY_OUTBOUND)
    payloads = [_payload(case, n) for n in range(case.packets)]
    sealed = [
        tx.protect(RtpPacket(96, 1000 + n, 3000 * n, 1, marker=True, payload=payloads[n]).serialize())
        for n in range(case.packets)
    ]
    out, ears = _socket(), [_socket() for _ in subscribers]
    pipe.send([ear.getsockname() for ear in ears])
    pipe.recv()
    heard: list[list[bytes]] = [[] for _ in ears]
    poll = select.epoll()
    by_fd = {}
    for index, ear in enumerate(ears):
        ear.setblocking(False)
        poll.register(ear.fileno(), select.EPOLLIN)
        by_fd[ear.fileno()] = (ear, heard[index])
    start, sent, last = time.monotonic(), 0, time.monotonic()
    while sent < case.packets or time.monotonic() - last < QUIET:
        due = start + sent / case.rate
        if sent < case.packets and time.monotonic() >= due:
            for datagram in sealed[sent : sent + case.burst]:
                out.sendto(datagram, target)
            sent += case.burst
        wait = max(0.0, start + sent / case.rate - time.monotonic()) if sent < case.packets else QUIET / 4
        for fd, _ in poll.poll(wait):
            ear, kept = by_fd[fd]
            try:
                while True:
                    kept.append(ear.recv(2048))
            except BlockingIOError:
                last = time.monotonic()
    pipe.send("done")
    received = wrong = 0
    for leg, kept in zip(subscribers, heard, strict=True):
        rx = _session(leg.keys.tx, Policy.SSRC_ANY_INBOUND)
        media = [rx.unprotect(datagram) for datagram in kept if not 192 <= datagram[1] <= 223]
        numbers = [int.from_bytes(RtpPacket.parse(packet).payload[2:6], "big") for packet in media]
        pairs = zip(numbers, media, strict=True)
        wrong += sum(RtpPacket.parse(packet).payload != payloads[number] for number, packet in pairs)
        wrong += len(numbers) - len(set(numbers))
        received += len(numbers)
    pipe.send((received, wrong))


# --- the forwarders ---


def plane_forwarder(
    case: Case, sock: socket.socket, publisher: Leg, subscribers: list[Leg], to: list[Address]
) -> Forwarder:
    sendto = sock.sendto

    def send(route: Any, datagram: bytes) -> None:
        sendto(datagram, route)

    plane = PythonPlane(send)
    plane.add_transport("publisher", publisher.keys, ("127.0.0.1", 9))
    codec = Codec("VP8", 90000)
    ids = ExtensionIds(mid=4)
    plane.add_source("publisher", SourceSpec("camera", "video", codec, "0", 96, 97, 1, 2, ids, nack=True))
    for n, (leg, address) in enumerate(zip(subscribers, to, strict=True)):
        plane.add_transport(str(n), leg.keys, address)
        plane.add_sink(str(n), SinkSpec(str(n), "camera", "1", 100, 101, 10 + 2 * n, 11 + 2 * n, ids, "publisher"))
    ticked = 0.0
    receive = plane.receive

    def forward(datagram: bytes, now: float) -> None:
        nonlocal ticked
        receive("publisher", datagram, now)
        if now - ticked >= TICK:
            ticked = now
            plane.tick(now)
            plane.drain()

    return forward


def bare_forwarder(
    case: Case, sock: socket.socket, publisher: Leg, subscribers: list[Leg], to: list[Address]
) -> Forwarder:
    unprotect = _session(publisher.keys.rx, Policy.SSRC_ANY_INBOUND).unprotect
    sendto = sock.sendto
    legs = [
        (_session(leg.keys.tx, Policy.SSRC_ANY_OUTBOUND).protect, at) for leg, at in zip(subscribers, to, strict=True)
    ]

    def forward(datagram: bytes, now: float) -> None:
        packet = unprotect(datagram)
        for protect, address in legs:
            sendto(protect(packet), address)

    return forward


def one_run(case: Case, make: Callable[..., Forwarder]) -> tuple[float, int, int]:
    """CPU ns per forwarded packet, packets lost, packets wrong."""
    publisher, subscribers = Leg.make(), [Leg.make() for _ in range(case.subscribers)]
    sock = _socket()
    here, there = multiprocessing.Pipe()
    arguments = (there, case, publisher, subscribers, sock.getsockname())
    process = multiprocessing.get_context("spawn").Process(target=peers, args=arguments, daemon=True)
    process.start()
    try:
        forward = make(case, sock, publisher, subscribers, here.recv())
        poll = select.epoll()
        poll.register(sock.fileno(), select.EPOLLIN)
        poll.register(here.fileno(), select.EPOLLIN)
        sock.setblocking(False)
        here.send("go")
        taken = 0
        used = time.process_time_ns()
        while not here.poll(0) if taken >= case.packets else True:
            ready = poll.poll(5.0)
            if not ready:
                raise RuntimeError("nothing came for five seconds")
            if taken < case.packets and any(fd == here.fileno() for fd, _ in ready):
                break  # some were lost on the way in; the count at the receivers tells
            try:
                while True:
                    datagram = sock.recv(2048)
                    taken += 1
                    forward(datagram, time.monotonic())
                    if taken == case.packets:
                        used = time.process_time_ns() - used
            except BlockingIOError:
                pass
        if taken < case.packets:
            used = time.process_time_ns() - used
        if here.recv() != "done":
            raise RuntimeError("the peers broke off")
        received, wrong = here.recv()
    finally:
        sock.close()
        process.join(10)
        if process.is_alive():
            process.terminate()
    expected = case.packets * case.subscribers
    return used / max(1, taken * case.subscribers), expected - received, wrong


def measure(case: Case) -> dict[str, Any]:
    python: list[float] = []
    bare: list[float] = []
    lost = 0
    for n in range(case.rounds):
        turns = [(python, plane_forwarder), (bare, bare_forwarder)]
        for figures, make in turns if n % 2 == 0 else reversed(turns):
            ns, missing, wrong = one_run(case, make)
            if wrong:
                raise RuntimeError(f"{case.name}: {wrong} packets arrived wrong or twice")
            figures.append(ns)
            lost += missing
        print(f"{case.name}: round {n + 1}: python {python[-1]:.0f} ns, bare {bare[-1]:.0f} ns", file=sys.stderr)
    return {
        "python_ns": spread(python),
        "bare_ns": spread(bare),
        "ratio": spread([ours / theirs for ours, theirs in zip(python, bare, strict=True)]),
        "sent": 2 * case.rounds * case.packets * case.subscribers,
        "lost": lost,
    }


def run() -> dict[str, Any]:
    print((__doc__ or "").strip(), file=sys.stderr)
    headline = measure(HEADLINE)
    return {
        **headline,
        "headline": HEADLINE.name,
        "profile": PROFILE,
        "cases": {case.name: measure(case) for case in OTHERS},
        "measured": "CPU ns (user and kernel) of the forwarding process per packet sent, loopback UDP, no event loop; "
        "bare is pylibsrtp and sendto alone, in the same rounds; payloads compared at the receivers",
    }
