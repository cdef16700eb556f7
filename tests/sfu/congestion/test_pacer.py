"""The pacer: who goes first, what never waits, what is bounded."""

from __future__ import annotations

from sfu.pacer import AUDIO, DRAIN, MOST_PACKETS, RETRANSMISSION, VIDEO, Pacer


def test_nothing_waits_while_there_is_room():
    pacer = Pacer(5_000_000)
    for packet in range(3000):
        assert pacer.admit(VIDEO, 1200, packet * 1200 * 8 / 5_000_000)
    assert pacer.release(10.0) == [] and pacer.delay(10.0) == 0


def test_a_burst_over_the_bucket_leaves_in_order_at_the_pacing_rate():
    pacer = Pacer(1_000_000)
    held = []
    for packet in range(40):
        if not pacer.admit(VIDEO, 1200, 0.0):
            assert pacer.hold(VIDEO, 1200, packet, 0.0)
            held.append(packet)
    assert len(held) == 40 - 11
    out, took = [], 0.0
    for step in range(1, 40):
        more = pacer.release(step * 0.02)
        took = step * 0.02 if more else took
        out += more
    assert out == held
    assert 0.05 <= took <= DRAIN


def test_audio_never_waits_and_retransmissions_pass_video():
    pacer = Pacer(100_000)
    while pacer.admit(VIDEO, 1200, 0.0):
        pass
    pacer.hold(VIDEO, 1200, "video", 0.0)
    assert pacer.admit(AUDIO, 200, 0.0)
    assert not pacer.admit(RETRANSMISSION, 1200, 0.0)
    pacer.hold(RETRANSMISSION, 1200, "again", 0.0)
    assert not pacer.admit(VIDEO, 1200, 0.0), "not before those that wait"
    assert pacer.release(0.001) == []
    assert pacer.release(1.0) == ["again", "video"]


def test_the_queue_is_bounded_and_a_long_one_is_drained_faster():
    pacer = Pacer(100_000)
    while pacer.admit(VIDEO, 1200, 0.0):
        pass
    kept = sum(pacer.hold(VIDEO, 1200, n, 0.0) for n in range(MOST_PACKETS + 100))
    assert kept == MOST_PACKETS and pacer.refused == 100
    out = 0
    for step in range(1, 101):
        out += len(pacer.release(step * 0.02))
    assert out > 0.95 * MOST_PACKETS
    assert pacer.count == MOST_PACKETS - out
