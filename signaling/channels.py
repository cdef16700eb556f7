"""Interpreters' channels as rules: who was given which, who is on the air, who hears what. Pure.

A channel is a language (BCP 47) that somebody interprets into. It is there while anybody has it; one person at a time
is on the air, and taking it is how colleagues hand over. An interpreter on the air hears the floor, or by relay another
channel; everybody else hears the floor, or the channel that they chose with the floor beneath.
"""

from __future__ import annotations

from collections.abc import Mapping

from signaling.protocol import Channel
from signaling.refusal import Refusal

MOST = 20
"""Channels of a room."""
MOST_INTERPRETERS = 20
"""Of a channel."""


class Channels:
    """Those of one room. Whoever changes them tells the room afterwards; refused changes change nothing."""

    def __init__(self) -> None:
        self._given: dict[str, list[str]] = {}
        self._speaking: dict[str, str] = {}
        self._relays: dict[str, str] = {}

    def view(self) -> list[Channel]:
        """As everybody sees them."""
        return [
            Channel(
                language=language,
                interpreters=list(people),
                speaking=self._speaking.get(language),
                listens=self._relays.get(language),
            )
            for language, people in self._given.items()
        ]

    def of(self, participant: str) -> list[str]:
        """What somebody was given."""
        return [language for language, people in self._given.items() if participant in people]

    def on_air(self) -> dict[str, str]:
        """Who is, and into what."""
        return {participant: language for language, participant in self._speaking.items()}

    def give(self, participant: str, language: str) -> bool:
        """False: they have it. Raises Refusal."""
        people = self._given.get(language, [])
        if participant in people:
            return False
        if not people and len(self._given) >= MOST:
            raise Refusal("unavailable", f"a room has at most {MOST} channels")
        if len(people) >= MOST_INTERPRETERS:
            raise Refusal("unavailable", f"a channel has at most {MOST_INTERPRETERS} interpreters")
        self._given[language] = [*people, participant]
        return True

    def withdraw(self, participant: str, language: str) -> bool:
        """They have it no more, and are off the air; a channel that nobody has is gone. False: they did not have it."""
        people = self._given.get(language, [])
        if participant not in people:
            return False
        people.remove(participant)
        if self._speaking.get(language) == participant:
            del self._speaking[language]
        if not people:
            del self._given[language]
            self._relays.pop(language, None)
            self._relays = {one: source for one, source in self._relays.items() if source != language}
        return True

    def take(self, participant: str, language: str | None) -> None:
        """On the air; whoever was there is off. None: off the air. Raises Refusal."""
        if language is not None and participant not in self._given.get(language, []):
            raise Refusal("not-allowed", "this channel was not given to you", language)
        self._speaking = {one: who for one, who in self._speaking.items() if who != participant}
        if language is not None:
            self._speaking[language] = participant

    def relay(self, language: str, source: str | None) -> bool:
        """What its interpreters hear instead of the floor; None: the floor. False: they do already. Raises Refusal."""
        if language not in self._given:
            raise Refusal("not-found", "there is no such channel", language)
        if self._relays.get(language) == source:
            return False
        if source is None:
            del self._relays[language]
            return True
        if source not in self._given:
            raise Refusal("not-found", "there is no such channel", source)
        heard: str | None = source
        while heard is not None:
            if heard == language:
                raise Refusal("bad-state", "these channels would only hear each other", source)
            heard = self._relays.get(heard)
        self._relays[language] = source
        return True

    def hears(self, participant: str, chosen: str | None) -> str | None:
        """The channel that somebody is sent, who chose this one; None: the floor alone."""
        language = self.on_air().get(participant)
        return chosen if language is None else self._relays.get(language)

    def listeners(self, chosen: Mapping[str, str | None]) -> dict[str, frozenset[str]]:
        """Whom each interpreter on the air reaches, of people and the channels that they chose."""
        hears = {participant: self.hears(participant, language) for participant, language in chosen.items()}
        return {
            who: frozenset(one for one, heard in hears.items() if heard == language and one != who)
            for who, language in self.on_air().items()
        }
