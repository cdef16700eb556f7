"""From what was measured of a connection to the words that people see: good, fair, poor, lost."""

from __future__ import annotations

from sfu.interface import ConnectionQuality
from signaling.protocol import MediaReport

LOST, POOR, FAIR, GOOD = 0, 1, 2, 3

STARVED = 0.25
"""An estimate below this share of what is wanted is more than a smaller picture."""


def publish_level(found: ConnectionQuality) -> int:
    """What others get of this person."""
    return _level(found.publish_loss, found.round_trip_ms, found.publish_jitter_ms)


def subscribe_level(found: ConnectionQuality, report: MediaReport | None) -> int:
    """What this person gets of the others; `report` is their browser's, None before there was one."""
    loss, jitter = found.subscribe_loss, 0.0
    if report is not None:
        loss, jitter = max(loss, report.loss), report.jitter_ms
    level = _level(loss, found.round_trip_ms, jitter)
    if level == LOST:
        return LOST
    if found.reduced and found.estimate is not None:
        level = min(level, POOR if found.estimate < STARVED * found.wanted else FAIR)
    if report is not None:
        if report.frozen_ms >= 1000 or report.concealed >= 0.10:
            level = POOR
        elif report.freezes or report.concealed >= 0.03:
            level = min(level, FAIR)
    return level


def _level(loss: float, round_trip_ms: float | None, jitter_ms: float) -> int:
    delay = round_trip_ms or 0.0
    if loss >= 0.5:
        return LOST
    if loss >= 0.10 or delay >= 800 or jitter_ms >= 150:
        return POOR
    return FAIR if loss >= 0.03 or delay >= 350 or jitter_ms >= 60 else GOOD


class Steady:
    """A level for others to see: down at once, up only when it was better three times in a row."""

    __slots__ = ("_better", "level")

    def __init__(self) -> None:
        self.level: int | None = None
        self._better = 0

    def update(self, level: int) -> bool:
        """True when `level` has changed."""
        before = self.level
        if before is None or level < before:
            self.level, self._better = level, 0
        elif level > before:
            self._better += 1
            if self._better >= 3:
                self.level, self._better = before + 1, 0
        else:
            self._better = 0
        return self.level != before
