"""A person types captions instead of the machine: who may, whose words they are, and when the machine listens again."""

from __future__ import annotations

from typing import Any

from signaling import captioners, protocol
from tests.signaling.test_renderings import house, pytestmark  # noqa: F401  (a server with a real worker)


def write(text: str, final: bool = False, line: str = "a", **more: Any) -> protocol.WriteCaption:
    return protocol.WriteCaption(line=line, text=text, language="en", final=final, **more)


def unheard(house) -> set[str]:  # noqa: F811
    return set(house.server.hub.rooms["demo"].words._captions._unheard)


async def test_typed_words_are_shown_as_they_grow_translated_guarded_recorded_and_marked(house) -> None:  # noqa: F811
    host = await house.join("host", "Host")
    eva = await house.join("viewer", "Eva", reads="pt")
    cai = await house.join("viewer", "Cai")
    assert (await host.ask(protocol.StartRecording()))["type"] == "ack"
    begun = await cai.wait("room-changed", lambda m: m["room"]["recording"]["state"] == "recording")
    assert (await cai.ask(protocol.TakeCaptions()))["code"] == "not-allowed"
    assert (await cai.ask(write("No.")))["code"] == "not-allowed"
    assert (await cai.ask(protocol.SetCaptioner(participant=cai.id, captioner=True)))["code"] == "not-allowed"
    assert (await host.ask(protocol.SetCaptioner(participant=cai.id, captioner=True)))["type"] == "ack"
    assert "transcribe" in (await cai.wait("permissions-changed"))["permissions"]
    assert (await cai.ask(write("Too soon.")))["code"] == "bad-state"
    assert (await cai.ask(protocol.TakeCaptions(of="nobody")))["code"] == "not-found"
    assert unheard(house) == set()
    assert (await cai.ask(protocol.TakeCaptions(of=host.id)))["type"] == "ack"
    seen = await eva.wait("changed", lambda m: m["person"]["captioning"] is not None)
    assert (seen["person"]["id"], seen["person"]["captioning"]) == (cai.id, host.id)
    assert unheard(house) == {host.id}, "the machine does not listen to whom somebody types for"
    # It grows, then stands; a translation follows, guarded as any.
    assert (await cai.ask(write("Please give the patient")))["type"] == "ack"
    grown = (await eva.wait("captioned"))["caption"]
    assert (grown["participant"], grown["writtenBy"], grown["tail"]) == (host.id, cai.id, "Please give the patient")
    assert (await cai.ask(write("Please give the patient 5 milligrams\nof morphine.", final=True)))["type"] == "ack"
    done = (await eva.wait("captioned", lambda m: m["caption"]["final"]))["caption"]
    assert (done["segment"], done["stable"]) == (grown["segment"], "Please give the patient 5 milligrams of morphine.")
    said = (await eva.wait("captioned", lambda m: m["caption"]["language"] == "pt"))["caption"]
    assert said["engine"] == "firefox" and "5" in said["stable"] and "morfina" in said["stable"] and not said["guard"]
    assert (said["writtenBy"], said["final"]) == (cai.id, True)
    # A line that was begun is ended by the next; nobody's words go to somebody else.
    assert (await cai.ask(write("A line without an end", line="b")))["type"] == "ack"
    assert (await cai.ask(write("Next.", line="c", final=True, speaker=eva.id)))["type"] == "ack"
    ended = await eva.wait("captioned", lambda m: m["caption"]["stable"] == "A line without an end")
    assert ended["caption"]["final"]
    follows = await eva.wait("captioned", lambda m: m["caption"]["stable"] == "Next.")
    assert follows["caption"]["participant"] == host.id, "they type for the host, whoever they name"
    late = await house.join("viewer", "Late")
    assert [c["stable"] for c in late.welcome["captions"] if c["final"] and c["language"] == "en"][-2:] == [
        "A line without an end", "Next.",
    ]  # fmt: skip
    assert (await host.ask(protocol.StopRecording()))["type"] == "ack"
    await eva.wait("room-changed", lambda m: m["room"]["recording"]["replay"] is not None)
    recording = begun["room"]["recording"]["recording"]
    lines = (await house.server.library.manifest(recording)).transcript
    first = next(line for line in lines if "morphine" in line.texts["en"])
    assert first.typed and first.participant == host.id and "morfina" in first.texts["pt"]
    # Whoever wants no captions has none by hand either.
    assert (await host.ask(protocol.SetCaptioned(captioned=False)))["type"] == "ack"
    assert (await cai.ask(write("Not this.", line="d")))["code"] == "not-allowed"
    assert (await host.ask(protocol.SetCaptioned(captioned=True)))["type"] == "ack"
    assert unheard(house) == {host.id}
    # Somebody who loses the permission types no more, and the machine listens.
    assert (await host.ask(protocol.SetCaptioner(participant=cai.id, captioner=False)))["type"] == "ack"
    assert (await cai.ask(write("Nor this.", line="e")))["code"] == "not-allowed"
    assert unheard(house) == set()
    acts = [(row.act, row.subject) for row in await house.server.store.audit.latest(20)]
    assert ("captioner", cai.id) in acts and ("captions-taken", host.id) in acts and ("captioner-off", cai.id) in acts


