"""Lower thirds: name and institution over a broadcast's picture, when somebody begins to speak or when asked for.

By itself one is shown only where it belongs: over the picture of who speaks, or a shared screen. Who does not want
their name beside what they say has none, and nobody who is not recorded. Times are the programme's, so that a viewer
who is some seconds behind sees it with its face.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from recorder.live.choice import Choice
from signaling.people import Participant
from signaling.refusal import Refusal

if TYPE_CHECKING:
    from signaling.room import Room

SHOWN_MS = 6_000
AGAIN_MS = 120_000
"""Who goes on, or speaks again so soon, is known by now."""
MOST = 300
"""Of one broadcast that are kept, for viewers who go back in it."""


class LowerThird(Struct, rename="camel", frozen=True):
    """As viewers are told of it; `start` and `end` in ms of the programme."""

    name: str
    institution: str
    color: int
    start: float
    end: float


class LowerThirds:
    """Of one room's broadcast."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._choice = Choice()
        self._last: dict[str, float] = {}
        self.shown: list[LowerThird] = []

    def begin(self) -> None:
        """A broadcast goes live: nobody is known to its viewers."""
        self._last.clear()
        self.shown = []

    def look(self) -> None:
        """Twice a second while it is live."""
        room, state = self._room, self._room.live.state
        if state is None or state.state != "live":
            return
        speaker = room.speaking[0] if room.speaking else None
        candidates = room.live.programme.candidates
        order = self._choice.order(candidates, speaker, state.spotlight, room.now)
        shown = next((one for one in candidates if order and one.track == order[0]), None)
        if speaker is None or shown is None or not (shown.screen or shown.participant == speaker):
            return
        person = room.people.get(speaker)
        if person is not None and self._may(person) and room.now - self._last.get(speaker, -AGAIN_MS) >= AGAIN_MS:
            self._show(person)

    def show(self, person: Participant) -> None:
        """Because somebody wants it. Raises Refusal."""
        state = self._room.live.state
        if state is None or state.state != "live":
            raise Refusal("bad-state", "nothing is live")
        if not self._may(person):
            raise Refusal("not-allowed", "they do not want their name shown, or are not recorded", person.id)
        self._show(person)

    def _may(self, person: Participant) -> bool:
        return person.named and self._room.recording.includes(person.id)

    def _show(self, person: Participant) -> None:
        running = self._room.recording.running
        if running is None:
            return
        self._last[person.id] = self._room.now
        start = max(0.0, self._room.now - running.origin)
        third = LowerThird(person.name, person.institution, person.color, start, start + SHOWN_MS)
        running.lower_third(person.id, person.institution)
        self._room.live.behind.later(lambda: self._tell(third))

    def _tell(self, third: LowerThird) -> None:
        if not any(since <= third.start < until for since, until in self._room.live.pauses):
            self.shown = [*self.shown, third][-MOST:]
            self._room.live.audience.tell("third", third)
