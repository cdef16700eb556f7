"""Polls of a running meeting: ballots acknowledged only once stored, counts told in batches.

What goes out does not grow with the voters: a few times a second everybody is told the counts, encoded once for
moderators and once for the rest.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from community.models import PollRow
from signaling import protocol
from signaling.ballot import Asked, Polls
from signaling.names import clean_text
from signaling.people import Participant
from signaling.together import Together

if TYPE_CHECKING:
    from signaling.room import Room

TELL_AFTER = 0.5
"""Seconds in which ballots gather before the counts are told."""


class RoomPolls:
    """The polls of one meeting and its people."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._polls = Polls()
        self._ballots = Together(room.parts.store.polls.cast)
        self._telling: asyncio.TimerHandle | None = None

    def seen_by(self, moderates: bool) -> list[protocol.Poll]:
        """What somebody may see of them."""
        return [poll.view(moderates) for poll in self._polls.all() if poll.public or moderates]

    def ballots_of(self, who: str) -> dict[str, list[int]]:
        """What somebody chose, by poll (`RoomQuestions.who`)."""
        return {poll.id: list(poll.ballots[who]) for poll in self._polls.all() if who in poll.ballots and poll.public}

    async def make(self, me: Participant, message: protocol.MakePoll) -> None:
        """A draft, which moderators see only. Raises Refusal."""
        if self._polls.known(message.key):
            return
        room = self._room
        text, choices = clean_text(message.text), [clean_text(one) for one in message.choices]
        poll = self._polls.prepare(message.key, text, choices, message.several, message.live, room.now)
        self._polls.put(poll)
        try:
            await room.parts.store.polls.save(self._row(poll))
        except BaseException:
            self._polls.drop(poll)
            raise
        writes = (me.spoken, me.reads)
        for about, words in ((poll.id, text), *((f"{poll.id}.{i}", one) for i, one in enumerate(choices))):
            room.renderings.add(
                "poll", about, words, writes, lambda one: poll.public or one.may("moderate"), lambda: poll.public
            )
        self._changed()

    async def settle(self, message: protocol.SettlePoll) -> None:
        """Opens, closes or takes away. Raises Refusal."""
        poll, room = self._polls.get(message.poll), self._room
        if message.state == "gone":
            await room.parts.store.polls.remove(poll.id)
            self._polls.drop(poll)
            self._tell_of([], [poll.id])
            room.recording.poll(poll, gone=True)
            return
        before, poll.state = poll.state, message.state
        if message.state == "open" and poll.opened_at is None:
            poll.opened_at = room.now
        try:
            await room.parts.store.polls.save(self._row(poll))
        except BaseException:
            poll.state = before
            raise
        if before == "draft":
            for about in (poll.id, *(f"{poll.id}.{i}" for i in range(len(poll.choices)))):
                room.renderings.opened("poll", about)
        self._polls.put(poll)
        room.recording.poll(poll)
        self._changed()

    async def vote(self, who: str, poll: str, choices: list[int]) -> None:
        """Somebody's ballot instead of their earlier one. `who` as in `RoomQuestions.who`. Raises Refusal."""
        found, chosen = self._polls.checked(poll, choices)
        if found.ballots.get(who, ()) == chosen:
            return
        await self._ballots.store((found.id, who, chosen))
        self._polls.cast(found, who, chosen)
        self._changed()

    def tell_all(self, person: Participant) -> None:
        """To somebody whose rights changed: what they may see now, and what not any more."""
        moderates = person.may("moderate")
        gone = [] if moderates else [poll.id for poll in self._polls.all() if not poll.public]
        self._room.broadcast(protocol.PollsChanged(changed=self.seen_by(moderates), gone=gone), [person])

    def close(self) -> None:
        """The meeting is over."""
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None

    def _row(self, poll: Asked) -> PollRow:
        return PollRow(
            id=poll.id, room_id=self._room.id, meeting=self._room.meeting, text=poll.text, choices=list(poll.choices),
            several=poll.several, live=poll.live, state=poll.state, at=poll.at, made_at=datetime.now(UTC),
        )  # fmt: skip

    def _changed(self) -> None:
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(TELL_AFTER, self._tell)

    def _tell(self) -> None:
        self._telling = None
        changed = self._polls.drain()
        self._tell_of(changed, [])
        for poll in changed:
            if poll.state == "open":
                self._room.recording.poll(poll)

    def _tell_of(self, changed: list[Asked], gone: list[str]) -> None:
        room, people = self._room, list(self._room.people.values())
        moderators = [person for person in people if person.may("moderate")]
        room.broadcast(protocol.PollsChanged(changed=[one.view(True) for one in changed], gone=gone), moderators)
        public = [one.view() for one in changed if one.public]
        if public or gone:
            others = [person for person in people if not person.may("moderate")]
            room.broadcast(protocol.PollsChanged(changed=public, gone=gone), others)
            room.live.polls(public, gone)
