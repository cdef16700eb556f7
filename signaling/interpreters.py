"""A room's interpreters: what becomes of their microphones, and who sees the one who signs.

While somebody interprets into a channel, their microphone is that channel: only those who chose it are sent it, and
their words are captions of that channel, which they alone read. Whoever comes off the air is muted, so that nothing
they say to a colleague is heard by the floor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from captioning.caption import Caption
from signaling import protocol
from signaling.channels import Channels
from signaling.people import Participant
from signaling.refusal import Refusal

if TYPE_CHECKING:
    from signaling.room import Room


class Interpreters:
    """Those of one room. `signing` is the sign-language interpreter whom everybody sees beside whoever speaks."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._channels = Channels()
        self._on_air: dict[str, str] = {}
        self.signing: str | None = None

    def view(self) -> list[protocol.Channel]:
        """As everybody sees them."""
        return self._channels.view()

    @property
    def on_air(self) -> Mapping[str, str]:
        """Who interprets now, and into what."""
        return self._on_air

    def into(self, participant: str) -> str | None:
        """The language that somebody interprets into now; None: they are of the floor."""
        return self._on_air.get(participant)

    def give(self, person: Participant, language: str) -> bool:
        """False: they have it. Raises Refusal."""
        if not person.may("publish-audio"):
            raise Refusal("bad-state", "who may not speak cannot interpret", person.id)
        if given := self._channels.give(person.id, language):
            self._room.room_changed()
        return given

    def withdraw(self, person: Participant, language: str) -> bool:
        """False: they did not have it."""
        if withdrawn := self._channels.withdraw(person.id, language):
            self._changed(person.id)
        return withdrawn

    def take(self, me: Participant, language: str | None) -> None:
        """On the air of this channel, or off it. Raises Refusal."""
        if language is not None and not me.may("publish-audio"):
            raise Refusal("not-allowed", "you may not publish microphone", me.id)
        self._channels.take(me.id, language)
        self._changed(me.id)

    def relay(self, me: Participant, language: str, source: str | None) -> bool:
        """What the interpreters of a channel hear instead of the floor; they say so, or a moderator. Raises Refusal."""
        if language not in self._channels.of(me.id) and not me.may("moderate"):
            raise Refusal("not-allowed", "this channel was not given to you", language)
        if changed := self._channels.relay(language, source):
            self._changed(me.id)
        return changed

    def hear(self, me: Participant, language: str | None) -> None:
        """Somebody chose what they hear; it may be a channel that is not there yet."""
        if me.hears != language:
            me.hears = language
            self._reach()
            self._greet(me)

    def _greet(self, me: Participant) -> None:
        """The words of what they hear now, as far as they are kept."""
        if me.peer is not None:
            for caption in self._room.words.snapshot():
                if caption.channel is not None and self._room.reads(me, caption):
                    me.peer.send(
                        protocol.Captioned(caption=caption), key=("caption", caption.segment, caption.language)
                    )

    def reads(self, person: Participant, caption: Caption) -> bool:
        """Whether somebody hears the channel that these words are of, and so reads them: as they were interpreted."""
        mine = caption.participant == person.id
        return mine or self._channels.hears(person.id, person.hears) == caption.channel

    def sign(self, participant: str | None) -> bool:
        """Who signs, for everybody to see; None: nobody. False: they do already."""
        if participant == self.signing:
            return False
        self.signing = participant
        self._room.room_changed()
        return True

    # --- what happens -----------------------------------------------------------------------------

    def entered(self) -> None:
        """Somebody came in, and may have chosen a channel."""
        self._reach()

    def rights_changed(self, person: Participant) -> None:
        """Who may not speak any more interprets no more."""
        if not person.may("publish-audio"):
            self._dismiss(person)

    def left(self, person: Participant) -> None:
        """Somebody is gone."""
        if self.signing == person.id:
            self.sign(None)
        self._dismiss(person)
        self._reach()

    def _dismiss(self, person: Participant) -> None:
        languages = self._channels.of(person.id)
        for language in languages:
            self._channels.withdraw(person.id, language)
        if languages:
            self._changed(person.id)

    def _changed(self, by: str) -> None:
        """Does what has changed. Nothing of who comes off the air gets to the floor: they are muted before they are of
        it."""
        room, before, now = self._room, self._on_air, self._channels.on_air()
        self._on_air = now
        for participant in before.keys() - now.keys():
            if (person := room.people.get(participant)) is not None:
                self._mute(person, by)
            room.media.set_reach(participant, None)
        self._reach()
        for participant in before.keys() | now.keys():
            if (language := now.get(participant)) != before.get(participant):
                room.words.channel(participant, language)
                if (person := room.people.get(participant)) is not None:
                    room.listen(person)
                room.recording.interpret(participant, language)
        room.room_changed()

    def _mute(self, person: Participant, by: str) -> None:
        for track in [t for t in person.tracks.values() if t.source == "microphone" and not t.muted]:
            self._room.set_muted(person, track, True)
            if person.peer is not None:
                person.peer.send(protocol.MutedBy(track=track.id, by=by))

    def _reach(self) -> None:
        room = self._room
        chosen = {person.id: person.hears for person in room.people.values()}
        for participant, listeners in self._channels.listeners(chosen).items():
            room.media.set_reach(participant, listeners)
