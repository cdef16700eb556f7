"""Tickets of a broadcast as a host and a viewer at two windows see them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Page

from benchmarks.harness.browsers import chromium
from benchmarks.harness.server import ServerProcess
from tests.e2e.person import new_person
from tests.e2e.test_accessibility import violations
from tests.e2e.test_live import look

HOLD = """return !!document.querySelector('[data-testid="live-hold"]')"""
TAKEN = """return !!document.querySelector('[data-testid="live-here"]')"""
MADE = """return document.querySelectorAll('[data-testid="ticket"]').length === 2"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(folder: Path) -> AsyncIterator[ServerProcess]:
    async with ServerProcess(folder, captions_enabled="false", broadcast_push="1") as server:
        yield server


async def test_a_ticket_serves_one_window_at_a_time(server: ServerProcess) -> None:
    async with chromium() as browser:
        host, viewer = await new_person(browser, server.url), await new_person(browser, server.url)
        assert isinstance(host.page, Page) and isinstance(viewer.page, Page)
        await host.join(server.links["host"], "Dr. Host")
        await host.page.keyboard.press("b")
        await host.fill("cast-title", "Grand round")
        await host.fill("cast-when", "2035-03-04T10:00")
        await host.click("cast-plan")
        link = await host.until("return document.querySelector('[data-testid=\"cast-link\"]')?.value")
        # Another platform, added and taken away again; its key is nowhere on the page.
        await host.fill("push-url", "rtmps://live.example.org/app")
        await host.fill("push-key", "sk-8131")
        await host.click("push-add")
        await host.until('return document.querySelector(\'[data-testid="push"][data-state="waiting"]\') !== null')
        shown = await host.page.get_by_test_id("push").inner_text()
        assert "rtmps://live.example.org" in shown and "sk-8131" not in await host.page.content()
        await look(host.page, "pushes")
        assert await violations(host) == []
        await host.click("push-remove")
        await host.until("return document.querySelector('[data-testid=\"push-url\"]')?.value === ''")
        await host.choose("cast-audience", "tickets")
        await host.click("cast-save")
        await host.fill("tickets-names", "Eva Müller, Universitätsklinikum\nRui Costa")
        await host.click("tickets-make")
        await host.until(MADE)
        await look(host.page, "tickets")
        assert await violations(host) == []
        await host.page.set_viewport_size({"width": 390, "height": 844})
        await look(host.page, "tickets-phone")
        async with host.page.expect_download() as saving:
            await host.click("tickets-save")
        path = await (await saving.value).path()
        rows = path.read_text("utf-8-sig").splitlines()
        assert rows[0] == '"Name","Link"' and rows[1].startswith(f'"Eva Müller","{server.url}/live/')
        own = rows[1].split('"')[3]

        await viewer.goto(link)
        await viewer.until("return document.body.innerText.includes('needs a ticket of your own')")
        await look(viewer.page, "tickets-refused")
        await viewer.goto(own)
        await viewer.until(HOLD)
        assert "#" not in viewer.page.url
        await look(viewer.page, "tickets-hold")
        assert await violations(viewer) == []
        async with viewer.page.expect_download() as adding:
            await viewer.click("live-calendar")
        assert b"DTSTART:20350304T" in (await (await adding.value).path()).read_bytes()
        other = await new_person(browser, server.url)
        await other.goto(own)
        await other.until(HOLD)
        await viewer.until(TAKEN)
        assert isinstance(other.page, Page)
        await look(viewer.page, "tickets-taken")
        assert await violations(viewer) == []
        await viewer.click("live-here")
        await viewer.until(HOLD)
        await other.until(TAKEN)
        await host.click("ticket-revoke")
        await viewer.until("return document.body.innerText.includes('needs a ticket of your own')")
