"""The agenda: written and marked by moderators, seen by everybody, kept with the room, chapters of its recording."""

from __future__ import annotations

import pytest

from signaling import protocol
from signaling.agenda import Agenda
from signaling.refusal import Refusal
from tests.signaling.test_administration import PASSWORD


def test_what_is_dealt_with_stays_so_while_the_agenda_is_written() -> None:
    agenda = Agenda(["Welcome", "Case 1", "Case 2"])
    assert agenda.mark(1, "Case 1", 5.0) and not agenda.mark(1, "Case 1", 6.0)
    assert agenda.write(["Tea", "Welcome", "Case 1", "Case 2"]) and agenda.item == "Case 1"
    assert agenda.write(["Tea", "Welcome", "Case one", "Case 2"]) and agenda.item == "Case one"
    assert not agenda.write(["Tea", " Welcome ", "Case\tone", "Case 2"])
    assert (agenda.current, agenda.since) == (2, 5.0)
    assert agenda.write(["Tea"]) and agenda.current is None


def test_what_stands_elsewhere_meanwhile_is_not_marked() -> None:
    agenda = Agenda(["Welcome", "Case 1"])
    for at, words in ((0, "Case 1"), (2, "Case 2"), (1, None)):
        with pytest.raises(Refusal, match="meanwhile"):
            agenda.mark(at, words, 1.0)
    assert agenda.mark(0, "Welcome", 1.0) and agenda.mark(None, None, 2.0) and agenda.item is None


def test_items_that_cannot_be_read_or_deceive_are_not_taken() -> None:
    agenda = Agenda()
    with pytest.raises(Refusal):
        agenda.write(["Welcome", " \u200b\u202e "])
    assert agenda.items == [] and agenda.write(["\u202eWel\ncome"]) and agenda.items == ["Wel come"]


async def test_items_are_seen_by_all_kept_with_the_room_and_are_chapters_of_the_recording(house):
    host, ana = await house.join("host", "Host"), await house.join(name="Ana")
    items = ["Welcome", "Case 1", "Farewell"]
    assert (await ana.ask(protocol.SetAgenda(items=items)))["code"] == "not-allowed"
    assert (await host.ask(protocol.SetAgenda(items=["x"] * 51)))["code"] == "malformed"
    assert (await host.ask(protocol.SetAgenda(items=items)))["type"] == "ack"
    assert (await ana.ask(protocol.MarkAgenda(current=0, item="Welcome")))["code"] == "not-allowed"
    assert (await host.ask(protocol.MarkAgenda(current=0, item="Case 1")))["code"] == "conflict"
    assert (await host.ask(protocol.MarkAgenda(current=0, item="Welcome")))["type"] == "ack"
    await ana.wait("room-changed", lambda m: m["room"]["agenda"] == {"items": items, "current": 0})
    assert (await host.ask(protocol.StartRecording()))["type"] == "ack"
    assert (await host.ask(protocol.SetAgenda(items=["Hello", *items[1:]])))["type"] == "ack"
    late = await house.join(name="Late")
    assert late.welcome["room"]["agenda"] == {"items": ["Hello", *items[1:]], "current": 0}
    recording = late.welcome["room"]["recording"]["recording"]
    assert (await host.ask(protocol.StopRecording()))["type"] == "ack"
    manifest = await house.server.library.manifest(recording)
    assert [(c.kind, c.text) for c in manifest.chapters] == [("agenda", "Hello")]
    row = await house.server.store.rooms.get("demo")
    assert row.agenda == ["Hello", *items[1:]]


async def test_an_agenda_is_prepared_before_the_meeting_by_who_manages_the_room_alone(house):
    members, rooms = house.server.store.members, house.server.store.rooms
    await members.first_administrator("ana@example.org", "Ana", PASSWORD)
    ana = await members.authenticate("ana@example.org", PASSWORD)
    headers = {"Cookie": f"consilium_session={await members.log_in(ana.id)}"}
    address = f"{house.url}/api/rooms/demo/agenda"

    async def put(items, **more):
        async with house.http.put(address, json={"items": items}, headers=more) as answer:
            return answer.status, await answer.json()

    assert (await put(["Welcome"]))[0] == 401
    assert (await rooms.get("demo")).agenda == []
    for wrong in (["Welcome", " \u200b "], ["x"] * 51, ["x" * 121], [""], "Welcome"):
        assert (await put(wrong, **headers))[0] == 400, wrong
    assert await put([" Welcome ", "Case 1"], **headers) == (200, {"items": ["Welcome", "Case 1"]})
    async with house.http.get(address, headers=headers) as answer:
        assert await answer.json() == {"items": ["Welcome", "Case 1"]}
    host = await house.join("host", "Host")
    assert host.welcome["room"]["agenda"] == {"items": ["Welcome", "Case 1"], "current": None}
    assert (await host.ask(protocol.MarkAgenda(current=1, item="Case 1")))["type"] == "ack"
    assert (await put(["Tea", "Welcome", "Case 1"], **headers))[0] == 200
    await host.wait(
        "room-changed", lambda m: m["room"]["agenda"] == {"items": ["Tea", "Welcome", "Case 1"], "current": 2}
    )
    async with house.http.put(address.replace("demo", "none"), json={"items": []}, headers=headers) as answer:
        assert answer.status == 404
    acts = [(row.act, row.actor.partition(":")[0]) for row in await house.server.store.audit.latest()]
    assert acts.count(("agenda", "member")) == 2
