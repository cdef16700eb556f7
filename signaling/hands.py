"""Viewers of a broadcast who raise a hand, and the way on stage and back.

Whoever may broadcast sees the hands and invites. An invitation is good for one grant at a time, which opens the room
only while it stands: with the person's going, or when they are sent back, it opens nothing any more. Viewers are told
how their own hand stands by an event of the audience's stream, ``stage``.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from signaling import protocol
from signaling.audience import Viewer
from signaling.people import Participant
from signaling.refusal import Refusal

if TYPE_CHECKING:
    from signaling.room import Room

MOST = 100
"""Hands that may be up at a time."""
ABSENT_S = 15.0
"""A hand goes down when its viewer's page has been gone for so long."""
LOOK_S = 2.0


@dataclass
class Hand:
    """One viewer's. `viewer` is who they are by their ticket, `participant` who they are on stage. `jti` is the id of
    the grant that they come by. `seen` in seconds, monotonic."""

    viewer: str
    name: str
    raised: float
    id: str = field(default_factory=lambda: secrets.token_hex(6))
    state: protocol.HandState = "raised"
    jti: str | None = None
    participant: str | None = None
    seen: float | None = None


class Hands:
    """The hands of one room's audience."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._hands: dict[str, Hand] = {}
        self._looked = 0.0
        self.open = True

    # --- what viewers do --------------------------------------------------------------------------

    def lift(self, viewer: str, name: str) -> None:
        """Raises a hand; the name may change. Raises Refusal."""
        if not self.open or self._room.live.over:
            raise Refusal("bad-state", "hands are not taken")
        if not name:
            raise Refusal("malformed", "a hand needs a name")
        hand = self._hands.get(viewer)
        if hand is None:
            if len(self._hands) >= MOST:
                raise Refusal("unavailable", "too many hands are up")
            self._hands[viewer] = Hand(viewer, name, self._room.now)
        elif hand.state == "raised":
            hand.name = name
        else:
            return
        self._tell(viewer)

    def lower(self, viewer: str) -> None:
        """Takes a hand down, or declines an invitation."""
        hand = self._hands.get(viewer)
        if hand is not None and hand.participant is None:
            self._drop(hand)

    def come(self, viewer: str) -> Hand:
        """An invited viewer comes: they are to get a grant with the id `jti`, and one given before opens nothing any
        more. Raises Refusal."""
        hand = self._hands.get(viewer)
        if hand is None or hand.state == "raised":
            raise Refusal("not-allowed", "nobody invited you")
        if hand.participant is not None:
            raise Refusal("bad-state", "you are on stage")
        hand.jti = secrets.token_urlsafe(12)
        return hand

    # --- what those who broadcast do --------------------------------------------------------------

    def answer(self, id: str, answer: str) -> None:
        """Invites on stage; or takes a hand down, an invitation back. Raises Refusal."""
        hand = next((one for one in self._hands.values() if one.id == id), None)
        if hand is None:
            raise Refusal("not-found", "this hand is not up any more", id)
        if hand.participant is not None:
            raise Refusal("bad-state", "they are on stage", id)
        if answer == "invite":
            hand.state = "invited"
            self._tell(hand.viewer)
        else:
            self._drop(hand)

    def back(self, person: Participant) -> None:
        """Back to the audience. Raises Refusal."""
        if not person.guest:
            raise Refusal("bad-state", "they did not come out of the audience", person.id)
        peer = person.peer
        self._room.leave(person)
        if peer is not None:
            peer.close(protocol.Closed(reason="audience", message="you are in the audience again", retry=False))

    def set_open(self, open: bool) -> None:
        """Whether hands are taken. Who is invited already may still come."""
        self.open = open
        if not open:
            for hand in [one for one in self._hands.values() if one.state == "raised"]:
                del self._hands[hand.viewer]
        self._room.live.audience.tell("stage", self._standing(""), where=lambda one: one.id not in self._hands)
        self.tell_all()

    # --- what happens -----------------------------------------------------------------------------

    def expects(self, jti: str) -> bool:
        """Whether a grant from here still opens the room."""
        return any(hand.jti == jti and hand.participant is None for hand in self._hands.values())

    def entered(self, person: Participant) -> None:
        """Somebody came in; perhaps out of the audience."""
        hand = next((one for one in self._hands.values() if one.jti == person.jti), None) if person.guest else None
        if hand is not None:
            hand.state, hand.participant = "stage", person.id
            self._tell(hand.viewer)

    def left(self, person: Participant) -> None:
        """Somebody is gone from the room: whoever came out of the audience is there again."""
        hand = next((one for one in self._hands.values() if one.participant == person.id), None)
        if hand is not None:
            self._drop(hand)

    def tick(self, now: float) -> None:
        """Takes down the hands of whose pages are closed. `now` in seconds, monotonic."""
        if not self._hands or now - self._looked < LOOK_S:
            return
        self._looked = now
        here = {viewer.id for viewer in self._room.live.audience}
        for hand in list(self._hands.values()):
            if hand.seen is None or hand.viewer in here or hand.participant is not None:
                hand.seen = now
            elif now - hand.seen > ABSENT_S:
                self._drop(hand)

    def clear(self) -> None:
        """It is over: nobody is invited any more."""
        for hand in [one for one in self._hands.values() if one.participant is None]:
            self._drop(hand)

    def view(self) -> list[protocol.AudienceHand]:
        """For those who broadcast, the longest up first."""
        return [
            protocol.AudienceHand(id=hand.id, name=hand.name, at=hand.raised, state=hand.state)
            for hand in self._hands.values()
        ]

    def greet(self, viewer: Viewer) -> None:
        """Tells a page how its hand stands."""
        viewer.send("stage", self._standing(viewer.id))

    def tell_all(self) -> None:
        """Tells those who broadcast."""
        seeing = [person for person in self._room.people.values() if person.may("broadcast")]
        self._room.broadcast(protocol.HandsChanged(hands=self.view(), open=self.open), seeing, key="hands")

    def tell(self, person: Participant) -> None:
        """Tells one, whose rights have changed."""
        if person.peer is not None:
            seen = self.view() if person.may("broadcast") else []
            person.peer.send(protocol.HandsChanged(hands=seen, open=self.open), key="hands")

    def _standing(self, viewer: str) -> dict[str, object]:
        hand = self._hands.get(viewer)
        return {"state": hand.state if hand is not None else "down", "open": self.open}

    def _drop(self, hand: Hand) -> None:
        del self._hands[hand.viewer]
        self._tell(hand.viewer)

    def _tell(self, viewer: str) -> None:
        self._room.live.audience.tell("stage", self._standing(viewer), where=lambda one: one.id == viewer)
        self.tell_all()
