"""A path in virtual time, and senders over it that are made of the real estimator, pacer, prober and recorder."""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from sfu.bandwidth import BandwidthEstimator
from sfu.pacer import VIDEO, Pacer
from sfu.probing import Prober
from sfu.rtcp import parse_compound
from sfu.twcc import ArrivalRecorder, TransportFeedback

STEP = 0.001
FRAME = 1 / 30
TICK = 0.02


class Link:
    """A bottleneck of `rate` bit/s with a queue of `queue` seconds, then `delay` with `jitter` (both ways of it)."""

    def __init__(self, rate, queue=0.5, delay=0.025, loss=0.0, jitter=0.0, seed=1):
        self.rate, self.queue, self.delay, self.loss, self.jitter = rate, queue, delay, loss, jitter
        self.dice = random.Random(seed)
        self.waiting: deque[tuple[int, float, Callable[[float], None]]] = deque()
        self.octets = 0
        self.credit = 0.0
        self.arrivals: list[tuple[float, int, Callable[[float], None]]] = []
        self.serial = 0
        self.dropped = 0

    @property
    def queued(self):
        """Seconds that a packet waits now."""
        return self.octets * 8 / self.rate

    def push(self, size, now, deliver):
        if self.octets + size > max(3000, self.queue * self.rate / 8):
            self.dropped += 1
            return
        self.waiting.append((size, now, deliver))
        self.octets += size

    def step(self, now):
        self.credit += self.rate * STEP / 8
        while self.waiting and self.credit >= self.waiting[0][0]:
            size, _, deliver = self.waiting.popleft()
            self.credit -= size
            self.octets -= size
            if self.dice.random() >= self.loss:
                self.later(now + self.delay + self.wobble(), deliver)
        if not self.waiting:
            self.credit = min(self.credit, 0.0)
        while self.arrivals and self.arrivals[0][0] <= now:
            at, _, deliver = heapq.heappop(self.arrivals)
            deliver(at)

    def wobble(self):
        return max(-self.delay, self.dice.gauss(0, self.jitter)) if self.jitter else 0.0

    def later(self, at, deliver):
        self.serial += 1
        heapq.heappush(self.arrivals, (at, self.serial, deliver))


@dataclass
class Flow:
    """A server that has `wanted` to send to one viewer and sends what its estimate allows, in frames."""

    link: Link
    wanted: float = 3_000_000.0
    back_loss: float = 0.0
    reorder: bool = False
    padding: bool = True
    least: float = 60_000.0
    start: float = 0.0
    feedback_every: float = 0.05
    estimator: BandwidthEstimator = field(default_factory=BandwidthEstimator)
    prober: Prober = field(default_factory=Prober)
    recorder: ArrivalRecorder = field(default_factory=ArrivalRecorder)
    received: list[tuple[float, int]] = field(default_factory=list)
    estimates: list[tuple[float, float]] = field(default_factory=list)
    probed: int = 0
    paced: float = 0.0

    def __post_init__(self):
        self.pacer: Pacer[int] = Pacer(self.estimator.estimate)
        self.next_frame = self.next_tick = self.next_feedback = self.start
        self.mailbox: deque[tuple[float, bytes]] = deque()
        self.level = 0.0

    def step(self, now):
        if now < self.start:
            return
        while self.mailbox and self.mailbox[0][0] <= now:
            self.hear(self.mailbox.popleft()[1], now)
        if now >= self.next_frame:
            self.next_frame += FRAME
            rate = max(self.least, min(self.wanted, self.estimator.estimate * 0.95))
            self.level += rate * FRAME / 8
            while self.level > 200:
                size = int(min(1200, self.level))
                self.level -= size
                if self.pacer.admit(VIDEO, size, now):
                    self.leave(size, now)
                else:
                    self.pacer.hold(VIDEO, size, size, now)
        if now >= self.next_tick:
            self.next_tick += TICK
            self.tick(now)
        if now >= self.next_feedback:
            self.next_feedback += self.feedback_every
            for message in self.recorder.feedback(1, 2):
                if self.link.dice.random() >= self.back_loss:
                    late = self.link.dice.random() * 0.1 if self.reorder else 0.0
                    self.mailbox.append((now + self.link.delay + late, message.serialize()))
            if self.reorder:
                self.mailbox = deque(sorted(self.mailbox))

    def tick(self, now):
        self.paced = max(self.paced, self.pacer.delay(now))
        for size in self.pacer.release(now):
            self.leave(size, now)
        estimator = self.estimator
        estimator.tick(now)
        if self.padding and estimator.messages:
            trip = estimator.round_trip or 0.1
            cluster = self.prober.due(
                estimator.estimate, self.wanted, estimator.overused_at, trip, estimator.detector.jitter, now
            )
            while cluster is not None and cluster is self.prober.cluster and cluster.due(now) > 0:
                self.probed += cluster.packet
                self.pacer.spent(cluster.packet, now)
                self.leave(cluster.packet, now)
        self.pacer.set_estimate(estimator.estimate)
        self.estimates.append((now, estimator.estimate))

    def leave(self, size, now):
        cluster = self.prober.cluster
        number = self.estimator.sent(size, now, cluster.number if cluster is not None else 0)
        self.prober.sent(size, now)
        self.link.push(size, now, lambda at: self.arrive(number, size, at))

    def arrive(self, number, size, at):
        self.recorder.received(number & 0xFFFF, at)
        self.received.append((at, size))

    def hear(self, data, now):
        (message,) = parse_compound(data)
        assert isinstance(message, TransportFeedback)
        outcome = self.estimator.feedback(message, now)
        shown = self.prober.outcome(outcome, self.estimator.detector.usage == "over", now)
        if shown is not None:
            self.estimator.probed(shown, self.prober.clean, now)
        self.pacer.set_estimate(self.estimator.estimate)

    def rate(self, since, until):
        return sum(size for at, size in self.received if since <= at < until) * 8 / (until - since)

    def mean(self, since, until):
        values = [value for at, value in self.estimates if since <= at < until]
        return sum(values) / len(values)

    def least_estimate(self, since, until):
        return min(value for at, value in self.estimates if since <= at < until)


def run(link, flows, until, at=None, watch=None):
    """`at` maps times to what happens then; `watch(now)` is called every 10 ms."""
    plan = sorted((at or {}).items())
    steps = round(until / STEP)
    for number in range(steps):
        now = number * STEP
        while plan and plan[0][0] <= now:
            plan.pop(0)[1]()
        for flow in flows:
            flow.step(now)
        link.step(now)
        if watch is not None and number % 10 == 0:
            watch(now)
