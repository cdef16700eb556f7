"""Loss and repair in both directions, key frame requests, reports, and what hostile peers get."""

from __future__ import annotations

import random
import secrets

import pytest

from sfu.plane import AudioLevel, ExtensionIds, KeyframeWanted, SenderReportSeen, SourceEnded
from sfu.rtcp import Bye, Fir, Nack, Pli, ReceiverReport, Remb, Report, SenderReport, SourceDescription
from sfu.rtp import unwrap_rtx, wrap_rtx


def start(net, plane, kit, **sink):
    publisher, subscriber = net.join("p"), net.join("s")
    plane.add_source("p", kit.video())
    plane.add_sink("s", kit.sink("cam", **sink))
    publisher.send(kit.packet(1, kit.KEYFRAME), 0.0)
    plane.drain()
    return publisher, subscriber


def test_a_gap_from_the_publisher_is_asked_for_and_repaired_by_rtx(net, plane, kit):
    publisher, subscriber = start(net, plane, kit)
    seen = []
    plane.set_tap("cam", seen.extend)
    publisher.send(kit.packet(2), 0.03)
    for n in (5, 6):
        publisher.send(kit.packet(n), 0.04)
    plane.tick(0.045)
    assert publisher.got(Nack) == [], "not before reordering is ruled out"
    plane.tick(0.06)
    assert [nack.sequences for nack in publisher.got(Nack)] == [(3, 4)]
    assert publisher.got(Nack)[0].media == 2222
    for n in (3, 4):
        publisher.send(wrap_rtx(97, n, 2223, kit.packet(n, b"\x00repaired%d" % n)), 0.08)
    assert [p.payload for p in subscriber.rtp[-2:]] == [b"\x00repaired3", b"\x00repaired4"]
    base = subscriber.rtp[0].sequence - 1
    assert [(p.sequence - base) & 0xFFFF for p in subscriber.rtp] == [1, 2, 5, 6, 3, 4]
    assert [(p.sequence, p.lost) for p in seen] == [(n, 0) for n in range(2, 7)]
    stats = plane.source_stats("cam")
    assert (stats.packets, stats.retransmissions_received, stats.nacks_sent, stats.lost) == (6, 2, 1, 0)
    plane.tick(0.2)
    assert len(publisher.got(Nack)) == 1


def test_what_was_missing_before_a_new_ssrc_is_not_asked_of_it(net, plane, kit):
    publisher, _ = start(net, plane, kit)
    publisher.send(kit.packet(5), 0.1)
    publisher.send(kit.packet(900, kit.KEYFRAME, ssrc=77, extensions=[(4, b"1")]), 0.105)
    publisher.send(kit.packet(902, ssrc=77), 0.11)
    plane.tick(0.15)
    assert [(nack.media, nack.sequences) for nack in publisher.got(Nack)] == [(77, (901,))]


def test_retransmissions_of_nothing_nearby_change_nothing(net, plane, kit):
    publisher, subscriber = net.join("p"), net.join("s")
    plane.add_source("p", kit.video())
    plane.add_sink("s", kit.sink("cam"))
    publisher.send(wrap_rtx(97, 1, 2223, kit.packet(1, kit.KEYFRAME)), 0.0)
    publisher.send(kit.packet(1, kit.KEYFRAME), 0.0)
    for n in range(4):
        publisher.send(wrap_rtx(97, 10 + n, 2223, kit.packet(30000 + n)), 0.01)
    publisher.send(kit.packet(2), 0.033)
    assert [p.payload for p in subscriber.rtp] == [kit.KEYFRAME, kit.DELTA]
    assert plane.stats().dropped == {"stray_retransmission": 5}


def test_nacks_are_repeated_then_given_up_and_a_key_frame_is_asked_for(net, plane, kit):
    publisher, _ = start(net, plane, kit)
    seen = []
    plane.set_tap("cam", seen.extend)
    publisher.send(kit.packet(2), 0.03)
    publisher.send(kit.packet(4), 0.03)
    for step in range(2, 150):
        plane.tick(step * 0.02)
    assert 5 <= len(publisher.got(Nack)) <= 10
    assert {nack.sequences for nack in publisher.got(Nack)} == {(3,)}
    assert len(publisher.got(Pli)) == 1
    assert plane.source_stats("cam").lost == 1
    assert [(p.sequence, p.lost) for p in seen] == [(2, 0), (4, 1)]


