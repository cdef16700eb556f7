"""Is a queue building up on the way? The delay-based half of Google's congestion control, up to its verdict.

Packets sent within a few milliseconds form a group; the change of one-way delay from group to group is added up,
smoothed, and its trend is a line fitted over the last groups. A trend above an adaptive threshold is overuse
(draft-ietf-rmcat-gcc-02, sections 5.1 to 5.4, with the line fit that took the place of the Kalman filter).

Beside the trend stands how high the queue is: the smoothed delay above its least value of the last seconds. Jitter
tilts the line for moments but keeps the mean, so that overuse without a queue is not believed; and where several
packets in a row came very late that is overuse at once, for the line takes its time when a path all but stops.

Times in milliseconds inside, in seconds at the surface.
"""

from __future__ import annotations

from typing import Literal

Usage = Literal["normal", "over", "under"]

GROUP = 5.0
BURST = 100.0
"""Packets that arrive back to back belong together, for this long at most."""

RESET = 3000.0
"""A pause or a step of the clocks by more than this starts anew."""

POINTS = 20
SMOOTHING = 0.9
GAIN = 4.0
MAX_DELTAS = 60

START_THRESHOLD = 12.5
LEAST_THRESHOLD, MOST_THRESHOLD = 6.0, 600.0
UP, DOWN = 0.0087, 0.039
OUTLIER = 15.0
"""A trend this far above the threshold is a moment's spike and does not move it."""

OVERUSE_TIME = 10.0
LEAST_QUEUE = 25.0
"""Milliseconds of queue without which there is no overuse."""

SPIKE = 100.0
ROW = 4
"""Every one of so many packets in a row this late, in milliseconds, is overuse whatever the trend."""

WINDOW = 10.0
"""The least delay is that of the last one to two windows, in seconds: paths change, clocks drift."""


