"""How much one subscriber's path can take: a send-side estimator of Google's congestion control family.

Every packet that leaves is written down (`BandwidthEstimator.sent`), the peer tells when each arrived (`feedback`).
From that come a delay-based rate (`sfu.overuse` says when; what really arrives says how much), a loss-based one
(`sfu.loss`) and the results of probes (`sfu.probing`); the estimate is the least of the first two.

What is our own here, beside the sources named in those modules: after an overuse that has filled a queue the rate goes
so far below what arrives that the queue drains within about a second, then back to just under it at once.

Rates in bit/s, times in seconds; time is an argument.
"""

from __future__ import annotations

from collections import deque
from math import sqrt

from sfu.loss import LossModel
from sfu.overuse import Overuse
from sfu.sendlog import Outcome, SendLog
from sfu.twcc import TransportFeedback

START = 1_000_000.0
FLOOR = 60_000.0
CEILING = 50_000_000.0

DECREASE = 0.85
GROWTH = 1.08
"""Per second, while no limit was met."""
HEADROOM, HEADROOM_BITS = 1.5, 10_000.0
"""Growth ends at this much above what arrives: more is found out by probes only."""

IDLE_DECREASE = 0.7
"""On an overuse without much of a queue, when far less is sent than the estimate."""

PROVEN = 0.5
"""After so many seconds without change what arrives without a queue is believed, if it is more than the estimate."""

DRAIN_QUEUE, DRAINED = 0.06, 0.03
SUDDEN_QUEUE = 0.1
DRAIN_TIME = 1.0
DRAIN_LEAST = 0.3
DRAIN_MOST = 2.0
"""A queue that is as high as ever after so many seconds of less is none: the way has become longer."""
STALL = 0.2
"""What is gone a round trip and so many seconds after the cut was no queue, for what was sent before the cut is only
just through: something on the way stood still for a moment."""

SILENCE = 1.0
SILENT_DECREASE = 0.8
RESPONSE = 0.1


class AckedRate:
    """What arrives, over the last `WINDOW` of the peer's clock."""

    WINDOW = 0.4
    __slots__ = ("_octets", "_packets", "_since")

    def __init__(self) -> None:
        self._packets: deque[tuple[float, int]] = deque()
        self._octets = 0
        self._since: float | None = None

    def arrived(self, at: float, size: int) -> None:
        packets = self._packets
        while packets and packets[0][0] <= at - self.WINDOW:
            self._octets -= packets.popleft()[1]
        if not packets:
            self._since = at
        packets.append((at, size))
        self._octets += size

    @property
    def rate(self) -> float:
        """0 until there is enough to tell."""
        if not self._packets or self._since is None:
            return 0.0
        passed = self._packets[-1][0] - self._since
        return self._octets * 8 / min(self.WINDOW, passed) if passed >= 0.15 else 0.0

    @property
    def lately(self) -> float:
        """The same over the last eighth of a second, for when the path all but stops; 0 with too little to tell."""
        octets, start, count, first = 0, 0.0, 0, 0
        end = self._packets[-1][0] if self._packets else 0.0
        for at, size in reversed(self._packets):
            if at <= end - 0.125 and count > 3:
                break
            octets, start, count = octets + size, at, count + 1
            first = size
        return (octets - first) * 8 / (end - start) if count > 3 and end > start else 0.0


class Capacity:
    """What the path took whenever it was full: smoothed, with its spread (draft-ietf-rmcat-gcc-02, section 5.5)."""

    __slots__ = ("_spread", "rate")

    def __init__(self) -> None:
        self.rate = 0.0
        self._spread = 0.4

    def met(self, rate: float) -> None:
        kilobits = max(1.0, rate / 1000)
        if not self.rate:
            self.rate = rate
            return
        error = self.rate / 1000 - kilobits
        self.rate = 0.95 * self.rate + 0.05 * rate
        self._spread = min(2.5, max(0.4, 0.95 * self._spread + 0.05 * error * error / max(1.0, self.rate / 1000)))

    def away(self, rate: float) -> float:
        """By how many deviations a rate is above (negative: below) what was known."""
        kilobits = self.rate / 1000
        return (rate / 1000 - kilobits) / max(1.0, sqrt(self._spread * kilobits))

    def forget(self) -> None:
        self.rate = 0.0
        self._spread = 0.4