def test_a_subscriber_that_lost_packets_gets_them_by_rtx(net, plane, kit):
    publisher, subscriber = start(net, plane, kit)
    for n in range(2, 10):
        publisher.send(kit.packet(n, b"\x00%d" % n), n * 0.03)
    originals = list(subscriber.rtp)
    lost = tuple(p.sequence for p in originals[3:6])
    subscriber.clear()
    subscriber.send_rtcp(0.4, Nack(1, 5000, lost))
    repaired = [unwrap_rtx(120, 5000, p) for p in subscriber.rtp]
    assert repaired == originals[3:6]
    assert {(p.ssrc, p.payload_type) for p in subscriber.rtp} == {(5001, 121)}
    subscriber.send_rtcp(0.41, Nack(1, 5000, lost))
    assert len(subscriber.rtp) == 3, "not again so soon"
    subscriber.send_rtcp(0.45, Nack(1, 5000, lost))
    assert len(subscriber.rtp) == 6
    assert [(b.sequence - a.sequence) & 0xFFFF for a, b in zip(subscriber.rtp, subscriber.rtp[1:], strict=False)] == [
        1
    ] * 5
    stats = plane.sink_stats("sink")
    assert (stats.nacks_received, stats.retransmissions_sent) == (3, 6)


def test_without_rtx_the_very_bytes_are_sent_again(net, plane, kit):
    ids = ExtensionIds(mid=7, abs_send_time=3)
    publisher, subscriber = start(net, plane, kit, rtx_payload_type=None, rtx_ssrc=None, extensions=ids)
    publisher.send(kit.packet(2), 0.03)
    first = list(subscriber.wire)
    wanted = subscriber.rtp[1].sequence
    del subscriber.wire[:]
    subscriber.take = subscriber.wire.append  # its replay check would refuse what it has already
    subscriber.send_rtcp(0.4, Nack(1, 5000, (wanted,)))
    assert subscriber.wire == [first[1]]


def test_sound_is_sent_again_to_a_subscriber_that_said_it_would_ask(net, plane, kit):
    publisher, asking, silent = net.join("p"), net.join("s"), net.join("t")
    plane.add_source("p", kit.audio())
    plane.add_sink("s", kit.sink("mic", rtx_payload_type=None, rtx_ssrc=None, nack=True))
    plane.add_sink("t", kit.sink("mic", "other", 6000, rtx_payload_type=None, rtx_ssrc=None))
    for n in range(40):
        publisher.send(kit.opus(n), n * 0.02)
    first = list(asking.wire)
    early, late = asking.rtp[1].sequence, asking.rtp[-2].sequence
    for peer, ssrc in ((asking, 5000), (silent, 6000)):
        del peer.wire[:]
        peer.take = peer.wire.append  # its replay check would refuse what it has already
        peer.send_rtcp(0.9, Nack(1, ssrc, (early, late)))
    assert asking.wire == [first[-2]], "what is played by now is not kept"
    assert silent.wire == []


def test_packets_from_before_a_pause_can_still_be_asked_for(net, plane, kit):
    publisher, subscriber = start(net, plane, kit)
    for n in range(2, 6):
        publisher.send(kit.packet(n, b"\x00%d" % n), n * 0.01)
    wanted = subscriber.rtp[2]
    plane.pause_sink("sink", True)
    publisher.send(kit.packet(6), 0.06)
    plane.pause_sink("sink", False)
    publisher.send(kit.packet(7, kit.KEYFRAME), 0.07)
    subscriber.clear()
    subscriber.send_rtcp(0.1, Nack(1, 5000, (wanted.sequence,)))
    assert unwrap_rtx(120, 5000, subscriber.rtp[0]) == wanted
    subscriber.clear()
    subscriber.send_rtcp(0.2, Nack(1, 5000, ((wanted.sequence - 100) & 0xFFFF, (wanted.sequence + 100) & 0xFFFF)))
    assert subscriber.rtp == []


def test_a_subscriber_cannot_make_the_server_send_without_bound(net, plane, kit):
    publisher, subscriber = start(net, plane, kit)
    for n in range(2, 900):
        publisher.send(kit.packet(n), n * 0.002)
    everything = tuple(p.sequence for p in subscriber.rtp)
    subscriber.clear()
    for round in range(20):
        for at in range(0, len(everything), 300):
            subscriber.send_rtcp(1.8 + round * 0.05, Nack(1, 5000, everything[at : at + 300]))
    assert len(subscriber.rtp) <= 400 + 400 * 1.0


