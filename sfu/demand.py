"""Which encodings of a simulcast track its publisher shall send: those that somebody wants.

Pure: time is an argument."""

from __future__ import annotations

from collections.abc import Collection, Sequence

LINGER = 5.0
"""Seconds that an encoding is still sent after the last viewer turned away: they often come back."""

TRIAL = 2.0
"""Seconds that an encoding is sent at first when nobody takes it: encoding it costs its publisher most while joining."""


class Demand:
    """One track's encodings by rid, the lowest first. All are sent at first, and the lowest always: whoever comes in
    sees something at once."""

    __slots__ = ("_active", "_since", "_taken", "rids")

    def __init__(self, rids: Sequence[str]) -> None:
        self.rids = tuple(rids)
        self._active = dict.fromkeys(self.rids, True)
        self._since: dict[str, float] = {}
        self._taken: set[str] = set()

    @property
    def active(self) -> tuple[str, ...]:
        """What shall be sent now, the lowest first."""
        return tuple(rid for rid, active in self._active.items() if active)

    def update(self, wanted: Collection[str], now: float) -> bool:
        """`wanted` by anybody now. True when `active` has changed. Call at least every second or so."""
        before = self.active
        for rid in self.rids:
            if rid in wanted or rid == self.rids[0]:
                self._active[rid] = True
                self._since.pop(rid, None)
                self._taken.add(rid)
            elif now - self._since.setdefault(rid, now) >= (LINGER if rid in self._taken else TRIAL):
                self._active[rid] = False
        return self.active != before
