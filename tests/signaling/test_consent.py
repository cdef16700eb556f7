"""Consent to be recorded: asked of everybody, late joiners too, obeyed at once, and kept longer than the recording."""

from __future__ import annotations

import csv
import io

import pytest

from signaling import protocol
from tests.signaling.test_administration import log_in


async def test_everybody_is_asked_and_the_answers_outlive_the_recording(house):
    host, ana = await house.join("host", "Host"), await house.join()
    assert (await ana.ask(protocol.Consent(agreed=True)))["code"] == "bad-state"
    await host.ask(protocol.StartRecording(purpose="teaching"))
    late = await house.join(name="Late")
    recording = late.welcome["room"]["recording"]
    assert (recording["state"], recording["purpose"], recording["by"]) == ("recording", "teaching", host.id)
    mine = {person["id"]: person["consent"] for person in late.welcome["people"]}
    assert mine == {host.id: "agreed", ana.id: None, late.id: None}
    await ana.ask(protocol.SendChat(key="1", text="before"))
    assert (await ana.ask(protocol.Consent(agreed=False)))["type"] == "ack"
    seen = await late.wait("changed", lambda m: m["person"]["id"] == ana.id)
    assert seen["person"]["consent"] == "refused"
    await ana.ask(protocol.SendChat(key="2", text="not for the record"))
    await late.ask(protocol.Consent(agreed=True))
    await host.ask(protocol.StopRecording())
    manifest = await house.server.library.manifest(recording["recording"])
    assert [line.text for line in manifest.chat] == ["before"]
    store = house.server.store
    row = await store.recordings.get(manifest.id)
    await house.server.library.delete(row, "server")
    kept = [(one.name, one.answer, one.purpose) for one in await store.consents.of(manifest.id)]
    assert sorted(kept) == sorted(
        (name, answer, "teaching")
        for name, answer in [
            ("Host", "agreed"),
            ("Ana", "told"),
            ("Late", "told"),
            ("Ana", "refused"),
            ("Late", "agreed"),
        ]
    )
    acts = [one.act for one in await store.audit.of_room("demo")]
    assert acts.count("record-refuse") == acts.count("record-agree") == acts.count("recording-delete") == 1


async def test_where_it_must_ask_only_those_who_agreed_are_in_it(open_house):
    house = await open_house(recordings={"consent": "ask"})
    host, ana = await house.join("host", "Host"), await house.join()
    await host.ask(protocol.StartRecording())
    told = await ana.wait("room-changed", lambda m: m["room"]["recording"]["state"] == "recording")
    assert told["room"]["recording"]["ask"] is True
    await ana.ask(protocol.SendChat(key="1", text="unasked"))
    await ana.ask(protocol.Consent(agreed=True))
    await ana.ask(protocol.SendChat(key="2", text="agreed"))
    await host.ask(protocol.StopRecording())
    manifest = await house.server.library.manifest(told["room"]["recording"]["recording"])
    assert [line.text for line in manifest.chat] == ["agreed"]
    await host.ask(protocol.StartRecording())
    asked = await ana.wait("changed", lambda m: m["person"]["id"] == ana.id and m["person"]["consent"] is None)
    assert asked["person"]["consent"] is None, "each recording is asked for"


async def test_answers_are_read_and_taken_away_by_administrators_also_of_what_is_deleted(house):
    admin = await log_in(house, "ana@example.org", "admin")
    member = await log_in(house, "bruno@example.org", "member")
    host, ana = await house.join("host", "Host"), await house.join(name='=cmd|"x"')
    await host.ask(protocol.StartRecording(purpose="teaching"))
    await ana.ask(protocol.Consent(agreed=False))
    await host.ask(protocol.StopRecording())
    store, url = house.server.store, house.url
    [row] = await store.recordings.visible(None)
    async with house.http.get(f"{url}/api/recordings/{row.id}/consents", cookies=admin) as answer:
        assert [one["answer"] for one in await answer.json()] == ["agreed", "told", "refused"]
    await house.server.library.delete(row, "server")
    async with house.http.get(f"{url}/api/consents", cookies=admin) as answer:
        page = await answer.json()
    assert [(one["name"], one["answer"], one["kept"]) for one in page["answers"]] == [
        ('=cmd|"x"', "refused", False), ('=cmd|"x"', "told", False), ("Host", "agreed", False),
    ]  # fmt: skip
    assert page["more"] is None and page["answers"][0]["purpose"] == "teaching"
    before = {"before": page["answers"][1]["id"]}
    async with house.http.get(f"{url}/api/consents", params=before, cookies=admin) as answer:
        assert len((await answer.json())["answers"]) == 1
    async with house.http.get(f"{url}/api/consents.csv", cookies=admin) as answer:
        read = list(csv.DictReader(io.StringIO((await answer.text()).removeprefix("\ufeff"))))
        assert answer.content_type == "text/csv" and len(read) == 3
        assert read[0]["name"] == '\'=cmd|"x"', "no formula for a spreadsheet"
    for path in ("/api/consents", "/api/consents.csv"):
        async with house.http.get(url + path, cookies=member) as answer:
            assert answer.status == 403
        async with house.http.get(url + path) as answer:
            assert answer.status == 401
    async with house.http.get(f"{url}/api/consents", params={"before": "x"}, cookies=admin) as answer:
        assert answer.status == 400
    acts = [one.act for one in await store.audit.latest()]
    assert "consents-export" in acts and acts.count("consents-read") == 3


@pytest.mark.parametrize("agreed", ["yes", 1, None])
async def test_an_answer_that_is_none_is_refused(house, agreed):
    ana = await house.join()
    await ana.socket.send_json({"type": "consent", "id": 3, "agreed": agreed})
    assert (await ana.wait("error"))["code"] == "malformed"
