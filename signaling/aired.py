"""What becomes of a broadcast that is over."""

from __future__ import annotations

from datetime import UTC, datetime

from community.models import BroadcastRow
from community.store import Store
from signaling.passes import VIEWERS_OF

WHOLE_MS = 1_500
"""Of a recording that began so shortly before everything is shown."""
MARGIN_MS = 4_500
"""Media can be cut where a segment begins: of the first seconds nothing is shown, lest it be from back stage."""
SHORTEST_MS = 1_000


async def finish(store: Store, row: BroadcastRow, duration: float | None) -> None:
    """It is over: what was live can be seen by its link from now on, if it was recorded (`duration` in ms), by those
    whom the broadcast was for."""
    start = row.live_from or 0.0
    if start > WHOLE_MS:
        start += MARGIN_MS
    if duration is not None and row.recording_id is not None and duration - start >= SHORTEST_MS:
        # A passage also where it is all of it: whoever has one sees the programme, not everybody's own pictures.
        share = await store.shares.create(
            row.recording_id,
            audience=VIEWERS_OF[row.audience],
            label=row.title[:80],
            password=None,
            start=0.0,
            clip=(start if start > WHOLE_MS else 0.0, duration),
            sites=[],
            member=None,
            lifetime=None,
        )
        row.share_id = share.id
    row.state, row.ended_at = "ended", datetime.now(UTC)
    await store.broadcasts.save(row)
