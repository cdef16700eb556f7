"""ICE-lite scenarios without a socket: routes are names, time is a number."""

from __future__ import annotations

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu import stun
from sfu.ice import (
    DISCONNECTED_AFTER,
    ERROR_RATE,
    FAILED_AFTER,
    MAX_ROUTES,
    ROUTE_HELD,
    Credentials,
    IceLite,
    Reaction,
    RouteSelected,
    StateChanged,
)
from sfu.stun import Attribute, Class

ADDRESS = ("192.0.2.9", 5000)
SERVER = Credentials("server", "server-password-of-24-chars")
NEW = Credentials("server2", "another-password-24-characters")


def check(
    to: Credentials = SERVER, peer: str = "peer", *, nominate: bool = False, controlled: bool = False, **options: object
) -> bytes:
    role = Attribute.ICE_CONTROLLED if controlled else Attribute.ICE_CONTROLLING
    attributes: list[tuple[int, bytes]] = [
        (Attribute.USERNAME, f"{to.ufrag}:{peer}".encode()),
        (Attribute.PRIORITY, bytes(4)),
        (role, bytes(8)),
    ]
    if nominate:
        attributes.append((Attribute.USE_CANDIDATE, b""))
    if options.get("unknown"):
        attributes.append((0x0099, b""))
    return stun.build(Class.REQUEST, secrets.token_bytes(12), attributes, to.password.encode())


@pytest.fixture
def ice() -> IceLite:
    agent = IceLite()
    agent.open("session", SERVER, "peer", 0.0)
    return agent


def error_of(reaction: Reaction) -> int | None:
    assert reaction.reply is not None
    return stun.parse(reaction.reply).error_code


def test_check_is_answered_and_validates_the_route(ice: IceLite) -> None:
    request = check(nominate=True)
    reaction = ice.receive("r1", ADDRESS, request, 1.0)
    assert reaction.session == "session"
    assert reaction.events == [RouteSelected("session", "r1"), StateChanged("session", "connected")]
    assert reaction.reply is not None
    answer = stun.parse(reaction.reply)
    assert answer.kind is Class.SUCCESS
    assert answer.transaction == stun.parse(request).transaction
    assert answer.mapped_address == ADDRESS
    assert answer.authentic(SERVER.password.encode())
    assert ice.holder("r1", 1.0) == "session"
    assert ice.holder("r2", 1.0) is None


@pytest.mark.parametrize(
    ("datagram", "code"),
    [
        (check(Credentials("nobody", "x" * 24)), 401),
        (check(Credentials("server", "wrong password")), 401),
        (check(peer="somebody-else"), 401),
        (stun.build(Class.REQUEST, bytes(12)), 400),
        (stun.build(Class.REQUEST, bytes(12), [(Attribute.USERNAME, b"server:peer")]), 400),
        (check(controlled=True), 487),
        (check(unknown=True), 420),
    ],
    ids=("nobody", "password", "peer", "bare", "unsigned", "controlled", "unknown"),
)
def test_wrong_checks_get_an_error_and_no_route(ice: IceLite, datagram: bytes, code: int) -> None:
    reaction = ice.receive("r1", ADDRESS, datagram, 1.0)
    assert error_of(reaction) == code
    assert reaction.session is None
    assert ice.holder("r1", 1.0) is None


@pytest.mark.parametrize("kind", [Class.SUCCESS, Class.ERROR, Class.INDICATION])
def test_what_is_no_request_is_not_answered(ice: IceLite, kind: Class) -> None:
    reaction = ice.receive("r1", ADDRESS, stun.build(kind, bytes(12), [], SERVER.password.encode()), 1.0)
    assert reaction.reply is None
    assert reaction.session is None


def test_errors_are_rationed(ice: IceLite) -> None:
    bad = check(Credentials("nobody", "x" * 24))
    replies = [ice.receive("r1", ADDRESS, bad, 1.0).reply for _ in range(500)]
    assert sum(r is not None for r in replies) == ERROR_RATE
    assert ice.receive("r1", ADDRESS, check(), 1.0).reply is not None
    assert ice.receive("r1", ADDRESS, bad, 2.0).reply is not None


def test_first_route_carries_until_another_is_nominated(ice: IceLite) -> None:
    ice.receive("r1", ADDRESS, check(), 1.0)
    ice.receive("r2", ADDRESS, check(), 1.1)
    assert ice.selected("session") == "r1"
    assert ice.receive("r2", ADDRESS, check(nominate=True), 1.2).events == [RouteSelected("session", "r2")]
    assert ice.receive("r2", ADDRESS, check(nominate=True), 1.3).events == []
    assert ice.selected("session") == "r2"
    assert ice.holder("r1", 1.4) == "session"


def test_restart_keeps_the_old_route_until_the_new_one_is_nominated(ice: IceLite) -> None:
    ice.receive("old", ADDRESS, check(nominate=True), 1.0)
    ice.restart("session", NEW, "peer2", 2.0)
    assert ice.selected("session") == "old"
    assert ice.receive("old", ADDRESS, check(nominate=True), 2.1).session == "session"
    assert ice.receive("new", ADDRESS, check(NEW, "peer2"), 2.2).events == []
    assert ice.selected("session") == "old"
    reaction = ice.receive("new", ADDRESS, check(NEW, "peer2", nominate=True), 2.3)
    assert reaction.events == [RouteSelected("session", "new")]
    # The old credentials are worth nothing now.
    assert error_of(ice.receive("old", ADDRESS, check(nominate=True), 2.4)) == 401
    assert ice.selected("session") == "new"


