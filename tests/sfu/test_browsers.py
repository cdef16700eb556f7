"""Real browsers on the SFU alone, with a page that knows nothing but WebRTC."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import pytest
from aiohttp import WSMsgType, web

from benchmarks.harness.browsers import CHROMIUM, FIREFOX, chromium, firefox
from sfu.interface import Offer, SdpError, Tile, TrackLabel
from sfu.server import Sfu, SfuRoom
from tests.sfu.people import Recorded

PAGE = (Path(__file__).parent / "page.html").read_text()

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="Chromium is not installed"),
]

Tracks = dict[str, str]


class PersonPage(Protocol):
    """A browser's page with one person in it. `run` evaluates an expression, awaited if it is a promise."""

    async def run(self, expression: str) -> Any: ...


class ChromiumPage:
    def __init__(self, page: Any) -> None:
        self._page = page

    async def run(self, expression: str) -> Any:
        return await self._page.evaluate(expression)


class FirefoxPage:
    def __init__(self, browser: Any) -> None:
        self._browser = browser

    async def run(self, expression: str) -> Any:
        await self._browser.run(
            "window.result = undefined;"
            "(async () => window.eval(arguments[0]))().then("
            "  (value) => { window.result = { value }; }, (error) => { window.result = { error: String(error) }; });",
            expression,
        )
        result = await self._browser.until("return window.result")
        assert "error" not in result, result["error"]
        return result.get("value")


@pytest.fixture
def host() -> str:
    """Firefox never pairs a loopback candidate with its other addresses, so it needs the machine's own."""
    return "0.0.0.0"


@pytest.fixture
async def site(room: SfuRoom, events: Recorded) -> AsyncIterator[str]:
    async def join(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=1 << 20)
        await socket.prepare(request)
        name = request.query["name"]

        def deliver(offer: Offer) -> None:
            tracks = [{"mid": t.mid, "track": t.track, "kind": t.kind} for t in offer.tracks]
            message = {"type": "offer", "sdp": offer.sdp, "revision": offer.revision, "rebuild": offer.rebuild}
            task = asyncio.get_running_loop().create_task(socket.send_json({**message, "tracks": tracks}))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        events.deliver[name] = deliver
        room.add_participant(name)
        room.subscribe(name)
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                break
            call = json.loads(message.data)
            try:
                if call["type"] == "publish":
                    published = await room.publish(name, call["sdp"], [TrackLabel(*label) for label in call["labels"]])
                    await socket.send_json({"id": call["id"], "sdp": published.sdp, "tracks": published.tracks})
                else:
                    await room.answer(name, call["revision"], call["sdp"])
            except SdpError as error:
                events.failures.append(error)
                await socket.send_json({"id": call.get("id"), "error": str(error)})
        room.remove_participant(name)
        return socket

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    tasks: set[asyncio.Task[None]] = set()
    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_get("/ws", join)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    listener = web.TCPSite(runner, "127.0.0.1", 0)
    await listener.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()
    assert events.failures == []


@pytest.fixture
async def chromium_person(site: str) -> AsyncIterator[Callable[[str], Awaitable[ChromiumPage]]]:
    async with chromium() as browser:

        async def join(name: str) -> ChromiumPage:
            page = await (await browser.new_context()).new_page()
            await page.goto(f"{site}#{name}")
            await page.wait_for_function("ready")
            return ChromiumPage(page)

        yield join


async def flows(page: PersonPage, tracks: Tracks, more: int = 20, frames: int = 10) -> None:
    """Waits until each of these tracks has brought `more` packets and, a video, `frames` pictures."""
    start: dict[str, Any] = await page.run("received()")
    async with asyncio.timeout(25):
        while True:
            now = await page.run("received()")
            video = [t for t in tracks.values() if now.get(t, {}).get("frames", 0) > 0]
            if (
                all(gained(now, start, t, "packets") >= more for t in tracks.values())
                and all(gained(now, start, t, "frames") >= frames for t in video)
                and len(video) == sum(mid_kind == "1" for mid_kind in tracks)
            ):
                return
            await asyncio.sleep(0.1)


def gained(now: dict[str, Any], start: dict[str, Any], track: str, what: str) -> int:
    return int(now.get(track, {}).get(what, 0)) - int(start.get(track, {}).get(what, 0))


ENCODINGS = [
    {"rid": rid, "scaleResolutionDownBy": scale, "maxBitrate": bitrate, "scalabilityMode": "L1T2"}
    for rid, scale, bitrate in (("q", 4, 60_000), ("h", 2, 150_000), ("f", 1, 300_000))
]


