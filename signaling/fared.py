"""How a broadcast fares at its viewers', by what their pages report: added up, kept for nobody. Pure: no clock.

A page's newest report takes the place of the one before, so that a sum is always of the last interval of all who
report. Taking one and reading the sums cost the same however many there are.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from dataclasses import dataclass
from itertools import accumulate

from signaling.values import AudienceTier, Tier

EVERY_S = 15.0
PER_SECOND = 100
"""Reports that are wanted: with more viewers each of them reports less often."""
BOUNDS_MS = (
    50, 100, 150, 200, 300, 400, 500, 750, 1_000, 1_500, 2_000, 2_500, 3_000, 4_000, 5_000, 6_000, 8_000, 10_000,
    15_000, 20_000, 30_000, 45_000, 60_000, 600_000,
)  # fmt: skip
"""Upper bounds of the bins in which latencies are counted: shares of them are known as exactly as these are near."""


@dataclass(frozen=True, slots=True)
class Report:
    """Of one page since its last: how long it watched, in ms, how often and how long of that the picture or the sound
    stood still, and how far behind the stage it is (None: unknown, or went back by itself)."""

    tier: Tier
    watched_ms: int
    stalls: int
    stalled_ms: int
    latency_ms: int | None


class _Sum:
    __slots__ = ("bins", "count", "stalled", "stalled_ms", "stalls", "watched_ms")

    def __init__(self) -> None:
        self.count = self.stalled = self.stalls = self.stalled_ms = self.watched_ms = 0
        self.bins = [0] * len(BOUNDS_MS)

    def add(self, report: Report, sign: int) -> None:
        self.count += sign
        self.stalled += sign * (report.stalls > 0)
        self.stalls += sign * report.stalls
        self.stalled_ms += sign * report.stalled_ms
        self.watched_ms += sign * report.watched_ms
        if report.latency_ms is not None:
            self.bins[min(bisect_left(BOUNDS_MS, report.latency_ms), len(BOUNDS_MS) - 1)] += sign

    def share(self, part: float) -> float | None:
        """The latency, in ms, that `part` of those who tell theirs have or less, straight within its bin."""
        total = sum(self.bins)
        if not total:
            return None
        wanted = part * total
        for place, below in enumerate(accumulate(self.bins)):
            if below >= wanted and self.bins[place]:
                low = BOUNDS_MS[place - 1] if place else 0
                within = 1 - (below - wanted) / self.bins[place]
                return round(low + (BOUNDS_MS[place] - low) * within)
        return None


class Fared:
    """Of one broadcast, at most `most` viewers."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._of: OrderedDict[str, tuple[float, Report]] = OrderedDict()
        self._sums: dict[Tier, _Sum] = {"realtime": _Sum(), "hls": _Sum()}

    @staticmethod
    def every(viewers: int) -> float:
        """Seconds after which a page of so many reports again."""
        return max(EVERY_S, viewers / PER_SECOND)

    def take(self, who: str, report: Report, now: float) -> None:
        """`now` in seconds, monotonic."""
        known = self._of.pop(who, None)
        if known is not None:
            self._sums[known[1].tier].add(known[1], -1)
        self._of[who] = now, report
        self._sums[report.tier].add(report, 1)
        if len(self._of) > self._most:
            self._forget()

    def look(self, now: float, viewers: int) -> None:
        """Forgets those who have not reported for two intervals and a half."""
        until = now - 2.5 * self.every(viewers)
        while self._of and next(iter(self._of.values()))[0] < until:
            self._forget()

    def _forget(self) -> None:
        _, (_, report) = self._of.popitem(last=False)
        self._sums[report.tier].add(report, -1)

    def tier(self, tier: Tier, viewers: int) -> AudienceTier:
        """One tier as operators see it, with how many `viewers` the server itself counts there."""
        found = self._sums[tier]
        return AudienceTier(
            tier=tier,
            viewers=viewers,
            reporting=found.count,
            stalled=found.stalled,
            stalled_share=round(found.stalled_ms / found.watched_ms, 4) if found.watched_ms else 0.0,
            latency_ms=found.share(0.5),
            latency_p95_ms=found.share(0.95),
        )
