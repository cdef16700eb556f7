"""Layers in real Chromium: nobody is sent more than they show, and nothing is encoded that nobody wants."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Browser, Page

from benchmarks.harness.browsers import chromium
from benchmarks.harness.server import ServerProcess
from tests.e2e.person import Person

# Keeps every connection in sight of the test; the page's own code runs as it is.
CONNECTIONS = """
window.__connections = [];
const Connection = window.RTCPeerConnection;
window.RTCPeerConnection = class extends Connection {
  constructor(...values) { super(...values); window.__connections.push(this); }
};
window.__rtp = async (type) => {
  const found = [];
  for (const connection of window.__connections.filter((one) => one.connectionState === 'connected')) {
    for (const report of (await connection.getStats()).values()) if (report.type === type && report.kind === 'video') found.push(report);
  }
  return found;
};
"""  # noqa: E501

# Whether a picture of that height (a quarter, half or all of the camera's 720 lines) arrives.
ARRIVES = """return window.__rtp('inbound-rtp').then((all) =>
  all.some((one) => one.frameHeight >= arguments[0] * 0.9 && one.frameHeight <= arguments[0] * 1.1))"""

# Frames decoded of all pictures of others, as one number.
DECODED = "return window.__rtp('inbound-rtp').then((all) => all.reduce((sum, one) => sum + one.framesDecoded, 0))"

ACTIVE = """return window.__rtp('outbound-rtp').then((all) =>
  all.filter((one) => one.active).map((one) => one.rid).sort().join(''))"""

LAST_PICTURE = """
const others = [...document.querySelectorAll('[data-testid="tile"] video:not(.mirror)')];
return others.some((video) => video.videoWidth > 0);
"""

# The page says that it is out of sight, as a browser does for a tab that is covered.
SIGHT = """
Object.defineProperty(document, 'visibilityState', {configurable: true, value: arguments[0]});
document.dispatchEvent(new Event('visibilitychange'));
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(folder: Path) -> AsyncIterator[ServerProcess]:
    async with ServerProcess(folder, captions_enabled="false") as server:
        yield server


async def new_person(browser: Browser, url: str) -> Person:
    context = await browser.new_context(
        permissions=["microphone", "camera"], locale="en-US", viewport={"width": 1280, "height": 800}
    )
    await context.add_init_script(CONNECTIONS)
    return Person(await context.new_page(), url)


async def test_a_small_tile_gets_the_smallest_picture_and_a_pinned_one_the_largest(server: ServerProcess) -> None:
    async with chromium() as browser:
        ana, ben = await new_person(browser, server.url), await new_person(browser, server.url)
        assert isinstance(ben.page, Page)
        await ben.page.set_viewport_size({"width": 400, "height": 480})
        await ana.join(server.links["host"], "Ana")
        await ben.join(server.links["guest"], "Ben")
        await ben.sees(1)
        # On a small page one's own tile and the other's are small: a quarter of the lines is enough.
        await ben.until(ARRIVES, 180)
        # Nobody wants the large ones: they are no longer encoded.
        await ana.until(f"return (function() {{ {ACTIVE} }})().then((rids) => rids === 'q')")
        await ben.page.set_viewport_size({"width": 1280, "height": 800})
        await ben.click("pin")
        # About a second on a machine with nothing else to do; the estimate of the bandwidth suffers on a busy one.
        await ben.until(ARRIVES, 720)


async def test_a_page_out_of_sight_gets_no_pictures_but_the_sound_goes_on(server: ServerProcess) -> None:
    async with chromium() as browser:
        ana, ben = await new_person(browser, server.url), await new_person(browser, server.url)
        await ana.join(server.links["host"], "Ana")
        await ben.join(server.links["guest"], "Ben")
        await ben.sees(1)
        await ben.hears(1)
        await ben.run(SIGHT, "hidden")
        # No frame for a second and a half, however the page is looked at.
        await ben.until(
            f"return (function() {{ {DECODED} }})().then((now) => {{"
            "  if (window.__last !== now) { window.__last = now; window.__since = performance.now(); }"
            "  return performance.now() - window.__since > 1500; })",
            timeout=60,
        )
        await ben.run("for (const track of Object.keys(window.__energy)) delete window.__energy[track]; return true")
        await ben.hears(1)
        await ana.until(f"return (function() {{ {ACTIVE} }})().then((rids) => rids === 'q')")
        # Its last picture stays until the next comes. (Those who left in an earlier test have tiles without one.)
        assert await ben.run(LAST_PICTURE)
        before = await ben.run(DECODED)
        await ben.run(SIGHT, "visible")
        await ben.until(
            f"return (function() {{ {DECODED} }})().then((now) => now > arguments[0] + 10)".replace(
                "arguments[0]", str(before)
            ),
            timeout=60,
        )


async def test_somebody_can_read_how_their_connection_fares(server: ServerProcess) -> None:
    async with chromium() as browser:
        ana, ben = await new_person(browser, server.url), await new_person(browser, server.url)
        await ana.join(server.links["host"], "Ana")
        await ben.join(server.links["guest"], "Ben")
        await ana.until("return document.querySelector('[data-testid=\"quality\"]')?.dataset.level >= '1'")
        await ana.click("quality")
        text = await ana.until(
            "const text = document.querySelector('[data-testid=\"connection\"]')?.innerText ?? '';"
            "return /(Good|Fair|Bad) connection/.test(text) && text"
        )
        assert all(
            words in text for words in ("What you send", "What you receive", "What is being done", "There and back")
        )
