"""Being asked for consent, in real browsers: refused by one, seen by the other, and obeyed by the recording."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

from benchmarks.harness.browsers import chromium
from recorder.service import load
from signaling.server import Server
from signaling.settings import Settings
from tests.e2e.person import Person, new_person

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(folder: Path) -> AsyncIterator[Server]:
    quiet = {"media": {"host": "127.0.0.1", "port": 0, "plane": "python"}, "captions": {"enabled": False}}
    server = Server(msgspec.convert({"port": 0, "data_dir": str(folder), **quiet}, Settings))
    await server.start()
    yield server
    await server.stop()


async def test_who_refuses_is_not_in_the_recording(server: Server) -> None:
    links = await server.links()
    async with chromium() as browser:
        host = await new_person(browser, f"http://127.0.0.1:{server.port}")
        await host.join(links.host, "Host")
        ana = await new_person(browser, f"http://127.0.0.1:{server.port}")
        await ana.join(links.guest, "Ana")
        await host.sees(1)
        await host.click("control-record")
        await host.fill("record-purpose", "teaching")
        await host.click("record-confirm")
        await ana.until("return document.querySelector('[data-testid=\"consent\"]')?.innerText.includes('teaching')")
        await look(ana, "asked")
        assert (await axe(ana)) == []
        await ana.click("consent-refuse")
        await host.until("return document.querySelectorAll('[data-testid=\"unrecorded\"]').length === 1")
        assert not await host.run("return !!document.querySelector('[data-testid=\"consent\"]')"), "who records agrees"
        await ana.until("return !document.querySelector('[data-testid=\"consent\"]')")
        await look(host, "host")
        await look(ana, "refused")
        late = await new_person(browser, f"http://127.0.0.1:{server.port}")
        await late.join(links.guest, "Late")
        await late.click("consent-agree")
        room = next(iter(server.hub.rooms.values()))
        recording = room.recording.state.recording
        assert recording
        await room.recording.stop(None)
        people = {person.name for person in load(server.settings.recordings_dir, recording).people}
        assert {"Host", "Late"} <= people
        ids = {person.id for person in room.people.values() if person.name == "Ana"}
        told = [one.answer for one in await server.store.consents.of(recording) if one.participant in ids]
        assert told == ["told", "refused"]
        now = load(server.settings.recordings_dir, recording)
        for track in now.tracks:
            if track.participant in ids:
                assert track.closed < now.duration - 500, "it ended when she refused"


async def axe(person: Person) -> list[str]:
    assert isinstance(person.page, Page)
    return [rule["id"] for rule in (await Axe().run(person.page)).response["violations"]]


async def look(person: Person, name: str) -> None:
    """With CONSILIUM_PICTURES (a folder) what it looks like is kept there."""
    if folder := os.environ.get("CONSILIUM_PICTURES"):
        await person.screenshot(Path(folder) / f"consent-{name}.png")
