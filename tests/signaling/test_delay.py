"""A broadcast that viewers have some seconds later: what they are told when, and what a moderator can still cut."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientConnectionError

from captioning.caption import Caption
from signaling import protocol
from signaling.behind import Behind
from tests.signaling.conftest import Browser, House
from tests.signaling.test_broadcast import Viewer, state_of

DELAY = 3


async def told(viewer: Viewer) -> dict[str, Any]:
    return json.loads((await viewer.get())[1])


class Page:
    """A viewer's stream of events, with the moments at which they came."""

    def __init__(self) -> None:
        self.came: list[tuple[float, str]] = []
        self._more = asyncio.Event()

    async def read(self, events: Any) -> None:
        with contextlib.suppress(ClientConnectionError, asyncio.IncompleteReadError):
            while event := await events.content.readuntil(b"\n\n"):
                self.came.append((time.monotonic(), event.decode()))
                self._more.set()

    async def wait(self, text: str) -> float:
        async with asyncio.timeout(DELAY + 10):
            while True:
                for at, event in self.came:
                    if text in event:
                        return at
                self._more.clear()
                await self._more.wait()


@contextlib.asynccontextmanager
async def page(house: House, viewer: Viewer) -> AsyncIterator[Page]:
    one = Page()
    async with house.http.get(f"{viewer.url}/events", headers={"Cookie": viewer.cookie}) as events:
        reading = asyncio.create_task(one.read(events))
        yield one
        reading.cancel()


async def planned(house: House, host: Browser) -> Viewer:
    answer = await host.ask(protocol.PlanBroadcast(title="Grand round", delay=DELAY))
    state = state_of(host)
    assert answer["type"] == "ack" and state["delay"] == DELAY
    viewer = Viewer(house, state["id"])
    assert (await viewer.access(state["link"].partition("#k=")[2]))[0] == 200
    return viewer


def words(host: Browser, segment: str, start: float, end: float, revision: int = 1) -> Caption:
    return Caption(
        segment=segment, revision=revision, participant=host.id, track="t", source="en", language="en", start=start,
        end=end, stable=f"{segment} {revision}", tail="", final=True, guard=[], doubtful=[],
    )  # fmt: skip


