"""From measurements to the words that people see."""

from __future__ import annotations

import pytest

from sfu.interface import ConnectionQuality
from signaling.protocol import MediaReport
from signaling.quality import FAIR, GOOD, LOST, POOR, Steady, publish_level, subscribe_level


def found(**change: float | None) -> ConnectionQuality:
    values: dict[str, float | None] = {"publish_loss": 0.0, "subscribe_loss": 0.0, "round_trip_ms": 20.0} | change
    return ConnectionQuality(**values)  # type: ignore[arg-type]


def report(**change: float) -> MediaReport:
    values: dict[str, float] = {
        "freezes": 0,
        "frozen_ms": 0.0,
        "concealed": 0.0,
        "loss": 0.0,
        "jitter_ms": 5.0,
    } | change
    return MediaReport(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change, level",
    [
        ({}, GOOD),
        ({"publish_loss": 0.05}, FAIR),
        ({"publish_loss": 0.2}, POOR),
        ({"publish_loss": 0.6}, LOST),
        ({"round_trip_ms": 400.0}, FAIR),
        ({"round_trip_ms": None}, GOOD),
        ({"publish_jitter_ms": 200.0}, POOR),
        ({"subscribe_loss": 0.9}, GOOD),
    ],
)
def test_the_way_out(change: dict[str, float | None], level: int) -> None:
    assert publish_level(found(**change)) == level


@pytest.mark.parametrize(
    "change, said, level",
    [
        ({}, None, GOOD),
        ({"publish_loss": 0.9}, None, GOOD),
        ({"reduced": 2, "estimate": 1e6, "wanted": 2e6}, None, FAIR),
        ({"reduced": 2, "estimate": 1e5, "wanted": 2e6}, None, POOR),
        ({}, {"freezes": 1, "frozen_ms": 300.0}, FAIR),
        ({}, {"freezes": 3, "frozen_ms": 2500.0}, POOR),
        ({}, {"concealed": 0.04}, FAIR),
        ({}, {"loss": 0.12}, POOR),
        ({"subscribe_loss": 0.7}, {"frozen_ms": 2000.0}, LOST),
    ],
)
def test_the_way_in(change: dict[str, float | None], said: dict[str, float] | None, level: int) -> None:
    assert subscribe_level(found(**change), report(**said) if said is not None else None) == level


def test_others_see_a_fall_at_once_and_a_rise_when_it_lasts() -> None:
    steady = Steady()
    assert steady.update(GOOD) and steady.level == GOOD
    assert steady.update(POOR) and steady.level == POOR
    assert [steady.update(GOOD) for _ in range(6)] == [False, False, True, False, False, True]
    assert steady.level == GOOD
