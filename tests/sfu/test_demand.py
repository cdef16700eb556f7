"""Encodings that somebody wants, rates that stand still, counters that outlive their tracks."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sfu.demand import AWAIT, LINGER, TRIAL, Demand
from sfu.ledger import Ledger, Present, label
from sfu.plane import SourceStats
from sfu.scene import STEADY, steady

ALL = ("q", "h", "f")


def test_everything_is_sent_at_first_and_the_lowest_always() -> None:
    demand = Demand(("q", "h", "f"))
    assert demand.active == ("q", "h", "f")
    assert not demand.update((), ALL, 0.0)
    assert not demand.update((), ALL, TRIAL - 0.1)
    assert demand.update((), ALL, TRIAL)
    assert demand.active == ("q",)


def test_what_somebody_had_lingers_longer() -> None:
    demand = Demand(("q", "h", "f"))
    demand.update({"f"}, ALL, 0.0)
    demand.update((), ALL, 1.0)
    assert demand.update((), ALL, 1.0 + TRIAL) and demand.active == ("q", "f")
    assert not demand.update((), ALL, 0.9 + LINGER)
    assert demand.update((), ALL, 1.0 + LINGER) and demand.active == ("q",)


def test_what_is_wanted_again_is_sent_at_once() -> None:
    demand = Demand(("q", "h", "f"))
    demand.update((), ALL, 0.0)
    demand.update((), ALL, LINGER)
    assert demand.update({"f"}, ALL, LINGER + 0.01)
    assert demand.active == ("q", "f")


def test_what_does_not_come_is_made_up_for_by_the_next_smaller() -> None:
    demand = Demand(ALL)
    demand.update({"f"}, ALL, 0.0)
    demand.update({"f"}, ALL, TRIAL)
    assert demand.active == ("q", "f")
    demand.update({"f"}, ("q",), TRIAL + 1)
    assert not demand.update({"f"}, ("q",), TRIAL + 0.9 + AWAIT)
    assert demand.update({"f"}, ("q",), TRIAL + 1 + AWAIT) and demand.active == ALL
    assert demand.update({"f"}, ALL, 20.0) is False
    assert demand.update({"f"}, ALL, 20.0 + LINGER) and demand.active == ("q", "f")


def test_somebody_who_turns_away_for_a_moment_pauses_nothing() -> None:
    demand = Demand(("q", "h", "f"))
    demand.update({"h", "f"}, ALL, 0.0)
    for step in range(100):
        wanted = {"f"} if step % 4 == 0 else set()
        demand.update(wanted | {"h"}, ALL, step * LINGER / 5)
        assert demand.active == ("q", "h", "f")


@given(st.lists(st.tuples(st.sets(st.sampled_from("qhf")), st.floats(0, 10)), max_size=40))
def test_what_is_wanted_is_active_whatever_came_before(steps: list[tuple[set[str], float]]) -> None:
    demand, now = Demand(("q", "h", "f")), 0.0
    for wanted, wait in steps:
        now += wait
        before = demand.active
        assert demand.update(wanted, ALL, now) == (demand.active != before)
        assert wanted | {"q"} <= set(demand.active)


def test_a_rate_stands_still_until_it_has_really_moved() -> None:
    before = {(0, 0): 100_000.0, (0, 1): 60_000.0}
    assert steady(before, {(0, 0): 104_000.0, (0, 1): 63_000.0}) == before
    moved = steady(before, {(0, 0): 100_000.0 * (1 + 2 * STEADY), (0, 1): 60_000.0 * (1 + 2 * STEADY)})
    assert moved != before
    assert steady(before, {(0, 0): 160_000.0}) == {(0, 0): 160_000.0}


def test_counters_outlive_their_tracks_and_names_from_clients_are_bounded() -> None:
    ledger = Ledger()
    stats = SourceStats(10, 1000, 1, 2, 3, 4, 5, 0.001)
    camera = label("camera", "f")
    ledger.sample(camera, "a/f", stats)
    ledger.sample(camera, "a/f", replace(stats, packets=25))
    ledger.forget("a/f")
    ledger.sample(camera, "b/f", stats)
    found = ledger.stats([{camera: Present(1, 2, 5e5)}, {camera: Present(1, 0, 1e5)}])[camera]
    assert (found.packets, found.lost, found.retransmissions, found.keyframes) == (35, 2, 6, 8)
    assert (found.keyframe_requests, found.sources, found.sinks, found.bitrate) == (10, 2, 2, 6e5)
    assert label("camera", "whatever") == ("camera", "other") and label("screen", None) == ("screen", "-")
