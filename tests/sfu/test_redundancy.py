"""Redundant sound between real browsers: Chromium sends it and gets it, Firefox, aiortc and the taps get plain Opus."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from benchmarks.harness.browsers import CHROMIUM, FIREFOX, firefox
from sfu.interface import Offer
from sfu.plane import Plane
from sfu.plane.choose import PlaneName, built
from sfu.server import Sfu, SfuRoom
from tests.sfu.people import Person, Recorded
from tests.sfu.test_browsers import ChromiumPage, FirefoxPage, PersonPage, chromium_person, host, site
from tests.sfu.test_foreign_client import loudness
from tests.sfu.test_room import Listener

__all__ = ["chromium_person", "host", "site"]

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="Chromium is not installed"),
]


@pytest.fixture(params=["python", pytest.param("native", marks=pytest.mark.skipif(not built(), reason="not built"))])
def media_plane(request: pytest.FixtureRequest) -> PlaneName:
    return request.param


async def until(page: PersonPage, track: str, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    async with asyncio.timeout(25):
        while True:
            now: dict[str, Any] = (await page.run("received()")).get(track, {})
            if condition(now):
                return now
            await asyncio.sleep(0.1)


async def share(page: PersonPage, track: str, plane: Plane) -> float:
    """What comes of all bytes that the publisher of a voice sends: Chromium tells of redundancy in no other way."""

    def sent() -> tuple[int, int]:
        stats = plane.source_stats(track)
        assert stats is not None
        return stats.packets, stats.bytes

    before, first = await until(page, track, lambda now: now.get("packets", 0) > 0), sent()
    after, last = await until(page, track, lambda now: now["packets"] >= before["packets"] + 75), sent()
    size = (after["bytes"] - before["bytes"]) / (after["packets"] - before["packets"])
    assert (0, 1) in plane.layer_rates(track)
    return float(size * (last[0] - first[0]) / (last[1] - first[1]))


async def test_everybody_gets_what_they_take(
    chromium_person: Callable[[str], Awaitable[ChromiumPage]],
    join: Callable[..., Person],
    room: SfuRoom,
    events: Recorded,
    sfu: Sfu,
) -> None:
    sfu._edge.redundancy = "always"
    receiver = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    heard: list[float] = []
    tasks: set[asyncio.Task[None]] = set()

    async def consume(track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            heard.append(float(abs(frame.to_ndarray()).max()))  # type: ignore[union-attr]
            events.poke()

    async def answer(offer: Offer) -> None:
        await receiver.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
        await receiver.setLocalDescription(await receiver.createAnswer())
        await room.answer("aiortc", offer.revision, receiver.localDescription.sdp)

    def spawn(work: Any) -> None:
        tasks.add(task := asyncio.ensure_future(work))
        task.add_done_callback(tasks.discard)

    receiver.on("track", lambda track: spawn(consume(track)))
    events.deliver["aiortc"] = lambda offer: spawn(answer(offer))
    room.add_participant("aiortc")
    room.subscribe("aiortc")
    tap = Listener(events)
    room.add_tap(tap)
    ana, ben = await chromium_person("ana"), await chromium_person("ben")
    await ben.run("audible = true")
    (track,) = (await ana.run("publish(['microphone'])")).values()
    assert "red/48000/2" in await ana.run("sdp.publishAnswer")
    plane = sfu._plane
    await until(ben, track, lambda now: now.get("energy", 0) > 0)
    assert await share(ben, track, plane) > 0.85
    await events.until(lambda: len(heard) > 100 and max(heard) > 1000, 20)
    packets = tap.packets_of(track)
    assert loudness(packets) > 500, "the taps get Opus"
    steps = {after.timestamp - before.timestamp for before, after in itertools.pairwise(packets)}
    assert min(steps) == 960
    # Where nothing is lost the policy leaves it out, and the voice goes on.
    for subscriber in (entry.subscriber for entry in room._participants.values()):
        if subscriber is not None:
            plane.set_redundancy(subscriber.transport, False)
    assert await share(ben, track, plane) < 0.7
    await receiver.close()


@pytest.mark.skipif(not Path(FIREFOX).exists(), reason="Firefox is not installed")
@pytest.mark.parametrize("media_plane", ["native" if built() else "python"], indirect=True)
async def test_firefox_gets_plain_opus(
    chromium_person: Callable[[str], Awaitable[ChromiumPage]], site: str, sfu: Sfu
) -> None:
    sfu._edge.redundancy = "always"
    async with firefox() as browser:
        await browser.goto(f"{site}#fox")
        await browser.until("return window.ready")
        fox, ana = FirefoxPage(browser), await chromium_person("ana")
        for page in (fox, ana):
            await page.run("audible = true")
        (from_ana,) = (await ana.run("publish(['microphone'])")).values()
        (from_fox,) = (await fox.run("publish(['microphone'])")).values()
        assert await share(fox, from_ana, sfu._plane) < 0.7
        await until(fox, from_ana, lambda now: now.get("energy", 0) > 0)
        assert "red/48000" not in await fox.run("sdp.subscribeAnswer + sdp.publishOffer")
        await until(ana, from_fox, lambda now: now.get("energy", 0) > 0)
