"""From measured loss and delay to the four bars that people see."""

from __future__ import annotations


def level(publish_loss: float, subscribe_loss: float, round_trip_ms: float | None) -> int:
    """3 good, 2 fair, 1 bad, 0 lost. Losses from 0 to 1."""
    loss = max(publish_loss, subscribe_loss)
    delay = round_trip_ms or 0.0
    if loss >= 0.5:
        return 0
    if loss >= 0.10 or delay >= 800:
        return 1
    return 2 if loss >= 0.03 or delay >= 350 else 3
