"""Accounts: invited by a link, used once; groups; what is shared with one, and lost with it at once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.signaling.conftest import House
from tests.signaling.test_administration import PASSWORD, log_in
from tests.signaling.test_sharing import Recorded, recorded

__all__ = ["recorded"]


class Person:
    """A browser with whatever session it has."""

    def __init__(self, house: House, cookies: dict[str, str] | None = None) -> None:
        self.house, self.cookies = house, cookies or {}

    async def call(self, method: str, path: str, **body: Any) -> tuple[int, Any]:
        # The house's client keeps cookies itself: a header says whose this is.
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        async with self.house.http.request(
            method, self.house.url + path, json=body or None, headers={"Cookie": cookie}
        ) as answer:
            self.cookies |= {name: one.value for name, one in answer.cookies.items()}
            return answer.status, await answer.json() if answer.content_type == "application/json" else None


async def invited(by: Person, email: str, name: str, **invitation: Any) -> Person:
    status, made = await by.call("POST", "/api/invitations", note=name, **invitation)
    assert status == 201 and made["path"].startswith("/invitation#k=")
    code, person = made["path"].partition("#k=")[2], Person(by.house)
    assert await person.call("POST", "/api/invitation", code=code) == (200, {"email": None, "name": None})
    status, me = await person.call(
        "POST", "/api/invitation/accept", code=code, email=email, name=name, password=PASSWORD
    )
    assert status == 201 and me["name"] == name, me
    again = await Person(by.house).call(
        "POST", "/api/invitation/accept", code=code, email="b" + email, name=name, password=PASSWORD
    )
    assert again[0] == 404
    return person


async def test_people_come_by_invitation_and_go_when_they_are_disabled(house: House) -> None:
    ana = Person(house, await log_in(house, "ana@example.org", "admin"))
    ben = await invited(ana, "ben@example.org", "Ben")
    assert [(one["name"], one["role"]) for one in (await ana.call("GET", "/api/members"))[1]] == [
        ("Ana", "admin"),
        ("Ben", "member"),
    ]
    for method, path in (("GET", "/api/members"), ("GET", "/api/invitations"), ("POST", "/api/groups")):
        assert (await ben.call(method, path, name="x"))[0] == 403
        assert (await Person(house).call(method, path, name="x"))[0] == 401
    me = (await ben.call("GET", "/api/me"))[1]["id"]
    other = (await ana.call("GET", "/api/me"))[1]["id"]
    assert (await ana.call("PATCH", f"/api/members/{other}", role="member"))[0] == 409  # nobody else administers
    assert (await ana.call("PATCH", f"/api/members/{other}", disabled=True))[0] == 409
    assert (await ana.call("PATCH", "/api/members/nobody", disabled=True))[0] == 404
    assert (await ana.call("PATCH", f"/api/members/{me}", disabled=True))[1]["disabled"] is True
    assert (await ben.call("GET", "/api/me"))[0] == 401
    login = {"email": "ben@example.org", "password": PASSWORD}
    assert (await ben.call("POST", "/api/login", **login))[0] == 401
    assert (await ana.call("POST", "/api/invitations", member=me))[0] == 404  # no new password for who is shut out
    acts = [row.act for row in await house.server.store.audit.latest()]
    assert {"member-invite", "member-join", "member-change"} <= set(acts)


async def test_a_new_password_is_an_invitation_too(house: House) -> None:
    ana = Person(house, await log_in(house, "ana@example.org", "admin"))
    ben = await invited(ana, "ben@example.org", "Ben")
    me = (await ben.call("GET", "/api/me"))[1]["id"]
    _, made = await ana.call("POST", "/api/invitations", member=me)
    code, lost = made["path"].partition("#k=")[2], Person(house)
    assert (await lost.call("POST", "/api/invitation", code=code))[1] == {"email": "ben@example.org", "name": "Ben"}
    fresh = PASSWORD + " and more"
    assert (await lost.call("POST", "/api/invitation/accept", code=code, password=fresh))[0] == 201
    assert (await ben.call("GET", "/api/me"))[0] == 401  # elsewhere they are logged out
    old = {"email": "ben@example.org", "password": PASSWORD}
    assert (await Person(house).call("POST", "/api/login", **old))[0] == 401
    assert (await Person(house).call("POST", "/api/login", **old | {"password": fresh}))[0] == 200


async def test_an_address_that_is_taken_does_not_use_the_invitation_up(house: House) -> None:
    ana = Person(house, await log_in(house, "ana@example.org", "admin"))
    code = (await ana.call("POST", "/api/invitations", note="Eve"))[1]["path"].partition("#k=")[2]
    body = {"code": code, "name": "Eve", "password": PASSWORD}
    accept = "/api/invitation/accept"
    assert (await Person(house).call("POST", accept, email="ANA@example.org", **body))[0] == 409
    assert (await Person(house).call("POST", accept, email=" ", **body))[0] == 400
    assert (await Person(house).call("POST", accept, email="eve@example.org", **body))[0] == 201
    left = (await ana.call("POST", "/api/invitations", note="Zoe"))[1]
    (known,) = (await ana.call("GET", "/api/invitations"))[1]
    assert (known["note"], known["path"]) == ("Zoe", None)
    assert (await ana.call("DELETE", f"/api/invitations/{known['id']}"))[0] == 200
    body["code"] = left["path"].partition("#k=")[2]
    assert (await Person(house).call("POST", accept, email="zoe@example.org", **body))[0] == 404


async def test_what_is_shared_with_a_group_is_lost_with_it_at_once(house: House, recorded: Recorded) -> None:
    ana = Person(house, dict([recorded.owner["Cookie"].split("=", 1)]))
    status, heart = await ana.call("POST", "/api/groups", name=" Heart  ")
    assert status == 201 and heart["name"] == "Heart"
    assert (await ana.call("POST", "/api/groups", name="Heart"))[0] == 409
    ben = await invited(ana, "ben@example.org", "Ben", groups=[heart["id"], "nothing"])
    eva = await invited(ana, "eva@example.org", "Eva")
    assert (await eva.call("GET", "/api/groups"))[1] == [{"id": heart["id"], "name": "Heart", "members": []}]
    for wrong in ({"audience": "group"}, {"audience": "group", "group": "nothing"}):
        assert (await recorded.call("POST", "/shares", wrong, **recorded.owner))[0] == 400
    sites = {"audience": "group", "group": heart["id"], "sites": ["https://example.org"]}
    assert (await recorded.call("POST", "/shares", sites, **recorded.owner))[0] == 400
    share = await recorded.share(audience="group", group=heart["id"])
    code = share["path"].partition("#k=")[2]

    assert (await recorded.open(code))[:2] == (401, "login")
    hers = {"Cookie": f"consilium_session={eva.cookies['consilium_session']}"}
    assert (await recorded.open(code, **hers))[:2] == (403, "not-in-group")
    his = {"Cookie": f"consilium_session={ben.cookies['consilium_session']}"}
    status, _, way = await recorded.open(code, **his)
    both = {"Cookie": f"{his['Cookie']}; {way['Cookie']}"}
    assert status == 200 and (await recorded.call("GET", **both))[0] == 200
    assert [(one["title"], one["path"]) for one in (await ben.call("GET", "/api/shared"))[1]] == [
        ("Ward round", share["path"])
    ]
    assert (await eva.call("GET", "/api/shared"))[1] == []
    card = await recorded.call("GET", f"{house.url}/api/oembed?url={house.url}{share['path'].replace('#', '%23')}")
    assert card[0] == 404  # the title is not for everybody

    group = f"/api/groups/{heart['id']}"
    assert (await ana.call("PUT", f"{group}/members", members=[]))[0] == 200
    assert (await recorded.call("GET", **both))[0] == 404 and (await ben.call("GET", "/api/shared"))[1] == []
    assert (await ana.call("DELETE", group))[0] == 200
    assert (await recorded.call("GET", "/shares", **recorded.owner))[1] == []
    assert (await ana.call("DELETE", group))[0] == 404


@pytest.mark.parametrize("path", ["/api/members", "/api/invitations", "/api/groups", "/api/shared"])
async def test_lists_are_for_people_with_an_account(house: House, path: str) -> None:
    assert (await Person(house).call("GET", path))[0] == 401
