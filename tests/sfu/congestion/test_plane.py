"""Transport-wide congestion control through a plane: numbers, feedback, pacing, probing, estimates."""

from __future__ import annotations

import itertools
import secrets

import pytest

from sfu.extensions import parse_extensions
from sfu.plane import BandwidthEstimate, ExtensionIds
from sfu.rtcp import Nack, ReceiverReport, Remb, Report, parse_compound
from sfu.rtp import RtpPacket, is_rtcp
from sfu.twcc import TICK, ArrivalRecorder, TransportFeedback
from tests.sfu.congestion.simulation import Link
from tests.sfu.packets.conftest import kit, net, net_factory, plane

__all__ = ["kit", "net", "net_factory", "plane"]

VIDEO_IDS = ExtensionIds(mid=7, transport_cc=5)
AUDIO_IDS = ExtensionIds(mid=7, audio_level=8, transport_cc=5)
PAYLOAD = b"\x10\x01" + bytes(1098)


def number_of(packet):
    values = parse_extensions(packet.extension_profile or 0, packet.extension)
    return int.from_bytes(values[5], "big") if 5 in values else None


def numbers(peer):
    return [number_of(packet) for packet in peer.rtp]


def start(net, plane, kit, **sink):
    publisher, subscriber = net.join("p"), net.join("s")
    plane.add_source("p", kit.video())
    plane.add_source("p", kit.audio())
    plane.add_sink("s", kit.sink("cam", extensions=VIDEO_IDS, **sink))
    plane.add_sink("s", kit.sink("mic", "voice", 7000, rtx_payload_type=None, rtx_ssrc=None, extensions=AUDIO_IDS))
    publisher.send(kit.packet(1, kit.KEYFRAME), 0.0)
    plane.drain()
    return publisher, subscriber


class Viewer:
    """A subscriber behind a link, which tells when packets came. `media` counts its bytes by SSRC."""

    def __init__(self, net, peer, link):
        self.peer, self.link = peer, link
        self.recorder = ArrivalRecorder()
        self.arrived: list[tuple[float, RtpPacket, int]] = []
        self.now = 0.0
        self.due = 0.0
        self.back: list[tuple[float, list[TransportFeedback]]] = []
        peer.take = self.take

    def take(self, datagram):
        self.link.push(len(datagram), self.now, lambda at: self.arrive(datagram, at))

    def arrive(self, datagram, at):
        if is_rtcp(datagram):
            return
        packet = RtpPacket.parse(self.peer.rx.unprotect(datagram))
        self.arrived.append((at, packet, len(datagram)))
        self.recorder.received(number_of(packet), at)

    def step(self, now):
        self.now = now
        self.link.step(now)
        if now >= self.due:
            self.due = now + 0.05
            self.back.append((now + self.link.delay, self.recorder.feedback(1, 0)))
        while self.back and self.back[0][0] <= now:
            for message in self.back.pop(0)[1]:
                self.peer.send_rtcp(now, message)

    def rate(self, since, until, ssrc=None):
        sizes = [s for at, p, s in self.arrived if since <= at < until and ssrc in (None, p.ssrc)]
        return sum(sizes) * 8 / (until - since)


