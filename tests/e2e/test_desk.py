"""The control desk: who runs a broadcast sees the stage, the audience and the words, and acts by keyboard alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Page

from benchmarks.harness.browsers import chromium
from benchmarks.harness.server import ServerProcess
from tests.e2e.person import new_person
from tests.e2e.test_accessibility import violations
from tests.e2e.test_live import PLAYS, look

SEAT = """
const rows = [...document.querySelectorAll('[data-testid="desk-stage"] li')];
return rows.find((one) => one.innerText.includes(arguments[0]))?.dataset.ready === arguments[1];
"""
LEVEL = """
return [...document.querySelectorAll('[data-testid="desk-level"]')].some((one) => Number(one.dataset.level) > 0.2);
"""
PICTURE = "return document.querySelector('[data-testid=\"desk-height\"]') !== null"
REPORTED = """
const tiers = [...document.querySelectorAll('[data-testid="desk-tier"]')];
const cells = tiers.map((tier) => [...tier.querySelectorAll('td')].map((one) => one.innerText));
return cells.some(([now, behind, stalled]) => now === '1' && /\\d/.test(behind) && /\\d/.test(stalled));
"""
STATE = "return document.querySelector('[data-testid=\"desk-state\"]')?.dataset.state === arguments[0]"
FITS = "return document.documentElement.scrollWidth <= innerWidth"
APART = """
const all = [...document.querySelectorAll('header > *')].map((one) => one.getBoundingClientRect());
const boxes = all.filter((one) => one.width > 0);
return boxes.every((a, i) => a.right <= innerWidth + 1 && boxes.every((b, j) => i === j
    || a.right <= b.left + 1 || b.right <= a.left + 1 || a.bottom <= b.top + 1 || b.bottom <= a.top + 1));
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(folder: Path) -> AsyncIterator[ServerProcess]:
    async with ServerProcess(folder, captions_enabled="false") as server:
        yield server


async def test_a_host_runs_a_broadcast_from_the_desk(server: ServerProcess, spoken_english: Path) -> None:
    async with chromium(microphone=spoken_english, loop_microphone=True) as browser:
        host, ben, eva = [await new_person(browser, server.url) for _ in range(3)]
        desk, seat = host.page, eva.page
        assert isinstance(desk, Page) and isinstance(seat, Page)
        errors: list[str] = []
        for page in (desk, seat):
            page.on("pageerror", lambda error: errors.append(str(error)))
        await host.join(server.links["host"], "Dr. Host")
        await ben.join(server.links["guest"], "Dr. Ben")
        await host.sees(1)

        # Back stage, by keyboard alone.
        assert await host.run("return document.querySelector('[data-testid=\"control-desk\"]') === null")
        await desk.keyboard.press("b")
        await host.fill("cast-title", "Grand round")
        await host.click("cast-plan")
        link = str(await host.until("return document.querySelector('[data-testid=\"cast-link\"]')?.value"))
        await desk.keyboard.press("Escape")
        await desk.keyboard.press("o")
        await host.until(STATE, "scheduled")
        for script in (LEVEL, PICTURE):
            await host.until(script)
        await host.until(SEAT, "Dr. Host", "ready")
        await host.until(SEAT, "Dr. Ben", "ready")
        assert isinstance(ben.page, Page)
        await ben.page.keyboard.press("d")
        await host.until(SEAT, "Dr. Ben", "muted")
        await look(desk, "desk-backstage")

        # On air; a viewer comes, and how it fares there is told.
        await host.choose("desk-countdown", "0")
        await desk.get_by_test_id("desk-go").press("Enter")
        await host.until(STATE, "live")
        await eva.goto(link)
        await eva.until(PLAYS)
        assert await violations(host) == []
        await desk.get_by_test_id("desk-show").first.press("Enter")
        await host.until('return document.querySelector(\'[data-testid="desk-show"][aria-pressed="true"]\') !== null')
        await look(desk, "desk-live")
        size = desk.viewport_size
        await desk.set_viewport_size({"width": 390, "height": 844})
        await host.until(FITS)
        assert await violations(host) == []
        await look(desk, "desk-phone")
        await desk.keyboard.press("Escape")
        assert await host.run(APART), "marks of the header lie over each other"
        await look(desk, "desk-phone-room")
        assert size is not None
        await desk.set_viewport_size(size)
        await desk.keyboard.press("o")
        await host.until(REPORTED)
        await look(desk, "desk-reported")

        # A pause, and the end, which is asked for twice.
        await desk.get_by_test_id("desk-pause").press("Enter")
        await host.until(STATE, "paused")
        await desk.get_by_test_id("desk-pause").press("Enter")
        await host.until(STATE, "live")
        await desk.get_by_test_id("desk-end").press("Enter")
        await desk.get_by_role("button", name="Cancel").press("Enter")
        await desk.get_by_test_id("desk-end").press("Enter")
        await desk.get_by_test_id("desk-end-sure").press("Enter")
        await host.until(STATE, "ended")
        assert errors == []
