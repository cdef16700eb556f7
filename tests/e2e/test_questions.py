"""A moderator takes questions; a viewer who can neither speak nor show asks one; everybody sees what becomes of it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Page

from benchmarks.harness.browsers import chromium
from benchmarks.harness.server import ServerProcess
from tests.e2e.person import Person, new_person
from tests.e2e.test_accessibility import violations

# The state and the votes of each question, in the order in which they stand.
STANDING = """
const votes = (one) => one.querySelector('[data-testid="vote"]').innerText.trim();
const text = (one) => one.querySelector('.text').innerText;
const all = [...document.querySelectorAll('[data-testid="question"]')];
return all.map((one) => [one.dataset.state, votes(one), text(one)]);
"""
STANDS = f"const found = (function() {{ {STANDING} }})(); return JSON.stringify(found) === JSON.stringify(arguments[0])"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(folder: Path) -> AsyncIterator[ServerProcess]:
    async with ServerProcess(folder, captions_enabled="false") as server:
        yield server


async def panel(person: Person) -> Page:
    """Opens the questions with the keyboard, as one who knows the keys does."""
    assert isinstance(person.page, Page)
    await person.until("return !!document.querySelector('[data-testid=\"control-questions\"]')")
    await person.page.keyboard.press("q")
    await person.until("return !!document.querySelector('[data-testid=\"panel-questions\"]')")
    return person.page


async def test_a_viewer_asks_and_a_host_answers(server: ServerProcess) -> None:
    async with chromium() as browser:
        host, eva, ben = [await new_person(browser, server.url) for _ in range(3)]
        await host.join(server.links["host"], "Dr. Host")
        await eva.join(server.links["viewer"], "Eva")
        await ben.join(server.links["guest"], "Ben")
        await eva.until("return !document.querySelector('[data-testid=\"control-questions\"]')")
        desk = await panel(host)
        await host.click("questions-open")
        seat, floor = await panel(eva), await panel(ben)

        await eva.fill("question-input", "Which dose for a child?")
        await eva.click("question-send")
        await host.until(STANDS, [["waiting", "1", "Which dose for a child?"]])
        await eva.until(STANDS, [["waiting", "1", "Which dose for a child?"]])
        assert await ben.run(STANDING) == []
        await desk.get_by_role("button", name="Publish").click()
        await ben.until(STANDS, [["open", "1", "Which dose for a child?"]])

        await host.fill("question-input", "How long?")
        await host.click("question-send")
        await ben.until(STANDS, [["open", "1", "Which dose for a child?"], ["open", "1", "How long?"]])
        await floor.locator('[data-testid="vote"]').nth(1).click()
        # The most wanted comes first, on everybody's page.
        for person in (host, eva, ben):
            await person.until(STANDS, [["open", "2", "How long?"], ["open", "1", "Which dose for a child?"]])
        assert await violations(host) == []
        if shots := os.environ.get("CONSILIUM_SCREENSHOTS"):
            await host.screenshot(Path(shots) / "questions-host.png")

        await desk.get_by_role("button", name="Answer live").first.click()
        await eva.until(STANDS, [["live", "2", "How long?"], ["open", "1", "Which dose for a child?"]])
        await desk.get_by_role("button", name="More for this question").nth(1).click()
        await desk.get_by_role("menuitem", name="Answer in writing").click()
        await desk.get_by_label("Your answer").fill("15 mg per kg.")
        await desk.get_by_role("button", name="Send the answer").click()
        await seat.get_by_text("15 mg per kg.").wait_for()
        await desk.get_by_role("button", name="Answered", exact=True).click()
        done = [["answered", "2", "How long?"], ["answered", "1", "Which dose for a child?"]]
        await ben.until(STANDS, done)
        assert await violations(eva) == []
        if shots:
            await eva.screenshot(Path(shots) / "questions-viewer.png")

        # Whoever comes later, or again, finds it all as it is.
        await eva.page.reload()
        await eva.join(server.links["viewer"], "Eva")
        await panel(eva)
        await eva.until(STANDS, done)
