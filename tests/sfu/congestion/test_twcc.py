"""Transport-wide feedback on the wire, and the recorder that writes it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.rtcp import parse_compound
from sfu.rtp import MalformedPacket
from sfu.sendlog import SIZE, SendLog
from sfu.twcc import MAX_ARRIVALS, MAX_PENDING, TICK, ArrivalRecorder, FeedbackClock, TransportFeedback, parse_feedback


def told(recorder):
    """What a peer understands of the recorder's messages: absolute times by 16-bit number, and the numbers missing."""
    came, missing = {}, set()
    for message in recorder.feedback(1, 2):
        (parsed,) = parse_compound(message.serialize())
        assert parsed == message
        assert len(message.serialize()) <= 1200
        there = {offset: ticks for offset, ticks in parsed.arrivals}
        for offset in range(parsed.count):
            number = (parsed.base + offset) & 0xFFFF
            if offset in there:
                came[number] = parsed.reference * 0.064 + there[offset] * TICK
            else:
                missing.add(number)
    return came, missing - set(came)


@st.composite
def arrivals(draw):
    offsets = sorted(draw(st.sets(st.integers(0, 3000), min_size=1, max_size=120)))
    ticks, out = draw(st.integers(0, 255)), []
    for offset in offsets:
        out.append((offset, ticks))
        ticks += draw(st.one_of(st.integers(0, 255), st.integers(-0x8000, 0x7FFF)))
    return tuple(out)


@given(arrivals(), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFF), st.integers(0, 255), st.integers(0, 4000))
def test_what_is_written_is_read_back(there, base, reference, index, behind):
    count = there[-1][0] + 1 + behind
    message = TransportFeedback(7, 9, base, count, reference, index, there)
    data = message.serialize()
    assert len(data) % 4 == 0
    assert parse_compound(data) == [message]


def test_the_drafts_chunks_byte_by_byte():
    # A run of three small deltas, then a two-bit vector: small, large, missing, small.
    body = (
        bytes.fromhex("0005 0007 00000a 11 2003 d8 40".replace(" ", "")) + bytes((1, 2, 3, 4)) + b"\xff\xfe" + b"\x05"
    )
    message = parse_feedback(1, 2, body)
    assert (message.base, message.count, message.reference, message.index) == (5, 7, 10, 0x11)
    assert message.arrivals == ((0, 1), (1, 3), (2, 6), (3, 10), (4, 8), (6, 13))
    one_bit = parse_feedback(1, 2, bytes.fromhex("0000000e00000000a801") + bytes((4, 4, 4)))
    assert one_bit.arrivals == ((0, 4), (2, 8), (13, 12))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "nothing"),
        (bytes(7), "no header"),
        (bytes.fromhex("0000000000000000"), "about nothing"),
        (bytes.fromhex("0000000100000000"), "no chunk"),
        (bytes.fromhex("0000000100000000" + "2001"), "no delta"),
        (bytes.fromhex("0000000100000000" + "4001" + "00"), "half a delta"),
        (bytes.fromhex("0000000100000000" + "6001" + "0000"), "a reserved symbol"),
        (bytes.fromhex("0000000100000000" + "0000"), "an empty run"),
        (bytes.fromhex("0000ffff00000000") + b"\x3f\xff" * 300, "more packets than bytes"),
    ],
)
def test_what_is_malformed_is_refused(body, why):
    with pytest.raises(MalformedPacket):
        parse_feedback(1, 2, body)


@given(st.binary(max_size=300), st.binary(max_size=40))
def test_hostile_bytes_raise_nothing_else_and_cost_no_more_than_their_size(head, tail):
    body = head + b"\x3f\xff\x5f\xff\x9f\xff" * 20 + tail
    try:
        message = parse_feedback(1, 2, body)
    except MalformedPacket:
        return
    assert len(message.arrivals) <= 8 * len(body)
    log = SendLog()
    for number in range(100):
        log.sent(1000, number * 0.01)
    outcome = log.match(message)
    assert len(outcome.sent) + outcome.lost <= 100


@given(st.lists(st.tuples(st.integers(0, 400), st.floats(0, 0.2)), min_size=1, max_size=200), st.integers(0, 0xFFFF))
def test_the_recorder_tells_every_arrival_once_in_any_order(packets, base):
    recorder = ArrivalRecorder()
    now, sent, came = 5.0, {}, {}
    for step, (offset, wait) in enumerate(packets):
        now += wait
        number = (base + offset) & 0xFFFF
        recorder.received(number, now)
        sent.setdefault(number, now)
        if step % 20 == 19:
            came |= {n: at for n, at in told(recorder)[0].items() if n not in came}
    came |= {n: at for n, at in told(recorder)[0].items() if n not in came}
    assert came.keys() == sent.keys()
    for number, at in sent.items():
        assert came[number] == pytest.approx(at, abs=2 * TICK)


