"""Words without their speaker's name: in the room, for those who come late, and in the recording."""

from __future__ import annotations

from signaling import protocol
from tests.signaling.test_corrections import say


async def test_a_name_stays_away_from_words_in_the_room_and_in_the_recording(house):
    host, ana = await house.join("host", "Host"), await house.join("guest", "Ana", named=False)
    assert (await host.ask(protocol.StartRecording()))["type"] == "ack"
    begun = await ana.wait("room-changed", lambda m: m["room"]["recording"]["state"] == "recording")
    segment = say(house, ana.id, "Take metformin.")
    caption = (await host.wait("captioned"))["caption"]
    assert (caption["participant"], caption["track"]) == ("~1", ""), "an id that nobody here has"
    assert (await ana.ask(protocol.SetCaptioned(captioned=True, named=True)))["type"] == "ack"
    correct = protocol.CorrectCaption(segment=segment, revision=0, text="Take two.")
    assert (await host.ask(correct))["type"] == "ack"
    again = (await ana.wait("captioned", lambda m: m["caption"]["revision"] == 1))["caption"]
    assert again["participant"] == "~1", "what was said without a name is not given one later"
    late = await house.join("guest", "Late")
    assert {c["participant"] for c in late.welcome["captions"]} == {"~1"}
    assert (await host.ask(protocol.StopRecording()))["type"] == "ack"
    await ana.wait("room-changed", lambda m: m["room"]["recording"]["replay"] is not None)
    manifest = await house.server.library.manifest(begun["room"]["recording"]["recording"])
    assert [(line.participant, line.name, line.texts["en"]) for line in manifest.transcript] == [
        ("~1", "", "Take two.")
    ]


async def test_who_is_not_named_is_still_left_out_when_they_refuse(house):
    host, ana = await house.join("host", "Host"), await house.join("guest", "Ana", named=False)
    assert (await host.ask(protocol.StartRecording()))["type"] == "ack"
    begun = await ana.wait("room-changed", lambda m: m["room"]["recording"]["state"] == "recording")
    assert (await ana.ask(protocol.Consent(agreed=False)))["type"] == "ack"
    say(house, ana.id, "Do not keep this.")
    assert (await host.ask(protocol.StopRecording()))["type"] == "ack"
    await ana.wait("room-changed", lambda m: m["room"]["recording"]["replay"] is not None)
    manifest = await house.server.library.manifest(begun["room"]["recording"]["recording"])
    assert manifest.transcript == []
