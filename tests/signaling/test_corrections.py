"""A moderator writes a caption anew: everybody, the recording and the audit log follow."""

from __future__ import annotations

from captioning.service import RoomCaptions
from signaling import protocol


def say(house, participant: str, text: str) -> str:
    """A final, as if a worker had heard it; returns its segment. Captions are off in these tests."""
    room = house.server.hub.rooms["demo"]
    captions = room.words._captions
    assert isinstance(captions, RoomCaptions)
    known = {"segment": "t.0", "participant": participant, "track": "t", "start": 0.0, "end": 60_000.0}
    captions._publish(
        captions._segments.revise(source="en", language="en", stable=text, tail="", final=True, doubtful=[1], **known)
    )
    captions._publish(
        captions._segments.revise(
            source="en", language="pt", stable="Tome 5 mg.", tail="", final=True, engine="firefox", **known
        )
    )
    return "t.0"


async def test_everybody_the_recording_and_the_log_follow_a_correction(house):
    host, ana = await house.join("host", "Host"), await house.join("guest", "Ana", reads="pt")
    assert (await host.ask(protocol.StartRecording()))["type"] == "ack"
    begun = await ana.wait("room-changed", lambda m: m["room"]["recording"]["state"] == "recording")
    recording = begun["room"]["recording"]["recording"]
    segment = say(house, ana.id, "Take met forming.")
    correct = protocol.CorrectCaption(segment=segment, revision=0, text="  Take\nmetformin. ")
    assert (await ana.ask(correct))["code"] == "not-allowed"
    assert (await host.ask(correct))["type"] == "ack"
    new = (await ana.wait("captioned", lambda m: m["caption"]["revision"] == 1))["caption"]
    assert (new["stable"], new["heard"], new["doubtful"]) == ("Take metformin.", "Take met forming.", [])
    assert new["correctedBy"] == host.id
    gone = await ana.wait("captioned", lambda m: m["caption"]["language"] == "pt" and m["caption"]["revision"] == 1)
    assert gone["caption"]["stable"] == "", "a translation of other words is not left standing"
    assert (await host.ask(correct))["code"] == "conflict"
    missing = protocol.CorrectCaption(segment="nothing", revision=0, text="x")
    assert (await host.ask(missing))["code"] == "not-found"
    blank = protocol.CorrectCaption(segment=segment, revision=1, text=" \u200b\n ")
    assert (await host.ask(blank))["code"] == "malformed"
    assert (await host.ask(protocol.StopRecording()))["type"] == "ack"
    await ana.wait("room-changed", lambda m: m["room"]["recording"]["replay"] is not None)
    (line,) = (await house.server.library.manifest(recording)).transcript
    assert line.texts == {"en": "Take metformin."} and line.heard == "Take met forming." and line.doubtful == []
    acts = [(row.act, row.subject) for row in await house.server.store.audit.latest(20)]
    assert ("correct-caption", segment) in acts
    late = await house.join("guest", "Late")
    assert [c["stable"] for c in late.welcome["captions"]] == ["Take metformin."]


async def test_a_term_goes_to_the_glossary_and_what_was_heard_can_be_put_back(house):
    host, ana = await house.join("host", "Host"), await house.join("guest", "Ana")
    segment = say(house, ana.id, "Take met forming.")
    assert (await host.ask(protocol.CorrectCaption(segment=segment, revision=0, text="Take metformin.")))[
        "type"
    ] == "ack"
    term = protocol.AddTerm(term="metformin", language="en", heard="met forming")
    assert (await ana.ask(term))["code"] == "not-allowed"
    assert (await host.ask(protocol.AddTerm(term=" \n", language="en")))["code"] == "malformed"
    assert (await host.ask(term))["type"] == "ack"
    assert (await host.ask(protocol.AddTerm(term="Metformin", language="en", heard="met for men")))["type"] == "ack"
    (kept,) = await house.server.store.glossary.all("demo")
    assert (kept.term, kept.aliases) == ("metformin", ["met forming", "met for men"])
    put_back = protocol.CorrectCaption(segment=segment, revision=1, text="Take met forming.")
    assert (await host.ask(put_back))["type"] == "ack"
    last = (await ana.wait("captioned", lambda m: m["caption"]["revision"] == 2))["caption"]
    assert (last["stable"], last["heard"]) == ("Take met forming.", None)
