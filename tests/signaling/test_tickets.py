"""Whom a broadcast is for: everybody who has the link, members, or who has a ticket; and so its replay."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from icalendar import Calendar

from signaling import admission, protocol
from signaling.admission import held, person, personal_code, ticket_of
from tests.signaling.conftest import Browser, House
from tests.signaling.test_broadcast import Viewer, planned, state_of


async def tickets(host: Browser, message: protocol.Request) -> list[dict[str, Any]]:
    answer = await host.ask(message)
    assert answer["type"] == "ack", answer
    return next(m for m in reversed(host.seen) if m["type"] == "tickets")["tickets"]


async def audience(host: Browser, of: str) -> dict[str, Any]:
    asked = protocol.PlanBroadcast(title="Grand round", starts_at=2e12, audience=of)
    assert (await host.ask(asked))["type"] == "ack"
    return state_of(host)


def code_of(link: str) -> str:
    return link.partition("#k=")[2]


async def refused(viewer: Viewer, *paths: str) -> set[tuple[int, str]]:
    found = set()
    for path in paths:
        async with viewer.http.get(viewer.url + path, headers={"Cookie": viewer.cookie}) as answer:
            found.add((answer.status, (await answer.json())["code"]))
    return found


MEDIA = ("", "/hls/master.m3u8", "/hls/v0.m4s", "/events", "/image")


async def test_a_ticket_opens_a_broadcast_and_its_replay_for_one_page_at_a_time(house: House) -> None:
    host = await house.join("host")
    state = await planned(host)
    stranger = Viewer(house, state["id"])
    assert (await stranger.access(code_of(state["link"])))[0] == 200
    assert (await audience(host, "tickets"))["audience"] == "tickets"
    assert await refused(stranger, *MEDIA[:1]) == {(403, "ticket")}, "the link alone was enough before"
    status, answer = await stranger.access(code_of(state["link"]))
    assert (status, answer["code"]) == (403, "ticket")
    assert (await stranger.access("0123456789abcdef.nonsense"))[0] == 404
    answer = await host.ask(protocol.MakeTickets(names=["Eva", " \u202e "]))
    assert answer["code"] == "malformed"
    made = await tickets(host, protocol.MakeTickets(names=["Rui", "Eva"]))
    assert [(one["name"], one["used"]) for one in made] == [("Eva", False), ("Rui", False)]
    guest = await house.join("guest")
    assert (await guest.ask(protocol.ListTickets()))["code"] == "not-allowed"

    early = Viewer(house, state["id"])
    assert (await early.get("/calendar.ics"))[0] == 404
    await early.access(code_of(made[0]["link"]))
    status, entry, headers = await early.get("/calendar.ics")
    assert status == 200 and headers["Content-Type"].startswith("text/calendar")
    (event,) = Calendar.from_ical(entry).walk("VEVENT")
    assert event["SUMMARY"] == "Grand round" and event.start.timestamp() == 2e9
    assert str(event["UID"]).startswith(f"{state['id']}@") and int(event["SEQUENCE"]) >= 0
    assert str(event["URL"]) == house.url + made[0]["link"], "their own"

    eva, thief, rui = (Viewer(house, state["id"]) for _ in range(3))
    assert (await eva.access(code_of(made[0]["link"])))[0] == 200
    assert (await rui.access(code_of(made[1]["link"])))[0] == 200
    assert (await host.ask(protocol.GoLive()))["type"] == "ack"
    await eva.text("/hls/master.m3u8")
    async with house.http.get(f"{eva.url}/events", headers={"Cookie": eva.cookie}) as events:
        assert (await events.content.readline()).startswith(b"retry")
        assert (await tickets(host, protocol.ListTickets()))[0] | {"link": ""} == {
            "id": made[0]["id"], "name": "Eva", "link": "", "used": True, "watching": True,
        }  # fmt: skip
        assert (await thief.access(code_of(made[0]["link"])))[0] == 200
        told = await asyncio.wait_for(events.content.read(), 5)
        assert b"event: taken" in told, "and the stream has ended"
    assert await refused(eva, *MEDIA) == {(409, "taken")}
    assert (await thief.get("/hls/master.m3u8"))[0] == 200
    assert (await eva.access(code_of(made[0]["link"])))[0] == 200, "who has the ticket takes the seat back"
    assert await refused(thief, *MEDIA) == {(409, "taken")}
    await eva.text("/hls/video.m3u8?_HLS_msn=1&_HLS_part=0")  # long enough for a replay
    left = await tickets(host, protocol.RevokeTicket(ticket=made[1]["id"]))
    assert [one["name"] for one in left] == ["Eva"]
    assert await refused(rui, *MEDIA) == {(403, "ticket")}
    assert (await rui.access(code_of(made[1]["link"])))[0] == 403
    assert (await host.ask(protocol.RevokeTicket(ticket=made[1]["id"])))["code"] == "not-found"

    assert (await host.ask(protocol.EndBroadcast()))["type"] == "ack"
    _, view = await eva.access(code_of(made[0]["link"]))
    url, code = f"{house.url}/api/recordings/{view['replay']['recording']}", view["replay"]["code"]

    async def replay(code: str) -> tuple[int, str, dict[str, str]]:
        async with house.http.post(f"{url}/access", json={"code": code}) as answer:
            cookie = answer.headers.get("Set-Cookie", "").partition(";")[0]
            return answer.status, (await answer.json()).get("code", ""), {"Cookie": cookie}

    share = code.partition("~")[0]
    assert (await replay(share))[:2] == (403, "ticket"), "the link to the replay alone is not enough"
    assert (await replay(f"{share}~{code_of(made[1]['link'])}"))[:2] == (403, "ticket")
    status, _, key = await replay(code)
    assert status == 200
    async with house.http.get(url, headers=key) as answer:
        assert (await answer.json())["chat"] == []
    assert await house.server.store.tickets.revoke(made[0]["id"], state["id"])
    async with house.http.get(url, headers=key) as answer:
        assert answer.status == 404


async def test_members_only(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    members, host = house.server.store.members, await house.join("host")
    await members.first_administrator("ana@example.org", "Ana", "a long password")
    ana = await members.authenticate("ana@example.org", "a long password")
    assert ana is not None
    token = await members.log_in(ana.id)
    state = await planned(host)
    await audience(host, "members")
    stranger, member = Viewer(house, state["id"]), Viewer(house, state["id"])
    code = code_of(state["link"])
    status, answer = await stranger.access(code)
    assert (status, answer["code"]) == (401, "login")
    session = f"consilium_session={token}"
    member.cookie = session
    assert (await member.access(code))[0] == 200
    live = member.cookie
    member.cookie = f"{live}; {session}"
    assert (await host.ask(protocol.GoLive()))["type"] == "ack"
    await member.text("/hls/master.m3u8")
    await member.text("/hls/video.m3u8?_HLS_msn=1&_HLS_part=0")  # long enough for a replay
    stranger.cookie = live
    assert await refused(stranger, *MEDIA) == {(401, "login")}, "the cookie is not enough without the session"
    await members.log_out(token)
    monkeypatch.setattr(admission, "FRESH_S", 0.0)
    assert await refused(member, *MEDIA) == {(401, "login")}
    assert (await host.ask(protocol.EndBroadcast()))["type"] == "ack"
    session = f"consilium_session={await members.log_in(ana.id)}"
    member.cookie = session
    _, view = await member.access(code)
    url = f"{house.url}/api/recordings/{view['replay']['recording']}/access"
    async with house.http.post(url, json={"code": view["replay"]["code"]}) as answer:
        assert (answer.status, (await answer.json())["code"]) == (401, "login")
    async with house.http.post(url, json={"code": view["replay"]["code"]}, headers={"Cookie": session}) as answer:
        assert answer.status == 200


def test_ids_and_codes() -> None:
    assert person("t.abc.1") == person("t.abc.2") == "t.abc" and held("t.abc.1") == "abc"
    for viewer in ("m.abc", "0123abcd", "player 127.0.0.1", "t.abc"):
        assert held(viewer) is None
        assert viewer == "t.abc" or person(viewer) == viewer
    code = personal_code("secret", "abc")
    assert ticket_of("secret", code) == "abc"
    assert (
        ticket_of("other", code) is None and ticket_of("secret", code[:-1]) is None and ticket_of("secret", "") is None
    )
