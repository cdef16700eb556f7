"""Which encodings of a simulcast track its publisher shall send: those that somebody wants.

Pure: time is an argument."""

from __future__ import annotations

from collections.abc import Collection, Sequence

LINGER = 5.0
"""Seconds that an encoding is still sent after the last viewer turned away: they often come back."""

TRIAL = 2.0
"""Seconds that an encoding is sent at first when nobody takes it: encoding costs its publisher most while joining."""

AWAIT = 1.5
"""Seconds that an encoding may take to come before a smaller one is asked for instead."""


class Demand:
    """One track's encodings by rid, the lowest first. All are sent at first, and the lowest always: whoever comes in
    sees something at once."""

    __slots__ = ("_active", "_missing", "_since", "_taken", "rids")

    def __init__(self, rids: Sequence[str]) -> None:
        self.rids = tuple(rids)
        self._active = dict.fromkeys(self.rids, True)
        self._since: dict[str, float] = {}
        self._taken: set[str] = set()
        self._missing: dict[str, float] = {}

    @property
    def active(self) -> tuple[str, ...]:
        """What shall be sent now, the lowest first."""
        return tuple(rid for rid, active in self._active.items() if active)

    def update(self, wanted: Collection[str], flowing: Collection[str], now: float) -> bool:
        """`wanted` by anybody now, `flowing` what comes. True when `active` has changed. Call it often."""
        before = self.active
        wanted = self._instead(set(wanted), flowing, now)
        for rid in self.rids:
            if rid in wanted or rid == self.rids[0]:
                self._active[rid] = True
                self._since.pop(rid, None)
                self._taken.add(rid)
            elif now - self._since.setdefault(rid, now) >= (LINGER if rid in self._taken else TRIAL):
                self._active[rid] = False
        return self.active != before

    def _instead(self, wanted: set[str], flowing: Collection[str], now: float) -> set[str]:
        """A publisher may be too slow for what is wanted, or its way too narrow: then the next smaller one as well."""
        for rid, smaller in zip(reversed(self.rids), reversed(self.rids[:-1]), strict=False):
            if rid not in wanted or rid in flowing:
                self._missing.pop(rid, None)
            elif now - self._missing.setdefault(rid, now) >= AWAIT:
                wanted.add(smaller)
        return wanted
