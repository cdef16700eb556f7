"""Another role in a running meeting: rights change, connections stay."""

from __future__ import annotations

from signaling import protocol
from signaling.people import Participant
from signaling.protocol import Role
from signaling.refusal import Refusal
from signaling.rights import TO_PUBLISH, outranks, permissions
from signaling.room import Room


def may_change(giver: Participant, person: Participant, role: Role) -> bool:
    """Nobody gives what they do not hold, takes from who stands above them, or changes themselves."""
    return giver is not person and not outranks(person.role, giver.role) and permissions(role) <= giver.permissions


def give(room: Room, giver: Participant, person: Participant, role: Role) -> bool:
    """Gives somebody a role until the end of the meeting; false where they have it. Raises Refusal.

    What they may not publish any more reaches nobody from here on. Whoever joins anew has the role of their link.
    """
    if not may_change(giver, person, role):
        raise Refusal("not-allowed", "you may not give this person this role", person.id)
    if person.role == role:
        return False
    person.role, person.permissions = role, permissions(role) | ({"transcribe"} if person.captioner else set())
    if person.peer is not None:
        person.peer.send(protocol.PermissionsChanged(role=role, permissions=sorted(person.permissions)))
    for track in list(person.tracks.values()):
        if not person.may(TO_PUBLISH[track.source]) and not track.muted:
            room.set_muted(person, track, True)
    room.interpreters.rights_changed(person)
    if not person.may("hand"):
        person.hand = None
    if person.peer is not None:
        waiting = room.lobby.view() if person.may("moderate") else []
        person.peer.send(protocol.LobbyChanged(waiting=waiting), key="lobby")
        room.questions.tell_all(person)
        room.live.hands.tell(person)
        room.polls.tell_all(person)
    room.changed(person)
    room.readers()
    return True
