"""Two ways to watch a broadcast: Firefox has the one place for WebRTC, Chromium comes after it and has HLS."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Page

from benchmarks.harness.browsers import chromium, firefox
from benchmarks.harness.server import ServerProcess
from tests.e2e.person import Person, new_person
from tests.e2e.test_live import PLAYS, TIER
from tests.e2e.test_replay import site

FRAME = """<iframe id="cast" src="LINK" width="800" height="560" allow="autoplay"></iframe><script>
const home = new URL('LINK').origin;
window.tell = (what) => document.getElementById('cast').contentWindow.postMessage(what, home);
addEventListener('message', (event) => event.data?.consilium === 'state' && (window.told = event.data));
const ask = () => setInterval(() => window.tell({consilium: 'hello'}), 500);
document.getElementById('cast').addEventListener('load', ask);
</script>"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(folder: Path) -> AsyncIterator[tuple[ServerProcess, str]]:
    with site() as allowed:
        more = {"captions_enabled": "false", "broadcast_realtime_viewers": "1", "broadcast_sites": allowed}
        async with ServerProcess(folder, **more) as server:
            yield server, allowed


async def test_the_first_sees_it_as_it_happens_and_the_next_a_few_seconds_later(
    served: tuple[ServerProcess, str],
) -> None:
    server, allowed = served
    async with chromium() as browser, firefox() as fox:
        host, first, next_one = await new_person(browser, server.url), Person(fox, server.url), None
        await host.join(server.links["host"], "Dr. Host")
        await host.page.keyboard.press("b")  # type: ignore[union-attr]
        await host.click("cast-plan")
        link = await host.until("return document.querySelector('[data-testid=\"cast-link\"]')?.value")
        await host.choose("cast-countdown", "0")
        await host.click("cast-go")
        await first.goto(link)
        await first.until(f"{TIER}; return tier === 'realtime' && edge.innerText.trim() === 'Live'")
        await first.until(PLAYS)

        next_one = await new_person(browser, server.url)
        await next_one.goto(link)
        await next_one.until(PLAYS)
        await next_one.until(f"{TIER}; return tier === 'hls' && edge.innerText.includes('A few seconds behind')")

        assert isinstance(next_one.page, Page)
        await next_one.page.context.close()  # or it would take the place that the first gives up

        # Who goes back has HLS too, in Firefox as well.
        await first.run("""const bar = document.querySelector('[data-testid="live-screen"] input[type=range]');
            bar.value = bar.min; bar.dispatchEvent(new Event('input', {bubbles: true}));""")
        await first.until(f"{TIER}; return tier === 'hls'")
        await first.until(PLAYS)
        assert await first.run(f"{TIER}; return edge.innerText.trim()") != "Live"

        # Inside another site's page, with a token and by messages; inside any other not at all.
        page = await (await browser.new_context()).new_page()
        await page.goto(allowed)
        await page.set_content(FRAME.replace("LINK", link.replace("/live/", "/embed/live/")))
        await page.wait_for_function("() => window.told?.playing && window.told.tier === 'realtime'")
        await page.evaluate("() => window.tell({consilium: 'mute'})")
        await page.wait_for_function("() => window.told.muted")
        await page.evaluate("() => window.tell({consilium: 'pause'})")
        await page.wait_for_function("() => !window.told.playing")
        with site() as refused:
            await page.goto(refused)
            async with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
                await page.set_content(FRAME.replace("LINK", link.replace("/live/", "/embed/live/")))
