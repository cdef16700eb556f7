"""Viewers of a broadcast choose whose voice they hear: the original or an interpreter's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Page

from benchmarks.harness.browsers import chromium
from benchmarks.harness.server import ServerProcess
from tests.e2e.person import new_person
from tests.e2e.test_accessibility import violations
from tests.e2e.test_interpreters import picture
from tests.e2e.test_live import PLAYS, TIER


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(folder: Path) -> AsyncIterator[ServerProcess]:
    async with ServerProcess(folder, captions_enabled="false") as server:
        yield server


async def test_viewers_choose_whose_voice_they_hear(server: ServerProcess) -> None:
    async with chromium() as browser:
        host, ina, viewer = [await new_person(browser, server.url) for _ in range(3)]
        desk, booth, seat = host.page, ina.page, viewer.page
        assert isinstance(desk, Page) and isinstance(booth, Page) and isinstance(seat, Page)
        await host.join(server.links["host"], "Host")
        await ina.join(server.links["guest"], "Ina")
        await desk.keyboard.press("b")
        await host.click("cast-plan")
        link = await host.until("return document.querySelector('[data-testid=\"cast-link\"]')?.value")
        await host.choose("cast-countdown", "0")
        await host.click("cast-go")
        await desk.keyboard.press("Escape")
        await viewer.goto(link)
        await viewer.until(f"{TIER}; return tier === 'realtime'")
        assert await viewer.run("return !document.querySelector('[data-testid=\"live-sound\"]')"), "nobody interprets"
        await host.click("control-people")
        await desk.get_by_role("button", name="More for Ina").click()
        await desk.get_by_role("menuitem", name="Interpreter…").click()
        await host.choose("interpret-add", "pt")
        await host.until("return !!document.querySelector('[data-testid=\"interpret-remove-pt\"]')")
        await host.click("interpret-done")
        await ina.until("return !!document.querySelector('[data-testid=\"interpreter-bar\"]')")
        await booth.keyboard.press("i")
        # It is told to who watches already. WebRTC has the floor only: the channel comes by HLS.
        await viewer.until("return !!document.querySelector('[data-testid=\"live-sound\"]')")
        await picture(viewer, "live-sound", phone=True)
        await viewer.click("live-sound")
        await picture(viewer, "live-sound")
        await viewer.click("live-sound-pt")
        await viewer.until(f"{TIER}; return tier === 'hls'")
        await viewer.until(PLAYS)
        heard = "return performance.getEntriesByType('resource').some((one) => one.name.includes('/c-pt-'))"
        await viewer.until(heard)
        assert await violations(viewer) == []
        # The choice is kept; and the original again, as it happens.
        await seat.reload()
        await viewer.until(f"{TIER}; return tier === 'hls'")
        await viewer.until(heard)
        await viewer.click("live-sound")
        await viewer.click("live-sound-floor")
        await viewer.until(f"{TIER}; return tier === 'realtime'")
