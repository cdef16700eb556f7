"""Many viewers: behind one address each has a share of their own; who wanted a merged question answered is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

from signaling import protocol
from signaling.bucket import Buckets
from tests.signaling.conftest import House
from tests.signaling.test_broadcast import Viewer, live

SEATS = 6


async def test_a_hospital_behind_one_address_asks_and_applauds_and_can_still_vote(house: House) -> None:
    host = await house.join("host")
    _, state = await live(house, host)
    assert (await host.ask(protocol.SetQuestions(open=True, moderated=False, anonymous=True)))["type"] == "ack"
    seats = [Viewer(house, state["id"]) for _ in range(SEATS)]

    async def post(seat: Viewer, path: str, body: dict[str, str]) -> int:
        async with house.http.post(f"{seat.url}/{path}", json=body, headers={"Cookie": seat.cookie}) as answer:
            return answer.status

    for number, seat in enumerate(seats):
        await seat.access(state["link"].partition("#k=")[2])
        asked = [await post(seat, "questions", {"key": f"{n}", "text": f"Question {number}.{n}?"}) for n in range(6)]
        assert asked == [200] * 5 + [429], "5 of one's own may wait"
    # What one viewer may ask is bounded whatever becomes of it.
    assert 429 in [await post(seats[0], "questions", {"key": "0", "text": "Again?"}) for _ in range(12)]
    assert await post(seats[1], "questions", {"key": "0", "text": "Again?"}) == 200, "a retry of somebody else's"

    throttles = house.server.services.throttles
    throttles.reaction, throttles.vote = Buckets(0, 3), Buckets(0, 3)
    assert [await post(seat, "reactions", {"reaction": "applause"}) for seat in seats[:5]] == [200] * 3 + [429] * 2
    (first, *_) = house.server.hub.rooms["demo"].questions.seen_by("nobody")
    assert [await post(seat, "votes", {"question": first.id}) for seat in seats[:4]] == [200] * 3 + [429]


async def test_who_wanted_a_merged_question_answered_wants_the_other_one_and_is_told(house: House) -> None:
    host, ana, ben = await house.join("host", "Host"), await house.join("viewer", "Ana"), await house.join(name="Ben")
    viewer, state = await live(house, host)
    rules = protocol.SetQuestions(open=True, moderated=False, anonymous=True)
    assert (await host.ask(rules))["type"] == "ack"
    board = house.server.hub.rooms["demo"].questions
    seats = [viewer, Viewer(house, state["id"])]
    await seats[1].access(state["link"].partition("#k=")[2])

    async def post(seat: Viewer, path: str, body: dict[str, str]) -> None:
        async with house.http.post(f"{seat.url}/{path}", json=body, headers={"Cookie": seat.cookie}) as answer:
            assert answer.status == 200

    async with contextlib.AsyncExitStack() as stack:
        pages = [
            await stack.enter_async_context(house.http.get(f"{seat.url}/events", headers={"Cookie": seat.cookie}))
            for seat in seats
        ]

        async def told(page: int, where: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
            async with asyncio.timeout(5):
                while True:
                    lines = (await pages[page].content.readuntil(b"\n\n")).decode().split("\n")
                    if "event: questions" in lines:
                        said: dict[str, Any] = json.loads(next(one for one in lines if one.startswith("data: "))[6:])
                        if where(said):
                            return said

        await post(seats[0], "questions", {"key": "1", "text": "What dose?"})
        await ana.ask(protocol.Ask(key="1", text="Which dose?"))
        dose, which = (q.id for q in board.seen_by("nobody"))
        for page in (0, 1):
            await told(page, lambda m: "mine" not in m and any(q["id"] == dose for q in m.get("changed", [])))
        await post(seats[1], "votes", {"question": dose})
        assert (await ben.ask(protocol.Vote(question=dose)))["type"] == "ack"
        assert (await host.ask(protocol.MergeQuestion(question=dose, into=which)))["type"] == "ack"
        for page in (0, 1):
            said = await told(page, lambda m: which in m.get("mine", []))
            assert said["changed"][0]["votes"] == 4
            # What was asked does not vanish without a word.
            said = await told(page, lambda m: any(q["state"] == "merged" for q in m.get("changed", [])))
            merged = next(q for q in said["changed"] if q["id"] == dose)
            assert merged["into"] == which and dose not in said["gone"]
        assert (await ben.wait("questions-changed", lambda m: which in m["voted"]))["changed"][0]["votes"] == 4
        assert not any(which in m["voted"] for m in host.seen if m["type"] == "questions-changed")

        # Into one that nobody sees yet: told when it is published.
        assert (await host.ask(protocol.SetQuestions(open=True, moderated=True, anonymous=True)))["type"] == "ack"
        await post(seats[0], "questions", {"key": "2", "text": "For children?"})
        await ana.ask(protocol.Ask(key="2", text="And for children?"))
        children, child = (q.id for q in board.seen_by("nobody", answers=True) if q.state == "waiting")
        assert (await host.ask(protocol.MergeQuestion(question=children, into=child)))["type"] == "ack"
        said = await told(0, lambda m: any(q["state"] == "merged" and q["id"] == children for q in m["changed"]))
        assert not any(q["id"] == child for q in said["changed"])
        assert (await host.ask(protocol.SettleQuestion(question=child, state="open")))["type"] == "ack"
        said = await told(0, lambda m: child in m.get("mine", []))
        assert said["changed"][0]["votes"] == 2
