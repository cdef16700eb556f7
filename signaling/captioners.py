"""People who type captions instead of the machine, for the whole room or for one speaker.

A moderator gives somebody the permission; they then say whose words they take. The machine does not listen to those
meanwhile, and listens again as soon as the captioner stops, goes, loses their connection, or writes nothing for a
while.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from signaling import protocol
from signaling.people import Participant
from signaling.refusal import Refusal
from signaling.rights import permissions

if TYPE_CHECKING:
    from signaling.room import Room

ROOM = "*"
"""Everybody's words, as `protocol.Person.captioning` says it."""
SILENT = 60_000.0
"""Milliseconds without a line after which the machine takes over; a next line takes it back."""


@dataclass(slots=True)
class _Taken:
    of: str
    wrote_at: float
    idle: bool = False


class Captioners:
    """Those of one room."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._taken: dict[str, _Taken] = {}

    def typed(self, participant: str) -> bool:
        """Whether somebody types what this person says, so that the machine need not listen. Who types for everybody
        types for the floor."""
        of = (participant,) if self._room.interpreters.into(participant) is not None else (ROOM, participant)
        for by, taken in self._taken.items():
            person = self._room.people.get(by)
            if person is not None and person.peer is not None and not taken.idle and taken.of in of:
                return True
        return False

    def give(self, person: Participant, captioner: bool) -> bool:
        """The permission to type captions; false where they have it, or have it not."""
        if person.captioner == captioner:
            return False
        person.captioner = captioner
        person.permissions = permissions(person.role) | ({"transcribe"} if captioner else set())
        if person.peer is not None:
            person.peer.send(protocol.PermissionsChanged(role=person.role, permissions=sorted(person.permissions)))
        if not captioner:
            self._stop(person)
        self._room.changed(person)
        return True

    def take(self, me: Participant, of: str | None) -> None:
        """From now on `me` types what `of` says (None: everybody). Raises Refusal."""
        if of is not None and of not in self._room.people:
            raise Refusal("not-found", "nobody here has this id", of)
        self._room.words.finish_line(me.id)
        self._taken[me.id] = _Taken(of or ROOM, self._room.now)
        self._changed(me)

    def leave_to_machine(self, me: Participant) -> None:
        """The machine listens again."""
        if me.id in self._taken:
            self._stop(me)
            self._room.changed(me)

    def write(self, me: Participant, message: protocol.WriteCaption) -> None:
        """A line of captions as it stands. Raises Refusal."""
        taken = self._taken.get(me.id)
        if taken is None:
            raise Refusal("bad-state", "say first whose words you write (take-captions)")
        speaker = self._speaker(me, taken, message)
        person = self._room.people.get(speaker)
        if person is not None and not person.captioned:
            raise Refusal("not-allowed", "this person does not want captions", speaker)
        taken.wrote_at = self._room.now
        if taken.idle:
            taken.idle = False
            self._changed(me)
        self._room.words.write(message.line, me.id, speaker, message.language, message.text, message.final)

    def _speaker(self, me: Participant, taken: _Taken, message: protocol.WriteCaption) -> str:
        if (begun := self._room.words.line_speaker(me.id, message.line)) is not None:
            return begun
        if taken.of != ROOM:
            return taken.of
        if message.speaker is not None:
            if message.speaker not in self._room.people:
                raise Refusal("not-found", "nobody here has this id", message.speaker)
            return message.speaker
        # Whoever speaks; nobody's words are given to somebody else, so where nobody does they are the captioner's own.
        people = self._room.people
        return next((one for one in self._room.speaking if one in people and people[one].captioned), me.id)

    def tick(self) -> None:
        """Once a second or so."""
        for by, taken in self._taken.items():
            person = self._room.people.get(by)
            if person is not None and not taken.idle and self._room.now - taken.wrote_at >= SILENT:
                taken.idle = True
                self._room.words.finish_line(by)
                self._changed(person)

    def connection_changed(self, person: Participant) -> None:
        """A captioner lost their connection, or came back."""
        if person.id in self._taken:
            self._room.words.finish_line(person.id)
            self._taken[person.id].wrote_at = self._room.now
            self._listen()

    def left(self, person: Participant) -> None:
        """Somebody went: a captioner, or whom they typed for."""
        self._stop(person)
        for by, taken in list(self._taken.items()):
            if taken.of == person.id and (captioner := self._room.people.get(by)) is not None:
                self.leave_to_machine(captioner)

    def _stop(self, person: Participant) -> None:
        if self._taken.pop(person.id, None) is not None:
            person.captioning = None
            self._room.words.finish_line(person.id)
            self._listen()

    def _changed(self, person: Participant) -> None:
        self._listen()
        self._room.changed(person)

    def _listen(self) -> None:
        for by, taken in self._taken.items():
            if (captioner := self._room.people.get(by)) is not None:
                captioner.captioning = None if taken.idle else taken.of
        for person in self._room.people.values():
            self._room.listen(person)