async def test_viewers_have_everything_as_much_later_and_what_was_cut_never(house: House) -> None:
    host = await house.join("host")
    viewer = await planned(house, host)
    room = house.server.hub.rooms["demo"]
    async with page(house, viewer) as seen:
        began = time.monotonic()
        assert (await host.ask(protocol.GoLive()))["type"] == "ack" and state_of(host)["state"] == "live"
        assert (await told(viewer))["state"] == "scheduled" and (await told(viewer))["playlist"] is None
        assert (await host.ask(protocol.PlanBroadcast(title="Grand round", delay=0)))["code"] == "bad-state"
        assert (await host.ask(protocol.PlanBroadcast(title="Grand round", about="Words")))["type"] == "ack"
        headers = {"Cookie": viewer.cookie, "Content-Type": "application/sdp"}
        async with house.http.post(f"{viewer.url}/whep", data="v=0\r\n", headers=headers) as answer:
            assert answer.status == 409  # nobody has it sooner
        running = room.recording.running
        assert running is not None
        spoken = room.now
        room.live.caption(words(host, "first", spoken, spoken + 100), host.id)
        room.live.caption(words(host, "first", spoken, spoken + 100, revision=2), host.id)
        assert room.live.subtitles.recent(None) == []
        assert DELAY - 0.2 < await seen.wait('"live"') - began < DELAY + 1.5
        view = await told(viewer)
        assert view["state"] == "live" and view["playlist"] and view["whep"] is None and view["about"] == "Words"
        assert DELAY - 0.6 < await seen.wait("first 2") - began < DELAY + 1
        assert view["at"] - time.time() * 1000 < 1_500

        playlist = await viewer.text("/hls/video.m3u8?_HLS_msn=0&_HLS_part=1")
        edge = max(float(one) for one in re.findall(r"DURATION=([\d.]+)", playlist))
        assert edge <= 0.5 and room.live.stream is not None
        assert room.live.stream.video.end < room.now - running.origin - DELAY * 1000 + 100

        # The line is cut: nothing of the last seconds goes out.
        room.live.caption(words(host, "unheard", room.now - 800, room.now - 300), host.id)
        at = room.now - running.origin
        assert (await host.ask(protocol.PauseBroadcast(paused=True)))["type"] == "ack"
        view = await told(viewer)
        assert view["state"] == "paused"
        ((since, until),) = [(one["start"], one["end"]) for one in view["pauses"]]
        assert at - DELAY * 1000 - 1_500 < since <= at - DELAY * 1000 + 300 and until is None
        # The rest of it comes, dark and silent, then what is said afterwards.
        assert (await host.ask(protocol.PauseBroadcast(paused=False)))["type"] == "ack"
        room.live.caption(words(host, "again", room.now + 10, room.now + 20), host.id)
        await seen.wait("again")
        assert not any("unheard" in event for _, event in seen.came)
        assert (await told(viewer))["state"] == "live"
        number = (await viewer.text("/hls/audio.m3u8")).count("#EXTINF")
        sound = await viewer.text(f"/hls/audio.m3u8?_HLS_msn={number + 1}&_HLS_part=0")
        assert "#EXT-X-DISCONTINUITY" not in sound

        # The meeting is over for those in it, not yet for who watches.
        assert (await host.ask(protocol.EndBroadcast()))["type"] == "ack" and state_of(host)["state"] == "ended"
        answer = await host.ask(protocol.PlanBroadcast(title="Another"))
        assert answer["code"] == "bad-state" and "on its way" in answer["message"]
        await house.server.hub.close_room(room)
        ended = time.monotonic()
        view = await told(viewer)
        assert view["state"] == "live" and view["replay"] is None
        assert "#EXT-X-ENDLIST" not in await viewer.text("/hls/video.m3u8")
        question = {"key": "k", "text": "Too late?"}
        async with house.http.post(f"{viewer.url}/questions", json=question, headers={"Cookie": viewer.cookie}) as no:
            assert no.status == 409
        assert DELAY - 0.7 < await seen.wait('"ended"') - ended < DELAY + 1
        async with asyncio.timeout(5):
            await room.live.stream.until(room.live.stream.video, 1_000)
        assert "#EXT-X-ENDLIST" in await viewer.text("/hls/video.m3u8")
        view = await told(viewer)
        assert view["state"] == "ended" and view["replay"]
    manifest = await house.server.library.manifest(view["replay"]["recording"])
    assert [round(one.start) for one in manifest.withdrawn] == [round(since)]


async def test_a_countdown_can_be_paused_away_and_the_line_be_cut_before_anything_was_seen(house: House) -> None:
    host = await house.join("host")
    viewer = await planned(house, host)
    assert (await host.ask(protocol.GoLive(countdown=1)))["type"] == "ack"
    await host.wait("room-changed", lambda m: m["room"]["broadcast"]["state"] == "live")
    room = house.server.hub.rooms["demo"]
    running = room.recording.running
    assert running is not None
    assert (await host.ask(protocol.PauseBroadcast(paused=True)))["type"] == "ack"
    assert (await told(viewer))["state"] == "scheduled"  # in its turn
    live_from = room.live.row.live_from if room.live.row is not None else None
    assert running.pauses[0][0] == pytest.approx(live_from)  # and nothing of before is taken back
    async with page(house, viewer) as seen:
        for state in ("countdown", "live", "paused"):
            await seen.wait(f'"{state}"')
    assert (await host.ask(protocol.EndBroadcast()))["type"] == "ack"


async def test_what_happened_comes_in_order_and_can_be_called_off() -> None:
    line, done = Behind(), list[str]()
    line.later(lambda: done.append("at once"))
    assert done == ["at once"] and not line
    line.delay = 0.05
    line.later(lambda: done.append("late already"), since=0.06)
    handle = line.later(lambda: done.append("called off"))
    line.later(lambda: done.append("one"))
    line.later(lambda: done.append("two"))
    last = asyncio.Event()
    line.later(last.set, since=-0.01)
    assert handle is not None and handle in line and len(line) == 4
    line.call_off(handle)
    await last.wait()
    assert done == ["at once", "late already", "one", "two"] and not line
    line.later(lambda: done.append("never"))
    line.close()
    assert not line