@pytest.mark.parametrize("seed", range(5))
def test_both_links_lose_one_packet_in_ten_and_everything_arrives(net, plane, kit, seed):
    dice = random.Random(seed)
    publisher, subscriber = start(net, plane, kit)
    base = subscriber.rtp[0].sequence - 1
    seen = []
    plane.set_tap("cam", seen.extend)
    sent = {n: kit.packet(n, b"\x10\x01%d" % n) for n in range(2, 400)}
    got = {1}
    rtx = 0
    arrivals = iter(sent.items())
    for step in range(1500):
        now = 0.01 + step * 0.005
        if step % 2 == 0 and (item := next(arrivals, None)) and dice.random() > 0.1:
            publisher.send(item[1], now)
        plane.tick(now)
        for nack in publisher.got(Nack):
            for n in nack.sequences:
                rtx += 1
                if dice.random() > 0.1:
                    publisher.send(wrap_rtx(97, rtx, 2223, sent[n]), now)
        for packet in subscriber.rtp:
            if dice.random() > 0.1:
                original = unwrap_rtx(120, 5000, packet) if packet.ssrc == 5001 else packet
                number = (original.sequence - base) & 0xFFFF
                assert number == 1 or original.payload == sent[number].payload
                got.add(number)
        publisher.clear()
        subscriber.clear()
        missing = sorted(set(range(1, max(got))) - got)
        if missing and step % 8 == 0:
            subscriber.send_rtcp(now, Nack(1, 5000, tuple((base + n) & 0xFFFF for n in missing)))
    assert max(got) >= 397 and sorted(got) == list(range(1, max(got) + 1))
    assert [p.sequence for p in seen] == sorted(p.sequence for p in seen)
    assert sum(p.lost for p in seen) == 0 and len(seen) >= 396


def test_keyframe_requests_are_throttled_and_none_is_forgotten(net, plane, kit):
    publisher, _ = start(net, plane, kit)
    assert plane.request_keyframe("cam", 1.0)
    assert not plane.request_keyframe("cam", 1.1)
    assert not plane.request_keyframe("cam", 1.2)
    plane.tick(1.3)
    assert len(publisher.got(Pli)) == 1
    plane.tick(1.52)
    plane.tick(2.5)
    assert len(publisher.got(Pli)) == 2
    assert plane.request_keyframe("cam", 3.0)
    plane.request_keyframe("cam", 3.1)
    publisher.send(kit.packet(2, kit.KEYFRAME), 3.2)
    plane.tick(4.0)
    assert len(publisher.got(Pli)) == 3, "the key frame came meanwhile"
    assert plane.source_stats("cam").plis_sent == 3


def test_a_request_before_the_publisher_is_known_is_sent_when_it_is(net, plane, kit):
    publisher = net.join("p")
    plane.add_source("p", kit.video(ssrc=None))
    assert not plane.request_keyframe("cam", 0.0)
    plane.tick(0.1)
    publisher.send(kit.packet(1, ssrc=55), 0.2)
    plane.tick(0.21)
    assert [pli.media for pli in publisher.got(Pli)] == [55]


def test_pli_and_fir_of_subscribers_become_events(net, plane, kit):
    _, subscriber = start(net, plane, kit)
    subscriber.send_rtcp(0.1, ReceiverReport(1), Pli(1, 5000), Pli(1, 5000), Pli(1, 9999))
    assert plane.drain() == [KeyframeWanted("cam", "sink")]
    subscriber.send_rtcp(0.2, Fir(1, ((5000, 3),)))
    assert plane.drain() == [KeyframeWanted("cam", "sink")]
    assert plane.drain() == []


def test_a_sink_left_waiting_asks_again(net, plane, kit):
    net.join("p")
    net.join("s")
    plane.add_source("p", kit.video())
    plane.add_sink("s", kit.sink("cam"))
    plane.drain()
    plane.tick(0.5)
    assert plane.drain() == []
    plane.tick(1.1)
    assert plane.drain() == [KeyframeWanted("cam", "sink")]


