"""Which worker of a plane with several threads has which group of transports (a room). Pure.

A group stays where it is while it has a transport: its worker owns all of its state. A new one goes to the worker with
the least to do, counted in streams that leave and connections; workers with as much are taken in order.
"""

from __future__ import annotations

from collections import Counter


class Groups:
    """Of `workers`, by number from 0."""

    def __init__(self, workers: int) -> None:
        self._load = [0] * workers
        self._worker: dict[str, int] = {}
        self._members: Counter[str] = Counter()

    @property
    def load(self) -> tuple[int, ...]:
        """What each worker has."""
        return tuple(self._load)

    def where(self, group: str) -> int:
        """The worker that has the group, or would be given it."""
        worker = self._worker.get(group)
        return self._load.index(min(self._load)) if worker is None else worker

    def join(self, group: str) -> int:
        """One more transport of the group; its worker."""
        worker = self._worker[group] = self.where(group)
        self._members[group] += 1
        self._load[worker] += 1
        return worker

    def leave(self, group: str) -> None:
        """One transport less. Raises `KeyError` for a group that has none."""
        self._load[self._worker[group]] -= 1
        self._members[group] -= 1
        if not self._members[group]:
            del self._members[group], self._worker[group]

    def weigh(self, worker: int, streams: int) -> None:
        """So many more streams leave by that worker, or fewer."""
        self._load[worker] += streams
