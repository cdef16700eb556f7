"""An ICE-lite agent (RFC 8445) for many sessions behind one port, pure: datagrams and time are arguments.

A session is found by the local ufrag of a binding request, authenticated with the local password, and from then on by
its route (the validated 5-tuple). We are always controlled: the peer nominates, and the last nomination wins. A restart
adds credentials; the old route keeps carrying media until the peer nominates one with the new credentials.
"""

from __future__ import annotations

import secrets
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Literal

from sfu import stun
from sfu.stun import Attribute, Class

Route = Hashable
State = Literal["new", "connected", "disconnected", "failed"]

DISCONNECTED_AFTER = 6.0
FAILED_AFTER = 30.0
MAX_ROUTES = 16
# A route that another session used this recently is not taken over: a forged source address must not cut somebody off.
ROUTE_HELD = 5.0
# Answers to STUN that fails authentication, per second, whole process: enough for mistakes, useless for reflection.
ERROR_RATE = 50.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """An ICE username fragment and password (RFC 8445, section 5.3)."""

    ufrag: str
    password: str

    @classmethod
    def generate(cls) -> Credentials:
        """Fresh ones: 48 and 144 bits of randomness from ice-chars."""
        return cls(secrets.token_hex(6), secrets.token_hex(18))


@dataclass(slots=True)
class _Generation:
    local: Credentials
    remote_ufrag: str | None


@dataclass(slots=True)
class _Session:
    id: str
    opened: float
    generations: list[_Generation]
    routes: dict[Route, float] = field(default_factory=dict)
    selected: Route | None = None
    seen: float | None = None
    state: State = "new"


@dataclass(frozen=True, slots=True)
class RouteSelected:
    """Send to this route from now on."""

    session: str
    route: Route


@dataclass(frozen=True, slots=True)
class StateChanged:
    """`connected` at the first validated check and again after a gap; `failed` is final until a restart."""

    session: str
    state: State


Event = RouteSelected | StateChanged


@dataclass(slots=True)
class Reaction:
    """What a datagram led to: `reply` goes back on the same route, `session` is set when it was authentic."""

    reply: bytes | None = None
    session: str | None = None
    reason: str = ""
    events: list[Event] = field(default_factory=list)