async def switches(publisher: PersonPage, viewer: PersonPage, room: SfuRoom, sfu: Sfu, codec: str) -> None:
    """The viewer's tile is small, large and small again; it gets what fits and never stops decoding."""
    # Chromium leaves out encodings of small cameras: three need a width of 960 pixels.
    camera = json.dumps({"codec": codec, "encodings": ENCODINGS, "width": 960, "height": 540})
    await publisher.run("startBitrate = 3000")
    (track,) = (await publisher.run(f"publishEncodings({camera})")).values()
    plane = sfu._plane

    async def until(condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async with asyncio.timeout(25):
            while True:
                now: dict[str, Any] = (await viewer.run("received()")).get(track, {})
                # The best encoding flows, in two temporal layers.
                if condition(now) and len(plane.layer_rates(f"{track}/f")) >= 2:
                    return now
                await asyncio.sleep(0.1)

    before = await until(lambda now: now.get("frames", 0) > 0)
    for size in (160, 960, 160):
        room.view("ben", [Tile(track, size, size * 9 // 16, True, False)])
        wanted = {160: 240, 960: 960}[size]
        seen = before

        def settled(now: dict[str, Any], wanted: int = wanted) -> bool:
            """Ten frames of the wanted size on end: a switch that was on its way already may come first."""
            nonlocal seen
            if now and now.get("width") != seen.get("width"):
                assert now["keys"] > seen["keys"], "another size begins with a key frame"
                seen = now
            return bool(now and now.get("width") == wanted and now["frames"] >= seen["frames"] + 10)

        before = await until(settled)
    asked = [plane.source_stats(f"{track}/{rid}") for rid in "qhf"]
    assert sum(stats.plis_sent for stats in asked if stats is not None) <= 12, "no storm of requests"
    assert before["plis"] <= 3, "the viewer itself has next to nothing to ask for"


async def test_a_chromium_page_is_switched_between_encodings_of_another(
    chromium_person: Callable[[str], Awaitable[ChromiumPage]], room: SfuRoom, sfu: Sfu
) -> None:
    ana, ben = await chromium_person("ana"), await chromium_person("ben")
    await switches(ana, ben, room, sfu, "VP9")


async def test_a_chromium_page_gets_the_spatial_layers_of_av1_that_it_shows(
    chromium_person: Callable[[str], Awaitable[ChromiumPage]], room: SfuRoom, sfu: Sfu
) -> None:
    """By the dependency descriptor: without it Chromium decodes nothing of several layers."""
    ana, ben = await chromium_person("ana"), await chromium_person("ben")
    camera = {"codec": "AV1", "encodings": [{"scalabilityMode": "L2T2"}], "width": 640, "height": 360}
    await ana.run("startBitrate = 1500")
    (track,) = (await ana.run(f"publishEncodings({json.dumps(camera)})")).values()
    assert "dependency-descriptor" in await ana.run("sdp.publishAnswer")
    for size in (640, 320, 640):
        # Its size is not told, so that it is taken for 1280 pixels wide.
        room.view("ben", [Tile(track, 2 * size, 2 * size * 9 // 16, True, False)])
        before: dict[str, Any] = {}
        async with asyncio.timeout(25):
            while True:
                now: dict[str, Any] = (await ben.run("received()")).get(track, {})
                if now.get("width") != before.get("width"):
                    before = now
                if now.get("width") == size and now["frames"] >= before["frames"] + 10:
                    break
                await asyncio.sleep(0.1)
    assert {spatial for spatial, _ in sfu._plane.layer_rates(track)} == {0, 1}


BOTH = "publish(['microphone', 'camera'])"


async def test_two_chromium_pages_see_and_hear_each_other(
    chromium_person: Callable[[str], Awaitable[ChromiumPage]], events: Recorded, room: SfuRoom
) -> None:
    ana, ben = await chromium_person("ana"), await chromium_person("ben")
    from_ana, from_ben = await ana.run(BOTH), await ben.run(BOTH)
    assert {t.codec.name for t in events.tracks.values()} == {"OPUS", "VP9"}
    await asyncio.gather(flows(ana, from_ben), flows(ben, from_ana))

    # ICE restart of both connections: the same tracks go on.
    assert await ana.run("negotiate({ iceRestart: true })") == from_ana
    offers = len(events.offers["ben"])
    room.restart_subscribe("ben", rebuild=False)
    await events.until(lambda: len(events.offers["ben"]) > offers)
    await flows(ben, from_ana)
    room.restart_subscribe("ben", rebuild=True)
    await events.until(lambda: len(events.offers["ben"]) > offers + 1)
    await flows(ben, from_ana)

    # The camera goes and comes back: nobody else's picture is touched.
    left = await ana.run("unpublish('camera')")
    assert left == {"0": from_ana["0"]}
    await flows(ben, left)
    again = await ana.run("publish(['camera'])")
    camera = next(t for m, t in again.items() if m != "0")
    assert camera not in from_ana.values()
    await flows(ben, {"0": again["0"], "1": camera})


@pytest.mark.skipif(not Path(FIREFOX).exists(), reason="Firefox is not installed")
async def test_chromium_and_firefox_see_and_hear_each_other(
    chromium_person: Callable[[str], Awaitable[ChromiumPage]], site: str, events: Recorded, room: SfuRoom
) -> None:
    async with firefox() as browser:
        await browser.goto(f"{site}#fox")
        await browser.until("return window.ready")
        fox, ana = FirefoxPage(browser), await chromium_person("ana")
        from_fox, from_ana = await fox.run(BOTH), await ana.run(BOTH)
        await asyncio.gather(flows(fox, from_ana), flows(ana, from_fox))
        assert await fox.run("negotiate({ iceRestart: true })") == from_fox
        offers = len(events.offers["fox"])
        room.restart_subscribe("fox", rebuild=False)
        await events.until(lambda: len(events.offers["fox"]) > offers)
        await asyncio.gather(flows(fox, from_ana), flows(ana, from_fox))
        left = await ana.run("unpublish('camera')")
        await flows(fox, left)
        again = await ana.run("publish(['camera'])")
        await flows(fox, {"0": again["0"], "1": next(t for m, t in again.items() if m != "0")})


@pytest.mark.skipif(not Path(FIREFOX).exists(), reason="Firefox is not installed")
async def test_a_chromium_page_is_switched_between_encodings_of_firefox(
    chromium_person: Callable[[str], Awaitable[ChromiumPage]], site: str, room: SfuRoom, sfu: Sfu
) -> None:
    async with firefox() as browser:
        await browser.goto(f"{site}#fox")
        await browser.until("return window.ready")
        await switches(FirefoxPage(browser), await chromium_person("ben"), room, sfu, "VP8")
