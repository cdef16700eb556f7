"""The encodings of one track: which of them flow, which is the best, and one continuous picture out of them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sfu.plane import PlanePacket

LULL = 1.5
"""An encoding that brings nothing for so many seconds does not flow. Browsers pause encodings without a word."""

LAG = 0.6
"""The same while another encoding brings something: all are made of the same pictures."""

SETTLE = 1.0
"""A better encoding counts when it has flowed for so many seconds: browsers try one for a moment and give it up."""


@dataclass(slots=True)
class _Flow:
    packets: int = 0
    last: float = float("-inf")
    since: float = float("inf")


class Flows:
    """Which of a track's sources flow, told from their packet counters. `sources` stand in order, the lowest first."""

    def __init__(self, sources: Sequence[str]) -> None:
        self.best = sources[0]
        self._flows = {source: _Flow() for source in sources}

    def sample(self, count: Callable[[str], int], now: float) -> bool:
        """Totals of packets as of `now`. True where `best` is another one than before."""
        flowed = {source: self.flows(source, now) for source in self._flows}
        for source, flow in self._flows.items():
            packets = count(source)
            if packets != flow.packets:
                flow.packets = packets
                flow.last = now
                if not flowed[source]:
                    flow.since = now
        before = self.best
        flowing = [source for source in self._flows if self.flows(source, now)]
        settled = [s for s in flowing if s == before or now - self._flows[s].since >= SETTLE]
        if flowing:
            self.best = settled[-1] if settled else flowing[-1]
        return self.best != before

    def flows(self, source: str, now: float) -> bool:
        """Whether it has brought something lately."""
        last = self._flows[source].last
        newest = max(flow.last for flow in self._flows.values())
        return now - last <= LULL and newest - last <= LAG


class Follow:
    """One picture out of several encodings, for those who look at a track as a whole.

    It moves at a key frame of the source that it is aimed at. Sequences and timestamps go on; timestamps by media time,
    so that encodings, whose own timestamps have nothing in common, line up.
    """

    def __init__(self, clock_rate: int) -> None:
        self.shown: str | None = None
        self.target: str | None = None
        self._rate = clock_rate
        self._sequence = -1
        self._timestamp = 0
        self._media_ms = 0.0
        self._offset = 0
        self._torn = False

    def take(self, source: str, packet: PlanePacket, media_ms: float) -> tuple[PlanePacket, float] | None:
        """The packet with its place in the whole, and its media time, which never goes back at a move."""
        lost = packet.lost
        if source != self.shown:
            if source != self.target or not packet.keyframe:
                return None
            lost = int(self._torn)  # a number left free, lest the rest of a frame be missed silently
            if self._sequence >= 0:
                passed = round((media_ms - self._media_ms) * self._rate / 1000)
                self._offset = packet.timestamp - self._timestamp - max(1, passed)
            self.shown = source
        self._sequence += 1 + lost
        self._timestamp = packet.timestamp - self._offset
        self._media_ms = max(media_ms, self._media_ms)
        self._torn = not packet.marker
        return replace(packet, sequence=self._sequence, timestamp=self._timestamp, lost=lost), self._media_ms