def test_only_the_newest_two_credentials_live(ice: IceLite) -> None:
    third = Credentials("server3", "third-password-24-characters")
    ice.restart("session", NEW, "peer", 1.0)
    ice.restart("session", third, "peer", 2.0)
    assert error_of(ice.receive("r1", ADDRESS, check(), 3.0)) == 401
    assert ice.receive("r1", ADDRESS, check(NEW), 3.0).session == "session"
    assert ice.receive("r1", ADDRESS, check(third), 3.0).session == "session"


def test_silence_disconnects_then_fails_and_traffic_reconnects(ice: IceLite) -> None:
    ice.receive("r1", ADDRESS, check(nominate=True), 0.0)
    assert ice.tick(DISCONNECTED_AFTER - 0.1) == []
    assert ice.tick(DISCONNECTED_AFTER) == [StateChanged("session", "disconnected")]
    assert ice.tick(DISCONNECTED_AFTER + 1) == []
    ice.holder("r1", 10.0)  # a packet
    assert ice.tick(10.1) == [StateChanged("session", "connected")]
    assert ice.tick(16.1) == [StateChanged("session", "disconnected")]
    assert ice.receive("r1", ADDRESS, check(), 17.0).events == [StateChanged("session", "connected")]
    assert ice.tick(17.0 + FAILED_AFTER) == [StateChanged("session", "failed")]
    assert ice.tick(17.0 + 2 * FAILED_AFTER) == []
    ice.restart("session", NEW, "peer2", 80.0)
    reaction = ice.receive("r2", ADDRESS, check(NEW, "peer2", nominate=True), 81.0)
    assert StateChanged("session", "connected") in reaction.events


def test_session_that_nobody_contacts_fails() -> None:
    agent = IceLite()
    agent.open("session", SERVER, None, 100.0)
    assert agent.tick(100.0 + FAILED_AFTER - 0.1) == []
    assert agent.tick(100.0 + FAILED_AFTER) == [StateChanged("session", "failed")]


def test_peer_name_may_come_after_its_checks() -> None:
    agent = IceLite()
    agent.open("session", SERVER, None, 0.0)
    assert agent.receive("r1", ADDRESS, check(peer="early"), 0.1).session == "session"
    agent.set_remote("session", "peer")
    assert error_of(agent.receive("r2", ADDRESS, check(peer="early"), 0.2)) == 401


def test_route_in_use_is_not_taken_over_by_another_session(ice: IceLite) -> None:
    ice.open("thief", NEW, "peer", 0.0)
    ice.receive("r1", ADDRESS, check(), 1.0)
    assert ice.receive("r1", ADDRESS, check(NEW), 1.5).reply is None
    assert ice.holder("r1", 2.0) == "session"
    # A port that was given up may belong to somebody else later.
    assert ice.receive("r1", ADDRESS, check(NEW), 2.0 + ROUTE_HELD).session == "thief"
    assert ice.holder("r1", 8.0) == "thief"
    assert ice.selected("session") is None


def test_routes_are_bounded_and_the_selected_one_stays(ice: IceLite) -> None:
    ice.receive(0, ADDRESS, check(nominate=True), 0.0)
    for number in range(1, 3 * MAX_ROUTES):
        ice.receive(number, ADDRESS, check(), float(number) / 100)
    assert ice.routes == MAX_ROUTES
    assert ice.selected("session") == 0
    assert ice.holder(0, 1.0) == "session"
    assert ice.holder(1, 1.0) is None


def test_closing_forgets_everything(ice: IceLite) -> None:
    ice.restart("session", NEW, "peer", 0.0)
    ice.receive("r1", ADDRESS, check(), 1.0)
    ice.receive("r2", ADDRESS, check(NEW), 1.0)
    ice.close("session")
    assert (len(ice), ice.routes) == (0, 0)
    assert error_of(ice.receive("r1", ADDRESS, check(), 2.0)) == 401
    assert ice.tick(1000.0) == []
    ice.close("session")


def test_route_that_ends_is_forgotten(ice: IceLite) -> None:
    ice.receive("tcp", ADDRESS, check(nominate=True), 1.0)
    ice.close_route("tcp")
    assert ice.holder("tcp", 1.0) is None
    assert ice.selected("session") is None
    ice.receive("udp", ADDRESS, check(), 2.0)
    assert ice.selected("session") == "udp"


@given(st.binary(max_size=120))
def test_any_bytes_leave_the_agent_unmoved(data: bytes) -> None:
    agent = IceLite()
    agent.open("session", SERVER, "peer", 0.0)
    assert agent.receive("r1", ADDRESS, data, 1.0).session is None
    assert agent.routes == 0


def test_generated_credentials_fit_the_grammar() -> None:
    made = {Credentials.generate() for _ in range(100)}
    assert len(made) == 100
    assert all(4 <= len(c.ufrag) <= 256 and 22 <= len(c.password) <= 256 for c in made)
