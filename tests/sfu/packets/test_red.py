"""Redundant sound (RFC 2198): read, passed on to those who take it, unwrapped for the others, used to fill gaps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.plane import ExtensionIds
from sfu.red import MAX_REDUNDANT, retype, split
from sfu.redundancy import STAY, Redundancy
from sfu.rtcp import Nack
from sfu.rtp import MalformedPacket

RED, MINE = 63, 64


def wrap(own: bytes, *older: bytes, payload_type: int = 111, step: int = 960) -> bytes:
    """A payload with the packets before it, the oldest first."""
    heads = [(len(older) - place) * step << 10 | len(data) for place, data in enumerate(older)]
    packed = b"".join(bytes((0x80 | payload_type,)) + head.to_bytes(3, "big") for head in heads)
    return packed + bytes((payload_type,)) + b"".join(older) + own


def test_blocks_are_told_apart():
    assert split(wrap(b"own", b"first", b"next"), 111) == ([(1920, b"first"), (960, b"next")], b"own")
    assert split(b"\x6fown", 111) == ([], b"own")
    assert split(b"", 111) == ([], b"")


@pytest.mark.parametrize(
    "payload",
    [
        wrap(b"own", b"older", payload_type=110),
        wrap(b"own", b"older")[:3],
        wrap(b"", b"older")[:-1],
        wrap(b"own", *[b"x"] * (MAX_REDUNDANT + 1)),
    ],
    ids=["another codec", "truncated header", "short block", "too many"],
)
def test_what_is_broken_is_malformed(payload):
    with pytest.raises(MalformedPacket):
        split(payload, 111)


@given(st.binary(max_size=60))
def test_no_bytes_do_harm(payload):
    try:
        blocks, own = split(payload, payload[0] & 0x7F if payload else 0)
    except MalformedPacket:
        return
    assert len(own) + sum(len(data) for _, data in blocks) <= len(payload)


@given(st.binary(max_size=20), st.lists(st.binary(max_size=20), max_size=MAX_REDUNDANT))
def test_the_payload_type_is_changed_in_every_header(own, older):
    assert retype(wrap(own, *older), len(older), 96) == wrap(own, *older, payload_type=96)


@pytest.fixture
def voice(net, plane, kit):
    """A microphone with redundancy, one sink that takes it, one that does not, and a tap."""
    people = net.join("speaker"), net.join("hears"), net.join("plain")
    plane.add_source("speaker", kit.audio(red_payload_type=RED))
    alone = {"rtx_payload_type": None, "rtx_ssrc": None}
    plane.add_sink("hears", kit.sink("mic", "a", red_payload_type=MINE, nack=True, **alone))
    plane.add_sink("plain", kit.sink("mic", "b", **alone))
    tapped: list = []
    plane.set_tap("mic", tapped.extend)
    plane.set_redundancy("hears", True)
    return *people, tapped


def speak(kit, peer, sequence: int, *older: int, now: float | None = None) -> None:
    payload = wrap(b"own %d" % sequence, *[b"own %d" % n for n in older])
    packet = kit.packet(sequence, payload, ssrc=1111, payload_type=RED, step=960, marker=False)
    peer.send(packet, sequence * 0.02 if now is None else now)


def heard(peer) -> list[tuple[int, bytes]]:
    first = peer.rtp[0].sequence
    return [(packet.sequence - first, packet.payload) for packet in peer.rtp]


def test_each_sink_gets_what_it_takes(kit, plane, voice):
    speaker, hears, plain, tapped = voice
    for n in range(10, 14):
        speak(kit, speaker, n, n - 1)
    assert heard(plain) == [(0, b"own 10"), (1, b"own 11"), (2, b"own 12"), (3, b"own 13")]
    assert {packet.payload_type for packet in plain.rtp} == {120}
    assert [packet.payload for packet in tapped] == [b"own 10", b"own 11", b"own 12", b"own 13"]
    # The first repeats what this sink was never to get.
    assert [packet.payload_type for packet in hears.rtp] == [120, MINE, MINE, MINE]
    assert hears.rtp[1].payload == wrap(b"own 11", b"own 10", payload_type=120)
    assert [p.timestamp for p in hears.rtp[1:]] == [hears.rtp[0].timestamp + 960 * n for n in (1, 2, 3)]
    plane.set_redundancy("hears", False)
    speak(kit, speaker, 14, 13)
    assert (hears.rtp[-1].payload_type, hears.rtp[-1].payload) == (120, b"own 14")


def test_what_was_lost_is_found_in_what_follows(kit, plane, voice):
    speaker, hears, plain, tapped = voice
    speak(kit, speaker, 10)
    speak(kit, speaker, 13, 11, 12)
    assert heard(plain) == [(0, b"own 10"), (1, b"own 11"), (2, b"own 12"), (3, b"own 13")]
    assert [p.timestamp - plain.rtp[0].timestamp for p in plain.rtp] == [0, 960, 1920, 2880]
    assert [(p.sequence, p.timestamp, p.lost, p.payload) for p in tapped] == [
        (n, n * 960, 0, b"own %d" % n) for n in (10, 11, 12, 13)
    ]
    assert [packet.payload for packet in hears.rtp[1:3]] == [b"own 11", b"own 12"]
    assert plane.source_stats("mic").recovered == 2
    speak(kit, speaker, 12, 11, now=0.27)  # it comes after all
    assert len(plain.rtp) == 4 and plane.stats().dropped == {"duplicate": 1}


def test_more_than_one_packet_back_stays_lost_where_nothing_brings_it(kit, plane, voice):
    speaker, _, plain, tapped = voice
    speak(kit, speaker, 10)
    speak(kit, speaker, 13, 12)
    plane.tick(1.0)
    speak(kit, speaker, 14, 13, now=1.0)
    assert heard(plain) == [(0, b"own 10"), (2, b"own 12"), (3, b"own 13"), (4, b"own 14")]
    assert [(p.sequence, p.lost) for p in tapped] == [(10, 0), (12, 1), (13, 0), (14, 0)]


def test_nothing_of_a_mute_gets_out(kit, plane, voice):
    speaker, hears, plain, tapped = voice
    speak(kit, speaker, 10)
    plane.pause_source("mic", True)
    speak(kit, speaker, 11, 10)
    plane.pause_source("mic", False)
    speak(kit, speaker, 13, 11, 12)
    speak(kit, speaker, 14, 12, 13)
    speak(kit, speaker, 15, 13, 14)
    said = [b"own 10", b"own 13", b"own 14", b"own 15"]
    assert [packet.payload for packet in plain.rtp] == [packet.payload for packet in tapped] == said
    wire = b"".join(packet.payload for packet in hears.rtp)
    assert b"own 11" not in wire and b"own 12" not in wire
    assert hears.rtp[-1].payload_type == MINE


def test_a_request_is_answered_with_the_very_bytes(kit, voice):
    speaker, hears, _, _ = voice
    for n in range(10, 13):
        speak(kit, speaker, n, n - 1)
    wire = hears.wire[-1]
    hears.rx = type("Deaf", (), {"unprotect": lambda self, data: hears.rtp[-1].serialize()})()
    hears.send_rtcp(0.5, Nack(1, 5000, (hears.rtp[-1].sequence,)))
    assert hears.wire[-1] == wire and len(hears.wire) == 4


def test_broken_redundancy_is_dropped(kit, plane, voice):
    speaker, hears, plain, _ = voice
    speaker.send(kit.packet(10, wrap(b"own", b"x", payload_type=99), ssrc=1111, payload_type=RED, step=960), 0.2)
    speaker.send(kit.packet(11, b"\xef", ssrc=1111, payload_type=RED, step=960), 0.2)
    assert hears.rtp == plain.rtp == []
    assert plane.stats().dropped == {"malformed": 2}


def test_redundancy_is_a_layer_of_its_own_in_the_rates(kit, plane, voice):
    speaker = voice[0]
    for n in range(100):
        speak(kit, speaker, 1000 + n, 999 + n, now=n * 0.02)
        plane.tick(n * 0.02)
    rates = plane.layer_rates("mic")
    assert rates[0, 0] == pytest.approx(50 * 8 * 8, rel=0.1)
    assert rates[0, 1] == pytest.approx(50 * 13 * 8, rel=0.1)


def test_with_numbered_packets(kit, plane, net, voice):
    speaker = voice[0]
    counted = net.join("counted")
    ids = ExtensionIds(mid=7, audio_level=8, transport_cc=3)
    fields = {"rtx_payload_type": None, "rtx_ssrc": None, "extensions": ids, "red_payload_type": 63}
    plane.add_sink("counted", kit.sink("mic", "c", payload_type=111, **fields))
    plane.set_redundancy("counted", True)
    for n in range(10, 13):
        speak(kit, speaker, n, n - 1)
    assert counted.rtp[-1].payload == wrap(b"own 12", b"own 11")


def test_redundancy_goes_by_the_loss_and_stays_a_while():
    policy = Redundancy("auto")
    assert not policy.update(0.009, None, 40_000, 1.0)
    assert policy.update(0.02, None, 40_000, 2.0) and policy.wanted
    assert not policy.update(0.005, None, 40_000, 20.0)
    assert not policy.update(0.0, None, 40_000, 20.0 + STAY - 0.1) and policy.wanted
    assert policy.update(0.0, None, 40_000, 20.0 + STAY) and not policy.wanted


def test_redundancy_is_not_for_ways_too_narrow_for_it():
    policy = Redundancy("auto")
    assert not policy.update(0.1, 100_000, 40_000, 1.0)
    assert policy.update(0.1, 200_000, 40_000, 2.0)
    assert policy.update(0.1, 100_000, 40_000, 3.0) and not policy.wanted


def test_always_and_off_ask_nobody():
    assert Redundancy("always").wanted and not Redundancy("always").update(0.0, 1.0, 40_000, 99.0)
    assert not Redundancy("off").update(0.5, None, 40_000, 99.0)
