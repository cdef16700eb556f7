"""The rehearsal: back stage, live, a network that drops, a viewer on stage, 200 questions, and the replay of it all."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import av
import pytest_asyncio
from playwright.async_api import Page

from benchmarks.harness.browsers import chromium
from benchmarks.harness.server import ServerProcess
from sfu.client import ClientTrack, MediaClient
from signaling.client import Participant, redeem
from tests.e2e.person import EARS, Person, new_person
from tests.e2e.test_accessibility import violations
from tests.e2e.test_live import PLAYS, look
from tests.signaling.test_holding import PNG

CLIP = Path(__file__).parent.parent / "assets" / "en-dose.opus"
MICROPHONE = ClientTrack("microphone", "OPUS")
QUESTIONS = 200
HOUSES, SEATS, EACH = 4, 10, 5
"""Clinics with one address each, viewers in each, and how many questions one may have waiting."""
NAMED = """
const third = document.querySelector('[data-testid="lower-third"]');
return third !== null && third.innerText.includes(arguments[0]) && third.innerText.includes(arguments[1]);
"""
ASKED = "return document.querySelectorAll('[data-testid=\"question\"]').length === arguments[0]"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(folder: Path) -> AsyncIterator[ServerProcess]:
    async with ServerProcess(folder, captions_enabled="false") as server:
        yield server


async def speak(media: MediaClient) -> None:
    """Says the clip over and over, 20 ms at a time."""
    with av.open(str(CLIP)) as container:
        packets = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    loop, sent = asyncio.get_running_loop(), 0
    began = loop.time()
    while True:
        media.send_rtp("0", packets[sent % len(packets)], sent * 960, False)
        sent += 1
        await asyncio.sleep(max(0.0, began + sent * 0.02 - loop.time()))


async def clinic(url: str, code: str, number: int) -> list[int]:
    """What viewers behind one address are answered who ask all that they may, and then one more each."""
    connector = aiohttp.TCPConnector(local_addr=(f"127.0.0.{number + 2}", 0))
    cookies, answers = [], []
    async with aiohttp.ClientSession(connector=connector) as http:
        for _ in range(SEATS):
            async with http.post(f"{url}/access", json={"code": code}) as answer:
                cookies.append({"Cookie": answer.headers["Set-Cookie"].partition(";")[0]})
        for one, (seat, headers) in itertools.product(range(EACH + 1), enumerate(cookies)):
            body = {"key": f"{one}", "text": f"Question {one} of {number}.{seat}?", "name": "Somebody"}
            async with http.post(f"{url}/questions", json=body, headers=headers) as answer:
                answers.append(answer.status)
    return answers


async def events(url: str, code: str, told: list[bytes]) -> None:
    """Notes what the audience is told."""
    async with aiohttp.ClientSession() as http:
        async with http.post(f"{url}/access", json={"code": code}) as answer:
            headers = {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}
        async with http.get(f"{url}/events", headers=headers) as stream:
            while True:
                told.append(await stream.content.readuntil(b"\n\n"))


async def again(person: Person) -> None:
    """The page is the one that it was: nothing was loaded anew."""
    assert await person.run("return window.__same === true")
    await person.until(PLAYS)


async def test_a_broadcast_from_back_stage_to_its_replay(server: ServerProcess, spoken_english: Path) -> None:
    async with chromium(microphone=spoken_english, loop_microphone=True) as browser, aiohttp.ClientSession() as http:
        host, eva = await new_person(browser, server.url), await new_person(browser, server.url)
        desk, seat = host.page, eva.page
        assert isinstance(desk, Page) and isinstance(seat, Page)
        errors: list[str] = []
        for page in (desk, seat):
            page.on("pageerror", lambda error: errors.append(str(error)))

        # Back stage.
        await host.goto(server.links["host"])
        await host.fill("institution", "Hospital Central de Maputo")
        await host.join(server.links["host"], "Dr. Host")
        invitation = await redeem(http, server.links["guest"])
        ben = Participant(http, MediaClient(), "Dr. Ben")
        await ben.enter(invitation, [MICROPHONE])
        await host.until("return document.querySelectorAll('[data-testid=\"tile\"]').length === 2")
        await desk.keyboard.press("b")
        await host.fill("cast-title", "Grand round")
        await host.click("cast-plan")
        link = str(await host.until("return document.querySelector('[data-testid=\"cast-link\"]')?.value"))
        code = link.partition("#k=")[2]
        url = link.partition("#")[0].replace("/live/", "/api/live/")
        await eva.goto(link)
        await eva.run(EARS)
        await eva.run("window.__same = true")
        await eva.until("return !!document.querySelector('[data-testid=\"live-hold\"]')")
        await desk.set_input_files(
            '[data-testid="cast-image"]', {"name": "h.png", "mimeType": "image/png", "buffer": PNG}
        )
        await eva.until("return document.querySelector('[data-testid=\"live-image\"]')?.naturalWidth === 64")
        await look(seat, "stage-hold")
        await look(desk, "stage-plan")
        await host.choose("cast-countdown", "0")
        await host.click("cast-go")
        await eva.until(PLAYS)
        # Who begins to speak is named, over the picture.
        await eva.until(NAMED, "Dr. Host", "Hospital Central de Maputo")
        await look(seat, "stage-third")

        voice = asyncio.create_task(speak(ben.media))

        # A speaker's network drops, and the programme goes on; they are back as who they were.
        assert ben.welcome is not None
        was = ben.id
        voice.cancel()
        await ben.vanish()
        await host.until(
            "return document.querySelector('[data-testid=\"tile\"] .lost')?.innerText === 'connection lost'"
        )
        await eva.until(PLAYS)
        back = Participant(http, MediaClient(), "Dr. Ben")
        await back.enter(invitation, [MICROPHONE], resume=ben.welcome.resume)
        assert back.id == was
        voice = asyncio.create_task(speak(back.media))

        # A viewer comes on stage, and goes back.
        await eva.click("stage-raise")
        await eva.fill("stage-name", "Eva Matusse")
        await look(seat, "stage-raise")
        await eva.click("stage-lift")
        await eva.until("return !!document.querySelector('[data-testid=\"stage-raised\"]')")
        await desk.keyboard.press("p")
        await host.until("return document.querySelector('[data-testid=\"hand-invite\"]') !== null")
        await look(desk, "stage-hands")
        await host.click("hand-invite")
        await eva.until("return !!document.querySelector('[data-testid=\"stage-invited\"]')")
        await look(seat, "stage-invited")
        if os.environ.get("SCREENSHOTS"):
            await seat.set_viewport_size({"width": 390, "height": 844})
            await seat.emulate_media(color_scheme="dark")
            await look(seat, "stage-invited-phone")
            await seat.set_viewport_size({"width": 1280, "height": 720})
            await seat.emulate_media(color_scheme="light")
        assert await violations(eva) == []
        await eva.click("stage-come")
        await eva.click("join")
        await eva.sees(1)
        await host.sees(1)
        await look(seat, "stage-on")
        await desk.get_by_role("button", name="More for Eva Matusse").click()
        await look(desk, "stage-guest")
        await desk.get_by_role("menuitem", name="Back to the audience").click()
        await again(eva)
        assert seat.url == link.partition("#")[0]

        # Everybody asks at once: what one may ask is bounded, and so is what is told of it.
        voice.cancel()
        await back.leave()
        await desk.keyboard.press("q")
        await host.click("questions-open")
        told: list[bytes] = []
        listening = asyncio.create_task(events(url, code, told))
        clock = asyncio.get_running_loop()
        began = clock.time()
        answers = await asyncio.gather(*(clinic(url, code, number) for number in range(HOUSES)))
        assert answers == [[200] * SEATS * EACH + [429] * SEATS] * HOUSES
        await host.until(ASKED, QUESTIONS)
        await desk.get_by_role("button", name="Publish").first.click()
        await eva.until(ASKED, 1)
        boards = sum(1 for one in told if b"event: questions" in one)
        assert boards <= (clock.time() - began) / 0.3 + 2
        listening.cancel()
        await desk.get_by_role("button", name="Answer live").first.click()
        await eva.until('return !!document.querySelector(\'[data-testid="question"][data-state="live"]\')')
        question = await eva.run("return document.querySelector('[data-testid=\"question\"] .text')?.innerText")
        assert question.startswith("Question "), question

        # Over, and to be seen again where it was seen.
        await desk.keyboard.press("b")
        await host.click("cast-end")
        await eva.until("return !!document.querySelector('[data-testid=\"replay-video\"]')")
        assert await eva.run("return window.__same === true") and seat.url == link.partition("#")[0]
        await eva.until("return document.querySelector('[role=\"tab\"]') !== null")
        await seat.get_by_role("tab", name="Chapters").click()
        await seat.locator('[data-testid="chapter"]', has_text=question).wait_for()
        await seat.get_by_role("button", name="Play", exact=True).first.click()
        await eva.until(NAMED, "Dr. Host", "Hospital Central de Maputo")
        await look(seat, "stage-replay")
        assert errors == []