def test_sender_reports_keep_the_publishers_clock_and_give_round_trips(net, plane, kit):
    publisher, subscriber = start(net, plane, kit)
    ntp = 3_900_000_000 << 32
    publisher.send_rtcp(0.1, SenderReport(2222, ntp, 3000 + 9000, 1, 100))
    assert plane.drain() == [SenderReportSeen("cam", 3_900_000_000.0, 12000, 0.1)]
    plane.tick(0.12)
    (report,) = subscriber.got(SenderReport)
    offset = (subscriber.rtp[0].timestamp - 3000) & 0xFFFFFFFF
    assert report.ssrc == 5000 and (report.packets, report.octets) == (1, 100)
    assert (report.ntp - ntp) / 2**32 == pytest.approx(0.02, abs=1e-6)
    assert (report.timestamp - offset) & 0xFFFFFFFF == 12000 + 1800
    assert subscriber.got(SourceDescription)[-1].cnames == ((5000, "someone"),)
    last = report.ntp >> 16 & 0xFFFFFFFF
    subscriber.send_rtcp(0.3, ReceiverReport(1, (Report(5000, 0.25, 3, 1, 0, last, 6554),)))
    stats = plane.sink_stats("sink")
    assert stats.fraction_lost == 0.25 and stats.round_trip == pytest.approx(0.08, abs=1e-3)


def test_the_publisher_hears_how_its_stream_arrives(net, plane, kit):
    publisher, _ = start(net, plane, kit)
    publisher.send_rtcp(0.01, SenderReport(2222, 0x1234_5678_9ABC_DEF0, 3000, 1, 100))
    plane.tick(0.02)
    publisher.clear()
    for n in range(2, 102):
        if n % 4:
            publisher.send(kit.packet(n), n * 0.01)
    plane.tick(1.02)
    (receiver,) = [packet for packet in publisher.got(ReceiverReport) if packet.reports]
    (report,) = receiver.reports
    assert report.ssrc == 2222 and report.highest_sequence == 101
    assert report.fraction_lost == pytest.approx(0.25, abs=0.02) and report.lost == 25
    assert report.last_sr == 0x5678_9ABC and report.delay / 65536 == pytest.approx(1.01, abs=0.01)
    (remb,) = publisher.got(Remb)
    assert remb.ssrcs == (2222,) and remb.bitrate < 2_500_000


@pytest.mark.parametrize("transport_cc", [3, None])
def test_a_voice_is_told_of_the_worst_listeners_loss_unless_it_would_send_less(net, plane, kit, transport_cc):
    publisher, near, far = net.join("p"), net.join("near"), net.join("far")
    extensions = ExtensionIds(mid=4, audio_level=1, transport_cc=transport_cc)
    plane.add_source("p", kit.audio(extensions=extensions))
    plane.add_sink("near", kit.sink("mic", "a"))
    plane.add_sink("far", kit.sink("mic", "b"))
    for n in range(30):
        publisher.send(kit.opus(n), n * 0.02)
    near.send_rtcp(0.6, ReceiverReport(7, (Report(5000, 0.02, 1, 29, 0, 0, 0),)))
    far.send_rtcp(0.6, ReceiverReport(8, (Report(5000, 0.1, 3, 29, 0, 0, 0),)))
    publisher.clear()
    for n in range(30, 60):
        publisher.send(kit.opus(n), n * 0.02)
    plane.tick(1.3)
    report = next(packet.reports[0] for packet in publisher.got(ReceiverReport) if packet.reports)
    assert report.fraction_lost == pytest.approx(0.1 if transport_cc else 0.0, abs=0.01) and report.lost == 0


def test_remb_follows_the_cap(net, plane, kit):
    publisher, _ = start(net, plane, kit)
    plane.set_bitrate("p", 800_000)
    for n in range(2, 40):
        publisher.send(kit.packet(n), n * 0.1)
        plane.tick(n * 0.1)
    assert [remb.bitrate for remb in publisher.got(Remb)] == pytest.approx(
        [800_000] * len(publisher.got(Remb)), rel=1e-4
    )
    assert 3 <= len(publisher.got(Remb)) <= 5


def test_audio_levels_are_the_loudest_since_the_last_drain(net, plane, kit):
    publisher = net.join("p")
    plane.add_source("p", kit.audio())
    for n, level in enumerate((60, 0x80 | 25, 40)):
        publisher.send(kit.opus(n, level=level), n * 0.02)
    assert plane.drain() == [AudioLevel("mic", 25, True, 0.04)]
    publisher.send(kit.opus(3, level=127), 0.06)
    assert plane.drain() == [AudioLevel("mic", 127, False, 0.06)]


