"""The estimator, pacer and prober over a simulated path, in virtual time."""

from __future__ import annotations

import pytest

from tests.sfu.congestion.simulation import Flow, Link, run


def test_a_constant_link_is_found_to_within_fifteen_percent():
    link = Link(1_000_000)
    flow = Flow(link)
    run(link, [flow], 20)
    assert flow.mean(5, 20) == pytest.approx(1_000_000, rel=0.15)
    assert flow.least_estimate(5, 20) >= 0.7e6
    assert flow.rate(5, 20) >= 0.85e6


def test_ample_links_carry_all_that_is_wanted_within_two_seconds_and_nothing_is_paced():
    link = Link(50_000_000)
    flow = Flow(link)
    run(link, [flow], 6)
    assert flow.least_estimate(2, 6) >= 3_000_000
    assert flow.rate(2, 6) == pytest.approx(3_000_000, rel=0.02)
    assert flow.paced == 0


def test_a_drop_drains_its_queue_in_two_seconds_and_probing_comes_back_in_ten():
    link = Link(3_300_000)
    flow = Flow(link)
    queued = []
    changes = {8: lambda: setattr(link, "rate", 300_000), 16: lambda: setattr(link, "rate", 3_300_000)}
    run(link, [flow], 27, changes, lambda now: queued.append((now, link.queued)))
    assert max(q for at, q in queued if 8 <= at < 9) > 0.3, "the drop did fill the queue"
    assert max(q for at, q in queued if 10 <= at < 10.5) < 0.1
    assert max(q for at, q in queued if 10 <= at < 16) < 0.25
    assert 150_000 < flow.mean(10, 16) < 345_000
    back = next(at for at, value in flow.estimates if at > 16 and value >= 3_000_000)
    assert back < 24
    assert flow.rate(26, 27) >= 2_700_000


@pytest.mark.parametrize("trip", [0.05, 0.25])
def test_ten_percent_random_loss_does_not_bring_the_estimate_below_what_is_wanted(trip):
    link = Link(20_000_000, loss=0.1, delay=trip / 2)
    flow = Flow(link, back_loss=0.1)
    run(link, [flow], 20)
    assert flow.least_estimate(4, 20) >= 0.9 * flow.wanted


def test_loss_that_comes_with_the_rate_is_congestion_even_without_delay():
    link = Link(1_000_000, queue=0.015)
    flow = Flow(link)
    run(link, [flow], 20)
    assert 400_000 < flow.mean(5, 20) < 1_100_000
    early, late = flow.rate(0, 20), link.dropped / 20
    assert late < 12, f"{late} packets/s lost at {early} bit/s"


def test_heavy_loss_is_met_with_less():
    link = Link(20_000_000, loss=0.3)
    flow = Flow(link)
    run(link, [flow], 15)
    assert 75_000 <= flow.mean(8, 15) < 1_000_000


@pytest.mark.parametrize("later", [3, 5, 8])
def test_two_flows_share_within_reason_and_neither_starves(later):
    link = Link(3_000_000)
    flows = [Flow(link), Flow(link, start=later)]
    run(link, flows, 40)
    rates = [flow.rate(15, 40) for flow in flows]
    assert min(rates) > 0.15 * sum(rates)
    assert 0.75 * 3_000_000 < sum(rates) <= 3_000_000


@pytest.mark.parametrize("seed", range(3))
def test_jitter_of_thirty_milliseconds_is_not_taken_for_overuse(seed):
    link = Link(20_000_000, delay=0.05, jitter=0.03, seed=seed)
    flow = Flow(link)
    run(link, [flow], 20)
    assert flow.least_estimate(6, 20) >= 0.9 * flow.wanted


def test_feedback_may_be_lost_late_and_out_of_order():
    link = Link(1_000_000)
    flow = Flow(link, back_loss=0.3, reorder=True)
    run(link, [flow], 20)
    assert 600_000 < flow.mean(5, 20) < 1_150_000


def test_without_any_feedback_less_and_less_is_sent_and_it_comes_back():
    link = Link(5_000_000)
    flow = Flow(link)

    def deaf():
        flow.back_loss = 1.0

    def hearing():
        flow.back_loss = 0.0

    run(link, [flow], 25, {5: deaf, 15: hearing})
    assert flow.least_estimate(14, 15) < 0.3 * flow.mean(4, 5)
    assert flow.mean(24, 25) >= 2_700_000


def test_an_application_that_sends_little_keeps_an_estimate_up_to_what_it_wants():
    link = Link(4_000_000)
    flow = Flow(link, wanted=2_000_000)
    run(link, [flow], 4)
    flow.wanted = 150_000
    run(link, [flow], 0.001)
    low = Flow(Link(4_000_000), wanted=150_000)
    run(low.link, [low], 10)
    assert low.prober.successes == low.prober.failures == 0, "nothing wanted, nothing probed"
    assert low.least_estimate(1, 10) >= 150_000


def test_no_probe_goes_beyond_what_is_wanted():
    link = Link(50_000_000)
    flow = Flow(link, wanted=2_000_000)
    run(link, [flow], 5)
    assert flow.prober.successes >= 1
    assert max(flow.rate(at / 10, at / 10 + 0.1) for at in range(50)) < 2_600_000


def test_probes_that_fail_become_rare():
    link = Link(1_000_000)
    flow = Flow(link)
    run(link, [flow], 40)
    assert flow.prober.failures <= 16
    assert flow.probed < 0.04 * 1_000_000 / 8 * 40


def test_a_way_that_becomes_longer_is_not_a_queue_for_long():
    link = Link(20_000_000)
    flow = Flow(link, wanted=1_500_000)
    run(link, [flow], 20, {8: lambda: setattr(link, "delay", link.delay + 0.1)})
    assert flow.least_estimate(13, 20) >= 0.9 * flow.wanted


def test_a_moment_in_which_everything_stands_still_costs_hardly_anything():
    link = Link(20_000_000)
    flow = Flow(link, wanted=1_500_000)
    step = link.step
    still = {8: lambda: setattr(link, "step", lambda now: None), 8.15: lambda: setattr(link, "step", step)}
    run(link, [flow], 14, still)
    assert flow.least_estimate(9, 14) >= 0.8 * flow.wanted
    assert flow.least_estimate(11, 14) >= 0.95 * flow.wanted