def test_what_never_came_is_told_missing_and_what_comes_late_is_told_then():
    recorder = ArrivalRecorder()
    for number in (65533, 65534, 2, 3):
        recorder.received(number, 1.0)
    assert told(recorder) == ({65533: 1.0, 65534: 1.0, 2: 1.0, 3: 1.0}, {65535, 0, 1})
    recorder.received(0, 1.1)
    recorder.received(5, 1.1)
    came, missing = told(recorder)
    assert came == {0: pytest.approx(1.1), 5: pytest.approx(1.1)} and missing == {1, 2, 3, 4}
    assert told(recorder) == ({}, set())


def test_the_recorder_is_bounded_whatever_a_publisher_numbers():
    recorder = ArrivalRecorder()
    for number in range(0, 60_000, 3):
        recorder.received(number & 0xFFFF, number / 1000)
    assert recorder.pending <= MAX_PENDING
    messages = recorder.feedback(1, 2)
    assert all(len(message.serialize()) <= 1200 for message in messages)
    assert all(len(message.arrivals) <= MAX_ARRIVALS for message in messages)
    recorder.received(100, 100.0)
    recorder.received(40_000, 100.1)
    assert sum(len(message.arrivals) for message in recorder.feedback(1, 2)) >= 1


def test_the_reference_time_wraps_around():
    clock = FeedbackClock()
    first = clock.seconds(0xFFFFFF)
    assert clock.seconds(1) - first == pytest.approx(2 * 0.064)
    assert clock.seconds(0xFFFFFE) - first == pytest.approx(-0.064)


def test_the_log_tells_arrived_lost_late_and_untold_apart():
    log = SendLog()
    for number in range(10):
        assert log.sent(100, number * 0.01) == number
    outcome = log.match(TransportFeedback(1, 2, 0, 4, 0, 0, ((0, 0), (1, 40), (3, 20))))
    assert outcome.arrived == [0.0, 20 * TICK, 40 * TICK] and outcome.sent == [0.0, 0.03, 0.01]
    assert (outcome.lost, outcome.late, outcome.untold, log.outstanding) == (1, 0, 0, 600)
    outcome = log.match(TransportFeedback(1, 2, 2, 1, 0, 1, ((0, 50),)))
    assert (outcome.lost, outcome.late, len(outcome.sent)) == (0, 1, 1)
    outcome = log.match(TransportFeedback(1, 2, 6, 4, 0, 3, ((0, 60), (3, 70))))
    assert (outcome.lost, outcome.untold, len(outcome.sent), log.outstanding) == (2, 200, 2, 0)
    again = log.match(TransportFeedback(1, 2, 0, 10, 0, 4, tuple((n, n) for n in range(10))))
    assert len(again.sent) == 2 and again.late == 2, "only what was told lost is news"


def test_feedback_about_the_future_and_the_forgotten_past_tells_nothing():
    log = SendLog()
    for number in range(3 * SIZE):
        log.sent(100, number * 0.001)
    for base in (3 * SIZE + 5, 0, 0x9000):
        outcome = log.match(TransportFeedback(1, 2, base & 0xFFFF, 5, 0, 0, ((0, 1), (4, 2))))
        assert not outcome.sent and not outcome.lost
    assert log.outstanding == 100 * SIZE


@pytest.mark.parametrize(
    ("body", "base", "missing", "count"),
    [
        # Chromium 156, its first message; then two at five percent loss, of one-bit and two-bit vectors.
        ("000000080437420020087800000001000100", 0, set(), 8),
        ("02d2001304376e2cbff9c550bc0100010100010a8203020101021401", 722, {11, 12, 14}, 19),
        ("02e5001104376f2dbff72003c41d09020108020a8901010101010001", 741, {10}, 17),
        # Firefox ESR 153.
        ("0012001400107b0220142c00000008000100000000008d01000000000000", 18, set(), 20),
        ("04bc00100010c45e20109e010300000000008102000101000101", 1212, set(), 16),
    ],
)
def test_messages_recorded_from_browsers(body, base, missing, count):
    message = parse_feedback(1, 2, bytes.fromhex(body))
    assert (message.base, message.count) == (base, count)
    there = dict(message.arrivals)
    assert set(range(count)) - set(there) == missing
    ticks = list(there.values())
    assert all(0 <= at < 4000 for at in ticks), "within a second of the reference time"
    assert parse_compound(message.serialize()) == [message]


def test_a_packet_that_leaves_twice_under_its_number_tells_nothing():
    log, recorder = SendLog(), ArrivalRecorder()
    for n in range(4):
        log.sent(100, n * 0.01)
    log.repeated(1)
    log.repeated(0x8000)  # nothing that is remembered
    assert log.outstanding == 300
    for n in range(4):
        recorder.received(n, 1.0 + n * 0.01)
    outcome = log.match(recorder.feedback(1, 2)[0])
    assert (len(outcome.sent), outcome.lost, outcome.late, log.outstanding) == (3, 0, 0, 0)
