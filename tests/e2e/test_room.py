"""Two Chromium pages and a Firefox in one room: seen, heard, and back after a closed lid."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Page

from benchmarks.harness.browsers import chromium, firefox, watch_console
from benchmarks.harness.server import ServerProcess
from sfu.client import MediaClient
from signaling.client import Participant, redeem
from tests.e2e.person import Lid, Person, new_person


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(folder: Path) -> AsyncIterator[ServerProcess]:
    async with ServerProcess(folder, captions_enabled="false") as server:
        yield server


async def test_two_chromium_pages_and_a_firefox_see_and_hear_each_other(server: ServerProcess) -> None:
    async with chromium() as browser, firefox() as fox:
        ana, ben = await new_person(browser, server.url), await new_person(browser, server.url)
        cy = Person(fox, server.url)
        for person in (ana, ben):
            assert isinstance(person.page, Page)
            watch_console(person.page)
        await ana.join(server.links["host"], "Ana")
        await ben.join(server.links["guest"], "Ben")
        await cy.join(server.links["guest"], "Cy")
        for person in (ana, ben, cy):
            await person.sees(2)
            await person.hears(2)


async def test_a_closed_lid_opens_again_without_a_reload(server: ServerProcess) -> None:
    mark = f"lid-{secrets.token_hex(4)}"
    async with chromium() as awake, chromium(mark=mark) as asleep:
        ana, ben = await new_person(awake, server.url), await new_person(asleep, server.url)
        await ana.join(server.links["host"], "Ana")
        await ben.join(server.links["guest"], "Ben")
        for person in (ana, ben):
            await person.sees(1)
            await person.hears(1)
        await ben.run("window.__not_reloaded = true; return true")
        lid = Lid(mark)
        lid.close()
        try:
            await asyncio.sleep(10)  # the very thing under test: ten seconds without this browser
        finally:
            lid.open()
        for person in (ana, ben):
            await person.forget()
            await person.sees(1)
            await person.hears(1)
        assert await ben.run("return window.__not_reloaded === true")


SLOW_DEVICES = """
const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
const ready = new Promise((resolve) => (window.__devices_ready = resolve));
navigator.mediaDevices.getUserMedia = (wanted) => ready.then(() => open(wanted));
"""


async def test_who_joins_before_the_camera_has_opened_is_seen_and_heard_once_it_has(server: ServerProcess) -> None:
    async with chromium() as browser:
        ana, ben = await new_person(browser, server.url), await new_person(browser, server.url)
        assert isinstance(ben.page, Page)
        await ben.page.add_init_script(SLOW_DEVICES)
        await ana.join(server.links["host"], "Ana")
        await ben.join(server.links["guest"], "Late")
        await ana.until(
            "return [...document.querySelectorAll('[data-testid=\"tile\"]')].some("
            "(tile) => tile.innerText.includes('Late'))"
        )
        await ben.run("window.__devices_ready()")
        await ana.sees(1)
        await ana.hears(1)


async def test_chat_hand_and_mute_reach_the_others(server: ServerProcess) -> None:
    async with chromium() as browser:
        ana, ben = await new_person(browser, server.url), await new_person(browser, server.url)
        await ana.join(server.links["host"], "Ana")
        await ben.join(server.links["guest"], "Ben")
        await ben.click("control-chat")
        await ben.fill("chat-input", "Dose checked twice <b>& again</b>")
        await ben.click("chat-send")
        await ana.click("control-chat")
        await ana.until("return document.body.innerText.includes('Dose checked twice <b>& again</b>')")
        await ben.click("control-hand")
        await ana.until("return !!document.querySelector('[data-testid=\"tile\"] .hand')")
        await ana.hears(1)
        await ben.click("control-microphone")
        await ana.until(
            "return [...document.querySelectorAll('[data-testid=\"tile\"]')].some("
            "(tile) => tile.innerText.includes('Ben') && tile.querySelector('.off'))"
        )


LOST = [f"Lost {number}" for number in range(6)]
"""With more than five others there one is large, and a strip that is not all in sight."""
LAST = """
const order = [...document.querySelectorAll('[data-testid="tile"]')].map((tile) => tile.ariaLabel);
const lost = Math.min(...arguments[0].map((name) => order.indexOf(name)));
const [ana, ben] = ['Ana (you)', 'Ben'].map((name) => order.indexOf(name));
return ben >= 0 && ben < ana && ana < lost;
"""


async def test_people_whose_connection_stays_lost_make_room_for_those_who_are_there(server: ServerProcess) -> None:
    stage = """return document.querySelector('[data-testid="stage"]').dataset.layout === arguments[0]"""
    async with chromium() as browser, aiohttp.ClientSession() as http:
        ana, ben = await new_person(browser, server.url), await new_person(browser, server.url)
        await ana.join(server.links["host"], "Ana")
        lost = [Participant(http, MediaClient(), name) for name in LOST]
        for person in lost:
            await person.enter(await redeem(http, server.links["guest"]))
        await ana.until(stage, "speaker")
        for person in lost:
            await person.vanish()
        await ana.until(stage, "grid")
        await ben.join(server.links["guest"], "Ben")
        await ana.sees(1)
        await ana.until(LAST, LOST)


async def test_a_link_that_is_not_one_says_so(server: ServerProcess) -> None:
    async with chromium() as browser:
        stranger = await new_person(browser, server.url)
        await stranger.goto("/j/AAAAAAAAAAAAAAAAAAAAAA")
        await stranger.until("return document.body.innerText.trim().length > 40")
        text = await stranger.run("return document.body.innerText")
        assert "link" in text.lower()
        assert await stranger.run("return !document.querySelector('[data-testid=\"join\"]')")


@pytest.mark.parametrize("width, height", [(1280, 800), (390, 844)])
async def test_nothing_is_cut_off_sideways(server: ServerProcess, width: int, height: int) -> None:
    async with chromium() as browser:
        ana = await new_person(browser, server.url)
        assert isinstance(ana.page, Page)
        await ana.page.set_viewport_size({"width": width, "height": height})
        await ana.join(server.links["host"], "Dr. Maximiliane Freifrau von Hohenstein-Schwarzenberg")
        assert await ana.run("return document.documentElement.scrollWidth <= innerWidth")
        await ana.until(
            "const leave = document.querySelector('[data-testid=\"control-leave\"]').getBoundingClientRect();"
            "return leave.bottom <= innerHeight && leave.right <= innerWidth"
        )
