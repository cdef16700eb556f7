"""A broadcast from back stage to its replay, as a host and a viewer at their browsers see it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Page, Response

from benchmarks.harness.browsers import chromium
from benchmarks.harness.server import ServerProcess
from tests.e2e.person import new_person
from tests.e2e.test_accessibility import violations

PLAYS = """
const video = document.querySelector('[data-testid="live-video"]');
return video && !video.paused && video.currentTime > 1 && video.videoWidth >= 320 ? video.currentTime : 0;
"""
MERGED = """
const shown = (state) => document.querySelector(`[data-testid="question"][data-state="${state}"]`);
const [one, other] = [shown('merged'), shown('open')];
return one?.innerText.includes('What is given') && other?.querySelector('[aria-pressed="true"]')?.innerText === '2';
"""
TIER = """const edge = document.querySelector('[data-testid="live-edge"]'), tier = edge?.dataset.tier"""
COUNTS = """const told = [...document.querySelectorAll('[data-testid="poll-count"]')],
    counts = told.map((one) => parseInt(one.innerText))"""
LATENCY = """return Number(document.querySelector('[data-testid="live-latency"]')?.value ?? 99)"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(folder: Path) -> AsyncIterator[ServerProcess]:
    async with ServerProcess(folder, captions_enabled="false") as server:
        yield server


async def look(page: object, name: str) -> None:
    """Pictures for people's eyes, where somebody wants them."""
    if (folder := os.environ.get("SCREENSHOTS")) and isinstance(page, Page):
        await page.screenshot(path=Path(folder) / f"{name}.png")


