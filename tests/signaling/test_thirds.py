"""Names over a broadcast's picture: whose, when, and who may ask for one."""

from __future__ import annotations

from typing import Any

import msgspec

from recorder.clip import Limits, clip, timed
from recorder.live.choice import Candidate
from recorder.manifest import LowerThird, Manifest, Passage, load
from signaling import protocol
from signaling.thirds import AGAIN_MS, LowerThirds
from tests.signaling.conftest import House
from tests.signaling.test_broadcast import live
from tests.signaling.test_hands import seat


async def test_a_host_shows_a_name_and_only_of_who_wants_it(house: House) -> None:
    host = await house.join("host", "Dr. Host")
    guest = await house.join("guest", "Dr. Ben", institution=" Hospital\u202e  Central ")
    shy = await house.join("guest", "Shy", named=False)
    me = next(person for person in guest.welcome["people"] if person["id"] == guest.id)
    assert me["institution"] == "Hospital Central"
    name = protocol.ShowName(participant=guest.id)
    assert (await host.ask(name))["code"] == "bad-state"  # nothing is live
    await live(house, host)
    assert (await guest.ask(name))["code"] == "not-allowed"
    assert (await host.ask(protocol.ShowName(participant="x")))["code"] == "not-found"
    assert (await host.ask(protocol.ShowName(participant=shy.id)))["code"] == "not-allowed"

    async with seat(house, host) as eva:
        theirs = protocol.SetInstitution(participant=host.id, institution="Nowhere")
        assert (await guest.ask(theirs))["code"] == "not-allowed"
        mine = protocol.SetInstitution(participant=guest.id, institution="Hospital de Beira")
        assert (await guest.ask(mine))["type"] == "ack"
        await host.wait("changed", lambda m: m["person"]["institution"] == "Hospital de Beira")
        given = protocol.SetInstitution(participant=guest.id, institution="Faculdade de Medicina")
        assert (await host.ask(given))["type"] == "ack"
        assert (await host.ask(name))["type"] == "ack"
        third = await eva.told("third")
        assert (third["name"], third["institution"]) == ("Dr. Ben", "Faculdade de Medicina")
        assert third["end"] - third["start"] == 6_000
    async with seat(house, host) as late:  # who comes later, and goes back in it
        assert await late.told("thirds") == [third]
    assert (await host.ask(protocol.EndBroadcast()))["type"] == "ack"
    (path,) = house.server.settings.recordings_dir.glob("*/recording.json")
    manifest = load(house.server.settings.recordings_dir, path.parent.name)
    assert [(one.participant, one.institution) for one in manifest.thirds] == [(guest.id, "Faculdade de Medicina")]
    cut = Passage(start=manifest.thirds[0].start - 1, end=manifest.thirds[0].start + 1)
    assert clip(manifest, Limits(cuts=(cut,))).thirds == []
    _times(manifest)


def _times(manifest: Manifest) -> None:
    """In a file to take away the gaps are closed."""
    third = LowerThird(participant="p", institution="", start=500.0)
    kept = [Passage(start=400.0, end=10_000.0)]
    assert timed(msgspec.structs.replace(manifest, thirds=[third], kept=kept)).thirds[0].start == 100.0


async def test_who_begins_to_speak_is_named_once(house: House, monkeypatch: Any) -> None:
    host, guest = await house.join("host", "Dr. Host"), await house.join("guest", "Dr. Ben")
    await live(house, host)
    room = house.server.hub.rooms["demo"]
    camera = [Candidate("1", host.id, False, True), Candidate("2", guest.id, False, True)]
    now = 1_000_000.0
    monkeypatch.setattr(type(room.live.programme), "candidates", property(lambda _: camera))
    monkeypatch.setattr(type(room), "now", property(lambda _: now))
    thirds = room.live.thirds = LowerThirds(room)

    def look(speaker: str | None) -> list[str]:
        nonlocal now
        now += 5_000.0
        room.speaking = [speaker] if speaker else []
        thirds.look()
        return [one.name for one in thirds.shown]

    assert look(None) == []  # nobody speaks
    assert look(host.id) == ["Dr. Host"]
    assert look(guest.id) == ["Dr. Host", "Dr. Ben"]
    assert look(host.id) == ["Dr. Host", "Dr. Ben"]  # is known by now
    now += AGAIN_MS
    camera.pop()  # whose picture is not there is not named over somebody else's
    assert look(guest.id) == ["Dr. Host", "Dr. Ben"]
    camera.append(Candidate("3", host.id, True, True))
    assert look(guest.id) == ["Dr. Host", "Dr. Ben", "Dr. Ben"]  # over a shared screen
