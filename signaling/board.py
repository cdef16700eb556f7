"""Questions of one meeting: who asked what, how many want the answer, what became of it. Pure: no socket, no clock."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from signaling.protocol import Question, QuestionState
from signaling.refusal import Refusal

MOST = 2_000
"""Questions of one meeting, whatever became of them."""
MOST_OWN = 5
"""That one person may have waiting or open at a time."""

_SEEN: frozenset[QuestionState] = frozenset({"open", "live", "answered"})
"""What everybody sees; the rest is for moderators and for whoever asked."""
_NEXT: dict[QuestionState, frozenset[QuestionState]] = {
    "waiting": frozenset({"open", "live", "answered", "dismissed"}),
    "open": frozenset({"live", "answered", "dismissed"}),
    "live": frozenset({"open", "answered", "dismissed"}),
    "answered": frozenset({"open", "live", "answered", "dismissed"}),
    "dismissed": frozenset({"open"}),
    "merged": frozenset(),
}


@dataclass
class Asked:
    """A question. `asker` is never told to anybody; `name` is None where it was asked without one. `live_at` is the
    room time at which its answer began to be spoken, `into` the question that it was merged into. `moved` are those
    whose vote came with a question that was merged into this one, and who do not know that yet."""

    id: str
    asker: str
    key: str
    name: str | None
    text: str
    language: str | None
    at: float
    state: QuestionState
    votes: set[str] = field(default_factory=set)
    answer: str | None = None
    answered_by: str | None = None
    live_at: float | None = None
    into: str | None = None
    moved: set[str] = field(default_factory=set)
    shown: bool = False

    @property
    def public(self) -> bool:
        """Whether everybody sees it."""
        return self.state in _SEEN

    def view(self) -> Question:
        """As people see it."""
        return Question(
            id=self.id,
            name=self.name,
            text=self.text,
            language=self.language,
            at=self.at,
            state=self.state,
            votes=len(self.votes),
            answer=self.answer,
            answered_by=self.answered_by,
            live_at=self.live_at,
            into=self.into,
        )


class Board:
    """All questions of a meeting, and which changed since `drain`."""

    def __init__(self) -> None:
        self._asked: dict[str, Asked] = {}
        self._keys: dict[tuple[str, str], str] = {}
        self._dirty: dict[str, None] = {}

    def get(self, question: str) -> Asked:
        """Raises Refusal."""
        found = self._asked.get(question)
        if found is None:
            raise Refusal("not-found", "there is no such question", question)
        return found

    def all(self) -> list[Asked]:
        """In order of asking."""
        return list(self._asked.values())

    def known(self, asker: str, key: str) -> bool:
        """Whether this was asked already: a retry."""
        return (asker, key) in self._keys

    def prepare(
        self, asker: str, key: str, name: str | None, text: str, language: str | None, at: float, waits: bool
    ) -> Asked:
        """A question that is not on the board yet (`put` does it, once it is stored). Raises Refusal."""
        if len(self._asked) >= MOST:
            raise Refusal("unavailable", "no more questions can be taken")
        own = sum(q.asker == asker and q.state in ("waiting", "open") for q in self._asked.values())
        if own >= MOST_OWN:
            raise Refusal("too-fast", f"{MOST_OWN} of your questions wait for an answer; more can be asked after that")
        return Asked(
            secrets.token_hex(8), asker, key, name, text, language, at, "waiting" if waits else "open", {asker}
        )

    def put(self, asked: Asked) -> None:
        """Onto the board; also after a change."""
        self._asked[asked.id] = asked
        self._keys[asked.asker, asked.key] = asked.id
        self._dirty[asked.id] = None

    def drop(self, asked: Asked) -> None:
        """Off the board: it could not be stored."""
        del self._asked[asked.id], self._keys[asked.asker, asked.key]
        self._dirty.pop(asked.id, None)

    def may_vote(self, question: str) -> Asked:
        """The question, where it can be voted for. Raises Refusal."""
        found = self.get(question)
        if found.state not in ("open", "live"):
            # What cannot be seen cannot be told from what is not there.
            raise Refusal("bad-state" if found.public else "not-found", "this question takes no votes", question)
        return found

    def vote(self, question: str, voter: str, up: bool) -> None:
        """Counts a vote that is stored, once for each voter."""
        found = self.get(question)
        before = len(found.votes)
        (found.votes.add if up else found.votes.discard)(voter)
        found.moved.discard(voter)
        if len(found.votes) != before:
            self._dirty[question] = None

    def settle(self, question: str, state: QuestionState, by: str, answer: str | None, now: float) -> list[Asked]:
        """Gives it another state; returns what changed. One answer is spoken at a time: a question that was live before
        is answered then. Raises Refusal."""
        found = self.get(question)
        if state not in _NEXT[found.state]:
            raise Refusal("bad-state", f"this question is {found.state}", question)
        changed = [found]
        if state == "live":
            for other in self._asked.values():
                if other.state == "live":
                    other.state = "answered"
                    changed.append(other)
            found.live_at = now
        found.state = state
        if state in ("live", "answered"):
            found.answered_by = by
        if answer is not None:
            found.answer = answer
        for one in changed:
            self._dirty[one.id] = None
        return changed

    def merge(self, question: str, into: str) -> list[Asked]:
        """Makes one question of two, with the votes of both; returns what changed. Raises Refusal."""
        one, other = self.get(question), self.get(into)
        if one is other or one.state not in ("waiting", "open") or other.state not in ("waiting", "open", "live"):
            raise Refusal("bad-state", "these questions cannot be merged", question)
        other.moved |= one.votes - other.votes
        other.votes |= one.votes
        one.state, one.into = "merged", other.id
        self._dirty[one.id] = self._dirty[other.id] = None
        return [one, other]

    def drain(self) -> list[Asked]:
        """What changed since the last time."""
        changed = [self._asked[question] for question in self._dirty]
        self._dirty.clear()
        return changed
