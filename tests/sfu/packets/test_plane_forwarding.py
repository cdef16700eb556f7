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
