"""Accounts in the browser: the first administrator invites somebody, who comes and is put into a group."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Page, expect

from benchmarks.harness.browsers import chromium
from benchmarks.harness.server import ServerProcess
from tests.e2e.person import new_person
from tests.e2e.test_accessibility import violations
from tests.e2e.test_live import look

PASSWORD = "four words of nonsense"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(folder: Path) -> AsyncIterator[ServerProcess]:
    async with ServerProcess(folder, captions_enabled="false") as server:
        yield server


async def test_an_administrator_invites_somebody_and_makes_a_group(server: ServerProcess) -> None:
    async with chromium() as browser:
        ana, ben = await new_person(browser, server.url), await new_person(browser, server.url)
        assert isinstance(ana.page, Page) and isinstance(ben.page, Page)
        await ana.goto(server.links["setup"])
        await ana.fill("setup-name", "Ana")
        await ana.fill("setup-email", "ana@example.org")
        await ana.fill("password", PASSWORD)
        await ana.click("setup-submit")
        await ana.click("admin-people")
        await ana.fill("group-name", "Cardiology in Maputo")
        await ana.click("group-make")
        await ana.fill("invite-note", "Ben, Beira")
        await ana.page.get_by_label("Cardiology in Maputo").check()
        await ana.click("invite-make")
        link = await ana.until("return document.querySelector('[data-testid=\"invite-link\"]')?.innerText")
        await look(ana.page, "people")
        assert await violations(ana) == []

        await ben.goto(link)
        await ben.until("return !!document.querySelector('[data-testid=\"invitation-name\"]')")
        await look(ben.page, "invitation")
        assert await violations(ben) == []
        await ben.click("invitation-submit")  # says what is missing
        await ben.fill("invitation-name", "Ben")
        await ben.fill("invitation-email", "ben@example.org")
        await ben.fill("password", PASSWORD)
        await ben.click("invitation-submit")
        await expect(ben.page.get_by_test_id("admin-rooms")).to_be_visible()
        await expect(ben.page.get_by_test_id("admin-people")).to_have_count(0)
        await ben.goto(link)
        await expect(ben.page.get_by_role("alert")).to_contain_text("does not work any more")

        await ana.page.reload()
        await expect(ana.page.get_by_test_id("group")).to_contain_text("1 person")
        await ana.page.get_by_test_id("group").locator("summary").click()
        await expect(ana.page.get_by_label("Ben", exact=True)).to_be_checked()
        if os.environ.get("SCREENSHOTS"):
            await ana.page.set_viewport_size({"width": 390, "height": 844})
            await ana.page.emulate_media(color_scheme="dark")
            await look(ana.page, "people-phone")
        await ana.page.get_by_test_id("member-disable").click()
        await expect(ana.page.get_by_test_id("table-row").filter(has_text="Ben")).to_contain_text("Disabled")
        await ben.goto("/admin")
        await expect(ben.page.get_by_test_id("admin-sign-in")).to_be_visible()
