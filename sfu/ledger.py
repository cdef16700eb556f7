"""What all tracks brought since the server started, by kind of source and layer: for operators, never by person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sfu.interface import LayerStats
from sfu.negotiation import USUAL_RIDS
from sfu.plane import SourceStats
from sfu.taps import TrackSource

Label = tuple[str, str]


def label(source: TrackSource, rid: str | None) -> Label:
    """The labels of an encoding. Names of encodings come from clients: all but the usual ones are one."""
    if rid is None:
        return source, "-"
    return source, rid if rid in USUAL_RIDS else "other"


@dataclass(slots=True)
class Present:
    """What there is of a label at the moment."""

    sources: int = 0
    sinks: int = 0
    bitrate: float = 0.0


_COUNTED = ("packets", "lost", "retransmissions_received", "keyframes", "plis_sent")


class Ledger:
    """Adds up counters of sources that come and go. Pure."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[int, ...]] = {}
        self._totals: dict[Label, list[int]] = {}

    def sample(self, at: Label, source: str, stats: SourceStats) -> None:
        """What the plane counted of a source until now."""
        counted = tuple(int(getattr(stats, name)) for name in _COUNTED)
        before = self._last.get(source, (0,) * len(_COUNTED))
        self._last[source] = counted
        totals = self._totals.setdefault(at, [0] * len(_COUNTED))
        for place, (new, old) in enumerate(zip(counted, before, strict=True)):
            totals[place] += max(0, new - old)

    def forget(self, source: str) -> None:
        """The source is gone; what it brought stays counted."""
        self._last.pop(source, None)

    def stats(self, present: Iterable[Mapping[Label, Present]]) -> dict[Label, LayerStats]:
        """Together with what every room has at the moment."""
        now: dict[Label, Present] = {}
        for room in present:
            for at, found in room.items():
                entry = now.setdefault(at, Present())
                entry.sources += found.sources
                entry.sinks += found.sinks
                entry.bitrate += found.bitrate
        out = {}
        for at in sorted(self._totals.keys() | now.keys()):
            entry = now.get(at, Present())
            counted = self._totals.get(at, [0] * len(_COUNTED))
            out[at] = LayerStats(entry.sources, entry.sinks, entry.bitrate, *counted)
        return out
