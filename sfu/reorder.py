"""Packets back in order for taps: waits a bounded time for what is missing, then goes on and says how much is lost."""

from __future__ import annotations

from sfu.history import MediaPacket

Released = tuple[int, MediaPacket]
"""How many packets were given up on just before, and the packet."""


class Reorder:
    """Holds back at most `max_packets` packets, for at most `max_delay` seconds. Drops duplicates and late ones."""

    def __init__(self, max_packets: int, max_delay: float) -> None:
        self.max_packets = max_packets
        self.max_delay = max_delay
        self._held: dict[int, MediaPacket] = {}
        self._next: int | None = None
        self._floor: int | None = None
        """After a reset: what comes late from before it stays behind."""

    def push(self, packet: MediaPacket, now: float) -> list[Released]:
        """What this packet lets go, in order."""
        expected = self._next
        if expected is None and self._floor is not None and packet.sequence < self._floor:
            return []
        if expected is None or packet.sequence == expected:
            self._next = packet.sequence + 1
            released = [(0, packet)]
            if self._held:
                self._follow(released)
                released += self.poll(now)
            return released
        if packet.sequence > expected:
            self._held.setdefault(packet.sequence, packet)
            return self.poll(now)
        return []

    def poll(self, now: float) -> list[Released]:
        """What may not wait any longer at `now`."""
        released: list[Released] = []
        while self._held and self._next is not None:
            limit = now - self.max_delay
            if len(self._held) <= self.max_packets and next(iter(self._held.values())).arrival > limit:
                break
            first = min(self._held)
            released.append((first - self._next, self._held.pop(first)))
            self._next = first + 1
            self._follow(released)
        return released

    def reset(self) -> list[Released]:
        """Lets everything go and starts anew with the next packet."""
        released = self.poll(float("inf"))
        if self._next is not None:
            self._floor, self._next = self._next, None
        return released

    def _follow(self, released: list[Released]) -> None:
        while self._next is not None and self._next in self._held:
            released.append((0, self._held.pop(self._next)))
            self._next += 1
