"""Two ways to watch a broadcast: Firefox has the one place for WebRTC, Chromium comes after it and has HLS."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from benchmarks.harness.browsers import chromium, firefox
from benchmarks.harness.server import ServerProcess
from tests.e2e.person import Person, new_person
from tests.e2e.test_live import PLAYS, TIER


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(folder: Path) -> AsyncIterator[ServerProcess]:
    async with ServerProcess(folder, captions_enabled="false", broadcast_realtime_viewers="1") as server:
        yield server


async def test_the_first_sees_it_as_it_happens_and_the_next_a_few_seconds_later(server: ServerProcess) -> None:
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

        # Who goes back has HLS too, in Firefox as well.
        await first.run("""const bar = document.querySelector('[data-testid="live-screen"] input[type=range]');
            bar.value = bar.min; bar.dispatchEvent(new Event('input', {bubbles: true}));""")
        await first.until(f"{TIER}; return tier === 'hls'")
        await first.until(PLAYS)
        assert await first.run(f"{TIER}; return edge.innerText.trim()") != "Live"
