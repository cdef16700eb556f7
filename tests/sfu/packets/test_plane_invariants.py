"""What must hold for a subscriber whatever the network, the publisher and the room do."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

steps = st.lists(
    st.one_of(
        st.integers(1, 40).map(lambda n: ("send", n)),
        st.integers(1, 10).map(lambda n: ("lose", n)),
        st.integers(1, 6).map(lambda n: ("hold back", n)),
        st.just(("release", 0)),
        st.just(("pause sink", 0)),
        st.just(("resume sink", 0)),
        st.just(("mute", 0)),
        st.just(("unmute", 0)),
        st.just(("new ssrc", 0)),
        st.integers(1, 60).map(lambda n: ("wait", n)),
    ),
    max_size=40,
)


@pytest.mark.parametrize("rtx", [121, None])
@pytest.mark.parametrize("kind", ["audio", "video"])
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(  # a key frame that comes after the sink was paused behind it
    steps=[
        ("send", 1),
        ("send", 1),
        ("hold back", 6),
        ("send", 1),
        ("pause sink", 0),
        ("resume sink", 0),
        ("release", 0),
    ],
    first=0,
    stamp=0,
)
@given(steps=steps, first=st.integers(0, 0xFFFF), stamp=st.integers(0, 0xFFFFFFFF))
def test_numbers_and_times_never_break(net_factory, kit, kind, rtx, steps, first, stamp):
    net, plane = net_factory()
    publisher, subscriber = net.join("p"), net.join("s")
    rate = 960 if kind == "audio" else 3000
    plane.add_source("p", kit.audio("x") if kind == "audio" else kit.video("x"))
    plane.add_sink("s", kit.sink("x", rtx_payload_type=rtx))
    seen = []
    plane.set_tap("x", seen.extend)
    now, count, ssrc, base = 1.0, 0, 1111 if kind == "audio" else 2222, first
    held: list = []

    def make():
        nonlocal count, now
        now += rate / (48000 if kind == "audio" else 90000)
        count += 1
        key = kind == "video" and count % 7 == 1
        payload = (kit.KEYFRAME if key else kit.DELTA)[:2] + count.to_bytes(4, "big")
        fields = {
            "extensions": [(4, b"0" if kind == "audio" else b"1")],
            "timestamp": stamp + count * rate,
            "ssrc": ssrc,
        }
        if kind == "audio":
            packet = kit.opus(base + count, **fields)
            packet.payload = payload
            return packet
        return kit.packet(base + count, payload, **fields)

    for action, n in steps:
        if action == "send":
            for _ in range(n):
                publisher.send(make(), now)
        elif action == "lose":
            for _ in range(n):
                make()
        elif action == "hold back":
            held += [make() for _ in range(n)]
        elif action == "release":
            for packet in held:
                publisher.send(packet, now)
            held = []
        elif action == "pause sink" or action == "resume sink":
            plane.pause_sink("sink", action == "pause sink")
        elif action == "mute" or action == "unmute":
            plane.pause_source("x", action == "mute")
        elif action == "new ssrc":
            ssrc, base, held = ssrc + 7, base * 31 + 17, []
        else:
            now += n / 100
            plane.tick(now)
    plane.pause_sink("sink", False)
    plane.pause_source("x", False)
    now += 2.0
    publisher.send(make(), now)
    plane.tick(now + 1)

    # `Peer` decrypts with a replay check: a number used twice would have raised already.
    placed = []
    for packet in subscriber.rtp:
        number = packet.sequence if not placed else placed[0][0] + _signed(packet.sequence - placed[0][0], 16)
        time = packet.timestamp if not placed else placed[0][1] + _signed(packet.timestamp - placed[0][1], 32)
        placed.append((number, time, int.from_bytes(packet.payload[2:6], "big")))
    placed.sort()
    for (a, time_a, count_a), (b, time_b, count_b) in pairwise(placed):
        assert count_b > count_a, "in the order of capture"
        assert 0 < b - a <= count_b - count_a + 1, "no gap but for what was lost, and one for a torn frame"
        assert time_b > time_a
    for a, b in pairwise(seen):
        assert b.sequence > a.sequence and b.timestamp > a.timestamp
        assert b.payload[2:6] > a.payload[2:6]
    assert "encrypt" not in plane.stats().dropped, "no number was to be used twice"


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value
