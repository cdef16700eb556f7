"""``kill -9`` while recording: the next start repairs it, and it can be watched."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.harness.browsers import chromium
from benchmarks.harness.server import ServerProcess
from tests.e2e.person import new_person


async def test_a_killed_server_repairs_its_recording(folder: Path) -> None:
    server = ServerProcess(folder, captions_enabled="false")
    await server.start()
    async with chromium() as browser:
        host = await new_person(browser, server.url)
        guest = await new_person(browser, server.url)
        await host.join(server.links["host"], "Host")
        await guest.join(server.links["guest"], "Guest")
        await host.sees(1)
        await host.click("control-record")
        await host.click("record-confirm")
        await host.until("return !!document.querySelector('[data-testid=\"recording\"]')")
        recorded = 8.0
        await asyncio.sleep(recorded)  # real media takes real time
        await server.kill()
        await server.start()
        try:
            # Everybody comes back by themselves.
            await host.forget()
            await host.sees(1)
        finally:
            manifest = await repaired(server, folder)
            await server.stop()
    # Less than a second may be gone, and media begin a moment after the sign of it.
    assert manifest["duration"] > (recorded - 2.0) * 1000


async def test_who_is_not_reached_by_media_is_sent_to_the_check(tmp_path: Path) -> None:
    nowhere = {"media_public_addresses": "127.0.0.77"}
    async with ServerProcess(tmp_path, captions_enabled="false", **nowhere) as server, chromium() as browser:
        host = await new_person(browser, server.url)
        await host.join(server.links["host"], "Host")
        link = "document.querySelector('[data-testid=\"check-link\"]')"
        await host.until(f"return !!{link}")
        assert await host.run(f"return {link}.pathname") == "/check"


async def repaired(server: ServerProcess, folder: Path) -> dict[str, Any]:
    found = list((folder / "data" / "recordings").glob("*/recording.json"))
    assert len(found) == 1
    manifest: dict[str, Any] = json.loads(found[0].read_text())
    path = f"/api/recordings/{found[0].parent.name}"
    async with aiohttp.ClientSession() as http, http.get(server.url + path) as answer:
        assert answer.status in (401, 403, 404), "a stranger must not read a recording"
    return manifest
