"""What subscribers get of a publisher's packets."""

from __future__ import annotations

import pytest

from sfu.extensions import parse_extensions
from sfu.plane import ExtensionIds, KeyframeWanted


@pytest.mark.parametrize("profile", ["AEAD_AES_128_GCM", "AEAD_AES_256_GCM", "AES_CM_128_HMAC_SHA1_80"])
def test_audio_reaches_every_subscriber_under_its_own_names(net, plane, kit, profile):
    publisher = net.join("p", profile)
    subscribers = [net.join(f"s{n}", profile) for n in range(3)]
    plane.add_source("p", kit.audio())
    for n, _ in enumerate(subscribers):
        plane.add_sink(f"s{n}", kit.sink("mic", f"k{n}", 5000 + 10 * n, payload_type=100 + n))
    for n in range(5):
        publisher.send(kit.opus(n, level=0x80 | 30), n * 0.02)
    for n, subscriber in enumerate(subscribers):
        assert [p.payload for p in subscriber.rtp] == [b"o" * 80] * 5
        assert {p.ssrc for p in subscriber.rtp} == {5000 + 10 * n}
        assert {p.payload_type for p in subscriber.rtp} == {100 + n}
        first = subscriber.rtp[0]
        assert [p.sequence - first.sequence for p in subscriber.rtp] == [0, 1, 2, 3, 4]
        assert [(p.timestamp - first.timestamp) & 0xFFFFFFFF for p in subscriber.rtp] == [0, 960, 1920, 2880, 3840]
        assert parse_extensions(first.extension_profile, first.extension) == {7: b"9", 8: bytes((0x80 | 30,))}
    assert plane.stats().packets_out == 15


def test_video_sink_waits_for_a_key_frame_and_asks_for_it(net, plane, kit):
    publisher, subscriber = net.join("p"), net.join("s")
    plane.add_source("p", kit.video())
    plane.add_sink("s", kit.sink("cam"))
    assert plane.drain() == [KeyframeWanted("cam", "sink")]
    publisher.send(kit.packet(1), 0.0)
    assert subscriber.rtp == []
    publisher.send(kit.packet(2, kit.KEYFRAME), 0.033)
    publisher.send(kit.packet(3), 0.066)
    assert [p.payload for p in subscriber.rtp] == [kit.KEYFRAME, kit.DELTA]


def test_abs_send_time_is_written_where_negotiated(net, plane, kit):
    publisher, subscriber = net.join("p"), net.join("s")
    plane.add_source("p", kit.video())
    plane.add_sink("s", kit.sink("cam", extensions=ExtensionIds(mid=7, abs_send_time=3)))
    publisher.send(kit.packet(2, kit.KEYFRAME), 1.5)
    (packet,) = subscriber.rtp
    assert parse_extensions(packet.extension_profile, packet.extension) == {
        7: b"9",
        3: int(1.5 * 262144).to_bytes(3, "big"),
    }


def test_numbers_go_on_over_a_pause_of_the_sink(net, plane, kit):
    publisher, subscriber = net.join("p"), net.join("s")
    plane.add_source("p", kit.video())
    plane.add_sink("s", kit.sink("cam"))
    publisher.send(kit.packet(1, kit.KEYFRAME), 0.0)
    publisher.send(kit.packet(2), 0.033)
    plane.drain()
    plane.pause_sink("sink", True)
    for n in range(3, 50):
        publisher.send(kit.packet(n, kit.KEYFRAME if n == 30 else kit.DELTA), n * 0.033)
    assert len(subscriber.rtp) == 2
    plane.pause_sink("sink", False)
    assert plane.drain() == [KeyframeWanted("cam", "sink")]
    publisher.send(kit.packet(50), 50 * 0.033)
    assert len(subscriber.rtp) == 2
    publisher.send(kit.packet(51, kit.KEYFRAME), 51 * 0.033)
    publisher.send(kit.packet(52), 52 * 0.033)
    first = subscriber.rtp[0]
    assert [(p.sequence - first.sequence) & 0xFFFF for p in subscriber.rtp] == [0, 1, 2, 3]
    assert [(p.timestamp - first.timestamp) & 0xFFFFFFFF for p in subscriber.rtp] == [0, 3000, 150000, 153000]


