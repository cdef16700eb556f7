"""A viewer comes on stage and goes back, without a reload."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Page

from benchmarks.harness.browsers import chromium
from benchmarks.harness.server import ServerProcess
from tests.e2e.person import new_person

CONTROL = 'return !!document.querySelector(`[data-testid="control-${arguments[0]}"]`) === arguments[1]'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(folder: Path) -> AsyncIterator[ServerProcess]:
    async with ServerProcess(folder, captions_enabled="false") as server:
        yield server


async def test_a_viewer_is_let_on_stage_and_back(server: ServerProcess) -> None:
    async with chromium() as browser:
        host, eva = await new_person(browser, server.url), await new_person(browser, server.url)
        await host.join(server.links["host"], "Dr. Host")
        await eva.join(server.links["viewer"], "Eva")
        await eva.sees(1)
        await eva.until(CONTROL, "camera", False)
        desk = host.page
        assert isinstance(desk, Page) and isinstance(eva.page, Page)
        await host.click("control-people")
        # A layout for everybody, from which one may differ.
        layout = "return document.querySelector('[data-testid=\"stage\"]')?.dataset.layout === arguments[0]"
        for wanted in ("speaker", "grid", "speaker"):
            await host.choose("layout-for-all", wanted)
            await eva.until(layout, wanted)
        await eva.click("control-layout")
        await eva.until(layout, "grid")
        await host.until(layout, "speaker")
        actions = desk.get_by_role("button", name="More for Eva")
        await actions.click()
        await desk.get_by_role("menuitem", name="Let speak and show").click()
        await eva.until(CONTROL, "camera", True)
        await eva.click("control-camera")
        await eva.click("control-microphone")
        await host.sees(1)
        await host.hears(1)

        await actions.click()
        await desk.get_by_role("menuitem", name="Let only watch").click()
        await eva.until(CONTROL, "camera", False)
        # The device itself is given back, not only muted.
        await eva.until("return !document.querySelector('[data-testid=\"tile\"] video.mirror')")
        assert await eva.run("return !!document.querySelector('[data-testid=\"stage\"]')")
