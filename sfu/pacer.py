"""When packets may leave: a leaky bucket that evens out bursts which the path could not take at once.

Audio and retransmissions pass before video. As long as the bucket has room nothing waits at all; it takes a burst of
`BURST` seconds at the pacing rate, which is `FACTOR` times the estimate, so that a path with room to spare is never
the reason for delay. What waits leaves in order within its class, and no later than `DRAIN` seconds after it came,
as far as rates go: a longer queue raises the rate. A queue that is full all the same takes no more video.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, Literal, TypeVar

Packet = TypeVar("Packet")
Class = Literal[0, 1, 2]
AUDIO: Class = 0
RETRANSMISSION: Class = 1
VIDEO: Class = 2

FACTOR = 2.5
BURST = 0.04
LEAST_BURST = 12_000.0
"""Bytes that may always leave at once."""
DRAIN = 0.5
MOST_PACKETS = 1024
MOST_OCTETS = 1_500_000


class Pacer(Generic[Packet]):
    """`admit` for each packet; those that it keeps come out of `release`. Sizes in bytes, rates in bit/s."""

    __slots__ = ("_level", "_queues", "_rate", "_updated", "count", "octets", "refused")

    def __init__(self, estimate: float) -> None:
        self._queues: tuple[deque[tuple[float, int, Packet]], ...] = (deque(), deque(), deque())
        self._level = 0.0
        """What the bucket holds: it leaks at the pacing rate, sending fills it."""
        self._rate = estimate * FACTOR / 8
        self._updated = 0.0
        self.count = self.octets = self.refused = 0

    def set_estimate(self, estimate: float) -> None:
        self._rate = max(1.0, estimate * FACTOR / 8)

    def delay(self, now: float) -> float:
        """How long the oldest packet has waited."""
        return max((now - queue[0][0] for queue in self._queues if queue), default=0.0)

    def _leak(self, now: float) -> float:
        """Bytes that fit now."""
        rate = max(self._rate, self.octets / DRAIN)
        if now > self._updated:
            self._level = max(0.0, self._level - (now - self._updated) * rate)
            self._updated = now
        return max(LEAST_BURST, rate * BURST) - self._level

    def admit(self, kind: Class, size: int, now: float) -> bool:
        """Whether the packet may leave now (it is counted then); else `hold` it."""
        if kind == AUDIO:
            self._leak(now)
            self._level += size
            return True
        if self.count and any(self._queues[before] for before in range(kind + 1)):
            return False
        if self._leak(now) <= 0:
            return False
        self._level += size
        return True

    def hold(self, kind: Class, size: int, packet: Packet, now: float) -> bool:
        """Keeps a packet for `release`; False where the queue is full: it is lost."""
        if self.count >= MOST_PACKETS or self.octets + size > MOST_OCTETS:
            self.refused += 1
            return False
        self._queues[kind].append((now, size, packet))
        self.count += 1
        self.octets += size
        return True

    def release(self, now: float) -> list[Packet]:
        """What may leave by now, in order."""
        if not self.count:
            return []
        out: list[Packet] = []
        room = self._leak(now)
        for queue in self._queues:
            while queue and room > 0:
                _, size, packet = queue.popleft()
                self._level += size
                room -= size
                self.count -= 1
                self.octets -= size
                out.append(packet)
        return out

    def discard(self, unwanted: Callable[[Packet], bool]) -> list[Packet]:
        """Takes out what need not leave any more."""
        gone: list[Packet] = []
        for queue in self._queues:
            for _ in range(len(queue)):
                entry = queue.popleft()
                if unwanted(entry[2]):
                    gone.append(entry[2])
                    self.count -= 1
                    self.octets -= entry[1]
                else:
                    queue.append(entry)
        return gone

    def spent(self, size: int, now: float) -> None:
        """Bytes that left besides: padding."""
        self._leak(now)
        self._level += size
