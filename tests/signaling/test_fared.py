"""How a broadcast fares at its viewers': sums of reports by example and property, and reports over HTTP."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from signaling import protocol
from signaling.fared import BOUNDS_MS, Fared, Report
from tests.signaling.conftest import House
from tests.signaling.test_broadcast import Viewer, live, planned

REPORTS = st.builds(
    Report, st.sampled_from(["realtime", "hls"]), st.integers(0, 600_000), st.integers(0, 9), st.integers(0, 9_000),
    st.none() | st.integers(0, 600_000),
)  # fmt: skip


def test_what_viewers_report_is_summed_by_tier() -> None:
    fared = Fared(100)
    for number in range(19):
        fared.take(f"{number}", Report("hls", 15_000, 0, 0, 2_400), 0)
    fared.take("19", Report("hls", 15_000, 2, 3_000, 9_000), 0)
    fared.take("20", Report("realtime", 15_000, 0, 0, 80), 0)
    hls, realtime = fared.tier("hls", 25), fared.tier("realtime", 1)
    assert (hls.viewers, hls.reporting, hls.stalled, hls.stalled_share) == (25, 20, 1, 0.01)
    assert hls.latency_ms is not None and 2_000 < hls.latency_ms <= 2_500 and hls.latency_p95_ms == 2_500
    assert realtime.latency_ms is not None and 50 < realtime.latency_ms <= 100
    # Another way to watch, and nobody is counted twice.
    fared.take("19", Report("realtime", 15_000, 0, 0, None), 10)
    assert fared.tier("hls", 0).stalled == 0 and fared.tier("realtime", 0).reporting == 2
    fared.look(37.4, 21)
    assert fared.tier("hls", 0).reporting == 19
    fared.look(37.6, 21)
    assert fared.tier("hls", 0).reporting == 0 and fared.tier("realtime", 0).reporting == 1
    assert fared.every(21) == 15 and fared.every(5_000) == 50


@given(st.lists(st.tuples(st.integers(0, 7), REPORTS, st.integers(0, 20)), max_size=60))
def test_sums_are_those_of_the_newest_reports(taken: list[tuple[int, Report, int]]) -> None:
    fared, newest, now = Fared(6), dict[int, tuple[int, Report]](), 0
    for who, report, passed in taken:
        now += passed
        newest.pop(who, None)
        newest[who] = now, report
        if len(newest) > 6:
            del newest[next(iter(newest))]
        fared.take(str(who), report, now)
    fared.look(now, 6)
    left = [report for at, report in newest.values() if at >= now - 37.5]
    for tier in ("realtime", "hls"):
        mine, seen = [r for r in left if r.tier == tier], fared.tier(tier, 0)  # type: ignore[arg-type]
        assert (seen.reporting, seen.stalled) == (len(mine), sum(r.stalls > 0 for r in mine))
        told = sorted(r.latency_ms for r in mine if r.latency_ms is not None)
        if told and seen.latency_p95_ms is not None:
            bound = next(b for b in BOUNDS_MS if b >= told[-1])
            assert (seen.latency_ms or 0) <= seen.latency_p95_ms <= bound
        assert (seen.latency_ms is None) == (not told)


async def test_a_viewer_s_page_reports_and_operators_read_sums(house: House) -> None:
    host = await house.join("host")
    state = await planned(host)
    viewer = Viewer(house, state["id"])
    url = f"{viewer.url}/report"
    report = {"tier": "hls", "watchedMs": 15_000, "stalls": 1, "stalledMs": 1_500, "latencyMs": 2_300}
    async with house.http.post(url, json=report) as answer:
        assert answer.status == 404
    assert (await viewer.access(state["link"].partition("#k=")[2]))[0] == 200
    headers = {"Cookie": viewer.cookie}
    async with house.http.post(url, json=report, headers=headers) as answer:
        assert answer.status == 409
    assert (await host.ask(protocol.GoLive()))["type"] == "ack"
    wrong = ({"tier": "tape"}, {"watchedMs": -1}, {"stalls": 1e9}, {"latencyMs": "soon"}, {"stalledMs": None})
    for one in wrong:
        async with house.http.post(url, json=report | one, headers=headers) as answer:
            assert answer.status == 400
    async with house.http.post(url, json=report, headers=headers) as answer:
        assert (answer.status, await answer.json()) == (200, {"again": 15.0})
    told = house.server.hub.rooms["demo"].live.fared.tier("hls", 1)
    assert (told.reporting, told.stalled, told.stalled_share) == (1, 1, 0.1)
    statuses = []
    for _ in range(4):
        async with house.http.post(url, json=report, headers=headers) as answer:
            statuses.append(answer.status)
    assert 429 in statuses
    page = house.server.metrics.text().decode()
    counted = 1 + statuses.count(200)
    assert f'consilium_viewer_stalls_total{{tier="hls"}} {counted}.0' in page
    assert f'consilium_viewer_stalled_seconds_total{{tier="hls"}} {1.5 * counted}' in page
    assert f'consilium_viewer_latency_seconds_bucket{{le="3.0",tier="hls"}} {counted}.0' in page
    assert 'consilium_viewer_latency_seconds_bucket{le="2.0",tier="hls"} 0.0' in page
    assert 'consilium_broadcast_viewers{tier="hls"} 0.0' in page


async def test_a_viewer_who_follows_the_events_is_counted(house: House) -> None:
    host = await house.join("host")
    viewer, _ = await live(house, host)
    async with house.http.get(f"{viewer.url}/events", headers={"Cookie": viewer.cookie}) as events:
        await events.content.readline()
        assert 'consilium_broadcast_viewers{tier="hls"} 1.0' in house.server.metrics.text().decode()