@pytest.mark.parametrize("timed", [None, 3])
def test_late_packets_find_their_place_before_a_pause_and_none_within_it(net, plane, kit, timed):
    publisher, subscriber = net.join("p"), net.join("s")
    plane.add_source("p", kit.audio())
    plane.add_sink("s", kit.sink("mic", extensions=ExtensionIds(abs_send_time=timed)))
    publisher.send(kit.opus(10), 0.0)
    publisher.send(kit.opus(12), 0.04)
    plane.pause_sink("sink", True)
    publisher.send(kit.opus(14), 0.08)
    plane.pause_sink("sink", False)
    publisher.send(kit.opus(16), 0.12)
    for late in (9, 11, 13, 15):
        publisher.send(kit.opus(late), 0.13)
    first = subscriber.rtp[0]
    assert [(p.sequence - first.sequence) & 0xFFFF for p in subscriber.rtp] == [0, 2, 3, 1]
    assert [(p.timestamp - first.timestamp) & 0xFFFFFFFF for p in subscriber.rtp] == [0, 1920, 5760, 960]


def test_a_frame_torn_by_a_pause_is_not_joined_to_the_next(net, plane, kit):
    publisher, subscriber = net.join("p"), net.join("s")
    plane.add_source("p", kit.video())
    plane.add_sink("s", kit.sink("cam"))
    publisher.send(kit.packet(1, kit.KEYFRAME, marker=False), 0.0)
    plane.pause_sink("sink", True)
    plane.pause_sink("sink", False)
    publisher.send(kit.packet(9, kit.KEYFRAME), 0.3)
    first, second = subscriber.rtp
    assert (second.sequence - first.sequence) & 0xFFFF == 2


def test_a_muted_source_sends_nothing_and_goes_on_without_a_gap(net, plane, kit):
    publisher, subscriber = net.join("p"), net.join("s")
    plane.add_source("p", kit.audio())
    plane.add_sink("s", kit.sink("mic"))
    seen = []
    plane.set_tap("mic", seen.extend)
    publisher.send(kit.opus(1, level=20), 0.02)
    plane.pause_source("mic", True)
    for n in range(2, 20):
        publisher.send(kit.opus(n, level=20), n * 0.02)
    assert len(subscriber.rtp) == len(seen) == 1
    plane.drain()
    assert plane.drain() == []
    plane.pause_source("mic", False)
    publisher.send(kit.opus(20, level=20), 0.4)
    assert [(p.sequence - subscriber.rtp[0].sequence) & 0xFFFF for p in subscriber.rtp] == [0, 1]
    assert (subscriber.rtp[1].timestamp - subscriber.rtp[0].timestamp) & 0xFFFFFFFF == 19 * 960
    assert [packet.lost for packet in seen] == [0, 0]
    assert plane.stats().dropped == {"paused": 18}


def test_a_publisher_that_changes_its_ssrc_stays_one_stream(net, plane, kit):
    publisher, subscriber = net.join("p"), net.join("s")
    plane.add_source("p", kit.video())
    plane.add_sink("s", kit.sink("cam"))
    publisher.send(kit.packet(1000, kit.KEYFRAME, timestamp=9_000_000), 0.0)
    other = {"ssrc": 77, "extensions": [(4, b"1")]}
    publisher.send(kit.packet(3, kit.KEYFRAME, timestamp=5, **other), 0.5)
    publisher.send(kit.packet(1001), 0.51)  # late ones of the stream before, without and with their mid
    publisher.send(kit.packet(1002, extensions=[(4, b"1")]), 0.52)
    publisher.send(kit.packet(4, timestamp=3005, **other), 0.53)
    assert [p.payload for p in subscriber.rtp] == [kit.KEYFRAME, kit.KEYFRAME, kit.DELTA]
    first = subscriber.rtp[0]
    assert [(p.sequence - first.sequence) & 0xFFFF for p in subscriber.rtp] == [0, 1, 2]
    assert [(p.timestamp - first.timestamp) & 0xFFFFFFFF for p in subscriber.rtp] == [0, 45000, 48000]
    assert {p.ssrc for p in subscriber.rtp} == {5000}
    assert plane.stats().dropped == {"unknown_ssrc": 1, "retired_ssrc": 1}


