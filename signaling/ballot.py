"""Polls of one meeting: what is asked, what may be chosen, how many chose it. Pure: no socket, no clock."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from signaling.protocol import Poll, PollState
from signaling.refusal import Refusal

MOST = 100
"""Polls of one meeting."""


@dataclass
class Asked:
    """A poll. `ballots` has what each voter chose, by a name that only this meeting knows. With `live` everybody sees
    the counts while it is open, else only once it is closed."""

    id: str
    key: str
    text: str
    choices: tuple[str, ...]
    several: bool
    live: bool
    at: float
    state: PollState = "draft"
    ballots: dict[str, tuple[int, ...]] = field(default_factory=dict)
    counts: list[int] = field(default_factory=list)
    opened_at: float | None = None
    """The room time at which it first was open."""

    def __post_init__(self) -> None:
        self.counts = self.counts or [0] * len(self.choices)

    @property
    def public(self) -> bool:
        """Whether everybody sees it."""
        return self.state != "draft"

    def view(self, all_counts: bool = False) -> Poll:
        """As people see it; with `all_counts` as moderators do."""
        seen = all_counts or self.state == "closed" or self.live
        return Poll(
            id=self.id,
            text=self.text,
            choices=list(self.choices),
            several=self.several,
            live=self.live,
            state=self.state,
            counts=list(self.counts) if seen else None,
            voters=len(self.ballots),
            at=self.at,
        )


class Polls:
    """All polls of a meeting, and which changed since `drain`."""

    def __init__(self) -> None:
        self._polls: dict[str, Asked] = {}
        self._keys: set[str] = set()
        self._dirty: dict[str, None] = {}

    def get(self, poll: str) -> Asked:
        """Raises Refusal."""
        found = self._polls.get(poll)
        if found is None:
            raise Refusal("not-found", "there is no such poll", poll)
        return found

    def all(self) -> list[Asked]:
        """In order of making."""
        return list(self._polls.values())

    def known(self, key: str) -> bool:
        """Whether this was made already: a retry."""
        return key in self._keys

    def prepare(self, key: str, text: str, choices: Sequence[str], several: bool, live: bool, at: float) -> Asked:
        """A poll that is not there yet (`put` does it, once it is stored). Raises Refusal."""
        if len(self._polls) >= MOST:
            raise Refusal("unavailable", f"a meeting has at most {MOST} polls")
        if not text or not all(choices) or len(choices) < 2:
            raise Refusal("malformed", "a poll has a question and at least two choices")
        if len(set(choices)) < len(choices):
            raise Refusal("malformed", "two choices are the same")
        return Asked(secrets.token_hex(8), key, text, tuple(choices), several, live, at)

    def put(self, poll: Asked) -> None:
        """There from now on; also after a change."""
        self._polls[poll.id] = poll
        self._keys.add(poll.key)
        self._dirty[poll.id] = None

    def drop(self, poll: Asked) -> None:
        """It could not be stored, or was taken away."""
        self._polls.pop(poll.id, None)
        self._keys.discard(poll.key)
        self._dirty.pop(poll.id, None)

    def checked(self, poll: str, choices: Sequence[int]) -> tuple[Asked, tuple[int, ...]]:
        """A ballot that counts: in order, without repetition; none of them takes it back. Raises Refusal."""
        found = self.get(poll)
        if found.state != "open":
            raise Refusal("bad-state", "this poll is not open", poll)
        chosen = tuple(sorted(set(choices)))
        if any(not 0 <= one < len(found.choices) for one in chosen):
            raise Refusal("malformed", "there is no such choice", poll)
        if len(chosen) > 1 and not found.several:
            raise Refusal("malformed", "one choice only", poll)
        return found, chosen

    def cast(self, poll: Asked, voter: str, chosen: tuple[int, ...]) -> None:
        """Counts what `checked` gave; an earlier ballot of the same voter counts no more."""
        for one in poll.ballots.pop(voter, ()):
            poll.counts[one] -= 1
        if chosen:
            poll.ballots[voter] = chosen
        for one in chosen:
            poll.counts[one] += 1
        self._dirty[poll.id] = None

    def drain(self) -> list[Asked]:
        """What changed since the last time."""
        changed = [self._polls[poll] for poll in self._dirty]
        self._dirty.clear()
        return changed
