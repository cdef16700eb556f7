"""Sinks that are aimed at another encoding of a track."""

from __future__ import annotations

import pytest

from sfu.plane import ExtensionIds, KeyframeWanted, SinkSwitched
from sfu.rtcp import Nack, Remb, SenderReport

IDS = ExtensionIds(mid=4, rid=10, repaired_rid=11)


def encodings(plane, kit, *rids):
    for rid in rids:
        spec = kit.video(f"cam/{rid}", rid=rid, ssrc=None, rtx_ssrc=None, extensions=IDS)
        plane.add_source("p", spec)


def named(kit, rid, sequence, payload, *, repaired=False, **changes):
    extensions = [(4, b"1"), (11 if repaired else 10, rid.encode())]
    return kit.packet(sequence, payload, extensions=extensions, **changes)


def test_encodings_are_told_apart_by_rid_and_repaired_rid(net, plane, kit):
    publisher, subscriber = net.join("p"), net.join("s")
    encodings(plane, kit, "q", "h", "f")
    plane.add_sink("s", kit.sink("cam/h"))
    for n, rid in enumerate("qhf"):
        publisher.send(named(kit, rid, 100, kit.KEYFRAME, ssrc=10 + n), 0.0)
        publisher.send(kit.packet(102, ssrc=10 + n), 0.066)  # the SSRC is known by now
    assert len(subscriber.rtp) == 2
    repair = named(kit, "h", 7, b"\0\x65" + kit.DELTA, repaired=True, ssrc=77, payload_type=97, timestamp=101 * 3000)
    publisher.send(repair, 0.1)
    assert [(p.sequence - subscriber.rtp[0].sequence) & 0xFFFF for p in subscriber.rtp] == [0, 2, 1]
    assert plane.source_stats("cam/h").retransmissions_received == 1
    assert plane.source_stats("cam/f").packets == 2
    assert plane.stats().dropped == {}


def test_an_encoding_of_a_rid_that_nobody_announced_is_dropped(net, plane, kit):
    publisher = net.join("p")
    encodings(plane, kit, "q", "f")
    publisher.send(named(kit, "x", 1, kit.KEYFRAME), 0.0)
    assert plane.stats().dropped == {"unknown_ssrc": 1}


def test_a_sink_switches_at_the_key_frame_of_its_target_and_stays_one_stream(net, plane, kit):
    publisher, subscriber = net.join("p"), net.join("s")
    encodings(plane, kit, "q", "f")
    plane.add_sink("s", kit.sink("cam/q"))
    publisher.send(named(kit, "q", 500, kit.KEYFRAME, ssrc=1, timestamp=1_000_000), 0.0)
    publisher.send(named(kit, "f", 9000, kit.KEYFRAME, ssrc=2, timestamp=77), 0.0)
    plane.drain()
    plane.aim_sink("sink", "cam/f")
    assert plane.drain() == [KeyframeWanted("cam/f", "sink")]
    publisher.send(kit.packet(501, ssrc=1, timestamp=1_003_000), 0.033)
    publisher.send(kit.packet(9001, ssrc=2, timestamp=3077), 0.033)
    publisher.send(kit.packet(9002, kit.KEYFRAME, ssrc=2, timestamp=6077), 0.066)
    publisher.send(kit.packet(502, ssrc=1, timestamp=1_006_000), 0.066)
    publisher.send(kit.packet(9003, ssrc=2, timestamp=9077), 0.1)
    assert plane.drain() == [SinkSwitched("sink", "cam/f")]
    first = subscriber.rtp[0]
    assert {p.ssrc for p in subscriber.rtp} == {5000}
    assert [p.sequence - first.sequence for p in subscriber.rtp] == [0, 1, 2, 3]
    assert [(p.timestamp - first.timestamp) & 0xFFFFFFFF for p in subscriber.rtp] == [0, 3000, 5970, 8970]


def test_times_of_encodings_are_tied_by_their_sender_reports(net, plane, kit):
    publisher, subscriber = net.join("p"), net.join("s")
    encodings(plane, kit, "q", "f")
    plane.add_sink("s", kit.sink("cam/q"))
    publisher.send(named(kit, "q", 500, kit.KEYFRAME, ssrc=1, timestamp=90_000), 1.0)
    publisher.send(named(kit, "f", 100, kit.DELTA, ssrc=2, timestamp=900_000), 1.0)
    # Media time 1 s of q is captured at NTP 1000 s, media time 10 s of f at NTP 1000.01 s.
    publisher.send_rtcp(1.1, SenderReport(1, 1000 << 32, 90_000, 1, 1))
    publisher.send_rtcp(1.1, SenderReport(2, int(1000.01 * 2**32), 900_000, 1, 1))
    plane.aim_sink("sink", "cam/f")
    publisher.send(kit.packet(101, kit.KEYFRAME, ssrc=2, timestamp=909_000), 1.25)
    first, second = subscriber.rtp
    assert abs((second.timestamp - first.timestamp) - int(0.11 * 90_000)) <= 1
    publisher.send(kit.packet(501, kit.KEYFRAME, ssrc=1, timestamp=92_000), 1.3)
    plane.aim_sink("sink", "cam/q")
    publisher.send(kit.packet(502, kit.KEYFRAME, ssrc=1, timestamp=93_000), 1.31)
    third = subscriber.rtp[2]
    assert third.timestamp == (second.timestamp + 1) & 0xFFFFFFFF  # captured before what was sent last