def test_streams_without_signalled_ssrcs_are_told_apart_by_mid(net, plane, kit):
    publisher, subscriber = net.join("p"), net.join("s")
    plane.add_source("p", kit.video("cam", ssrc=None, rtx_ssrc=None))
    plane.add_source("p", kit.video("screen", ssrc=None, rtx_ssrc=None, mid="2"))
    plane.add_sink("s", kit.sink("cam", "a", 5000))
    plane.add_sink("s", kit.sink("screen", "b", 6000))
    publisher.send(kit.packet(1, kit.KEYFRAME, ssrc=10), 0.0)
    assert plane.stats().dropped == {"unknown_ssrc": 1}
    publisher.send(kit.packet(2, kit.KEYFRAME, ssrc=10, extensions=[(4, b"2")]), 0.1)
    publisher.send(kit.packet(1, kit.KEYFRAME, ssrc=11, extensions=[(4, b"1")]), 0.1)
    publisher.send(kit.packet(3, ssrc=10), 0.2)  # the mid is sent only at first
    assert [p.ssrc for p in subscriber.rtp] == [6000, 5000, 6000]


def test_a_payload_type_of_one_source_only_is_enough(net, plane, kit):
    publisher, subscriber = net.join("p"), net.join("s")
    plane.add_source("p", kit.video(ssrc=None, rtx_ssrc=None))
    plane.add_source("p", kit.audio(ssrc=None))
    plane.add_sink("s", kit.sink("mic"))
    publisher.send(kit.opus(1, ssrc=42), 0.0)
    assert len(subscriber.rtp) == 1
    publisher.send(kit.opus(5, ssrc=43), 0.1)
    assert len(subscriber.rtp) == 1, "a second stream of the type, while the first is alive, is not believed"
    publisher.send(kit.opus(6, ssrc=43), 2.0)
    assert len(subscriber.rtp) == 2


def test_sequence_numbers_and_roll_over_counters_wrap_around_together(net, plane, kit):
    publisher, subscriber = net.join("p"), net.join("s")
    plane.add_source("p", kit.audio())
    plane.add_sink("s", kit.sink("mic"))
    total = 0x10000 + 0x8200  # the sink's numbers, wherever they start, wrap around too
    seen = []
    plane.set_tap("mic", seen.extend)
    for n in range(total):
        publisher.send(kit.opus(0xFF00 + n), n * 0.02)
    assert len(subscriber.rtp) == total
    steps = {(b.sequence - a.sequence) & 0xFFFF for a, b in zip(subscriber.rtp, subscriber.rtp[1:], strict=False)}
    assert steps == {1}
    assert [p.sequence for p in seen] == list(range(0xFF00, 0xFF00 + total))
    assert plane.stats().dropped == {}


def test_padding_alone_leaves_as_an_empty_packet_and_not_at_all_to_taps(net, plane, kit):
    publisher, subscriber = net.join("p"), net.join("s")
    plane.add_source("p", kit.video())
    plane.add_sink("s", kit.sink("cam"))
    seen = []
    plane.set_tap("cam", seen.extend)
    publisher.send(kit.packet(1, kit.KEYFRAME), 0.0)
    padding = kit.packet(2, b"")
    padding.padding = 200
    publisher.send(padding, 0.01)
    publisher.send(kit.packet(3), 0.02)
    assert [len(p.payload) for p in subscriber.rtp] == [100, 0, 100]
    assert [(p.sequence, p.lost) for p in seen] == [(1, 0), (3, 0)]


