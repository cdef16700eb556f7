"""Sequence numbers, histories, reordering and NACK: invariants over anything a network may do."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.history import History, MediaPacket
from sfu.nack import MAX_AGE, MAX_MISSING, MAX_TRIES, NackTracker
from sfu.pli import PliThrottle
from sfu.rate import DEFAULT_CAP, FLOOR, LossRate
from sfu.reception import Reception
from sfu.reorder import Reorder
from sfu.sequence import Numbering


def packet(sequence, arrival=0.0):
    return MediaPacket(sequence, sequence * 960, 0, -1, True, arrival, b"p%d" % sequence)


# --- sequence ---


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF), st.lists(st.integers(-200, 300), max_size=200))
def test_numbers_are_unwrapped_whatever_the_order(start, time, steps):
    numbering = Numbering(90000)
    assert numbering.place(start, time, 0.0) == (start, time)
    at = highest = start
    for step in steps:
        at = max(start - 500 if start >= 500 else 0, at + step)
        if highest - 900 < at < highest + 900:
            placed = numbering.place(at & 0xFFFF, (time + (at - start) * 3000) & 0xFFFFFFFF, 0.0)
            assert placed == (at, time + (at - start) * 3000)
            highest = max(highest, at)
            assert numbering.highest == highest and numbering.epoch == 0
            assert numbering.wire_sequence(at) == at & 0xFFFF
            assert numbering.wire_highest() == highest & 0xFFFFFFFF


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF), st.booleans()), min_size=1, max_size=200))
def test_the_line_never_breaks(packets):
    numbering = Numbering(90000)
    now = highest = 0.0
    for sequence, timestamp, renew in packets:
        now += 0.01
        if renew:
            numbering.renew()
        before = numbering.highest
        placed = numbering.place(sequence, timestamp, now, torn=renew)
        if placed is not None:
            assert placed[0] <= numbering.highest <= max(before, 0) + 0x10000
            if before >= 0:
                assert placed[0] >= before - 1000
        assert numbering.highest >= before
        highest = numbering.highest
    assert highest >= 0


def test_a_new_ssrc_goes_on_by_elapsed_time():
    numbering = Numbering(48000)
    numbering.place(500, 1000, 10.0)
    numbering.renew()
    assert numbering.place(9, 77, 12.0) == (501, 1000 + 96000)
    assert numbering.place(10, 77 + 960, 12.02) == (502, 1000 + 96960)
    assert numbering.wire_sequence(502) == 10 and numbering.wire_highest() == 10 and numbering.epoch == 1


# --- history ---


@given(st.lists(st.integers(0, 300), max_size=300))
def test_history_keeps_the_latest_and_sees_duplicates(sequences):
    history = History(64, 10.0)
    kept = set()
    for sequence in sequences:
        reachable = sequence > max(kept, default=-1) - 64
        assert history.add(packet(sequence)) == (reachable and sequence not in kept)
        if reachable:
            kept.add(sequence)
    for sequence in range(301):
        found = history.get(sequence)
        wanted = sequence in kept and sequence > max(kept) - 64
        assert (found.sequence == sequence if found else not wanted) and (found is not None) == wanted


@given(st.lists(st.tuples(st.integers(0, 400), st.booleans()), max_size=300))
def test_history_forgets_what_is_too_old(steps):
    history = History(64, 1.0)
    now = 0.0
    for sequence, expire in steps:
        now += 0.05
        history.add(packet(sequence, now))
        if expire:
            history.expire(now)
    now += 1.01
    history.expire(now)
    assert all(history.get(sequence) is None for sequence in range(401))


def test_history_sizes_are_powers_of_two():
    with pytest.raises(ValueError):
        History(100, 1.0)


# --- reorder ---


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 60), st.floats(0, 0.2)), min_size=1, max_size=120))
def test_taps_get_each_packet_once_in_order_with_losses_counted(arrivals):
    reorder = Reorder(16, 0.15)
    released, now = [], 0.0
    for sequence, wait in arrivals:
        now += wait
        released += reorder.poll(now)
        released += reorder.push(packet(sequence, now), now)
        assert len(reorder._held) <= 16
        assert all(now - held.arrival < 0.1501 for held in reorder._held.values())
    released += reorder.reset()
    numbers = [item.sequence for _, item in released]
    assert numbers == sorted(set(numbers))
    expected = numbers[0]
    for lost, item in released:
        assert item.sequence == expected + lost
        expected = item.sequence + 1


def test_what_was_held_up_before_a_mute_does_not_come_after_it():
    reorder = Reorder(16, 0.15)
    assert [packet.sequence for _, packet in reorder.push(packet(2, 1.0), 1.0)] == [2]
    assert reorder.reset() == []
    assert reorder.push(packet(1, 1.01), 1.01) == []
    assert [packet.sequence for _, packet in reorder.push(packet(5, 1.02), 1.02)] == [5]


def test_a_late_packet_within_the_wait_is_put_in_its_place():
    reorder = Reorder(16, 0.15)
    assert [n for n, _ in reorder.push(packet(1, 0.0), 0.0)] == [0]
    assert reorder.push(packet(3, 0.02), 0.02) == []
    assert reorder.poll(0.16) == []
    assert [(lost, item.sequence) for lost, item in reorder.push(packet(2, 0.165), 0.165)] == [(0, 2), (0, 3)]
    reorder.push(packet(6, 0.2), 0.2)
    assert [(lost, item.sequence) for lost, item in reorder.poll(0.36)] == [(2, 6)]
    assert reorder.push(packet(5, 0.37), 0.37) == []


# --- nack ---


@given(st.lists(st.tuples(st.integers(0, 3000), st.floats(0, 0.3)), max_size=100))
def test_only_what_is_missing_is_asked_for_and_not_for_ever(arrivals):
    tracker = NackTracker()
    seen, asked, now = set(), {}, 0.0
    for sequence, wait in arrivals:
        now += wait
        tracker.received(sequence, now)
        seen.add(sequence)
        for missing in tracker.due(now):
            assert min(seen) < missing < max(seen) and missing not in seen
            asked[missing] = asked.get(missing, 0) + 1
        assert len(tracker.missing) <= MAX_MISSING
    for _ in range(100):
        now += 0.1
        for missing in tracker.due(now):
            asked[missing] = asked.get(missing, 0) + 1
    assert tracker.missing == {} and tracker.next_due == float("inf")
    assert max(asked.values(), default=0) <= MAX_TRIES
    if arrivals:
        never = set(range(arrivals[0][0], max(seen))) - seen
        assert tracker.given_up >= len([n for n in never if asked.get(n)])


def test_retries_back_off_and_end():
    tracker = NackTracker()
    tracker.received(1, 0.0)
    tracker.received(3, 0.0)
    times = [ms / 1000 for ms in range(3000) if tracker.due(ms / 1000)]
    gaps = [round(b - a, 3) for a, b in itertools.pairwise(times)]
    assert times[0] == 0.01 and gaps[:3] == [0.04, 0.06, 0.09] and max(gaps) <= 0.201
    assert times[-1] <= MAX_AGE + 0.2 and tracker.given_up == 1


def test_a_hole_too_big_to_repair_is_given_up_at_once():
    tracker = NackTracker()
    tracker.received(1, 0.0)
    tracker.received(1000, 0.0)
    assert tracker.due(1.0) == [] and tracker.given_up == 998


# --- pli, rate, reception ---


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=100))
def test_key_frames_are_asked_for_at_most_twice_a_second_and_in_the_end(steps):
    throttle, now, sent, pending = PliThrottle(0.5), 0.0, [], False
    for wait, request in steps:
        now += wait
        if request:
            pending = True
        if throttle.request(now) if request else throttle.due(now):
            sent.append(now)
            pending = False
    assert all(b - a >= 0.5 for a, b in itertools.pairwise(sent))
    assert throttle.due(now + 0.51) == pending


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000), st.floats(0, 1e7)), max_size=60))
def test_the_rate_stays_between_floor_and_cap(steps):
    rate = LossRate(1_000_000)
    for expected, lost, bits in steps:
        before = rate.estimate
        after = rate.update(expected, min(lost, expected), bits)
        assert FLOOR <= after <= 1_000_000
        if expected and lost and min(lost, expected) / expected > 0.1:
            assert after <= before


def test_losses_bring_the_rate_down_and_quiet_brings_it_back():
    rate = LossRate(2_000_000)
    for _ in range(3):
        rate.update(100, 30, 1_500_000)
    assert rate.estimate < 1_600_000
    held = rate.estimate
    assert rate.update(100, 5, 1_500_000) == held
    for _ in range(40):
        rate.update(100, 0, 1_500_000)
    assert rate.estimate == 2_000_000
    rate.set_cap(None)
    assert rate.estimate == DEFAULT_CAP
    rate.set_cap(500_000)
    assert rate.estimate == 500_000


def test_jitter_and_losses_as_rfc_3550_counts_them():
    reception = Reception(1000)
    for n in range(200):
        if n != 7:
            reception.packet(n, n * 20, 0, n * 0.02 + (0.004 if n % 2 else 0.0))
    assert reception.jitter == pytest.approx(0.004, rel=0.05)
    assert reception.interval(199) == (200, 1)
    report = reception.report(5, 199, 199, 1 / 200, 4.0)
    assert (report.lost, report.jitter, report.last_sr, report.delay) == (1, 4, 0, 0)
    assert reception.interval(199) == (0, 0)
