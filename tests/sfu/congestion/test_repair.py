"""How fast a lossy uplink is repaired: NACKs by the round trip, few for nothing."""

from __future__ import annotations

import heapq
import random

import pytest

from sfu.nack import NackTracker


def uplink(trip, loss, jitter=0.0, seconds=60.0, seed=1):
    """A stream of 150 packets/s over a lossy way and an answering sender: repair times, requests, packets not lost
    that were asked for, and those given up."""
    dice = random.Random(seed)
    tracker = NackTracker()
    events, serial = [], 0
    for number in range(int(seconds * 150)):
        sent = number / 150
        if dice.random() >= loss:
            serial += 1
            late = trip / 2 + (dice.uniform(0, 2 * jitter) if jitter else 0.0)
            heapq.heappush(events, (sent + late, serial, number, False))
    came, wanted, asked, needless = set(), {}, 0, 0
    highest, now = -1, 0.0
    on_the_way = {entry[2] for entry in events}
    for tick in range(int(seconds * 100) + 100):
        now = tick / 100
        while events and events[0][0] <= now:
            at, _, number, repaired = heapq.heappop(events)
            for missing in range(highest + 1, number):
                wanted.setdefault(missing, at)
            highest = max(highest, number)
            if number not in came:
                came.add(number)
                tracker.received(number, at, repaired)
                if number in wanted and repaired:
                    wanted[number] = at - wanted[number]
                else:
                    wanted.pop(number, None)
        for number in tracker.due(now):
            asked += 1
            needless += number in on_the_way
            if dice.random() >= loss and dice.random() >= loss:
                serial += 1
                heapq.heappush(events, (now + trip + dice.uniform(0, 0.005), serial, number, True))
    return sorted(wanted[n] for n in wanted if n in came), asked, needless, tracker.given_up


@pytest.mark.parametrize("trip", [0.02, 0.05, 0.1])
def test_ten_percent_loss_is_repaired_in_a_few_round_trips(trip):
    repairs, asked, needless, given_up = uplink(trip, 0.1)
    assert len(repairs) > 700 and given_up == 0
    assert repairs[len(repairs) // 2] <= trip + 0.03
    assert repairs[int(0.95 * len(repairs))] <= 2.6 * trip + 0.06
    assert repairs[-1] < 0.5 + 2 * trip
    assert needless == 0
    # One try in five fails in one direction or the other; more requests than that are for what was on its way.
    assert asked <= 1.35 * len(repairs)


def test_a_long_round_trip_is_learnt_and_not_asked_into():
    repairs, asked, _, _ = uplink(0.25, 0.05)
    assert asked <= 1.35 * len(repairs)


def test_packets_that_overtake_each_other_are_hardly_asked_for():
    _, asked, needless, _ = uplink(0.05, 0.0, jitter=0.015)
    assert needless == asked <= 0.03 * 60 * 150
