"""How figures are summed up: the same few words in every benchmark's JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median


def spread(values: Sequence[float]) -> dict[str, float]:
    """`min`, `median` and `max`; for repeated measurements of one thing on a noisy machine."""
    return {"min": min(values), "median": median(values), "max": max(values)}


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile: an observed value, never an interpolated one."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def latency(values: Sequence[float]) -> dict[str, float]:
    """`p50` and `p95`; for many observations of one thing."""
    return {"p50": percentile(values, 50), "p95": percentile(values, 95)}
