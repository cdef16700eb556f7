"""Chat of one meeting: acknowledged only once stored, repeated keys harmless, private lines private."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from typing import TYPE_CHECKING

from community.models import ChatRow
from signaling import protocol
from signaling.names import clean_text
from signaling.people import Participant
from signaling.refusal import Refusal

if TYPE_CHECKING:
    from signaling.room import Room

HISTORY = 500
"""Lines that a newcomer gets."""


class RoomChat:
    """Keeps the last lines at hand and all of them in the database."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._entries: list[protocol.ChatEntry] = []
        self._keys: OrderedDict[tuple[str, str], None] = OrderedDict()

    def visible_to(self, participant: str) -> list[protocol.ChatEntry]:
        """What somebody may see: public lines, and private ones they wrote or got."""
        return [e for e in self._entries if e.to is None or participant in (e.to, e.participant)]

    async def send(self, person: Participant, message: protocol.SendChat) -> None:
        """Stores and delivers a line; a key seen before does nothing. Raises Refusal."""
        text = clean_text(message.text)
        if not text:
            raise Refusal("malformed", "the text is empty")
        room = self._room
        if (person.id, message.key) in self._keys:
            return
        if message.to is not None and message.to not in room.people:
            raise Refusal("not-found", "the person it is for is not here", message.to)
        entry = protocol.ChatEntry(
            id=secrets.token_hex(8), participant=person.id, name=person.name, text=text, at=room.now, to=message.to
        )
        row = ChatRow(
            id=entry.id,
            meeting=room.meeting,
            participant=person.id,
            key=message.key,
            name=entry.name,
            text=entry.text,
            at=entry.at,
            to=entry.to,
        )
        if not await room.parts.store.chat.add(row):
            return
        self._keys[person.id, message.key] = None
        if len(self._keys) > 4 * HISTORY:
            self._keys.popitem(last=False)
        self._entries.append(entry)
        del self._entries[:-HISTORY]
        if entry.to is None:
            room.broadcast(protocol.Chatted(entry=entry))
            room.recording.chat(entry)
        else:
            both = {person.id: person, entry.to: room.people.get(entry.to)}
            room.broadcast(protocol.Chatted(entry=entry), [p for p in both.values() if p is not None])
        room.renderings.add(
            "chat",
            entry.id,
            text,
            (person.spoken, person.reads),
            lambda reader: entry.to is None or reader.id in (entry.to, entry.participant),
        )
