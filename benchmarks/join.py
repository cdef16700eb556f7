"""From the click on Join to the first frame of somebody else, in Chromium (`first_frame_ms`)."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page

from benchmarks.figures import latency, spread
from benchmarks.harness.browsers import chromium
from benchmarks.harness.server import ServerProcess

ROUNDS = 20

# The clock starts with the click itself and stops with the first frame that is presented in somebody else's tile.
STOPWATCH = """
addEventListener('click', (event) => {
  if (!event.target.closest?.('[data-testid="join"]')) return;
  const began = performance.now();
  const watched = new WeakSet();
  let shown = false;
  window.__first_frame_ms = new Promise((resolve) => {
    const look = () => {
      if (shown) return;
      for (const video of document.querySelectorAll('[data-testid="tile"] video:not(.mirror)')) {
        if (watched.has(video)) continue;
        watched.add(video);
        video.requestVideoFrameCallback((now) => {
          shown = true;
          resolve(now - began);
        });
      }
      requestAnimationFrame(look);
    };
    look();
  });
}, true);
"""


async def _enter(browser: Browser, url: str, name: str) -> tuple[Page, float]:
    context = await browser.new_context(permissions=["microphone", "camera"], locale="en-US")
    page = await context.new_page()
    await page.add_init_script(STOPWATCH)
    await page.goto(url)
    await page.fill('[data-testid="name"]', name)
    await page.wait_for_selector('[data-testid="self-view"]')
    await page.click('[data-testid="join"]')
    # Awaited in the page: polling for it would need the string evaluation that our own policy forbids.
    async with asyncio.timeout(30):
        return page, float(await page.evaluate("window.__first_frame_ms"))


async def _measure() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        async with (
            ServerProcess(Path(folder), captions_enabled="false") as server,
            chromium() as host,
            chromium() as guest,
        ):
            context = await host.new_context(permissions=["microphone", "camera"], locale="en-US")
            page = await context.new_page()
            await page.goto(server.links["host"])
            await page.fill('[data-testid="name"]', "Host")
            await page.wait_for_selector('[data-testid="self-view"]')
            await page.click('[data-testid="join"]')
            await page.wait_for_selector('[data-testid="stage"]')
            found = []
            for number in range(ROUNDS):
                entered, shown = await _enter(guest, server.links["guest"], f"Guest {number}")
                found.append(shown)
                print(f"join {number + 1}: {found[-1]:.0f} ms", file=sys.stderr)
                await entered.click('[data-testid="control-leave"]')
                await entered.context.close()
    # The first join of a fresh browser compiles the page's code; it is in the figures.
    return {
        "first_frame_ms": latency(found),
        "spread_ms": spread(found),
        "rounds": ROUNDS,
        "measured": "headless Chromium, loopback, one publisher with camera and microphone already in the room; "
        "publisher, server and viewer share this machine's processors; click event to requestVideoFrameCallback",
    }


def run() -> dict[str, Any]:
    return asyncio.run(_measure())
