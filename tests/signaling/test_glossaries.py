"""Glossaries over HTTP: whose they are, what is refused, and that a running meeting gets them at once."""

from __future__ import annotations

import pytest

from signaling.captions import terms_for

from .test_api import post, setup

CSV = "term,language,kind,aliases,pt\nheparin,en,drug,hep a rin,heparina\nfever,en,,,febre\n"


async def send(house, method, path, data=None, **headers):
    async with house.http.request(method, f"{house.url}{path}", data=data, headers=headers) as answer:
        return answer.status, await answer.json()


@pytest.fixture
async def room(house):
    """A room with its links and the administrator's cookie."""
    cookie = await setup(house)
    status, made, _ = await post(house, "/api/rooms", {"name": "Round"}, **cookie)
    assert status == 201
    return made, cookie


async def test_the_organisations_terms_are_an_administrators(house):
    cookie = await setup(house)
    assert (await send(house, "GET", "/api/glossary"))[0] == 401
    assert (await send(house, "POST", "/api/glossary", CSV))[0] == 401
    assert await send(house, "POST", "/api/glossary", CSV, **cookie) == (200, {"added": 2, "changed": 0, "terms": 2})
    more = "term,es\nFever,fiebre\n"
    assert await send(house, "POST", "/api/glossary", more, **cookie) == (200, {"added": 0, "changed": 1, "terms": 2})
    _, terms = await send(house, "GET", "/api/glossary", **cookie)
    fever = next(term for term in terms if term["term"] == "fever")
    assert fever["translations"] == {"pt": "febre", "es": "fiebre"}
    assert (await send(house, "DELETE", f"/api/glossary/{fever['id']}", **cookie))[0] == 200
    assert (await send(house, "DELETE", f"/api/glossary/{fever['id']}", **cookie))[0] == 404
    assert (await send(house, "DELETE", "/api/glossary", **cookie))[0] == 200
    assert await send(house, "GET", "/api/glossary", **cookie) == (200, [])


async def test_a_rooms_terms_are_its_owners_and_its_hosts(house, room):
    made, cookie = room
    path = f"/api/rooms/{made['room']}/glossary"
    host, guest = ({"Authorization": f"Bearer {made['links'][role].rsplit('/', 1)[1]}"} for role in ("host", "guest"))
    assert (await send(house, "POST", path, CSV, **guest))[0] == 404
    assert (await send(house, "POST", path, CSV, Authorization="Bearer x"))[0] == 404
    assert (await send(house, "POST", "/api/rooms/other/glossary", CSV, **host))[0] == 404
    assert (await send(house, "POST", path, CSV, **host))[1]["added"] == 2
    _, terms = await send(house, "GET", path, **cookie)
    assert [term["term"] for term in terms] == ["fever", "heparin"]
    assert await send(house, "GET", "/api/glossary", **cookie) == (200, []), "they are nobody else's"
    assert (await send(house, "DELETE", f"{path}/{terms[0]['id']}", **host))[0] == 200
    assert (await send(house, "DELETE", path, **cookie))[0] == 200


@pytest.mark.parametrize(
    ("data", "status", "says"),
    [
        (b"\xff\xfe\x00", 400, "UTF-8"),
        (b"term,kind\nx,verb\n", 400, "line 2"),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]><a/>", 400, "entities"),
        (b"x" * ((2 << 20) + 1), 413, "at most"),
    ],
)
async def test_what_is_no_glossary_is_refused_with_a_reason(house, data, status, says):
    cookie = await setup(house)
    got, problem = await send(house, "POST", "/api/glossary", data, **cookie)
    assert got == status and says in problem["message"]


async def test_a_meeting_that_runs_gets_the_terms_that_apply_to_it_at_once(house):
    cookie = await setup(house)
    assert (await send(house, "POST", "/api/glossary", CSV, **cookie))[0] == 200
    await house.join("host", "Helen")
    running = house.server.hub.rooms["demo"]
    got = []
    running.words.glossary = got.append
    key = {"Authorization": f"Bearer {(await house.codes())['host']}"}
    mine = "term,pt\nfever,pirexia\n"
    assert (await send(house, "POST", "/api/rooms/demo/glossary", mine, **key))[0] == 200
    assert next((term.term, term.translations) for term in got[-1]) == ("fever", {"pt": "pirexia"}), (
        "the room's own first"
    )
    assert sorted(term.term for term in got[-1]) == ["fever", "fever", "heparin"]
    assert (await send(house, "DELETE", "/api/glossary", **cookie))[0] == 200
    assert [term.term for term in got[-1]] == ["fever"]
    assert [term.term for term in await terms_for(house.server.store, "demo")] == ["fever"]