async def test_a_host_goes_live_and_a_viewer_watches_to_the_replay(server: ServerProcess) -> None:
    async with chromium() as browser:
        host, viewer = await new_person(browser, server.url), await new_person(browser, server.url)
        errors: list[str] = []
        assert isinstance(viewer.page, Page) and isinstance(host.page, Page)
        sessions: list[str] = []

        def whep(answer: Response) -> bool:
            return answer.url.endswith("/whep") and answer.request.method == "POST"

        viewer.page.on("response", lambda one: sessions.append(one.headers["location"]) if whep(one) else None)
        viewer.page.on("pageerror", lambda error: errors.append(str(error)))
        host.page.on("pageerror", lambda error: errors.append(str(error)))
        await host.join(server.links["host"], "Dr. Host")

        # Back stage: the page for viewers is made, and tells what will come.
        await host.page.keyboard.press("b")
        await host.fill("cast-title", "Grand round: the heart")
        await host.fill("cast-about", "Two cases from Maputo.")
        await look(host.page, "host-plan")
        await host.click("cast-plan")
        link = await host.until("return document.querySelector('[data-testid=\"cast-link\"]')?.value")
        await look(host.page, "host-planned")
        await viewer.goto(link)
        await viewer.until(
            "return document.querySelector('[data-testid=\"live-hold\"] h1')?.innerText.includes('heart')"
        )
        assert "#" not in viewer.page.url  # the secret is not left in the address bar
        await look(viewer.page, "viewer-hold")
        assert await violations(viewer) == []

        await host.choose("cast-countdown", "5")
        await host.click("cast-go")
        await viewer.until("return !!document.querySelector('[data-testid=\"live-countdown\"]')")
        await look(viewer.page, "viewer-countdown")
        await viewer.until(PLAYS)
        await viewer.until(f"{TIER}; return tier === 'realtime'")
        await host.until(
            "return document.querySelector('[data-testid=\"cast-state\"]')?.innerText.includes('1 viewer')"
        )
        await look(host.page, "host-live")
        await host.page.keyboard.press("q")
        await host.click("questions-open")
        await viewer.fill("live-question", "Which dose for a child?")
        await viewer.fill("live-name", "Eva")
        await viewer.click("live-ask")
        await host.page.get_by_role("button", name="Publish").click()
        await viewer.until('return !!document.querySelector(\'[data-testid="question"][data-state="open"]\')')
        # Asked again in other words by the host, who makes one of both: the viewer's does not vanish without a word.
        await host.fill("question-input", "What is given to children?")
        await host.click("question-send")
        await (
            host.page.get_by_test_id("question")
            .filter(has_text="Which dose")
            .get_by_role("button", name="More for")
            .click()
        )
        await host.page.get_by_role("menuitem", name="Merge into another").click()
        await host.page.get_by_role("button", name="Merge here").click()
        await viewer.until(MERGED)
        await host.click("poll-new")
        await host.fill("poll-text", "How often do you see this?")
        for number, choice in enumerate(("Weekly", "Once a year")):
            await host.page.get_by_test_id("poll-choice-text").nth(number).fill(choice)
        await look(host.page, "host-poll")
        await host.click("poll-make")
        await host.click("poll-open")
        await viewer.page.get_by_test_id("poll-choice").nth(1).check()
        for person in (host, viewer):
            await person.until(f"{COUNTS}; return counts.join() === '0,1'")
        await viewer.click("react-applause")
        await host.until("return !!document.querySelector('[data-reaction=\"applause\"]')")
        await host.page.keyboard.press("Escape")
        await host.page.keyboard.press("y")
        await host.click("react-heart")
        await viewer.until("return !!document.querySelector('[data-reaction=\"heart\"]')")
        await look(host.page, "host-reactions")
        await viewer.until(f"{PLAYS.replace('return', 'const time =')}; return time > 4")
        await look(viewer.page, "viewer-live")
        if os.environ.get("SCREENSHOTS"):
            await viewer.page.set_viewport_size({"width": 390, "height": 844})
            await viewer.page.emulate_media(color_scheme="dark")
            await look(viewer.page, "viewer-phone")
            await viewer.page.set_viewport_size({"width": 1280, "height": 720})
            await viewer.page.emulate_media(color_scheme="light")
        assert await violations(viewer) == []

        # Back to the first moment, and to the live edge again.
        await viewer.run("""const bar = document.querySelector('[data-testid="live-screen"] input[type=range]');
            bar.value = bar.min; bar.dispatchEvent(new Event('input', {bubbles: true}));""")
        await viewer.until("return document.querySelector('[data-testid=\"live-video\"]')?.currentTime < 5")
        await viewer.until(f"{TIER}; return tier === 'hls'")
        await viewer.until(f"{LATENCY.replace('return', 'const latency =')}; return latency < 99")
        await viewer.click("live-edge")
        await viewer.until(f"{TIER}; return tier === 'realtime'")

        # The faster way breaks: on by HLS, which says so, and back once it is to be had again.
        async with viewer.page.expect_response(whep) as answered:
            # Not to be had for as long as it takes to look at the slower one.
            await viewer.page.route("**/whep", lambda route: route.abort())
            await viewer.page.evaluate(f"fetch('{sessions[-1]}', {{method: 'DELETE'}})")
            await viewer.until(f"{TIER}; return tier === 'hls' && edge.innerText.includes('few seconds')")
            await viewer.until(PLAYS)
            await viewer.until(f"{LATENCY.replace('return', 'const latency =')}; return latency < 8")
            await look(viewer.page, "viewer-behind")
            await viewer.page.unroute("**/whep")
        assert (await answered.value).status == 201
        await viewer.until(f"{TIER}; return tier === 'realtime'")
        await viewer.until(PLAYS)

        # A pause: nothing is seen or heard, by either way, until it goes on.
        await host.page.keyboard.press("b")
        await look(host.page, "host-on-air")
        await host.click("cast-pause")
        await viewer.until("return !!document.querySelector('[data-testid=\"live-paused\"]')")
        await host.until("return document.querySelector('[data-testid=\"cast-pause\"]')?.innerText.trim() === 'Go on'")
        await look(viewer.page, "viewer-paused")
        await look(host.page, "host-paused")
        assert await violations(viewer) == [] and await violations(host) == []
        await host.click("cast-pause")
        await viewer.until("return !document.querySelector('[data-testid=\"live-paused\"]')")
        before = await viewer.run(PLAYS)
        await viewer.until(f"{PLAYS.replace('return', 'const time =')}; return time > {before} + 1")

        await host.click("cast-end")
        await viewer.until("return !!document.querySelector('[data-testid=\"replay-video\"]')")
        assert viewer.page.url == link.partition("#")[0]
        await look(viewer.page, "viewer-replay")
        await viewer.page.reload()
        await viewer.until("return !!document.querySelector('[data-testid=\"replay-video\"]')")
        assert errors == []
