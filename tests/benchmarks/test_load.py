"""The load generator against libsrtp and our own parsers, and the bare loop end to end: figures rest on them."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import socket
from collections.abc import Iterator

import pytest
from pylibsrtp import Policy, Session

from benchmarks.load.contenders import Direct, Limit
from benchmarks.load.generator import Counters, Publisher, Receiver
from benchmarks.load.keys import session_keys
from sfu.extensions import build_extensions
from sfu.plane import ExtensionIds, SrtpProfile
from sfu.rtcp import parse_compound
from sfu.rtp import RtpPacket
from sfu.srtp import KEY_LENGTHS, PROFILES
from sfu.twcc import TransportFeedback

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")

GCM: tuple[SrtpProfile, ...] = ("AEAD_AES_128_GCM", "AEAD_AES_256_GCM")


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    theirs.settimeout(5)
    with ours, theirs:
        yield ours, theirs


async def _taken(receiver: Receiver, viewer: int, datagrams: int) -> Counters:
    """The viewer's counters once it has taken that many datagrams, whatever they were."""
    for _ in range(2000):
        counters = receiver.counters(viewer)
        if counters.packets + counters.other >= datagrams:
            break
        await asyncio.sleep(0.005)
    return counters


def _libsrtp(master: bytes, profile: SrtpProfile, direction: int) -> Session:
    return Session(Policy(key=master, ssrc_type=direction, srtp_profile=PROFILES[profile]))


@pytest.mark.parametrize("profile", GCM)
async def test_libsrtp_opens_what_the_publisher_sends(
    profile: SrtpProfile, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    master = secrets.token_bytes(KEY_LENGTHS[profile])
    publisher = Publisher(ours, session_keys(master), 77, 96, ExtensionIds(mid=4), "0")
    assert await publisher.send(6, burst=3, size=500, rate=3000) == 6
    publisher.close()
    opened = _libsrtp(master, profile, Policy.SSRC_ANY_INBOUND)
    packets = [RtpPacket.parse(opened.unprotect(theirs.recv(2000))) for _ in range(6)]
    assert [packet.marker for packet in packets] == [False, False, True] * 2
    assert {len(packet.payload) for packet in packets} == {500}
    assert [int.from_bytes(packet.payload[2:6], "big") for packet in packets] == list(range(6))


async def test_what_the_direct_path_carries_is_counted_and_compared() -> None:
    direct = Direct()
    direct.receiver.verify(1)
    await direct.publisher.send(400, burst=8, size=1200, rate=8000)
    counters = await _taken(direct.receiver, 0, 400)
    direct.close()
    assert (counters.packets, counters.verified, counters.lost, counters.wrong) == (400, 400, 0, 0)


async def test_a_packet_that_differs_from_what_was_sent_is_noticed(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    master = secrets.token_bytes(28)
    receiver = Receiver(1)
    receiver.verify(1)
    receiver.add(ours, 9, session_keys(master))
    sealed = _libsrtp(master, "AEAD_AES_128_GCM", Policy.SSRC_ANY_OUTBOUND)
    right = bytes(6) + bytes(8) + bytes(range(14, 114))
    for sequence, payload in enumerate((right, right[:-1] + b"\0")):
        theirs.send(sealed.protect(RtpPacket(96, sequence + 1, 0, 9, payload=payload).serialize()))
    theirs.send(b"\x80\x60" + bytes(60))  # not sealed with anybody's key, and of another stream
    counters = await _taken(receiver, 0, 3)
    receiver.close()
    assert (counters.packets, counters.verified, counters.wrong, counters.other) == (2, 2, 1, 1)


async def test_a_viewer_tells_when_packets_arrived(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    inbound, outbound = secrets.token_bytes(28), secrets.token_bytes(28)
    receiver = Receiver(1)
    receiver.add(ours, 9, session_keys(inbound), 3, session_keys(outbound, "rtcp"))
    sealed = _libsrtp(inbound, "AEAD_AES_128_GCM", Policy.SSRC_ANY_OUTBOUND)
    for number in (65534, 65535, 1, 2):  # 0 is lost, across the wrap
        profile, block = build_extensions([(3, number.to_bytes(2, "big"))])
        packet = RtpPacket(96, number, 0, 9, payload=bytes(20), extension_profile=profile, extension=block)
        theirs.send(sealed.protect(packet.serialize()))
    opened = _libsrtp(outbound, "AEAD_AES_128_GCM", Policy.SSRC_ANY_INBOUND)
    told: dict[int, bool] = {}
    while sum(told.values()) < 4:  # in one message, or in two where the machine was slow
        [feedback] = parse_compound(opened.unprotect_rtcp(await asyncio.to_thread(theirs.recv, 2000)))
        assert isinstance(feedback, TransportFeedback)
        assert feedback.media == 9
        came = {offset for offset, _ in feedback.arrivals}
        told |= {(feedback.base + offset) & 0xFFFF: offset in came for offset in range(feedback.count)}
    receiver.close()
    assert told == {65534: True, 65535: True, 0: False, 1: True, 2: True}


async def test_the_bare_loop_forwards_to_every_subscriber() -> None:
    limit = Limit()
    await limit.start(3)
    try:
        limit.receiver.verify(1)
        await limit.publisher.send(800, burst=8, size=1200, rate=4000)
        for viewer in range(3):
            counters = await _taken(limit.receiver, viewer, 800)
            assert (counters.packets, counters.verified, counters.lost, counters.wrong) == (800, 800, 0, 0)
    finally:
        await limit.stop()
