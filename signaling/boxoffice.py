"""Where the tickets of a room's broadcast are made, shown and withdrawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from community.models import BroadcastRow
from community.tickets import MOST, TooManyTickets
from signaling import protocol
from signaling.admission import held, personal_code
from signaling.names import clean
from signaling.refusal import Refusal

if TYPE_CHECKING:
    from signaling.room import Room


class BoxOffice:
    """Of the broadcast that is planned or on air."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def _planned(self) -> BroadcastRow:
        """Raises Refusal."""
        row = self._room.live.row
        if row is None:
            raise Refusal("bad-state", "no broadcast is planned")
        return row

    async def make(self, names: Sequence[str]) -> None:
        """One for each of these people. Raises Refusal."""
        row, cleaned = self._planned(), [clean(name) for name in names]
        if not all(cleaned):
            raise Refusal("malformed", "a ticket needs a name")
        try:
            await self._room.parts.store.tickets.issue(row.id, cleaned)
        except TooManyTickets:
            raise Refusal("bad-state", f"a broadcast has {MOST} tickets at most") from None

    async def revoke(self, ticket: str) -> None:
        """It opens nothing any more; who came with it is sent away. Raises Refusal."""
        if not await self._room.parts.store.tickets.revoke(ticket, self._planned().id):
            raise Refusal("not-found", "there is no such ticket")
        self._room.parts.admissions.forget(ticket)
        self.send_away(ticket, "changed")

    async def all(self) -> list[protocol.Ticket]:
        """Those that are good. Raises Refusal."""
        row, secret = self._planned(), self._room.parts.secret
        watching = {held(viewer.id) for viewer in self._room.live.audience}
        return [
            protocol.Ticket(
                id=one.id,
                name=one.name,
                link=f"/live/{row.id}#k={personal_code(secret, one.id)}",
                used=one.used_at is not None,
                watching=one.id in watching,
            )
            for one in await self._room.parts.store.tickets.of(row.id)
        ]

    def send_away(self, ticket: str, why: str, but: str | None = None) -> None:
        """Every page that came with a ticket, but that of the viewer `but`; it is told `why`."""
        live = self._room.live
        for viewer in live.audience:
            if held(viewer.id) == ticket and viewer.id != but:
                viewer.send(why, {})
                viewer.gone.set()
        live.programme.send_away(lambda of: held(of) == ticket and of != but)