async def test_the_machine_listens_again_when_the_captioner_stops_is_silent_or_lost(house, monkeypatch) -> None:  # noqa: F811
    host, cai = await house.join("host", "Host"), await house.join("guest", "Cai")
    room = house.server.hub.rooms["demo"]
    everybody = set(room.people)
    for _ in "ab":
        assert (await host.ask(protocol.SetCaptioner(participant=cai.id, captioner=True)))["type"] == "ack"
    assert (await cai.ask(protocol.TakeCaptions()))["type"] == "ack"
    assert unheard(house) == everybody
    late = await house.join("guest", "Late")
    assert unheard(house) == everybody | {late.id}, "those who come later too"
    # Of nobody's speech in particular: whoever speaks when the line begins, and theirs to its end.
    room.speaking = [late.id]
    assert (await cai.ask(write("Good")))["type"] == "ack"
    room.speaking = [host.id]
    assert (await cai.ask(write("Good morning.", final=True)))["type"] == "ack"
    line = await late.wait("captioned", lambda m: m["caption"]["stable"] == "Good morning.")
    assert line["caption"]["participant"] == late.id
    assert (await cai.ask(write("Mine.", line="b", final=True, speaker=host.id)))["type"] == "ack"
    named = await late.wait("captioned", lambda m: m["caption"]["stable"] == "Mine.")
    assert named["caption"]["participant"] == host.id
    # A role changes nothing about it; only the permission does.
    assert (await host.ask(protocol.SetRole(participant=cai.id, role="viewer")))["type"] == "ack"
    assert "transcribe" in room.people[cai.id].permissions and "publish-audio" not in room.people[cai.id].permissions
    # A minute without a line: the machine helps out until the next one.
    monkeypatch.setattr(captioners, "SILENT", -1.0)
    room.captioners.tick()
    assert unheard(house) == set() and room.people[cai.id].captioning is None
    monkeypatch.setattr(captioners, "SILENT", 60_000.0)
    assert (await cai.ask(write("Again", line="c")))["type"] == "ack"
    assert late.id in unheard(house) and room.people[cai.id].captioning == "*"
    # A lost connection: what was typed stands, and the machine listens at once.
    await cai.socket.close()
    await late.wait("captioned", lambda m: m["caption"]["stable"] == "Again" and m["caption"]["final"])
    await late.wait("changed", lambda m: m["person"]["id"] == cai.id and not m["person"]["connected"])
    assert unheard(house) == set()
    back = await house.hello("guest", "Cai", resume=cai.welcome["resume"])
    back.welcome = await back.wait("welcome")
    assert "transcribe" in back.welcome["permissions"] and late.id in unheard(house)
    assert (await back.ask(protocol.TakeCaptions(taken=False)))["type"] == "ack"
    assert unheard(house) == set()
    # Whoever they type for goes: so does the task.
    assert (await back.ask(protocol.TakeCaptions(of=late.id)))["type"] == "ack"
    await late.send(protocol.Leave())
    await host.wait("changed", lambda m: m["person"]["id"] == cai.id and m["person"]["captioning"] is None)
    assert (await back.ask(write("For nobody.", line="d")))["code"] == "bad-state"
