"""What those who run a broadcast are told: whom, when, and that it is what happens."""

from __future__ import annotations

from captioning.caption import Caption
from sfu.levels import Speakers
from signaling import protocol
from signaling.overview import level
from tests.signaling.conftest import House
from tests.signaling.test_broadcast import live


def test_levels_are_on_a_scale_of_decibels() -> None:
    assert [level(loudness) for loudness in (0, 67, 91, 115, 127)] == [0, 0, 0.5, 1, 1]


def test_a_peak_is_told_once() -> None:
    speakers = Speakers()
    for at, loud in enumerate((80, 30, 50)):
        speakers.heard("ana", loud, False, at / 50)
    assert speakers.peaks() == {"ana": 97} and speakers.peaks() == {"ana": 0}


async def test_who_runs_a_broadcast_sees_the_stage_the_audience_and_the_words(house: House) -> None:
    host, guest = await house.join("host", "Host"), await house.join("guest", "Ben")
    watcher = await house.join("viewer", "Eva", reads="pt")
    assert (await guest.ask(protocol.Oversee(on=True)))["code"] == "not-allowed"
    viewer, _ = await live(house, host)
    room = house.server.hub.rooms["demo"]
    assert (await host.ask(protocol.Oversee(on=True)))["type"] == "ack"
    async with house.http.get(f"{viewer.url}/events", headers={"Cookie": viewer.cookie}) as events:
        await events.content.readline()
        report = {"tier": "hls", "watchedMs": 15_000, "stalls": 0, "stalledMs": 0, "latencyMs": 2_300}
        async with house.http.post(f"{viewer.url}/report", json=report, headers={"Cookie": viewer.cookie}) as answer:
            assert answer.status == 200
        room.caption(
            Caption(
                segment="s", revision=1, participant=host.id, track="t", source="en", language="en", guard=[],
                start=room.now - 3_000, end=room.now - 1_200, stable="Take five", tail="", final=True, doubtful=[],
            )
        )  # fmt: skip
        told = await host.wait("overview", lambda m: m["audience"][1]["viewers"] == 1 and m["diskFree"] is not None)
    assert {seat["participant"] for seat in told["seats"]} == {host.id, guest.id}, "who only watches is not on stage"
    assert not any(seat["sound"] or seat["picture"] or seat["level"] for seat in told["seats"])
    realtime, hls = told["audience"]
    assert (realtime["tier"], realtime["viewers"], hls["tier"], hls["reporting"]) == ("realtime", 0, "hls", 1)
    assert 2_000 < hls["latencyMs"] <= 2_500
    assert [(w["language"], w["readers"]) for w in told["words"]] == [("en", 0)], "pt cannot be read without a model"
    assert 1_200 <= told["words"][0]["lagMs"] < 5_000 and told["diskFree"] > 0
    # Nobody else is told, and who stops being a host is not any more.
    assert not any(m["type"] == "overview" for one in (guest, watcher) for m in one.seen)
    assert (await host.ask(protocol.Oversee(on=False)))["type"] == "ack"
    room.overview.tick(1e9)
    count = sum(m["type"] == "overview" for m in host.seen)
    assert (await host.ask(protocol.SetHands(open=True)))["type"] == "ack"
    assert sum(m["type"] == "overview" for m in host.seen) == count


async def test_who_may_not_broadcast_any_more_is_not_told(house: House) -> None:
    host, other = await house.join("host", "Host"), await house.join("host", "Ana")
    assert (await other.ask(protocol.Oversee(on=True)))["type"] == "ack"
    await other.wait("overview")
    demote = protocol.SetRole(participant=other.id, role="participant")
    assert (await host.ask(demote))["type"] == "ack"
    await other.wait("permissions-changed")
    room = house.server.hub.rooms["demo"]
    other.seen.clear()
    room.overview.tick(1e9)
    assert (await other.ask(protocol.SetLanguages()))["type"] == "ack"
    assert not any(m["type"] == "overview" for m in other.seen)
