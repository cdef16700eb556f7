"""A delayed broadcast as a host and a viewer at their browsers see it: planned, live some seconds later, cut, ended."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Page

from benchmarks.harness.browsers import chromium
from benchmarks.harness.server import ServerProcess
from tests.e2e.person import new_person
from tests.e2e.test_accessibility import violations
from tests.e2e.test_live import LATENCY, PLAYS, TIER, look

BEHIND = """return document.querySelector('[data-testid="cast-behind"]')?.innerText.includes('5 seconds')"""
WATCH = """const watch = setInterval(() => {
  if (document.querySelector('[data-testid="live-hold"]')) return;
  window.__gone = Date.now();
  clearInterval(watch);
}, 50)"""
"""Notes when the page that stands before a broadcast goes."""
PAUSED = """document.querySelector('[data-testid="live-paused"]')"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(folder: Path) -> AsyncIterator[ServerProcess]:
    async with ServerProcess(folder, captions_enabled="false") as server:
        yield server


async def test_viewers_are_behind_and_the_line_is_cut(server: ServerProcess) -> None:
    async with chromium() as browser:
        host, viewer = await new_person(browser, server.url), await new_person(browser, server.url)
        assert isinstance(viewer.page, Page) and isinstance(host.page, Page)
        errors: list[str] = []
        for page in (host.page, viewer.page):
            page.on("pageerror", lambda error: errors.append(str(error)))
        await host.join(server.links["host"], "Dr. Host")
        await host.page.keyboard.press("b")
        await host.fill("cast-title", "Grand round")
        await host.click("cast-plan")
        link = await host.until("return document.querySelector('[data-testid=\"cast-link\"]')?.value")
        # Chosen and not saved: it counts all the same.
        await host.choose("cast-delay", "5")
        await look(host.page, "delay-planned")
        assert await violations(host) == []
        await viewer.goto(link)
        await viewer.until("return !!document.querySelector('[data-testid=\"live-hold\"]')")
        await host.choose("cast-countdown", "0")
        await viewer.run(WATCH)
        went = await host.run("return Date.now()")
        await host.click("cast-go")
        await host.until(
            "return !!document.querySelector('[data-testid=\"cast-state\"]') && !document.querySelector('dialog[open]')"
        )
        await host.page.keyboard.press("b")
        await host.until(BEHIND)
        await viewer.until(PLAYS)
        assert await viewer.run("return window.__gone") - went > 4_500, "the page before it stands as long as the delay"
        await viewer.until(f"{LATENCY.replace('return', 'const latency =')}; return latency > 5 && latency < 13")
        await viewer.until(f"{TIER}; return tier === 'hls'")
        await look(host.page, "delay-on-air")
        if os.environ.get("SCREENSHOTS"):
            await host.page.set_viewport_size({"width": 390, "height": 844})
            await host.page.emulate_media(color_scheme="dark")
            await look(host.page, "delay-phone")
            await host.page.set_viewport_size({"width": 1280, "height": 720})
            await host.page.emulate_media(color_scheme="light")

        await host.click("cast-pause")
        await viewer.until(f"return !!{PAUSED}")
        await look(viewer.page, "delay-cut")
        # The player runs on through what was cut, and shows the stage again once it goes on.
        await host.click("cast-pause")
        await viewer.until(f"return !{PAUSED}")
        before = await viewer.run(PLAYS)
        await viewer.until(f"{PLAYS.replace('return', 'const time =')}; return time > {before} + 1")

        await host.click("cast-end")
        await viewer.until("return !!document.querySelector('[data-testid=\"replay-video\"]')")
        assert errors == []
