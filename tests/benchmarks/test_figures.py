"""From what was noted to what is claimed: freezes, recovery, slopes, charts, and the network that we make."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.harness.chart import Line, line_chart
from benchmarks.harness.shaper import Direction, Shape
from benchmarks.network import figures, freezes, recovery
from benchmarks.soak import slope


def test_a_gap_of_half_a_second_at_thirty_frames_is_a_freeze() -> None:
    shown = [n * 33.0 for n in range(60)]
    assert freezes([*shown, shown[-1] + 533.0], 0.0, shown[-1] + 540.0) == [533.0]


def test_a_late_frame_is_no_freeze() -> None:
    shown = [n * 33.0 for n in range(60)]
    assert freezes([*shown, shown[-1] + 150.0], 0.0, shown[-1] + 151.0) == []


def test_a_picture_that_stops_is_frozen_until_the_end() -> None:
    assert freezes([n * 33.0 for n in range(60)], 0.0, 59 * 33.0 + 4000) == [4000.0]


def test_no_picture_at_all_is_one_long_freeze() -> None:
    assert freezes([], 1000.0, 31_000.0) == [30_000.0]


def _samples(heights: list[int], frames_per_second: float) -> list[dict[str, Any]]:
    return [
        {"at": n * 250.0, "video": {"frameHeight": height, "framesDecoded": n * frames_per_second / 4}}
        for n, height in enumerate(heights)
    ]


def test_recovery_counts_from_the_return_of_the_rate() -> None:
    samples = _samples([720] * 20 + [180] * 40 + [720] * 20, 30)
    found = recovery(samples, dropped=5000.0, restored=12500.0)
    assert found["recovery_s"] == 2.5
    assert (found["height_before"], found["height_lowest"]) == (720, 180)


def test_a_picture_that_never_comes_back_has_no_recovery() -> None:
    assert recovery(_samples([720] * 20 + [180] * 60, 30), 5000.0, 12500.0)["recovery_s"] is None


def test_resolution_over_time_and_concealment_are_told() -> None:
    samples = _samples([180] * 4 + [720] * 5, 30)
    for n, sample in enumerate(samples):
        sample["audio"] = {"totalSamplesReceived": n * 12000, "concealedSamples": n * 600}
    found = figures(samples, [n * 33.0 for n in range(61)])
    assert [(change["at_s"], change["height"]) for change in found["resolution"]] == [(0.0, 180), (1.0, 720)]
    assert found["audio_concealed_share"] == 0.05
    assert found["max_freeze_ms"] == 0


def test_a_packet_waits_for_its_turn_and_for_the_way() -> None:
    link = Direction(Shape(rate=1e6, delay=0.05, queue=1.0), 1)
    for _ in range(2):
        link.push(bytes(1250), 0.0)  # 10 ms each at 1 Mbit/s
    assert link.due(0.0599) == []
    assert len(link.due(0.0601)) == 1
    assert link.next() == pytest.approx(0.07)
    assert len(link.due(0.0701)) == 1


def test_what_would_wait_too_long_is_dropped() -> None:
    link = Direction(Shape(rate=1e6, queue=0.1), 1)
    for _ in range(100):
        link.push(bytes(1250), 0.0)
    assert (link.sent, link.overflowed) == (11, 89)


@given(st.floats(0, 1), st.integers(1, 300), st.integers(0, 10))
def test_every_packet_is_lost_dropped_or_arrives(loss: float, packets: int, seed: int) -> None:
    link = Direction(Shape(rate=1e7, delay=0.01, jitter=0.02, loss=loss, queue=0.05), seed)
    for n in range(packets):
        link.push(bytes(1000), n / 1000)
    arrived = len(link.due(1000.0))
    assert arrived == link.sent and link.sent + link.lost + link.overflowed == packets
    assert link.next() is None


def test_the_share_of_lost_packets_is_the_one_asked_for() -> None:
    link = Direction(Shape(loss=0.1), 1)
    for n in range(20_000):
        link.push(b"x", n / 1000)
    assert link.lost == pytest.approx(2000, rel=0.1)


def test_a_slope_is_the_least_squares_line() -> None:
    assert slope([(0, 1), (1, 3), (2, 5)]) == pytest.approx(2)
    assert slope([(0, 1)]) == 0.0


def test_a_chart_is_well_formed_and_escapes_names() -> None:
    text = line_chart("CPU <of> one core", "viewers", "%", [Line("a & b", [(0, 0), (10, 55)])], ("full", 100.0))
    root = ElementTree.fromstring(text)
    assert root.tag.endswith("svg")
    assert any("a & b" in (node.text or "") for node in root.iter())
