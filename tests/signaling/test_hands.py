"""A viewer of a broadcast comes on stage and goes back: by whom, by which grant, and what nobody else may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from signaling import protocol
from signaling.hands import MOST
from tests.signaling.conftest import Browser, House
from tests.signaling.test_broadcast import Viewer, planned, state_of


class Seat(Viewer):
    """One of the audience, whose page is open."""

    events: aiohttp.ClientResponse

    async def post(self, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        headers = {"Cookie": self.cookie}
        async with self.http.post(f"{self.url}/{path}", json=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def hand(self, raised: bool = True, name: str | None = "Eva") -> int:
        return (await self.post("hand", {"raised": raised, "name": name}))[0]

    async def told(self, event: str) -> Any:
        """Waits for an event of this name."""
        async with asyncio.timeout(5):
            while True:
                name, _, data = (await self.events.content.readuntil(b"\n\n")).partition(b"\ndata: ")
                if name == f"event: {event}".encode():
                    return msgspec.json.decode(data)

    async def standing(self, state: str) -> dict[str, Any]:
        """Waits until the page was told that its hand stands so."""
        while (told := await self.told("stage"))["state"] != state:
            pass
        return dict(told)


@asynccontextmanager
async def seat(house: House, host: Browser) -> AsyncIterator[Seat]:
    link = state_of(host)["link"]
    one = Seat(house, link.split("/")[2].partition("#")[0])
    assert (await one.access(link.partition("#k=")[2]))[0] == 200
    async with house.http.get(f"{one.url}/events", headers={"Cookie": one.cookie}) as one.events:
        yield one


async def hands(host: Browser, *states: str) -> list[dict[str, Any]]:
    told = await host.wait("hands-changed", lambda m: [hand["state"] for hand in m["hands"]] == list(states))
    return list(told["hands"])


async def test_on_stage_and_back_and_by_no_other_way(house: House) -> None:
    host = await house.join("host")
    await planned(host)
    assert (await host.ask(protocol.SetLobby(enabled=True)))["type"] == "ack"  # invited is let in
    async with seat(house, host) as eva, seat(house, host) as max:
        assert (await eva.standing("down"))["open"] is True
        assert (await eva.post("stage"))[0] == 403  # nobody invited her
        assert await eva.hand(name=" ") == 400
        assert await eva.hand() == 200
        await eva.standing("raised")
        (hand,) = await hands(host, "raised")
        assert hand["name"] == "Eva"
        assert (await eva.post("stage"))[0] == 403  # a hand is no invitation

        guest = await house.hello("guest", "Guest")
        await host.wait("lobby-changed")
        assert (await host.ask(protocol.Admit()))["type"] == "ack"
        guest.welcome = await guest.wait("welcome")
        assert guest.welcome["hands"] == []  # for those who broadcast
        answer = protocol.AnswerHand(hand=hand["id"], answer="invite")
        assert (await guest.ask(answer))["code"] == "not-allowed"
        assert (await host.ask(protocol.AnswerHand(hand="x", answer="invite")))["code"] == "not-found"
        assert (await host.ask(answer))["type"] == "ack"
        await eva.standing("invited")
        assert (await max.post("stage"))[0] == 403  # somebody else's

        status, first = await eva.post("stage")
        status, granted = await eva.post("stage")  # asked anew: the grant before opens nothing any more
        assert status == 200 and granted["role"] == "participant" and "publish-video" in granted["permissions"]
        old = await house.hello(grant=first["grant"], name="Eva")
        assert (await old.ended())["reason"] == "grant"
        on = await house.join(grant=granted["grant"], name="Mallory")
        await eva.standing("stage")
        await hands(host, "stage")
        me = next(person for person in on.welcome["people"] if person["id"] == on.id)
        assert (me["name"], me["role"], me["guest"]) == ("Eva", "participant", True)
        assert (await on.ask(protocol.AnswerHand(hand=hand["id"], answer="invite")))["code"] == "not-allowed"
        again = await house.hello(grant=granted["grant"], name="Eva")
        assert (await again.ended())["reason"] == "grant"  # it opens once
        assert (await eva.post("stage"))[0] == 409

        assert (await host.ask(protocol.SendBack(participant=guest.id)))["code"] == "bad-state"  # is at home here
        assert (await guest.ask(protocol.SendBack(participant=on.id)))["code"] == "not-allowed"
        assert (await host.ask(protocol.SendBack(participant=on.id)))["type"] == "ack"
        assert (await on.ended())["reason"] == "audience"
        await eva.standing("down")
        assert (await eva.post("stage"))[0] == 403
        again = await house.hello(grant=granted["grant"], name="Eva")
        assert (await again.ended())["reason"] == "grant"


async def test_invitations_are_taken_back_and_hands_are_bounded(house: House) -> None:
    host = await house.join("host")
    await planned(host)
    async with seat(house, host) as eva, seat(house, host) as max:
        assert await eva.hand() == 200
        (hand,) = await hands(host, "raised")
        assert (await host.ask(protocol.AnswerHand(hand=hand["id"], answer="invite")))["type"] == "ack"
        granted = (await eva.post("stage"))[1]
        assert (await host.ask(protocol.AnswerHand(hand=hand["id"], answer="dismiss")))["type"] == "ack"
        await eva.standing("down")
        late = await house.hello(grant=granted["grant"], name="Eva")
        assert (await late.ended())["reason"] == "grant"

        assert await max.hand() == 200
        (hand,) = await hands(host, "raised")
        assert (await host.ask(protocol.AnswerHand(hand=hand["id"], answer="invite")))["type"] == "ack"
        assert await max.hand(raised=False) == 200  # declined
        await hands(host)
        assert (await host.ask(protocol.SetHands(open=False)))["type"] == "ack"
        assert (await eva.standing("down"))["open"] is True  # of before
        assert (await eva.standing("down"))["open"] is False
        assert await eva.hand() == 409
        assert (await host.ask(protocol.SetHands(open=True)))["type"] == "ack"
        room = house.server.hub.rooms["demo"]
        for number in range(MOST):
            room.live.hands.lift(f"viewer{number}", "Somebody")
        assert await eva.hand() == 503
        room.live.hands.tick(1_000.0)
        room.live.hands.tick(1_010.0)
        assert len(room.live.hands.view()) == MOST
        room.live.hands.tick(1_016.0)  # none of them has a page open
        assert room.live.hands.view() == []
