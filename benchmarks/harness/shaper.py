"""What a bad network does to packets: rate and queue, delay, jitter, loss. Pure: packets and time are arguments.

The model is netem's: a packet is lost or waits for its turn on a link of `rate`, then is under way for `delay` give or
take `jitter`, each packet by itself, so that jitter can reorder. What would wait longer than `queue` is dropped.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shape:
    """`rate` in bit/s (None: no limit), `delay`, `jitter` and `queue` in seconds, `loss` from 0 to 1."""

    rate: float | None = None
    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    queue: float = 0.4


class Direction:
    """One way of a link."""

    def __init__(self, shape: Shape, seed: int) -> None:
        self.shape = shape
        self.sent = self.lost = self.overflowed = 0
        self._random = random.Random(seed)
        self._free = 0.0
        self._under_way: list[tuple[float, int, bytes]] = []

    def push(self, packet: bytes, now: float) -> None:
        """A packet enters."""
        shape = self.shape
        if self._random.random() < shape.loss:
            self.lost += 1
            return
        leaves = now
        if shape.rate is not None:
            start = max(now, self._free)
            if start - now > shape.queue:
                self.overflowed += 1
                return
            leaves = self._free = start + len(packet) * 8 / shape.rate
        arrives = leaves + max(0.0, shape.delay + self._random.uniform(-shape.jitter, shape.jitter))
        self.sent += 1
        heapq.heappush(self._under_way, (arrives, self.sent, packet))

    def due(self, now: float) -> list[bytes]:
        """What has arrived by now."""
        arrived = []
        while self._under_way and self._under_way[0][0] <= now:
            arrived.append(heapq.heappop(self._under_way)[2])
        return arrived

    def next(self) -> float | None:
        """When the next packet arrives."""
        return self._under_way[0][0] if self._under_way else None