class IceLite:
    """All sessions of one port."""

    def __init__(self) -> None:
        self._sessions: dict[str, _Session] = {}
        self._by_ufrag: dict[str, _Session] = {}
        self._by_route: dict[Route, _Session] = {}
        self._allowance = ERROR_RATE
        self._allowance_at = 0.0

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def routes(self) -> int:
        """How many validated routes are known."""
        return len(self._by_route)

    def open(self, session: str, local: Credentials, remote_ufrag: str | None, now: float) -> None:
        """Starts a session. `remote_ufrag` may come later (`set_remote`): until then any peer name is taken."""
        entry = _Session(session, now, [_Generation(local, remote_ufrag)])
        self._sessions[session] = entry
        self._by_ufrag[local.ufrag] = entry

    def set_remote(self, session: str, remote_ufrag: str) -> None:
        """The peer's username fragment for the newest credentials."""
        self._sessions[session].generations[-1].remote_ufrag = remote_ufrag

    def restart(self, session: str, local: Credentials, remote_ufrag: str | None, now: float) -> None:
        """New credentials (RFC 8445, section 9). Only the newest two generations are honoured."""
        entry = self._sessions[session]
        entry.generations.append(_Generation(local, remote_ufrag))
        self._by_ufrag[local.ufrag] = entry
        while len(entry.generations) > 2:
            self._by_ufrag.pop(entry.generations.pop(0).local.ufrag, None)
        if entry.state == "failed":
            entry.state = "new"
            entry.opened = now
            entry.seen = None

    def close(self, session: str) -> None:
        """Forgets the session and its routes; unknown ones are ignored."""
        entry = self._sessions.pop(session, None)
        if entry is None:
            return
        for generation in entry.generations:
            self._by_ufrag.pop(generation.local.ufrag, None)
        for route in entry.routes:
            self._by_route.pop(route, None)

    def close_route(self, route: Route) -> None:
        """The route is gone (its TCP connection ended)."""
        entry = self._by_route.pop(route, None)
        if entry is not None:
            entry.routes.pop(route, None)
            if entry.selected == route:
                entry.selected = None

    def holder(self, route: Route, now: float) -> str | None:
        """The session that validated this route, marking it alive; None for strangers. Called once per packet."""
        entry = self._by_route.get(route)
        if entry is None:
            return None
        entry.seen = entry.routes[route] = now
        return entry.id

    def selected(self, session: str) -> Route | None:
        """Where to send, None before a check succeeded."""
        entry = self._sessions.get(session)
        return None if entry is None else entry.selected

    def receive(self, route: Route, address: stun.Address, datagram: bytes, now: float) -> Reaction:
        """One STUN datagram from `route`, which the peer's binding response shall name as `address`."""
        try:
            message = stun.parse(datagram)
        except stun.StunError as error:
            return Reaction(reason=f"malformed: {error}")
        if message.method != stun.BINDING:
            return Reaction(reason="not binding")
        if message.kind is Class.INDICATION:
            # A keepalive (RFC 8445, section 11); it proves nothing, but it comes from a validated route or nowhere.
            return Reaction(session=self.holder(route, now), reason="indication")
        if message.kind is not Class.REQUEST:
            return Reaction(reason="unexpected response")
        return self._request(route, address, message, now)

    def _request(self, route: Route, address: stun.Address, message: stun.Message, now: float) -> Reaction:
        username = message.username
        if username is None or message.get(Attribute.MESSAGE_INTEGRITY) is None:
            return self._refuse(message, 400, "Bad Request", now)
        local_ufrag, _, remote_ufrag = username.partition(":")
        entry = self._by_ufrag.get(local_ufrag)
        if entry is None:
            return self._refuse(message, 401, "Unauthorized", now)
        generation = next(g for g in entry.generations if g.local.ufrag == local_ufrag)
        if generation.remote_ufrag is not None and remote_ufrag != generation.remote_ufrag:
            return self._refuse(message, 401, "Unauthorized", now)
        password = generation.local.password.encode()
        if not message.authentic(password):
            return self._refuse(message, 401, "Unauthorized", now)
        if unknown := message.unknown_required:
            attributes = [
                (int(Attribute.ERROR_CODE), stun.error_value(420, "Unknown Attribute")),
                (int(Attribute.UNKNOWN_ATTRIBUTES), b"".join(a.to_bytes(2, "big") for a in unknown)),
            ]
            reply = stun.build(Class.ERROR, message.transaction, attributes, password)
            return Reaction(reply, reason="unknown attribute")
        if message.get(Attribute.ICE_CONTROLLED) is not None:
            # A lite agent cannot control, so the peer has to change roles (RFC 8445, section 7.3.1.1).
            error = stun.error_value(487, "Role Conflict")
            return Reaction(
                stun.build(Class.ERROR, message.transaction, [(Attribute.ERROR_CODE, error)], password),
                reason="role conflict",
            )
        holder = self._by_route.get(route)
        if holder is not None and holder is not entry and now - holder.routes[route] < ROUTE_HELD:
            return Reaction(reason="route held by another session")
        events = self._validated(entry, generation, route, message.get(Attribute.USE_CANDIDATE) is not None, now)
        mapped = stun.xor_address(address, message.transaction)
        reply = stun.build(Class.SUCCESS, message.transaction, [(Attribute.XOR_MAPPED_ADDRESS, mapped)], password)
        return Reaction(reply, entry.id, events=events)

    def _validated(
        self, entry: _Session, generation: _Generation, route: Route, nominated: bool, now: float
    ) -> list[Event]:
        holder = self._by_route.get(route)
        if holder is not None and holder is not entry:
            self.close_route(route)
        self._by_route[route] = entry
        entry.routes[route] = entry.seen = now
        if len(entry.routes) > MAX_ROUTES:
            oldest = min((r for r in entry.routes if r != entry.selected), key=entry.routes.__getitem__)
            del entry.routes[oldest], self._by_route[oldest]
        events: list[Event] = []
        newest = generation is entry.generations[-1]
        # An old generation may not win the route back from the new one.
        if entry.selected is None or (nominated and newest and entry.selected != route):
            entry.selected = route
            events.append(RouteSelected(entry.id, route))
        if nominated and newest:
            for old in entry.generations[:-1]:
                self._by_ufrag.pop(old.local.ufrag, None)
            del entry.generations[:-1]
        if entry.state in ("new", "disconnected"):
            entry.state = "connected"
            events.append(StateChanged(entry.id, "connected"))
        return events

    def _refuse(self, message: stun.Message, code: int, reason: str, now: float) -> Reaction:
        self._allowance = min(ERROR_RATE, self._allowance + (now - self._allowance_at) * ERROR_RATE)
        self._allowance_at = now
        if self._allowance < 1:
            return Reaction(reason="unauthenticated, too many")
        self._allowance -= 1
        reply = stun.build(Class.ERROR, message.transaction, [(Attribute.ERROR_CODE, stun.error_value(code, reason))])
        return Reaction(reply, reason="unauthenticated")

    def tick(self, now: float) -> list[Event]:
        """Liveness: call every second or so."""
        events: list[Event] = []
        for entry in self._sessions.values():
            silent = now - (entry.opened if entry.seen is None else entry.seen)
            state = entry.state
            if state == "disconnected" and silent < DISCONNECTED_AFTER:
                state = "connected"
            if state == "connected" and silent >= DISCONNECTED_AFTER:
                state = "disconnected"
            if state != "failed" and silent >= FAILED_AFTER:
                state = "failed"
            if state != entry.state:
                entry.state = state
                events.append(StateChanged(entry.id, state))
        return events
