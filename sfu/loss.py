"""How much of the loss is congestion? The loss-based half of the estimate, after the second version in libwebrtc.

Each observation, of a quarter of a second or more, says how many packets were sent at which rate and how many of them
were lost. The model: a part of the packets is lost whatever the rate (inherent loss, as of a radio), and what exceeds
the path's bandwidth is lost as well. The estimate is the bandwidth, out of a few candidates near the present one, that
makes the observations likeliest, each with the inherent loss that suits it best. Where rates below the bandwidth lost
as much as rates above, loss is inherent and takes nothing away from the estimate; beyond what links are known to lose
by themselves (`INHERENT`) it does, the more the higher the rate.

Nothing is computed while nothing is lost.
"""

from __future__ import annotations

from math import log

DURATION = 0.25
OBSERVATIONS = 20
WEIGHT = 0.9
"""Of an observation in comparison with the next one."""

INHERENT = 0.12
"""Loss that links are believed to have by themselves at any rate..."""
BALANCE = 75_000.0
"""...and this many bit/s over the rate on top of it."""
LEAST_INHERENT = 0.001

NEWTON = 0.75
LINEAR_BIAS, LOG_BIAS = 0.0002, 0.02
BIAS_LOSS, LEAST_BIAS = 0.15, 0.1
"""Of candidates that are about as likely take the higher one; above this loss only if they are hardly less so."""

CANDIDATES = (1.02, 1.0, 0.95)


class LossModel:
    """`observe` each feedback's counts, then ask for `limit`. Rates in bit/s."""

    __slots__ = ("_lost", "_observations", "_octets", "_packets", "_since", "estimate", "inherent", "loss")

    def __init__(self) -> None:
        self.estimate = float("inf")
        """The path's bandwidth; infinite while loss does not tell of any limit."""
        self.inherent = 0.01
        self.loss = 0.0
        """The average loss over the observations."""
        self._observations: list[tuple[float, int, int]] = []  # rate, arrived, lost; the oldest first
        self._since: float | None = None
        self._packets = self._lost = self._octets = 0

    def observe(self, packets: int, lost: int, octets: int, newest_sent: float, acked: float, ceiling: float) -> None:
        """`packets` told of for the first time, of which `lost` did not come (negative: some came late); `octets` of
        all; the last sent at `newest_sent`. `acked` is the rate that arrives, `ceiling` the delay-based estimate."""
        self._packets += packets
        self._lost += lost
        self._octets += octets
        if self._since is None:
            self._since = newest_sent
            self._packets = self._lost = self._octets = 0
            return
        passed = newest_sent - self._since
        if passed < DURATION or self._packets <= 0:
            return
        lost = max(0, min(self._packets, self._lost))
        self._observations.append((self._octets * 8 / passed, self._packets - lost, lost))
        if len(self._observations) > OBSERVATIONS:
            del self._observations[0]
        self._since = newest_sent
        self._packets = self._lost = self._octets = 0
        self._update(acked, ceiling)

    def forget(self) -> None:
        """The path is another one now."""
        self._observations.clear()
        self.estimate = float("inf")
        self.loss = 0.0

    def _update(self, acked: float, ceiling: float) -> None:
        weight, total, missing = 1.0, 0.0, 0.0
        for _, arrived, lost in reversed(self._observations):
            total += weight * (arrived + lost)
            missing += weight * lost
            weight *= WEIGHT
        self.loss = missing / total if total else 0.0
        if missing == 0:
            self.estimate = float("inf")
            self.inherent = max(LEAST_INHERENT, self.inherent * WEIGHT)
            return
        present = min(self.estimate, ceiling)
        candidates = [min(ceiling, present * factor) for factor in CANDIDATES]
        if 0 < acked < ceiling:
            candidates.append(acked)
        candidates.append(ceiling)
        best, best_value, best_inherent = present, float("-inf"), self.inherent
        for bandwidth in candidates:
            inherent = self._fit(bandwidth)
            value = self._objective(bandwidth, inherent)
            if value > best_value:
                best, best_value, best_inherent = bandwidth, value, inherent
        self.inherent = best_inherent
        if self.loss > INHERENT:  # more than any link should lose: less is sent, down to what BALANCE stands for
            best = min(best, max(BALANCE, BALANCE / (self.loss - INHERENT)))
        # Up from where it stands by no more than what arrives can vouch for.
        if best > self.estimate:
            best = min(best, max(self.estimate, 1.5 * acked))
        self.estimate = best if best < ceiling else float("inf")

    def _fit(self, bandwidth: float) -> float:
        """The inherent loss that suits a bandwidth: a Newton step from the present one."""
        inherent = self.inherent
        first = second = 0.0
        weight = 1.0
        for rate, arrived, lost in reversed(self._observations):
            excess = 1 - bandwidth / rate if rate > bandwidth else 0.0
            p = min(0.9999, max(0.0001, inherent + (1 - inherent) * excess))
            slope = 1 - excess
            first += weight * slope * (lost / p - arrived / (1 - p))
            second -= weight * slope * slope * (lost / (p * p) + arrived / ((1 - p) * (1 - p)))
            weight *= WEIGHT
        if second < 0:
            inherent -= NEWTON * first / second
        return max(LEAST_INHERENT, min(inherent, INHERENT + BALANCE / bandwidth, 1.0))

    def _objective(self, bandwidth: float, inherent: float) -> float:
        kilobits = bandwidth / 1000
        bias = LINEAR_BIAS * kilobits + LOG_BIAS * log(1 + kilobits)
        away = max(0.0, BIAS_LOSS - self.loss)
        bias *= max(LEAST_BIAS, away / (0.002 + away))
        value, weight = 0.0, 1.0
        for rate, arrived, lost in reversed(self._observations):
            excess = 1 - bandwidth / rate if rate > bandwidth else 0.0
            p = min(0.9999, max(0.0001, inherent + (1 - inherent) * excess))
            value += weight * (lost * log(p) + arrived * log(1 - p) + bias * (arrived + lost))
            weight *= WEIGHT
        return value
