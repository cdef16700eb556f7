"""axe finds nothing to complain of, and the way into the room needs no mouse."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from benchmarks.harness.browsers import chromium
from benchmarks.harness.server import ServerProcess
from tests.e2e.person import Person, new_person


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(folder: Path) -> AsyncIterator[ServerProcess]:
    async with ServerProcess(folder, captions_enabled="false") as server:
        yield server


SETTLED = """
const moving = document.getAnimations().filter((one) => one instanceof CSSTransition);
Promise.all(moving.map((one) => one.finished.catch(() => undefined)));
"""


async def violations(person: Person) -> list[str]:
    assert isinstance(person.page, Page)
    # Colours on their way from one scheme to the other are nobody's.
    await person.page.evaluate(SETTLED)
    found = (await Axe().run(person.page)).response["violations"]
    return [f"{rule['id']}: {rule['nodes'][0]['html'][:200]}" for rule in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_on_the_pages_around_the_room(server: ServerProcess, scheme: str) -> None:
    async with chromium() as browser:
        person = await new_person(browser, server.url)
        assert isinstance(person.page, Page)
        await person.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        for path in ("/", "/login", "/help/api", server.links["guest"]):
            await person.goto(path)
            await person.until("return !!document.querySelector('main h1')")
            assert await violations(person) == [], path


async def test_axe_in_the_room(server: ServerProcess) -> None:
    async with chromium() as browser:
        ana, ben = await new_person(browser, server.url), await new_person(browser, server.url)
        await ana.join(server.links["host"], "Ana")
        await ben.join(server.links["guest"], "Ben")
        await ana.sees(1)
        assert await violations(ana) == []
        for panel in ("control-chat", "control-people"):
            await ana.click(panel)
            assert await violations(ana) == [], panel
        # The agenda is written and marked by a moderator, by keyboard alone, and everybody sees where the meeting is.
        page = ana.page
        assert isinstance(page, Page) and isinstance(ben.page, Page)
        await page.get_by_test_id("agenda-write").focus()
        await page.keyboard.press("Enter")
        await page.get_by_test_id("agenda-text").wait_for()
        await page.keyboard.type("Welcome\n\nCase 1: a child with fever")
        assert await violations(ana) == [], "the agenda's dialog"
        await page.get_by_test_id("agenda-save").press("Enter")
        await page.get_by_test_id("agenda-next").press("Enter")
        await expect(ben.page.get_by_test_id("agenda-now")).to_have_text("Welcome")
        await page.get_by_test_id("agenda-next").press("Enter")
        await expect(ben.page.get_by_test_id("agenda-now")).to_have_text("Case 1: a child with fever")
        await expect(page.get_by_test_id("agenda-next")).to_have_count(0)
        await ben.click("agenda-open")
        await expect(ben.page.locator("dialog[open] [aria-current=step]")).to_contain_text("Case 1")
        await expect(ben.page.get_by_test_id("agenda-edit")).to_have_count(0)
        assert await violations(ben) == [], "the agenda"


async def test_keyboard_alone_leads_into_the_room(server: ServerProcess) -> None:
    async with chromium() as browser:
        ana = await new_person(browser, server.url)
        page = ana.page
        assert isinstance(page, Page)
        await ana.goto(server.links["guest"])
        await ana.until("return !!document.querySelector('[data-testid=\"name\"]')")
        for _ in range(40):
            await page.keyboard.press("Tab")
            if await ana.run("return document.activeElement?.dataset.testid === 'name'"):
                break
        await page.keyboard.type("Keyboard Ana")
        await page.keyboard.press("Enter")
        await ana.until("return !!document.querySelector('[data-testid=\"stage\"]')")
        await page.keyboard.press("?")
        await ana.until("return !!document.querySelector('dialog[open]')")
        await page.keyboard.press("Escape")
        await ana.until("return !document.querySelector('dialog[open]')")