class Overuse:
    """Feed it packets in order of arrival. `usage` is the verdict, `queue` the seconds of queue on the way."""

    __slots__ = (
        "_base",
        "_base_at",
        "_base_before",
        "_complete",
        "_count",
        "_current",
        "_delay",
        "_deltas",
        "_last_update",
        "_over_since",
        "_previous_trend",
        "_row",
        "_slow",
        "_smoothed",
        "_times",
        "_values",
        "jitter",
        "threshold",
        "trend",
        "usage",
    )

    def __init__(self) -> None:
        self.usage: Usage = "normal"
        self.threshold = START_THRESHOLD
        self.trend = 0.0
        # One group: first and last send time, first and last arrival.
        self._current: tuple[float, float, float, float] | None = None
        self._complete: tuple[float, float, float, float] | None = None
        self.jitter = 0.0
        """Mean change of the delay from group to group, in seconds."""
        self._delay = self._smoothed = 0.0
        self._slow: float | None = None
        self._row: list[float] = []
        self._deltas = self._count = 0
        self._times: list[float] = []
        self._values: list[float] = []
        self._previous_trend = 0.0
        self._over_since = -1.0
        self._last_update = -1.0
        self._base = self._base_before = float("inf")
        self._base_at = float("-inf")

    @property
    def queue(self) -> float:
        """Seconds that packets wait on the way beyond the least of late, as far as is known."""
        if self._slow is None:
            return 0.0
        return max(0.0, max(self._slow, min(self._row)) - min(self._base, self._base_before)) / 1000

    @property
    def standing(self) -> float:
        """The same for the least delayed of the last packets: it falls as soon as the queue has gone."""
        if self._slow is None:
            return 0.0
        return max(0.0, min(self._row) - min(self._base, self._base_before)) / 1000

    @property
    def growing(self) -> bool:
        """Whether the delay still rises."""
        return min(self._deltas, MAX_DELTAS) * self.trend * GAIN > self.threshold

    def forget_base(self) -> None:
        """What looked like a queue did not drain: it is the way itself."""
        if self._slow is not None:
            self._base = self._base_before = self._slow
            self.settle()

    def settle(self) -> None:
        """What raised the delay was no queue: its trend means nothing."""
        if self._row:
            self._slow = self._row[-1]
        self._times.clear()
        self._values.clear()
        self._delay = self._smoothed = 0.0
        self._previous_trend = self.trend = 0.0
        self._over_since, self._count = -1.0, 0
        self.usage = "normal"

    def packet(self, sent: float, arrived: float) -> None:
        """One packet that arrived; seconds of the sender's and of the receiver's clock."""
        sent *= 1000
        arrived *= 1000
        self._row.append(arrived - sent)
        if len(self._row) > ROW:
            del self._row[0]
        current = self._current
        if current is None:
            self._current = (sent, sent, arrived, arrived)
            return
        first_sent, last_sent, first_arrived, last_arrived = current
        if sent < first_sent:
            return  # out of order
        if arrived - last_arrived > RESET or sent - last_sent > RESET or arrived < last_arrived:
            if arrived < last_arrived and last_arrived - arrived < RESET:
                return  # told late: the group has gone by
            self._restart(sent, arrived)
            return
        step, gap = sent - last_sent, arrived - last_arrived
        joined = gap <= GROUP and gap < step and arrived - first_arrived < BURST
        if sent - first_sent <= GROUP or joined:
            self._current = (first_sent, max(sent, last_sent), first_arrived, arrived)
            if self.standing * 1000 > SPIKE:
                self.usage = "over"
            return
        before = self._complete
        if before is not None:
            self._delta(last_sent - before[1], last_arrived - before[3], last_arrived, last_arrived - last_sent)
        self._complete = current
        self._current = (sent, sent, arrived, arrived)
        if self.standing * 1000 > SPIKE:
            self.usage = "over"

    def _restart(self, sent: float, arrived: float) -> None:
        self._current, self._complete = (sent, sent, arrived, arrived), None
        self._row[:] = [arrived - sent]
        self._times.clear()
        self._values.clear()
        self._deltas = 0
        self._delay = self._smoothed = 0.0
        self._slow = None
        self._base = self._base_before = float("inf")
        self._base_at = float("-inf")
        self._over_since = self._last_update = -1.0
        self._previous_trend = self.trend = 0.0
        self.usage = "normal"

    def _delta(self, sent: float, arrived: float, at: float, transit: float) -> None:
        self._deltas += 1
        self._delay += arrived - sent
        self._smoothed = SMOOTHING * self._smoothed + (1 - SMOOTHING) * self._delay
        if self._slow is None:
            self._slow = transit
        self.jitter += (abs(arrived - sent) / 1000 - self.jitter) / 16
        self._slow = SMOOTHING * self._slow + (1 - SMOOTHING) * transit
        if at - self._base_at > WINDOW * 1000:
            self._base_before = self._base
            self._base, self._base_at = self._slow, at
        self._base = min(self._base, self._slow)
        self._times.append(at)
        self._values.append(self._smoothed)
        if len(self._times) > POINTS:
            del self._times[0], self._values[0]
        if len(self._times) == POINTS:
            self.trend = _slope(self._times, self._values)
        self._detect(sent, at)

    def _detect(self, sent: float, at: float) -> None:
        if self._deltas < 2:
            self.usage = "normal"
            return
        modified = min(self._deltas, MAX_DELTAS) * self.trend * GAIN
        if modified > self.threshold and self.queue * 1000 > LEAST_QUEUE:
            # The overuse must last, and not be on its way out.
            self._over_since = sent / 2 if self._over_since < 0 else self._over_since + sent
            self._count += 1
            if self._over_since > OVERUSE_TIME and self._count > 1 and self.trend >= self._previous_trend:
                self._over_since = 0.0
                self._count = 0
                self.usage = "over"
        else:
            self._over_since, self._count = -1.0, 0
            self.usage = "under" if modified < -self.threshold else "normal"
        self._previous_trend = self.trend
        self._adapt(abs(modified), at)

    def _adapt(self, modified: float, at: float) -> None:
        passed = min(100.0, at - self._last_update) if self._last_update >= 0 else 0.0
        self._last_update = at
        if modified > self.threshold + OUTLIER:
            return
        rate = DOWN if modified < self.threshold else UP
        self.threshold += rate * (modified - self.threshold) * passed
        self.threshold = max(LEAST_THRESHOLD, min(MOST_THRESHOLD, self.threshold))


def _slope(times: list[float], values: list[float]) -> float:
    """Of the least-squares line: milliseconds of delay per millisecond."""
    count = len(times)
    mean_time, mean_value = sum(times) / count, sum(values) / count
    above = below = 0.0
    for time, value in zip(times, values, strict=True):
        above += (time - mean_time) * (value - mean_value)
        below += (time - mean_time) ** 2
    return above / below if below else 0.0