class DelayRate:
    """Additive and multiplicative increase, multiplicative decrease, on the verdicts of `Overuse`."""

    __slots__ = (
        "_acted",
        "_before",
        "_capacity",
        "_drain_first",
        "_drain_since",
        "_drain_to",
        "_updated",
        "estimate",
        "overused_at",
    )

    def __init__(self, start: float) -> None:
        self.estimate = start
        self.overused_at = float("-inf")
        self._capacity = Capacity()
        self._updated: float | None = None
        self._acted = float("-inf")
        self._drain_since: float | None = None
        self._drain_to = self._drain_first = 0.0
        self._before = start
        """The estimate when the draining began."""

    @property
    def draining(self) -> bool:
        return self._drain_since is not None

    def update(self, detector: Overuse, acked: float, lately: float, round_trip: float, now: float) -> None:
        """A feedback message was worked through; `acked` and `lately` are what arrives, see `AckedRate`."""
        passed = min(1.0, now - self._updated) if self._updated is not None else 0.0
        self._updated = now
        if self._drain_since is not None and self._drain(detector, round_trip, now):
            return
        usage, queue = detector.usage, detector.queue
        if usage == "over":
            self.overused_at = now
            if self._drain_since is not None and not detector.growing and acked > DECREASE * self.estimate:
                return  # as much arrives as may be sent: it drains, or there is no queue
            if detector.standing > SUDDEN_QUEUE and lately:
                acked = min(acked, lately)
            if now - self._acted >= min(0.2, max(0.01, round_trip)) or acked < 0.5 * self.estimate:
                self._decrease(queue, acked, now)
            return
        if self._drain_since is not None:
            return
        if usage == "normal" and now - self._acted > round_trip:
            self._increase(acked, round_trip, passed)
            if queue < DRAINED and acked > self.estimate and now - self._acted > PROVEN:
                self.estimate = min(acked, CEILING)

    def _decrease(self, queue: float, acked: float, now: float) -> None:
        if not acked:
            acked = self.estimate
        self._acted = now
        if queue < DRAIN_QUEUE and acked < 0.5 * self.estimate:
            self.estimate = max(IDLE_DECREASE * self.estimate, DECREASE * acked)
            return
        if self._capacity.rate and abs(self._capacity.away(acked)) > 3:
            self._capacity.forget()
        self._capacity.met(acked)
        target = DECREASE * acked
        if queue > DRAIN_QUEUE:
            if self._drain_since is None:
                self._drain_since, self._drain_to, self._drain_first = now, target, target
                self._before = self.estimate
            self._drain_to = min(target, self._drain_to)
            target = min(target, acked * max(DRAIN_LEAST, 1 - queue / DRAIN_TIME))
        self.estimate = min(self.estimate, target)

    def _drain(self, detector: Overuse, round_trip: float, now: float) -> bool:
        """Whether the draining has ended."""
        assert self._drain_since is not None
        passed, empty = now - self._drain_since, detector.standing <= DRAINED
        if not empty and (passed <= DRAIN_MOST or detector.growing):
            return False
        self._drain_since = None
        self._acted = now
        target = self._drain_to
        if not empty:
            target = self._drain_first
            detector.forget_base()
        elif passed <= round_trip + STALL:
            target = DECREASE * self._before
            self._capacity.forget()
            detector.settle()
        self.estimate = max(self.estimate, target)
        return True

    def _increase(self, acked: float, round_trip: float, passed: float) -> None:
        if self._capacity.rate and acked > self._capacity.rate and self._capacity.away(acked) > 3:
            self._capacity.forget()
        if self._capacity.rate:
            frame = self.estimate / 30
            packet = frame / max(1.0, frame / 9600)
            grown = self.estimate + max(4000.0, packet / (round_trip + RESPONSE)) * passed
        else:
            grown = self.estimate * GROWTH**passed
        limit = HEADROOM * acked + HEADROOM_BITS
        self.estimate = max(self.estimate, min(grown, limit, CEILING))

    def probed(self, rate: float, now: float) -> None:
        """A probe has shown that the path takes this much."""
        if rate > self.estimate and self._drain_since is None:
            self.estimate = min(rate, CEILING)
            self._acted = now
            if rate > self._capacity.rate:
                self._capacity.forget()

    def silent(self) -> None:
        self.estimate = max(FLOOR, self.estimate * SILENT_DECREASE)


class BandwidthEstimator:
    """One transport's: see the module text. `feedback` gives the outcome, of which probes are part."""

    def __init__(self, start: float = START) -> None:
        self.log = SendLog()
        self.round_trip: float | None = None
        self.messages = 0
        """Feedback messages that told something."""
        self.acked = AckedRate()
        self.detector = Overuse()
        self.delay = DelayRate(start)
        self.loss = LossModel()
        self._heard_at: float | None = None
        self._silent_at = 0.0

    @property
    def estimate(self) -> float:
        return max(FLOOR, min(self.delay.estimate, self.loss.estimate))

    @property
    def overused_at(self) -> float:
        """When there was last an overuse, by delay or by loss."""
        return self.delay.overused_at

    def probed(self, rate: float, clean: bool, now: float) -> None:
        """A probe has shown that the path takes this much now; where it was `clean`, whatever was lost before."""
        if clean and rate > self.estimate:
            self.loss.forget()
        self.delay.probed(rate, now)

    def sent(self, size: int, now: float, cluster: int = 0) -> int:
        """A packet leaves; gives its transport sequence number, to be cut to 16 bits."""
        return self.log.sent(size, now, cluster)

    def feedback(self, message: TransportFeedback, now: float) -> Outcome:
        outcome = self.log.match(message)
        packets = len(outcome.sent) + outcome.lost
        if not packets:
            return outcome
        self.messages += 1
        self._heard_at = self._silent_at = now
        octets = outcome.lost_octets + outcome.untold
        if outcome.untold and outcome.sent:
            self.acked.arrived(outcome.arrived[0], outcome.untold)
        for sent, arrived, size in zip(outcome.sent, outcome.arrived, outcome.sizes, strict=True):
            self.acked.arrived(arrived, size)
            self.detector.packet(sent, arrived)
            octets += size
        if outcome.sent:
            self._round_trip(now - outcome.newest_sent)
            self.delay.update(self.detector, self.acked.rate, self.acked.lately, self.round_trip or 0.2, now)
            self.loss.observe(
                packets - outcome.late,
                outcome.lost - outcome.late,
                octets,
                outcome.newest_sent,
                self.acked.rate,
                self.delay.estimate,
            )
        return outcome

    def _round_trip(self, sample: float) -> None:
        sample = max(0.0, sample)
        if self.round_trip is None or sample < self.round_trip:
            self.round_trip = sample
        else:
            self.round_trip += (sample - self.round_trip) / 16

    def tick(self, now: float) -> None:
        """Where feedback has stopped while we send, less and less is taken for granted."""
        if self._heard_at is None or not self.log.outstanding:
            self._silent_at = now
        elif now - self._silent_at > max(SILENCE, 4 * (self.round_trip or 0.0)):
            self._silent_at = now
            self.delay.silent()
