"""Which layers of a scalable stream to forward, and what each of them costs. Pure."""

from __future__ import annotations

from collections import deque

from sfu.descriptor import ALL, Descriptor

SAMPLE_EVERY = 0.1
WINDOW = 1.0
CHANGES = 32


class LayerRates:
    """Bit/s of each layer alone over about the last second. Feed it packets, and `sample` it now and then."""

    __slots__ = ("_counts", "_samples", "top")

    def __init__(self) -> None:
        self.top = 0
        """The highest spatial layer that came lately."""
        self._counts: dict[tuple[int, int], int] = {}
        self._samples: deque[tuple[float, dict[tuple[int, int], int]]] = deque()

    def count(self, spatial: int, temporal: int, size: int) -> None:
        """A packet with `size` bytes of payload."""
        layer = (spatial, temporal)
        self._counts[layer] = self._counts.get(layer, 0) + size

    def sample(self, now: float) -> None:
        """Call at least every `SAMPLE_EVERY` seconds or so."""
        samples = self._samples
        if samples and now - samples[-1][0] < SAMPLE_EVERY:
            return
        samples.append((now, dict(self._counts)))
        while len(samples) > 2 and samples[1][0] <= now - WINDOW:
            samples.popleft()
        self.top = max((spatial for spatial, _ in self.rates()), default=0)

    def rates(self) -> dict[tuple[int, int], float]:
        """By (spatial, temporal); layers that brought nothing lately are left out."""
        if len(self._samples) < 2:
            return {}
        (since, before), (until, after) = self._samples[0], self._samples[-1]
        bits = {layer: (total - before.get(layer, 0)) * 8 / (until - since) for layer, total in after.items()}
        return {layer: rate for layer, rate in sorted(bits.items()) if rate}


class Selector:
    """Which packets of a scalable source one sink gets. Times are unwrapped timestamps; all packets of a picture share
    one, and a change never takes effect within a picture, but that a spatial layer may join a picture that is fresh.

    Down: from the next picture on. Temporal layers up: at a picture that says that it may be done (`raises`, `sync`).
    Spatial layers up: one at a time, at a frame that depends on nothing before its picture; all at a key frame. The
    frames of lower spatial layers are always forwarded too, even where only the highest needs them at key frames
    (K-SVC): going down needs no key frame then.
    """

    __slots__ = ("_changes", "_goal", "_time", "spatial", "temporal", "wanted_spatial", "wanted_temporal")

    def __init__(self, time: int) -> None:
        """Everything was forwarded so far, up to the picture of this time."""
        self.spatial = self.temporal = ALL
        self.wanted_spatial = self.wanted_temporal = ALL
        self._goal = (ALL, ALL)
        self._time = time
        self._changes: list[tuple[int, int, int]] = [(-1, ALL, ALL)]
        """Limits in force from a time on."""

    def aim(self, spatial: int | None, temporal: int | None) -> None:
        """The highest layers to forward, None for all."""
        self.wanted_spatial = ALL if spatial is None else max(0, spatial)
        self.wanted_temporal = ALL if temporal is None else max(0, temporal)

    def passed(self, time: int) -> None:
        """Everything was forwarded, unseen, up to the picture of this time."""
        self._time = time
        self._goal = (ALL, ALL)

    def start(self, time: int) -> None:
        """A key frame of this time begins it anew: everything wanted can be had at once."""
        self._goal = (self.wanted_spatial, self.wanted_temporal)
        self._time = time
        self._limit(*self._goal)

    @property
    def open(self) -> bool:
        """Everything is forwarded, and nothing else is wanted."""
        return self.spatial == self.temporal == self.wanted_spatial == self.wanted_temporal == ALL

    def decide(self, time: int, keyframe: bool, marker: int, descriptor: Descriptor | None) -> bool:
        """Whether to forward a packet that comes in order. One without a descriptor (padding) is left out."""
        if keyframe:
            self.start(time)
        elif time != self._time:
            self._time = time
            self._goal = (self.wanted_spatial, self.wanted_temporal)
            self._limit(min(self.spatial, self.wanted_spatial), min(self.temporal, self.wanted_temporal))
        if descriptor is None:
            return False
        goal_spatial, goal_temporal = self._goal
        if goal_temporal > self.temporal:
            if descriptor.temporal <= self.temporal:
                if descriptor.raises > self.temporal and (marker or descriptor.spatial == self.spatial):
                    self._limit(self.spatial, min(goal_temporal, descriptor.raises))
            elif descriptor.sync and descriptor.temporal == self.temporal + 1:
                self._limit(self.spatial, descriptor.temporal)
        if goal_spatial > self.spatial and descriptor.fresh and descriptor.spatial == self.spatial + 1:
            self._limit(descriptor.spatial, self.temporal)
        return descriptor.spatial <= self.spatial and descriptor.temporal <= self.temporal

    def kept(self, time: int, descriptor: Descriptor | None) -> bool:
        """Whether a packet that is late belongs to what was forwarded."""
        if descriptor is None:
            return False
        spatial, temporal = self.limits(time)
        return descriptor.spatial <= spatial and descriptor.temporal <= temporal

    def ends(self, time: int, descriptor: Descriptor | None) -> bool:
        """Whether a packet is the last of its picture now that higher spatial layers are left out."""
        return descriptor is not None and descriptor.end and descriptor.spatial == self.limits(time)[0]

    def _limit(self, spatial: int, temporal: int) -> None:
        if (spatial, temporal) == (self.spatial, self.temporal):
            return
        self.spatial, self.temporal = spatial, temporal
        if self._changes[-1][0] == self._time:
            self._changes.pop()
        self._changes.append((self._time, spatial, temporal))
        if len(self._changes) > CHANGES:
            del self._changes[0]

    def limits(self, time: int) -> tuple[int, int]:
        """The highest layers that were forwarded at a time."""
        for since, spatial, temporal in reversed(self._changes):
            if since <= time:
                return spatial, temporal
        return self._changes[0][1:]
