"""The last packets of one source: found by sequence for retransmission, to see duplicates and to fill up late sinks."""

from __future__ import annotations

from sfu.dependency import Dependency
from sfu.descriptor import Descriptor


class MediaPacket:
    """One received packet, decrypted. `sequence` and `timestamp` never wrap; `marker` is 0x80 or 0; `level` the RFC
    6464 byte or -1; `payload` is without header and padding (empty for padding-only packets); `descriptor` its place
    among the layers of a scalable stream.

    `redundant` is the same packet of sound as it came, with `reach` packets before it once more (RFC 2198), for sinks
    that take it so; None where there is nothing more to it. `dependency` is its dependency descriptor, for viewers that
    take it."""

    __slots__ = (
        "arrival",
        "dependency",
        "descriptor",
        "keyframe",
        "level",
        "marker",
        "payload",
        "reach",
        "redundant",
        "sequence",
        "timestamp",
    )

    def __init__(
        self,
        sequence: int,
        timestamp: int,
        marker: int,
        level: int,
        keyframe: bool,
        arrival: float,
        payload: bytes,
        descriptor: Descriptor | None = None,
        reach: int = 0,
    ) -> None:
        self.sequence = sequence
        self.timestamp = timestamp
        self.marker = marker
        self.level = level
        self.keyframe = keyframe
        self.arrival = arrival
        self.payload = payload
        self.descriptor = descriptor
        self.reach = reach
        self.redundant: MediaPacket | None = None
        self.dependency: Dependency | None = None


class History:
    """A ring of `size` packets (a power of two), none older than `max_age` seconds after `expire`."""

    def __init__(self, size: int, max_age: float) -> None:
        if size & (size - 1):
            raise ValueError("the size of a history is a power of two")
        self.max_age = max_age
        self._mask = size - 1
        self._slots: list[MediaPacket | None] = [None] * size
        self._oldest = -1
        self._highest = -1

    def get(self, sequence: int) -> MediaPacket | None:
        packet = self._slots[sequence & self._mask]
        return packet if packet is not None and packet.sequence == sequence else None

    def add(self, packet: MediaPacket) -> bool:
        """False for a duplicate and for a packet older than the ring reaches."""
        sequence = packet.sequence
        slot = sequence & self._mask
        if sequence > self._highest:
            for gap in range(max(self._highest + 1, sequence - self._mask), sequence):
                self._slots[gap & self._mask] = None  # what was there is out of reach now
            self._highest = sequence
        elif sequence < self._highest - self._mask or self._slots[slot] is not None:
            return False
        self._slots[slot] = packet
        if self._oldest < 0 or sequence < self._oldest:
            self._oldest = sequence
        return True

    def expire(self, now: float) -> None:
        """Forgets what is older than `max_age`; cost is by what there is to forget."""
        limit = now - self.max_age
        self._oldest = max(self._oldest, self._highest - self._mask)
        while self._oldest <= self._highest:
            packet = self.get(self._oldest)
            if packet is not None:
                if packet.arrival > limit:
                    return
                self._slots[self._oldest & self._mask] = None
            self._oldest += 1

    def clear(self) -> None:
        self._slots = [None] * len(self._slots)
        self._oldest = self._highest = -1
