"""The pages about a recording: axe complains of nothing, a keyboard is enough, and they fit a phone in any language."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from tests.e2e.recorded import Recorded, serve
from tests.e2e.test_replay import browser, share

pytestmark = pytest.mark.asyncio(loop_scope="module")

FITS = "document.documentElement.scrollWidth <= innerWidth"
FOCUSED = "document.activeElement?.dataset.testid ?? ''"
SPEAK = "language => localStorage.setItem('consilium.ui', language)"
CALM = """
const moving = document.getAnimations().filter((one) => one instanceof CSSTransition);
Promise.all(moving.map((one) => one.finished.catch(() => undefined)));
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def recorded(folder: Path) -> AsyncIterator[Recorded]:
    async with serve(folder) as one:
        yield one


async def violations(page: Page) -> list[str]:
    await page.evaluate(CALM)
    found = (await Axe().run(page)).response["violations"]
    return [f"{rule['id']}: {rule['nodes'][0]['html'][:200]}" for rule in found]


async def tab_to(page: Page, name: str) -> None:
    """By the tab key alone."""
    for _ in range(60):
        await page.keyboard.press("Tab")
        if await page.evaluate(FOCUSED) == name:
            return
    raise AssertionError(f"the keyboard does not reach {name}")


async def test_pages_of_a_recording_please_axe_and_fit_a_phone_in_arabic_and_german(recorded: Recorded) -> None:
    made = await share(recorded, audience="link", sites=[recorded.url], passage={"start": 45_000, "end": 60_000})
    replay = f"/replay/{recorded.id}"
    pages = {"/": "library-search", replay: "replay-video", f"{replay}/edit": "edit-line", made["embed"]: "embed"}
    async with browser(recorded) as (page, _):
        for language, scheme in (("ar", "dark"), ("de", "light")):
            await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            await page.goto(recorded.url)
            await page.evaluate(SPEAK, language)
            for path, there in pages.items():
                for width in (1280, 390):
                    await page.set_viewport_size({"width": width, "height": 800})
                    await page.goto(recorded.url + path)
                    await page.get_by_test_id(there).first.wait_for()
                    assert await page.evaluate("document.documentElement.dir") == ("rtl" if language == "ar" else "ltr")
                    assert await page.evaluate(FITS), (path, language, width)
                    if path != "/":
                        await expect(page.get_by_test_id("replay-fullscreen")).to_be_in_viewport(ratio=1)
                assert await violations(page) == [], (path, language)
            await page.goto(recorded.url + replay)
            await page.get_by_test_id("replay-share").click()
            await page.get_by_test_id("share-create").wait_for()
            assert await violations(page) == [], language


async def test_a_recording_is_found_renamed_shared_cut_out_and_watched_by_keyboard_alone(recorded: Recorded) -> None:
    async with browser(recorded) as (page, _):
        await recorded.server.store.rooms.create("ward", "Ward")
        await page.goto(recorded.url)
        # The agenda of the next meeting, before it.
        await page.get_by_test_id("room-agenda").first.wait_for()
        await tab_to(page, "room-agenda")
        await page.keyboard.press("Enter")
        await page.get_by_test_id("agenda-text").wait_for()
        assert await violations(page) == []
        await tab_to(page, "agenda-text")
        await page.keyboard.type("Welcome\nCase 1")
        await tab_to(page, "agenda-save")
        await page.keyboard.press("Enter")
        await expect(page.locator("dialog[open]")).to_have_count(0)
        room = await recorded.server.store.rooms.get("ward")
        assert room is not None and room.agenda == ["Welcome", "Case 1"]
        await page.get_by_test_id("library-rename").wait_for()
        await tab_to(page, "library-rename")
        await page.keyboard.press("Enter")
        await page.get_by_test_id("library-title").wait_for()
        assert await violations(page) == []
        await tab_to(page, "library-title")
        await page.keyboard.press("Control+a")
        await page.keyboard.type("Zebrafish round")
        await page.keyboard.press("Enter")
        await expect(page.locator("dialog[open]")).to_have_count(0)
        assert await page.evaluate(FOCUSED) == "library-rename", "the focus comes back"
        await expect(page.get_by_role("link", name="Zebrafish round", exact=True)).to_be_visible()
        await page.reload()
        await page.get_by_test_id("library-search").wait_for()
        await tab_to(page, "library-search")
        await page.keyboard.type("zebrafish")
        await page.keyboard.press("Enter")
        await page.get_by_test_id("library-hit").wait_for()
        await tab_to(page, "library-hit")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Zebrafish round", exact=True)).to_be_visible()
        await page.goto(f"{recorded.url}/replay/{recorded.id}")
        await page.get_by_test_id("replay-video").wait_for()
        await tab_to(page, "replay-share")
        await page.keyboard.press("Enter")
        await page.get_by_test_id("share-create").wait_for()
        await tab_to(page, "share-create")
        await page.keyboard.press("Enter")
        await expect(page.get_by_test_id("share-link")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.locator("dialog[open]")).to_have_count(0)
        assert await page.evaluate(FOCUSED) == "replay-share", "the focus comes back"
        await page.goto(f"{recorded.url}/replay/{recorded.id}/edit")
        await page.get_by_test_id("edit-line").first.wait_for()
        await tab_to(page, "edit-cut-line")
        await page.keyboard.press("Enter")
        await expect(page.get_by_test_id("edit-cut")).to_have_count(1)
        made = await share(recorded, audience="link", sites=[recorded.url])
        await page.goto(recorded.url + made["embed"])
        await page.get_by_test_id("replay-video").wait_for()
        await tab_to(page, "replay-play")
        await page.keyboard.press("Enter")
        await page.wait_for_function("() => document.querySelector('video').currentTime > 0.3")
