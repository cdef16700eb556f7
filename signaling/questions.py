"""Questions of a running meeting: acknowledged only once stored, told to everybody in batches.

What goes out does not grow with the votes and questions of a moment: a few times a second everybody is told what
changed, encoded once for those who answer and once for the rest.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from community.models import QuestionRow
from signaling import protocol
from signaling.board import Asked, Board
from signaling.names import clean_text
from signaling.people import Participant
from signaling.refusal import Refusal
from signaling.together import Together

if TYPE_CHECKING:
    from signaling.room import Room

TELL_AFTER = 0.3
"""Seconds in which changes gather before they are told."""
BATCH = 100
"""Questions in one message."""


class RoomQuestions:
    """The board of one meeting and its people."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._votes = Together(room.parts.store.questions.vote)
        self._board = Board()
        self._began = datetime.now(UTC)
        self._telling: asyncio.TimerHandle | None = None
        self.rules = protocol.QuestionRules()

    def who_is(self, person: Participant) -> str:
        """The same for one browser or member all through the meeting, and of no use to anybody else."""
        return self.who(person.member or person.visitor or person.id)

    def who(self, known: str) -> str:
        """The same by what somebody is known by."""
        return hashlib.sha256(f"{self._room.meeting}:{known}".encode()).hexdigest()[:32]

    def visible_to(self, person: Participant) -> list[protocol.Question]:
        """What somebody may see: all for those who answer, else what is public and one's own."""
        return self.seen_by(self.who_is(person), person.may("answer"))

    def seen_by(self, who: str, answers: bool = False) -> list[protocol.Question]:
        """The same, also for those who are not in the room."""
        return [q.view() for q in self._board.all() if q.public or q.asker == who or answers]

    def voted(self, person: Participant) -> list[str]:
        """What they voted for."""
        return self.voted_by(self.who_is(person))

    def voted_by(self, who: str) -> list[str]:
        """The same, also for those who are not in the room."""
        return [q.id for q in self._board.all() if who in q.votes and q.public]

    def tell_all(self, person: Participant) -> None:
        """To somebody whose rights changed: what they may see now, and what not any more."""
        seen = self.visible_to(person)
        there = {question.id for question in seen}
        gone = [q.id for q in self._board.all() if q.id not in there]
        for at in range(0, max(len(seen), len(gone)), BATCH):
            part = protocol.QuestionsChanged(changed=seen[at : at + BATCH], gone=gone[at : at + BATCH])
            self._room.broadcast(part, [person])

    async def ask(self, me: Participant, message: protocol.Ask) -> None:
        """Raises Refusal."""
        who, text = self.who_is(me), clean_text(message.text)
        if self._board.known(who, message.key):
            return
        if not self.rules.open:
            raise Refusal("bad-state", "no questions are taken now")
        if message.anonymous and not self.rules.anonymous:
            raise Refusal("not-allowed", "questions need a name here")
        if not text:
            raise Refusal("malformed", "the text is empty")
        name = None if message.anonymous else me.name
        waits = self.rules.moderated and not me.may("answer")
        asked = self._board.prepare(who, message.key, name, text, me.spoken or me.reads, self._room.now, waits)
        # On the board before it is stored, so that a retry in the meantime is not a second question.
        self._board.put(asked)
        try:
            await self._save([asked])
            await self._votes.store((asked.id, who, True))
        except BaseException:
            self._board.drop(asked)
            raise
        self._room.renderings.add(
            "question", asked.id, text, (me.spoken, me.reads), self._sees(asked), lambda: asked.public
        )
        # It counts as their vote: they are told at once, whoever else sees it, and when.
        self._room.broadcast(protocol.QuestionsChanged(changed=[asked.view()], voted=[asked.id]), [me])
        self._room.live.questions([asked.view()], [], only={who}, voted=[asked.id])
        self._changed()

    def _sees(self, asked: Asked) -> Callable[[Participant], bool]:
        return lambda person: asked.public or asked.asker == self.who_is(person) or person.may("answer")

    async def vote(self, me: Participant, message: protocol.Vote) -> None:
        """Raises Refusal."""
        who = self.who_is(me)
        asked = self._board.may_vote(message.question)
        if (who in asked.votes) != message.up:
            await self._votes.store((asked.id, who, message.up))
            self._board.vote(asked.id, who, message.up)
            self._changed()

    async def settle(self, me: Participant, message: protocol.SettleQuestion) -> None:
        """Raises Refusal."""
        answer = clean_text(message.answer) if message.answer is not None else None
        changed = self._board.settle(message.question, message.state, me.name, answer, self._room.now)
        await self._save(changed)
        if answer:
            (mine,) = (one for one in changed if one.id == message.question)
            self._room.renderings.add(
                "answer", mine.id, answer, (me.spoken, me.reads), self._sees(mine), lambda: mine.public
            )
        for asked in changed:
            self._room.renderings.opened("question", asked.id)
        askers = {self.who_is(person): person for person in self._room.people.values()}
        for asked in changed:
            self._room.recording.question(asked, askers.get(asked.asker))
        self._changed()

    async def merge(self, question: str, into: str) -> None:
        """Raises Refusal."""
        changed = self._board.merge(question, into)
        await self._save(changed)
        self._tell_moved(changed)
        self._changed()

    def close(self) -> None:
        """The meeting is over."""
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None

    async def _save(self, changed: list[Asked]) -> None:
        room = self._room
        await room.parts.store.questions.save(
            [
                QuestionRow(
                    id=q.id, room_id=room.id, meeting=room.meeting, name=q.name, text=q.text, language=q.language,
                    at=q.at, asked_at=self._began + timedelta(milliseconds=q.at), state=q.state,
                    votes=len(q.votes),
                    answer=q.answer, answered_by=q.answered_by, live_at=q.live_at, into=q.into,
                )
                for q in changed
            ]
        )  # fmt: skip

    def _changed(self) -> None:
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(TELL_AFTER, self._tell)

    def _tell(self) -> None:
        self._telling = None
        changed = self._board.drain()
        people = list(self._room.people.values())
        answering = [p for p in people if p.may("answer")]
        others = [p for p in people if not p.may("answer")]
        for at in range(0, len(changed), BATCH):
            part = changed[at : at + BATCH]
            self._room.broadcast(protocol.QuestionsChanged(changed=[q.view() for q in part]), answering)
            # What was merged stays with those who wanted it answered: their pages say into which.
            public = [q.view() for q in part if q.public or (q.shown and q.state == "merged")]
            gone = [q.id for q in part if q.shown and not q.public and q.state != "merged"]
            if public or gone:
                self._room.broadcast(protocol.QuestionsChanged(changed=public, gone=gone), others)
                self._room.live.questions(public, gone)
        hidden = [q for q in changed if not q.public]
        for q in hidden:
            self._room.live.questions([q.view()], [], only={q.asker})
        if hidden:
            askers = {self.who_is(p): p for p in others}
            for q in hidden:
                if (asker := askers.get(q.asker)) is not None:
                    self._room.broadcast(protocol.QuestionsChanged(changed=[q.view()]), [asker])
        self._tell_moved(changed)
        for q in changed:
            q.shown = q.public

    def _tell_moved(self, changed: list[Asked]) -> None:
        """Those whose vote came with a merged question are told that it counts here, once they can see it."""
        for q in changed:
            if not q.moved or not q.public:
                continue
            moved, q.moved = q.moved, set()
            part = protocol.QuestionsChanged(changed=[q.view()], voted=[q.id])
            self._room.broadcast(part, [p for p in self._room.people.values() if self.who_is(p) in moved])
            self._room.live.questions([q.view()], [], only=moved, voted=[q.id])