def test_what_was_sent_before_a_switch_can_still_be_sent_again(net, plane, kit):
    publisher, subscriber = net.join("p"), net.join("s")
    encodings(plane, kit, "q", "f")
    plane.add_sink("s", kit.sink("cam/q"))
    for n in range(3):
        payload = (kit.DELTA if n else kit.KEYFRAME)[:2] + b"q%d" % n
        publisher.send(named(kit, "q", 500 + n, payload, ssrc=1), n * 0.033)
    plane.aim_sink("sink", "cam/f")
    for n in range(3):
        payload = (kit.DELTA if n else kit.KEYFRAME)[:2] + b"f%d" % n
        publisher.send(named(kit, "f", 90 + n, payload, ssrc=2), 0.1 + n * 0.033)
    sent = {p.sequence: p for p in subscriber.rtp}
    subscriber.clear()
    subscriber.send_rtcp(0.5, Nack(9, 5000, tuple(sent)))
    again = {int.from_bytes(p.payload[:2], "big"): p for p in subscriber.rtp}
    assert {n: p.payload[2:] for n, p in again.items()} == {n: p.payload for n, p in sent.items()}
    assert {n: p.timestamp for n, p in again.items()} == {n: p.timestamp for n, p in sent.items()}


def test_a_sink_aimed_back_before_the_switch_goes_on_as_if_nothing_was(net, plane, kit):
    publisher, subscriber = net.join("p"), net.join("s")
    encodings(plane, kit, "q", "f")
    plane.add_sink("s", kit.sink("cam/q"))
    publisher.send(named(kit, "q", 500, kit.KEYFRAME, ssrc=1), 0.0)
    plane.aim_sink("sink", "cam/f")
    plane.aim_sink("sink", "cam/q")
    plane.drain()
    publisher.send(named(kit, "f", 90, kit.KEYFRAME, ssrc=2), 0.03)
    publisher.send(kit.packet(501, ssrc=1), 0.033)
    assert len(subscriber.rtp) == 2
    plane.tick(5.0)
    assert plane.drain() == []


def test_a_sink_may_be_aimed_while_paused_and_at_what_is_not_there_yet(net, plane, kit):
    publisher, subscriber = net.join("p"), net.join("s")
    encodings(plane, kit, "q")
    plane.add_sink("s", kit.sink("cam/q"))
    publisher.send(named(kit, "q", 500, kit.KEYFRAME, ssrc=1), 0.0)
    plane.aim_sink("sink", "cam/f")
    plane.pause_sink("sink", True)
    plane.drain()
    encodings(plane, kit, "f")
    assert plane.drain() == []
    plane.pause_sink("sink", False)
    assert plane.drain() == [KeyframeWanted("cam/f", "sink")]
    publisher.send(kit.packet(501, kit.KEYFRAME, ssrc=1), 0.033)
    publisher.send(named(kit, "f", 90, kit.KEYFRAME, ssrc=2), 0.066)
    assert [p.sequence - subscriber.rtp[0].sequence for p in subscriber.rtp] == [0, 1]


def test_a_sink_survives_the_end_of_what_it_shows_and_of_what_it_waits_for(net, plane, kit):
    publisher, subscriber = net.join("p"), net.join("s")
    encodings(plane, kit, "q", "h", "f")
    plane.add_sink("s", kit.sink("cam/q"))
    publisher.send(named(kit, "q", 500, kit.KEYFRAME, ssrc=1), 0.0)
    plane.aim_sink("sink", "cam/f")
    plane.remove_source("cam/f")
    publisher.send(kit.packet(501, ssrc=1), 0.033)
    plane.aim_sink("sink", "cam/h")
    plane.remove_source("cam/q")
    publisher.send(named(kit, "h", 90, kit.KEYFRAME, ssrc=2), 0.066)
    assert [p.sequence - subscriber.rtp[0].sequence for p in subscriber.rtp] == [0, 1, 2]
    assert 0 < (subscriber.rtp[2].timestamp - subscriber.rtp[1].timestamp) & 0xFFFFFFFF < 90_000


def test_another_codec_is_refused(net, plane, kit):
    net.join("p"), net.join("s")
    plane.add_source("p", kit.video())
    plane.add_source("p", kit.audio())
    plane.add_sink("s", kit.sink("cam"))
    with pytest.raises(ValueError, match="codec"):
        plane.aim_sink("sink", "mic")


def test_the_rate_of_a_source_that_is_not_scalable_is_its_only_layer(net, plane, kit):
    publisher = net.join("p")
    plane.add_source("p", kit.video())
    for n in range(40):
        publisher.send(kit.packet(n), n * 0.05)
        plane.tick(n * 0.05)
    assert plane.layer_rates("cam")[0, 0] == pytest.approx(20 * 100 * 8, rel=0.1)
    assert plane.layer_rates("gone") == {}


def test_a_transport_tells_what_it_sends_and_what_its_subscriber_says(net, plane, kit):
    publisher, subscriber = net.join("p"), net.join("s")
    plane.add_source("p", kit.audio())
    plane.add_sink("s", kit.sink("mic"))
    assert plane.transport_stats("nobody") is None
    assert plane.transport_stats("s").feedback == "none"
    for n in range(101):
        publisher.send(kit.opus(n), n * 0.02)
        plane.tick(n * 0.02)
    subscriber.send_rtcp(2.0, Remb(1, 300_000, (5000,)))
    stats = plane.transport_stats("s")
    assert stats.feedback == "remb" and stats.estimate == 300_000
    assert stats.sent_bitrate == pytest.approx(50 * 80 * 8, rel=0.05)