def test_a_flood_is_cut_to_a_rate_and_others_do_not_notice(net, plane, kit):
    publisher, subscriber = start(net, plane, kit)
    other = net.join("o")
    plane.add_source("o", kit.audio())
    plane.add_sink("s", kit.sink("mic", "voice", 7000))
    flood = publisher.tx.protect(kit.packet(2).serialize())
    for n in range(30_000):
        plane.receive("p", flood, 10 + n / 30_000)
        if n % 600 == 0:
            other.send(kit.opus(n // 600), 10 + n / 30_000)
    dropped = plane.stats().dropped
    assert dropped["rate"] >= 30_000 - 8000 - 4000 - 1
    assert len([packet for packet in subscriber.rtp if packet.ssrc == 7000]) == 50
    publisher.send(kit.packet(3), 12.5)
    assert plane.source_stats("cam").packets == 3


def test_bye_is_an_event(net, plane, kit):
    publisher, _ = start(net, plane, kit)
    publisher.send_rtcp(0.1, Bye((2222, 4)))
    assert plane.drain() == [SourceEnded("cam")]


def test_hostile_datagrams_are_counted_and_change_nothing(net, plane, kit):
    publisher, subscriber = start(net, plane, kit)
    subscriber.clear()
    good = publisher.tx.protect(kit.packet(2).serialize())
    plane.receive("p", good, 0.1)
    plane.receive("p", good, 0.1)
    plane.receive("p", b"\x80" + bytes(2000), 0.1)
    plane.receive("p", b"\x80", 0.1)
    plane.receive("p", b"", 0.1)
    plane.receive("p", good[:-1] + bytes((good[-1] ^ 1,)), 0.1)
    plane.receive("nobody", good, 0.1)
    dice = random.Random(1)
    hostile = net.join("h")
    plane.add_source("h", kit.video("other"))
    plane.add_sink("s", kit.sink("other", "more", 8000))
    for _ in range(500):
        plane.receive("p", secrets.token_bytes(dice.randrange(0, 1600)), 0.2)
        data = bytearray(kit.packet(3).serialize() + dice.randbytes(40))
        for _ in range(6):
            data[dice.randrange(12)] = dice.randrange(256)
        data[0] = data[0] & 0x3F | 0x80
        try:
            sealed = hostile.tx.protect(bytes(data))
        except Exception:  # libsrtp refuses some of these itself
            continue
        plane.receive("h", sealed, 0.2)
        rtcp = bytes((0x80 | dice.randrange(64), dice.randrange(200, 208))) + dice.randbytes(6 + 4 * dice.randrange(30))
        plane.receive("h", hostile.tx.protect_rtcp(rtcp), 0.2)
    dropped = plane.stats().dropped
    assert dropped["replay"] >= 1 and dropped["oversize"] >= 1 and dropped["malformed"] >= 3
    assert dropped["decrypt"] >= 1 and dropped["unknown_transport"] == 1
    assert len(dropped) <= 14
    subscriber.clear()
    plane.tick(0.3)
    publisher.send(kit.packet(3, kit.KEYFRAME), 0.4)
    assert [p.payload for p in subscriber.rtp] == [kit.KEYFRAME]


def test_a_publisher_that_restarts_its_counters_is_believed_at_the_second_packet(net, plane, kit):
    publisher, subscriber = start(net, plane, kit)
    publisher.send(kit.packet(30000, timestamp=10), 0.5)
    publisher.send(kit.packet(30001, timestamp=3010), 0.53)
    assert plane.stats().dropped == {"sequence_jump": 1}
    assert [(p.sequence - subscriber.rtp[0].sequence) & 0xFFFF for p in subscriber.rtp] == [0, 1]


def test_a_packet_too_long_to_seal_is_dropped_alone(net, plane, kit):
    publisher, subscriber = net.join("p"), net.join("s")
    plane.add_source("p", kit.audio())
    plane.add_sink("s", kit.sink("mic"))
    plane.add_sink("s", kit.sink("mic", "timed", 6000, extensions=ExtensionIds(abs_send_time=3)))
    packet = kit.opus(1)
    packet.payload = bytes(1340)
    publisher.send(packet, 0.0)
    publisher.send(kit.opus(2), 0.02)
    assert len(subscriber.rtp) == 2 and plane.stats().dropped == {"oversize": 2}
