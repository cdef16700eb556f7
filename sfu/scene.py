"""What there is to see in a room, as the allocator takes it: every video track's encodings with their rates.

Measured once for all viewers. A rate is carried on until it has moved by more than `STEADY`, so that nobody decides
anew for noise; `version` says when something did change. Pure but for what the plane has counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sfu.allocation import Encoding
from sfu.publisher import PublishedTrack
from sfu.tracks import EncodingState

STEADY = 0.12
"""A rate that moved by less, as a share, has not changed."""

SETTLE = 1.2
"""Seconds before the rate of an encoding that has just begun means anything."""

FADE = 0.98
"""What is left of a remembered peak at each measurement."""

FULL = (1280, 720)
"""The size of a camera's largest encoding where its publisher did not tell it."""

NOMINAL = 1_500_000.0
"""Bit/s of a camera's largest encoding before it was measured; each smaller one has a third."""

IDLE = 100_000.0
"""Bit/s set aside for the only encoding of a track that sends nothing now: a still screen."""

VOICE, VOICES = 40_000.0, 3
"""Bit/s set aside for each voice, for so many at once."""


@dataclass(slots=True)
class _Memory:
    rates: dict[tuple[int, int], float]
    peak: float
    since: float


class Scene:
    """`encodings` by track id, `audio` in bit/s that must be set aside for all voices of the room, `redundancy` for
    theirs where it is sent. `sizes` of pictures are what their publishers said, by track id."""

    def __init__(self) -> None:
        self.version = 0
        self.encodings: dict[str, tuple[Encoding, ...]] = {}
        self.tracks: dict[str, PublishedTrack] = {}
        self.audio = self.redundancy = 0.0
        self.sizes: dict[str, tuple[int, int]] = {}
        self._memory: dict[str, _Memory] = {}

    def measure(self, found: Iterable[tuple[PublishedTrack, Sequence[EncodingState]]], now: float) -> None:
        """Every live track of the room that is not muted, with its encodings, the lowest first."""
        tracks: dict[str, PublishedTrack] = {}
        encodings: dict[str, tuple[Encoding, ...]] = {}
        voices, sounding, redundant, repeated = 0, 0.0, 0, 0.0
        for track, states in found:
            if track.info.kind == "audio":
                voices += 1
                redundant += track.incoming.chosen.red is not None
                sounding += sum(state.rates.get((0, 0), 0.0) for state in states)
                repeated += sum(state.rates.get((0, 1), 0.0) for state in states)
                continue
            tracks[track.info.id] = track
            encodings[track.info.id] = self._encodings(track, states, now)
        audio = max(min(voices, VOICES) * VOICE, round(sounding, -4))
        redundancy = max(min(redundant, VOICES) * VOICE, round(repeated, -4))
        if encodings != self.encodings or (audio, redundancy) != (self.audio, self.redundancy):
            self.version += 1
        self.tracks, self.encodings, self.audio, self.redundancy = tracks, encodings, audio, redundancy
        alive = {encoding.source for several in encodings.values() for encoding in several}
        for source in self._memory.keys() - alive:
            del self._memory[source]

    def _encodings(self, track: PublishedTrack, states: Sequence[EncodingState], now: float) -> tuple[Encoding, ...]:
        single, camera = len(states) == 1, track.info.source == "camera"
        full = self.sizes.get(track.info.id, FULL if camera else (0, 0))
        made = []
        for place, state in enumerate(reversed(states)):
            nominal = IDLE if single else NOMINAL / 3**place
            memory = self._memory.get(state.source)
            active = single or state.active
            if memory is None or not active:
                peak = nominal if memory is None else memory.peak
                memory = self._memory[state.source] = _Memory({}, peak, now)
            elif now - memory.since >= SETTLE:
                memory.rates = steady(memory.rates, state.rates)
                memory.peak = max(memory.peak * FADE, sum(memory.rates.values()), nominal)
            # The peak is in steps, as it would otherwise be news at each fading.
            expected = max(nominal, float(round(memory.peak, -5)))
            made.append(Encoding(state.source, full[0] >> place, full[1] >> place, memory.rates, expected, active))
        return tuple(reversed(made))


def steady(
    before: Mapping[tuple[int, int], float], measured: Mapping[tuple[int, int], float]
) -> dict[tuple[int, int], float]:
    """The rates to go on with: those of before unless a layer came, went, or the whole moved by more than `STEADY`."""
    if before.keys() == measured.keys():
        old, new = sum(before.values()), sum(measured.values())
        if abs(new - old) <= STEADY * old:
            return dict(before)
    return {layer: float(round(rate, -3)) for layer, rate in measured.items()}