def meet(net, plane, kit, link, seconds, rate, changes=None, wanted=3_000_000.0, sink=None):
    """A publisher's video at `rate(estimate)` and audio over `link`; the viewer and the estimates by time."""
    publisher, subscriber = start(net, plane, kit, **(sink or {}))
    viewer = Viewer(net, subscriber, link)
    plane.set_wanted_bitrate("s", wanted)
    estimates, estimate, number, level, plan = [], None, 1, 0.0, sorted((changes or {}).items())
    for step in range(round(seconds * 1000)):
        now = 0.1 + step / 1000
        while plan and plan[0][0] <= now:
            plan.pop(0)[1]()
        if step % 33 == 0:
            level += rate(estimate) * 0.033 / 8
            while level > 0:
                number += 1
                publisher.send(kit.packet(number, PAYLOAD, timestamp=step * 90), now)
                level -= len(PAYLOAD)
        if step % 20 == 0:
            publisher.send(kit.opus(step // 20), now)
            plane.tick(now)
            for event in plane.drain():
                if isinstance(event, BandwidthEstimate):
                    assert event.transport == "s"
                    estimate = event.bits_per_second
                    estimates.append((now, estimate))
        viewer.step(now)
    return viewer, estimates


def test_every_packet_of_the_transport_has_the_next_number(net, plane, kit):
    publisher, subscriber = start(net, plane, kit)
    for n in range(2, 30):
        publisher.send(kit.packet(n), n * 0.01)
        publisher.send(kit.opus(n, level=40), n * 0.01)
    lost = tuple(p.sequence for p in subscriber.rtp if p.ssrc == 5000)[3:6]
    subscriber.send_rtcp(0.4, Nack(1, 5000, lost))
    assert {p.ssrc for p in subscriber.rtp} == {5000, 5001, 7000}
    assert numbers(subscriber) == list(range(len(subscriber.rtp)))
    assert [p.payload for p in subscriber.rtp if p.ssrc == 5000][1:] == [kit.DELTA] * 28
    (voice,) = {parse_extensions(p.extension_profile, p.extension)[8] for p in subscriber.rtp if p.ssrc == 7000}
    assert voice == bytes((40,))


def test_the_numbers_wrap_around(net, plane, kit):
    publisher, subscriber = start(net, plane, kit)
    for n in range(49):
        plane.add_sink("s", kit.sink("mic", f"voice{n}", 8000 + n, extensions=AUDIO_IDS))
    for n in range(66_000 // 50):
        if n == 1300:
            subscriber.clear()
        publisher.send(kit.opus(n), n * 0.02)
    assert numbers(subscriber) == [n & 0xFFFF for n in range(66_001)][-len(subscriber.rtp) :]
    assert len(subscriber.rtp) == 1000


def test_a_publisher_is_told_when_its_packets_came_and_of_its_cap_only(net, plane, kit):
    publisher = net.join("p")
    ids = ExtensionIds(mid=4, transport_cc=6)
    plane.add_source("p", kit.video(extensions=ids))
    plane.set_bitrate("p", 900_000)
    sent = {}
    for n in range(1, 400):
        now = n * 0.01
        if n % 5:
            extensions = [(6, (n + 65_400 & 0xFFFF).to_bytes(2, "big"))]
            publisher.send(kit.packet(n, kit.KEYFRAME, extensions=extensions), now)
            sent[n + 65_400 & 0xFFFF] = now
        plane.tick(now)
    plane.tick(4.2)
    messages = publisher.got(TransportFeedback)
    assert 50 <= len(messages) <= 90, "every 50 ms or so"
    assert {message.media for message in messages} == {2222}
    assert [message.index for message in messages] == [n & 0xFF for n in range(len(messages))]
    told, told_of = {}, 0
    for message in messages:
        told_of += message.count
        for offset, ticks in message.arrivals:
            told[(message.base + offset) & 0xFFFF] = message.reference * 0.064 + ticks * TICK
    assert told == {number: pytest.approx(at, abs=2 * TICK) for number, at in sent.items()}
    assert told_of == max(sent.values()) / 0.01, "those that did not come are told of as well"
    assert {remb.bitrate for remb in publisher.got(Remb)} <= {899_072, 900_000}, "though a fifth is lost"


def test_what_a_viewer_can_take_follows_its_link(net, plane, kit):
    link = Link(3_500_000)
    changes = {6: lambda: setattr(link, "rate", 400_000), 12: lambda: setattr(link, "rate", 3_500_000)}
    viewer, estimates = meet(
        net, plane, kit, link, 22, lambda estimate: min(2_500_000, (estimate or 1e6) * 0.9), changes
    )
    assert min(value for at, value in estimates if 3 < at < 6) > 2_000_000
    assert max(value for at, value in estimates if 8 < at < 12) < 500_000
    assert min(value for at, value in estimates if 8 < at < 12) > 150_000
    assert next(at for at, value in estimates if at > 12 and value > 2_000_000) < 20
    stats = plane.transport_stats("s")
    assert stats.feedback == "twcc" and stats.estimate == pytest.approx(estimates[-1][1], rel=0.02)
    assert stats.sent_bitrate > 1_500_000 and 0.04 < stats.round_trip < 0.2
    told = [at for at, _ in estimates]
    assert min(b - a for a, b in itertools.pairwise(told)) >= 0.099
    # Nothing is decoded wrongly for all the probing: the stream itself has every packet once.
    stream = [p.sequence for _, p, _ in viewer.arrived if p.ssrc == 5000]
    assert len(set(stream)) == len(stream)


def test_probing_uses_retransmissions_and_padding_only_and_stays_below_what_is_wanted(net, plane, kit):
    viewer, estimates = meet(net, plane, kit, Link(20_000_000), 6, lambda _: 200_000, wanted=2_000_000)
    assert max(value for _, value in estimates) >= 1_900_000
    extra = [p for _, p, _ in viewer.arrived if p.ssrc == 5001]
    assert extra and all(p.padding or len(p.payload) > 500 for p in extra)
    assert max(viewer.rate(at / 5, at / 5 + 0.2) for at in range(30)) < 2_600_000
    assert viewer.rate(4, 6, 5001) == 0, "it was found, so that it ends"


def test_a_viewer_without_retransmissions_is_not_probed(net, plane, kit):
    sink = {"rtx_payload_type": None, "rtx_ssrc": None}
    viewer, _ = meet(net, plane, kit, Link(20_000_000), 3, lambda _: 200_000, sink=sink)
    assert {p.ssrc for _, p, _ in viewer.arrived} == {5000, 7000}
    assert plane.stats().dropped == {}


def test_a_burst_is_evened_out_for_a_slow_viewer_but_voices_pass(net, plane, kit):
    link = Link(500_000, queue=2.0)
    publisher, subscriber = start(net, plane, kit)
    viewer = Viewer(net, subscriber, link)
    number = 1
    for step in range(6000):
        now = 0.1 + step / 1000
        if step % 33 == 0:
            number += 1
            publisher.send(kit.packet(number, PAYLOAD, timestamp=step * 90), now)
        if step % 20 == 0:
            publisher.send(kit.opus(step // 20), now)
            plane.tick(now)
        viewer.step(now)
    before = len(viewer.arrived)
    for _ in range(60):
        number += 1
        publisher.send(kit.packet(number, PAYLOAD, timestamp=700_000), 6.1)
    sent_at_once = len(link.waiting)
    assert sent_at_once < 50 and plane.transport_stats("s").pacer_delay == 0.0
    publisher.send(kit.opus(400), 6.1)
    assert len(link.waiting) == sent_at_once + 1, "a voice does not wait"
    for step in range(2000):
        now = 6.1 + step / 1000
        if step % 20 == 0:
            plane.tick(now)
        viewer.step(now)
    stream = [p.sequence for _, p, _ in viewer.arrived[before:] if p.ssrc == 5000]
    assert stream == sorted(stream) and len(stream) >= 60


def test_a_subscriber_that_never_tells_anything_is_not_held_back(net, plane, kit):
    publisher, subscriber = start(net, plane, kit)
    for n in range(2, 400):
        publisher.send(kit.packet(n, PAYLOAD), 0.1)
        if n % 20 == 0:
            plane.tick(0.1 + n / 1000)
    assert len(subscriber.rtp) == 399
    assert plane.transport_stats("s").feedback == "none"
    assert not [event for event in plane.drain() if isinstance(event, BandwidthEstimate)]


def test_remb_is_used_where_that_is_all_there_is(net, plane, kit):
    publisher, subscriber = net.join("p"), net.join("s")
    plane.add_source("p", kit.video())
    plane.add_sink("s", kit.sink("cam"))
    publisher.send(kit.packet(1, kit.KEYFRAME), 0.0)
    subscriber.send_rtcp(0.1, Remb(1, 700_000, (5000,)))
    plane.tick(0.2)
    subscriber.send_rtcp(0.22, Remb(1, 300_000, (5000,)))
    plane.tick(0.24)
    events = [event for event in plane.drain() if isinstance(event, BandwidthEstimate)]
    plane.tick(0.32)
    events += [event for event in plane.drain() if isinstance(event, BandwidthEstimate)]
    assert [event.bits_per_second for event in events] == pytest.approx([700_000, 300_000], rel=0.001)
    stats = plane.transport_stats("s")
    assert (stats.feedback, stats.estimate) == ("remb", pytest.approx(300_000, rel=0.001))


def test_broken_feedback_is_counted_and_changes_nothing(net, plane, kit):
    publisher, subscriber = start(net, plane, kit)
    for n in range(2, 50):
        publisher.send(kit.packet(n), n * 0.01)
    head = bytes.fromhex("8fcd") + b"%s" + bytes(8)
    broken = 0
    for body in (b"\0\0\0\3\0\0\0\0\x20\x03\0\0", b"\0\0\xff\xff\0\0\0\0" + b"\x3f\xff" * 40, bytes(8)):
        data = head.replace(b"%s", (2 + len(body) // 4).to_bytes(2, "big")) + body
        plane.receive("s", subscriber.tx.protect_rtcp(data), 0.6)
        broken += 1
    assert plane.stats().dropped == {"malformed": broken}
    for _ in range(200):
        data = head.replace(b"%s", (12).to_bytes(2, "big")) + secrets.token_bytes(40)
        plane.receive("s", subscriber.tx.protect_rtcp(data), 0.6)
    plane.receive("p", publisher.tx.protect_rtcp(TransportFeedback(1, 2, 0, 1, 0, 0, ((0, 0),)).serialize()), 0.6)
    assert plane.stats().dropped["unwanted_feedback"] == 1
    publisher.send(kit.packet(50), 0.7)
    assert subscriber.rtp[-1].payload == kit.DELTA


def test_lies_about_arrivals_bound_what_is_sent(net, plane, kit):
    """Feedback that says everything came at once must not make us send without bound."""
    publisher, subscriber = start(net, plane, kit)
    plane.set_wanted_bitrate("s", 1e9)
    for n in range(1, 2000):
        now = 0.1 + n * 0.002
        publisher.send(kit.opus(n), now)
        if n % 10 == 0:
            plane.tick(now)
            last = number_of(subscriber.rtp[-1])
            base = max(0, last - 9)
            arrivals = tuple((at, at) for at in range(last - base + 1))
            subscriber.send_rtcp(now, TransportFeedback(1, 2, base, len(arrivals), n // 32, n // 10 & 255, arrivals))
    assert sum(map(len, subscriber.wire)) * 8 / 4 < 60_000_000
    assert plane.transport_stats("s").estimate <= 50_000_000


def test_a_second_request_for_a_packet_is_answered_twice_where_much_is_lost(net, plane, kit):
    publisher, subscriber = start(net, plane, kit)
    for n in range(2, 10):
        publisher.send(kit.packet(n), n * 0.01)
    wanted = next(p.sequence for p in subscriber.rtp if p.ssrc == 5000)
    subscriber.send_rtcp(0.2, ReceiverReport(1, (Report(5000, 0.1, 1, 5, 0, 0, 0),)))
    subscriber.clear()
    subscriber.send_rtcp(0.3, Nack(1, 5000, (wanted,)))
    assert len(subscriber.rtp) == 1
    subscriber.send_rtcp(0.4, Nack(1, 5000, (wanted,)))
    assert len(subscriber.rtp) == 3
    assert len({p.sequence for p in subscriber.rtp}) == 3


def test_the_bytes_are_what_a_parser_of_compounds_expects():
    data = TransportFeedback(1, 2, 65_530, 20, 0xFFFFFF, 255, ((0, 0), (1, 300), (9, 310))).serialize()
    assert parse_compound(ReceiverReport(9).serialize() + data)[1].arrivals == ((0, 0), (1, 300), (9, 310))
