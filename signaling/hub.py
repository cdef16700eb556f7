"""All meetings of this server: opening, joining, ticking, closing."""

from __future__ import annotations

import asyncio
import secrets
import time

import structlog

from signaling import protocol
from signaling.agenda import Agenda
from signaling.captions import terms_for
from signaling.grants import Grant, GrantRefused, Grants
from signaling.names import clean
from signaling.people import Participant, Peer, new_id
from signaling.room import Parts, Room
from signaling.session import turned

log = structlog.get_logger("hub")

TICK = 0.5


class Hub:
    """Meetings by room id."""

    def __init__(self, parts: Parts, grants: Grants) -> None:
        self.parts = parts
        self.grants = grants
        self.rooms: dict[str, Room] = {}
        self._opening = asyncio.Lock()
        self._ticker: asyncio.Task[None] | None = None
        self._closing = False

    def start(self) -> None:
        """Begins ticking."""
        self._ticker = asyncio.get_running_loop().create_task(self._tick())

    async def stop(self) -> None:
        """Ends every meeting; recordings are finished."""
        self._closing = True
        if self._ticker is not None:
            self._ticker.cancel()
        closed = protocol.Closed(reason="shutdown", message="the server is stopping", retry=True)
        rooms = list(self.rooms.values())
        self.rooms.clear()
        for room, outcome in zip(
            rooms, await asyncio.gather(*(room.close(closed) for room in rooms), return_exceptions=True), strict=True
        ):
            if isinstance(outcome, BaseException):
                log.error("a room did not close cleanly", room=room.id, exc_info=outcome)
        for broadcast in list(self.parts.on_air.values()):
            broadcast.forget()

    def counts(self) -> tuple[int, int, int]:
        """Meetings, people, waiting."""
        rooms = self.rooms.values()
        return len(rooms), sum(len(r.people) for r in rooms), sum(len(r.lobby) for r in rooms)

    def audience(self) -> tuple[int, int]:
        """How many pages follow broadcasts: by WebRTC, and by HLS or not yet."""
        found = [one.tiers for one in self.parts.on_air.values()]
        return sum(realtime for realtime, _ in found), sum(rest for _, rest in found)

    async def join(
        self, room_id: str, hello: protocol.Hello, peer: Peer, visitor: str | None, now: float, *, watches: bool = True
    ) -> tuple[Room, Participant]:
        """Takes somebody in, or up again, or into the lobby. Raises Turned. `now` in seconds since the epoch.

        Who does not `watch` only publishes; such a program cannot wait in a lobby."""
        if hello.version != protocol.VERSION:
            raise turned("protocol", f"this server speaks version {protocol.VERSION}", "wrong version")
        if self._closing:
            raise turned("shutdown", "the server is stopping", retry=True)
        room = self.rooms.get(room_id)
        if room is not None and hello.resume is not None:
            person = room.find_resume(hello.resume)
            if person is not None:
                room.resume(person, peer)
                return room, person
        grant = self._check(hello.grant, room_id, now)
        if grant.guest and (room is None or not room.live.hands.expects(grant.jti)):
            raise turned("grant", "this grant does not open this room", "not invited any more")
        room = await self._open(room_id)
        visitor = visitor or grant.visitor
        if room.is_removed(grant.jti, visitor):
            self.parts.metrics.grants.labels("removed").inc()
            raise turned("removed", "a moderator removed you", "removed earlier")
        name = clean(grant.name or hello.name)
        if not name:
            raise turned("protocol", "the name is empty", "empty name")
        person = Participant(
            id=new_id(),
            name=name,
            role=grant.role,
            permissions=grant.permissions,
            jti=grant.jti,
            visitor=visitor,
            member=grant.member,
            resume=secrets.token_urlsafe(24),
            peer=peer,
            watches=watches,
            guest=grant.guest,
            institution=clean(hello.institution),
            spoken=hello.spoken,
            captioned=hello.captioned,
            named=hello.named,
            reads=hello.reads,
        )
        if room.lobby_on and not person.may("moderate") and not person.guest:
            if not watches:
                raise turned("denied", "the room has a lobby, where a program cannot wait", "lobby for a program")
            if room.lobby.full:
                raise turned("full", "too many people wait already", "lobby full", retry=True)
            room.wait(person)
        elif room.full:
            raise turned("full", "the room is full", "room full", retry=False)
        else:
            room.enter(person)
        return room, person

    def _check(self, token: str, room: str, now: float) -> Grant:
        try:
            return self.grants.check(token, room, now)
        except GrantRefused as error:
            self.parts.metrics.grants.labels(error.reason).inc()
            raise turned("grant", "this grant does not open this room", f"grant {error.reason}") from None

    async def _open(self, room_id: str) -> Room:
        async with self._opening:
            room = self.rooms.get(room_id)
            if room is not None:
                return room
            row = await self.parts.store.rooms.get(room_id)
            if row is None:
                raise turned("grant", "this grant does not open this room", "no such room")
            if len(self.rooms) >= self.parts.settings.limits.rooms:
                raise turned("full", "this server has no room for another meeting", "too many rooms", retry=True)
            terms = await terms_for(self.parts.store, room_id)
            planned = await self.parts.store.broadcasts.of_room(room_id)
            room = self.rooms[room_id] = Room(room_id, row.name, row.lobby, self.parts)
            room.words.glossary(terms)
            room.words.restore(row.spoken)
            room.agenda = Agenda(row.agenda)
            room.live.restore(planned)
            log.info("room opened", room=room_id, meeting=room.meeting)
            return room

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            now = time.monotonic()
            for room in list(self.rooms.values()):
                try:
                    if room.tick(now):
                        await self.close_room(room)
                except Exception:
                    log.exception("a room's tick failed", room=room.id)

    async def close_room(self, room: Room) -> None:
        """Ends one meeting."""
        if self.rooms.get(room.id) is not room:
            return
        del self.rooms[room.id]
        await room.close(protocol.Closed(reason="room-closed", message="the meeting is over", retry=False))
        log.info("room closed", room=room.id, meeting=room.meeting)
