"""Finding bandwidth that is not used yet: short clusters of padding or retransmissions above the present estimate.

What is sent only grows when there is something to send, so that an estimate over it cannot grow by itself. A cluster of
packets at a higher rate shows in a few hundredths of a second whether the path takes that rate, for its packets then
arrive as fast as they were sent.

At the start, and after each success, the next cluster follows at once at twice the rate (three times at first), up to
what is wanted and never beyond; after a failure or an overuse the next one waits, longer each time.
Rates in bit/s, times in seconds; time is an argument.
"""

from __future__ import annotations

from sfu.sendlog import Outcome

FIRST, STEP = 3.0, 2.0
WORTH = 1.05
"""No probing for less than this over the estimate."""

LEAST_TIME, MOST_TIME = 0.055, 0.3
"""The more jitter there is the longer it takes to see a rate through it."""
LEAST_OCTETS = 1500
LEAST_PACKETS = 5
RESULT_TIME = 1.0
"""After its last packet and a round trip, a cluster whose feedback has not come by then has failed."""

SOONEST, LATEST = 1.0, 3.0
AGAIN = 0.4
PROGRESS = 1.2
"""A cluster that fell short, but showed this many times the estimate, is followed by another soon."""
GOOD = 0.9
"""Of the rate that was tried; less is a failure, though what was shown is believed."""

CLEAN = 0.95
FULL = 0.9
UTILISED = 0.95


class Cluster:
    """A probe under way: `number` marks its packets, `rate` is tried until `octets` have left."""

    __slots__ = (
        "arrived",
        "count",
        "estimate",
        "left",
        "number",
        "octets",
        "rate",
        "sent",
        "sent_at",
        "sizes",
        "started",
    )

    def __init__(self, number: int, rate: float, estimate: float, jitter: float, now: float) -> None:
        self.number = number
        self.rate = rate
        self.estimate = estimate
        """As it was before."""
        self.octets = max(LEAST_OCTETS, int(rate * min(MOST_TIME, max(LEAST_TIME, 4 * jitter)) / 8))
        self.started = now
        self.sent_at: float | None = None
        """When its last packet left."""
        self.left = 0
        self.count = 0
        self.sizes: list[int] = []
        self.sent: list[float] = []
        self.arrived: list[float] = []

    @property
    def packet(self) -> int:
        """How large its packets should be at most, so that there are enough of them."""
        return min(1200, self.octets // LEAST_PACKETS)

    def due(self, now: float) -> int:
        """Bytes that should have left by now and have not."""
        return min(self.octets - self.left, int((now - self.started) * self.rate / 8) + self.packet - self.left)

    def rate_shown(self) -> float | None:
        """The rate that the path has shown; None while too little came back."""
        count = len(self.sizes)
        if count < max(LEAST_PACKETS - 1, int(0.8 * self.count)):
            return None
        order = sorted(range(count), key=self.sent.__getitem__)
        sizes = [self.sizes[index] for index in order]
        sent_rate = _rate([self.sent[index] for index in order], sizes)
        came_rate = _rate([self.arrived[index] for index in order], sizes)
        if sent_rate <= 0 or came_rate <= 0:
            return None
        if came_rate >= FULL * sent_rate and sent_rate >= FULL * self.rate:
            return self.rate  # what is missing is how exactly so few packets can tell
        return min(self.rate, UTILISED * came_rate, sent_rate)


def _rate(times: list[float], sizes: list[int]) -> float:
    """Bit/s, from the line that fits best the times at which so many bytes in all had passed: jitter averages out."""
    count = len(times)
    totals: list[int] = []
    total = 0
    for size in sizes:
        total += size
        totals.append(total)
    mean_total, mean_time = sum(totals) / count, sum(times) / count
    above = below = 0.0
    for passed, time in zip(totals, times, strict=True):
        above += (passed - mean_total) * (time - mean_time)
        below += (passed - mean_total) ** 2
    return 8 * below / above if above > 0 else 0.0


class Prober:
    """Asked on every tick (`due`), told of what left (`sent`) and of feedback (`outcome`)."""

    __slots__ = ("_next_at", "_number", "_pause", "_waiting", "clean", "cluster", "failures", "successes")

    def __init__(self) -> None:
        self.cluster: Cluster | None = None
        """The one whose packets are leaving."""
        self.successes = self.failures = 0
        self.clean = False
        """Hardly anything of the last cluster with a result was lost."""
        self._waiting: Cluster | None = None
        self._number = 0
        self._next_at = float("-inf")
        self._pause = SOONEST

    @property
    def idle(self) -> bool:
        return self.cluster is None and self._waiting is None

    def due(
        self, estimate: float, wanted: float, overused_at: float, round_trip: float, jitter: float, now: float
    ) -> Cluster | None:
        """The cluster to send for now, a new one where it is time."""
        cluster = self.cluster
        if cluster is not None:
            if cluster.left < cluster.octets and now - cluster.started < 4 * cluster.octets * 8 / cluster.rate:
                return cluster
            self._sent_all(now)
        waiting = self._waiting
        if waiting is not None:
            if now - (waiting.sent_at or now) > RESULT_TIME + round_trip:
                self._fail(now)
            return None
        if now - overused_at < SOONEST:
            self._next_at = max(self._next_at, overused_at + self._pause)
        if wanted < WORTH * estimate or now < self._next_at:
            return None
        rate = min(wanted, estimate * (STEP if self.successes else FIRST))
        self._number = self._number % 0xFFFF + 1
        self.cluster = Cluster(self._number, rate, estimate, jitter, now)
        return self.cluster

    def sent(self, size: int, now: float) -> None:
        """A packet of the present cluster has left, media or padding."""
        cluster = self.cluster
        if cluster is not None:
            cluster.left += size
            cluster.count += 1
            cluster.sent_at = now
            if cluster.left >= cluster.octets:
                self._sent_all(now)

    def stop(self, now: float) -> None:
        """There is nothing to send it with."""
        self.cluster = self._waiting = None
        self._next_at = now + SOONEST

    def _sent_all(self, now: float) -> None:
        if self.cluster is not None and self.cluster.sent_at is None:
            self.cluster.sent_at = now
        self._waiting, self.cluster = self.cluster, None

    def outcome(self, outcome: Outcome, overused: bool, now: float) -> float | None:
        """The rate that a probe has shown, once there is a result; None otherwise."""
        present = self._waiting or self.cluster
        if present is None:
            return None
        for index, number in enumerate(outcome.clusters):
            if number == present.number:
                present.sizes.append(outcome.sizes[index])
                present.sent.append(outcome.sent[index])
                present.arrived.append(outcome.arrived[index])
        if self._waiting is None:
            return None
        if overused:
            self._fail(now)
            return None
        shown = present.rate_shown()
        if shown is None:
            return None
        self.clean = len(present.sizes) >= CLEAN * present.count
        if shown >= GOOD * present.rate:
            self._waiting = None
            self.successes += 1
            self._pause = SOONEST
            self._next_at = now
        else:
            self._fail(now, shown >= PROGRESS * present.estimate)
        return shown

    def _fail(self, now: float, progress: bool = False) -> None:
        self._waiting = self.cluster = None
        self.failures += 1
        if progress:
            self._pause = SOONEST
            self._next_at = now + AGAIN
            return
        self._next_at = now + self._pause
        self._pause = min(LATEST, 2 * self._pause)
