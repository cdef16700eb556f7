"""What people write (chat, questions, their answers) in the languages of those who read along.

Translated once a language, by the captions' own workers, and kept while the meeting lasts. The words as written are
never held up by it: a translation follows, or does not.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from captioning.language import base
from captioning.messages import Retranslated
from captioning.written import language_of
from signaling import protocol
from signaling.people import Participant

if TYPE_CHECKING:
    from signaling.room import Room

LONGEST = 2_000
"""Characters; what is longer stays as written, since whoever speaks waits meanwhile."""
KEPT = 600
RECENT = 30
"""Texts that are translated for somebody who comes, or reads another language, later."""
WAITING = 60
"""Translations that may be owed at once."""
PATIENCE = 60_000.0
"""Milliseconds after which one that did not come is not waited for."""


@dataclass(slots=True)
class _Text:
    of: protocol.Written
    about: str
    text: str
    source: str
    seen: Callable[[Participant], bool]
    public: Callable[[], bool]
    """Whether viewers of a broadcast see it now."""
    made: dict[str, protocol.Rendered] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)


class Renderings:
    """The texts of one meeting."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._texts: OrderedDict[str, _Text] = OrderedDict()
        self._owed: dict[tuple[str, str], float] = {}

    def add(
        self,
        of: protocol.Written,
        about: str,
        text: str,
        writes: Sequence[str | None],
        seen: Callable[[Participant], bool] = lambda _: True,
        public: Callable[[], bool] = lambda: False,
    ) -> None:
        """Somebody wrote `text`, whose languages are `writes`, the likeliest first; whoever has `seen` it gets it in
        theirs, and so do the viewers of a broadcast while it is `public`. What was there under the same name is
        forgotten."""
        key = f"{of}:{about}"
        self._texts.pop(key, None)
        source = language_of(text, [tag for tag in writes if tag])
        if source is None or not 1 < len(text) <= LONGEST:
            return
        self._texts[key] = one = _Text(of, about, text, source, seen, public)
        if len(self._texts) > KEPT:
            self._texts.popitem(last=False)
        self._ask(key, one, self._room.people.values())

    def greet(self, person: Participant) -> None:
        """Somebody came, or reads another language now: what there is, and what is recent."""
        for key, one in list(self._texts.items())[-RECENT:]:
            if person.reads in one.made and one.seen(person) and person.peer is not None:
                person.peer.send(one.made[person.reads])
            else:
                self._ask(key, one, [person])

    def for_viewers(self, language: str) -> list[protocol.Rendered]:
        """A viewer came who reads this language: what there is of what is recent; the rest follows."""
        found = []
        for key, one in list(self._texts.items())[-RECENT:]:
            if one.public():
                if language in one.made:
                    found.append(one.made[language])
                else:
                    self._ask(key, one, [])
        return found

    def opened(self, of: protocol.Written, about: str) -> None:
        """More people see it than when it was written."""
        key = f"{of}:{about}"
        if (one := self._texts.get(key)) is not None:
            for person in self._room.people.values():
                if person.reads in one.made and one.seen(person) and person.peer is not None:
                    person.peer.send(one.made[person.reads])
            if one.public():
                for rendered in one.made.values():
                    self._room.live.rendered(rendered)
            self._ask(key, one, self._room.people.values())

    def arrived(self, key: str, said: Retranslated) -> None:
        """A worker's answer."""
        self._owed.pop((key, said.language), None)
        one = self._texts.get(key)
        if one is None:
            return
        one.made[said.language] = rendered = protocol.Rendered(
            of=one.of,
            about=one.about,
            source=one.source,
            language=said.language,
            text=said.text,
            pivot=said.pivot,
            guard=list(said.guard),
        )
        readers = [p for p in self._room.people.values() if p.reads == said.language and one.seen(p)]
        self._room.broadcast(rendered, readers)
        if one.public():
            self._room.live.rendered(rendered)

    def _ask(self, key: str, one: _Text, people: Iterable[Participant]) -> None:
        now = self._room.now
        self._owed = {owed: at for owed, at in self._owed.items() if now - at < PATIENCE}
        wanted = {p.reads for p in people if p.reads and one.seen(p)}
        if one.public():
            wanted |= set(self._room.live.audience.languages)
        wanted = {language for language in wanted if base(language) != base(one.source)}
        for language in sorted(wanted - one.asked - one.made.keys()):
            if len(self._owed) >= WAITING:
                return
            if self._room.words.translate(key, one.source, one.text, language):
                one.asked.add(language)
                self._owed[key, language] = now
