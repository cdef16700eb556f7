"""Token bucket: so many at once, so many per second."""

from __future__ import annotations

from collections import OrderedDict


class Bucket:
    """`take` says whether one more is allowed at `now` (seconds, monotonic)."""

    __slots__ = ("_at", "_burst", "_level", "_rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate, self._burst, self._level, self._at = rate, burst, float(burst), now

    def take(self, now: float, cost: float = 1.0) -> bool:
        """Takes `cost` if it is there."""
        self._level = min(self._burst, self._level + max(0.0, now - self._at) * self._rate)
        self._at = max(self._at, now)
        if self._level < cost:
            return False
        self._level -= cost
        return True


class Buckets:
    """One bucket per key (an address, an account); the least recently used are forgotten beyond `size`."""

    def __init__(self, rate: float, burst: float, size: int = 10_000) -> None:
        self._rate, self._burst, self._size = rate, burst, size
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def take(self, key: str, now: float) -> bool:
        """Takes one for `key`."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = Bucket(self._rate, self._burst, now)
            if len(self._buckets) > self._size:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key)
        return bucket.take(now)