def test_a_sink_may_be_fed_by_a_new_source_of_the_same_name(net, plane, kit):
    subscriber = net.join("s")
    first = net.join("p1")
    plane.add_source("p1", kit.video())
    plane.add_sink("s", kit.sink("cam"))
    first.send(kit.packet(1, kit.KEYFRAME), 0.0)
    plane.remove_transport("p1")
    second = net.join("p2")
    plane.add_source("p2", kit.video(ssrc=99))
    assert plane.drain() == [KeyframeWanted("cam", "sink")]
    second.send(kit.packet(700, kit.KEYFRAME, ssrc=99), 2.0)
    a, b = subscriber.rtp
    assert (b.sequence - a.sequence) & 0xFFFF == 1
    assert (b.timestamp - a.timestamp) & 0xFFFFFFFF == 180000


def test_the_first_keyframe_packet_came_late_and_the_rest_follows_from_history(net, plane, kit):
    publisher, subscriber = net.join("p"), net.join("s")
    plane.add_source("p", kit.video())
    publisher.send(kit.packet(1), 0.0)
    plane.add_sink("s", kit.sink("cam"))
    publisher.send(kit.packet(3, b"\x00rest", timestamp=6000), 0.034)
    publisher.send(kit.packet(4), 0.066)
    assert subscriber.rtp == []
    publisher.send(kit.packet(2, kit.KEYFRAME, marker=False), 0.07)
    assert [p.payload for p in subscriber.rtp] == [kit.KEYFRAME, b"\x00rest", kit.DELTA]
    assert [(p.sequence - subscriber.rtp[0].sequence) & 0xFFFF for p in subscriber.rtp] == [0, 1, 2]


def test_removing_things_stops_them_and_twice_is_harmless(net, plane, kit):
    publisher, subscriber = net.join("p"), net.join("s")
    plane.add_source("p", kit.audio())
    plane.add_sink("s", kit.sink("mic"))
    publisher.send(kit.opus(1), 0.0)
    for _ in range(2):
        plane.remove_sink("sink")
        plane.pause_sink("sink", True)
    publisher.send(kit.opus(2), 0.02)
    for _ in range(2):
        plane.remove_source("mic")
        plane.pause_source("mic", True)
        plane.set_tap("mic", None)
    publisher.send(kit.opus(3), 0.04)
    for _ in range(2):
        plane.remove_transport("p")
    publisher.send(kit.opus(4), 0.06)
    plane.tick(1.0)
    assert len(subscriber.rtp) == 1
    assert plane.stats().dropped == {"unknown_ssrc": 1, "unknown_transport": 1}
    assert plane.source_stats("mic") is None and plane.sink_stats("sink") is None


def test_ids_and_ssrcs_are_unique(net, plane, kit):
    net.join("p")
    plane.add_source("p", kit.audio())
    plane.add_sink("p", kit.sink("mic"))
    with pytest.raises(ValueError):
        plane.add_source("p", kit.audio())
    with pytest.raises(ValueError):
        plane.add_source("p", kit.audio("other"))
    with pytest.raises(ValueError):
        plane.add_sink("p", kit.sink("mic", "other"))
    with pytest.raises(ValueError):
        net.join("p")
    with pytest.raises(KeyError):
        plane.add_source("nobody", kit.audio("third", ssrc=3))


def test_a_new_route_is_used_at_once(net, plane, kit):
    publisher = net.join("p")
    net.join("s")
    moved = net.peers["elsewhere"] = net.peers["s"]
    plane.add_source("p", kit.audio())
    plane.add_sink("s", kit.sink("mic"))
    del net.peers["s"]
    plane.set_route("s", "elsewhere")
    publisher.send(kit.opus(1), 0.0)
    assert len(moved.rtp) == 1
