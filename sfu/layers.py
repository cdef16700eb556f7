"""Which layers of a scalable stream to forward, and what each of them costs. Pure."""

from __future__ import annotations

from collections import deque

SAMPLE_EVERY = 0.1
WINDOW = 1.0


class LayerRates:
    """Bit/s of each layer alone over about the last second. Feed it packets, and `sample` it now and then."""

    __slots__ = ("_counts", "_samples")

    def __init__(self) -> None:
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

    def rates(self) -> dict[tuple[int, int], float]:
        """By (spatial, temporal); layers that brought nothing lately are left out."""
        if len(self._samples) < 2:
            return {}
        (since, before), (until, after) = self._samples[0], self._samples[-1]
        bits = {layer: (total - before.get(layer, 0)) * 8 / (until - since) for layer, total in after.items()}
        return {layer: rate for layer, rate in sorted(bits.items()) if rate}
