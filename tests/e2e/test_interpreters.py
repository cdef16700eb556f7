"""Somebody interprets into Portuguese: who chose it hears and reads them over the quieter floor, nobody else does."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from benchmarks.harness.browsers import chromium, wav_from
from benchmarks.harness.server import ServerProcess
from tests.e2e.conftest import CLIPS
from tests.e2e.person import Person, new_person
from tests.e2e.test_accessibility import violations
from tests.e2e.test_live import PLAYS, TIER

# How loud somebody's microphone is to this listener, as it comes and as it is played: the peak of a second and more.
LEVEL = """
const audio = document.querySelector(`audio[data-source="microphone"][data-participant="${arguments[0]}"]`);
if (!audio) return null;
const context = window.__ears ??= new AudioContext();
const kept = audio.__meter ??= {analyser: context.createAnalyser(), peaks: [], stream: null};
if (kept.stream !== audio.srcObject) {
  kept.stream = audio.srcObject;
  context.createMediaStreamSource(audio.srcObject).connect(kept.analyser);
}
const samples = new Float32Array(kept.analyser.fftSize = 8192);
kept.analyser.getFloatTimeDomainData(samples);
kept.peaks.push(samples.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0));
const came = Math.max(...kept.peaks.slice(-12));
return {came, played: came * audio.volume, volume: audio.volume, long: kept.peaks.length >= 12};
"""
PREFER = "if (!localStorage.length) localStorage.setItem('consilium.preferences', JSON.stringify({%s: false}))"
LINES = """
return [...document.querySelectorAll('[data-testid="caption-line"]')].map((line) => line.dataset.participant);
"""
# The one who signs: there once, with a picture, in sight as a whole; and what part of the page she has.
SIGNER = """
const tiles = [...document.querySelectorAll('[data-testid="signer"] [data-testid="tile"]')];
const box = tiles[0]?.getBoundingClientRect();
const video = tiles[0]?.querySelector('video');
if (tiles.length !== 1 || !video?.videoWidth) return null;
const again = document.querySelectorAll(`[data-testid="tile"][data-participant="${tiles[0].dataset.participant}"]`);
const out = box.left < 0 || box.top < 0 || box.right > arguments[0] || box.bottom > arguments[1];
if (again.length !== 1 || out) return null;
return {id: tiles[0].dataset.participant, share: box.width * box.height / arguments[0] / arguments[1]};
"""
WHO = """
return [...document.querySelectorAll('[data-testid="tile"]')].find((tile) => tile.ariaLabel.startsWith(arguments[0]))
  ?.dataset.participant
"""


@pytest.fixture(scope="module")
def spoken_portuguese(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wav_from(CLIPS / "pt-consulta.opus", tmp_path_factory.mktemp("wav") / "pt.wav", tail_seconds=1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(folder: Path) -> AsyncIterator[ServerProcess]:
    async with ServerProcess(folder) as server:
        yield server


def level(condition: str) -> str:
    """Waits for a condition on the `level` of somebody."""
    return f"const level = (function() {{ {LEVEL} }}).apply(null, arguments); return level && ({condition}) && level;"


async def picture(person: Person, name: str, phone: bool = False) -> None:
    if (pictures := os.environ.get("CONSILIUM_PICTURES")) and isinstance(person.page, Page):
        if phone:
            await person.page.set_viewport_size({"width": 390, "height": 844})
        await person.screenshot(Path(pictures) / f"{name}{'-phone' if phone else ''}.png")
        await person.page.set_viewport_size({"width": 1280, "height": 720})


async def test_an_interpreter_is_heard_by_those_who_chose_the_language(
    server: ServerProcess, spoken_portuguese: Path
) -> None:
    async with chromium() as others, chromium(microphone=spoken_portuguese, loop_microphone=True) as booth:
        host, eva = await new_person(others, server.url), await new_person(others, server.url)
        ina = await new_person(booth, server.url)
        desk, seat, desk_of_ina = host.page, eva.page, ina.page
        assert isinstance(desk, Page) and isinstance(seat, Page) and isinstance(desk_of_ina, Page)
        for page in (desk, seat):
            await page.add_init_script(PREFER % "cameraOn")
        await desk_of_ina.add_init_script(PREFER % "microphoneOn")  # going on air turns it on
        await host.join(server.links["host"], "Host")
        await eva.join(server.links["guest"], "Eva", reads="en")
        await eva.click("control-microphone")
        await ina.join(server.links["guest"], "Ina")
        interpreter, floor = await host.until(WHO, "Ina"), await eva.until(WHO, "Host")
        full = await eva.until(level("level.long && level.came > 0.02 && level.volume === 1"), floor)
        await host.click("control-people")
        await desk.get_by_role("button", name="More for Ina").click()
        await desk.get_by_role("menuitem", name="Interpreter…").click()
        await host.choose("interpret-add", "pt")
        await host.until("return !!document.querySelector('[data-testid=\"interpret-remove-pt\"]')")
        await picture(host, "give")
        await host.click("interpret-done")
        # By keyboard: on air.
        await ina.until("return !!document.querySelector('[data-testid=\"interpreter-bar\"]')")
        await picture(ina, "off-air")
        await desk_of_ina.keyboard.press("i")
        await ina.until("return document.querySelector('[data-testid=\"interpreter-bar\"]').dataset.air === 'pt'")
        # Nobody chose Portuguese: nobody gets a packet of it, and the floor is as loud as it was.
        await eva.until(level("level.came < 0.0005"), interpreter)
        await eva.until(level("level.volume === 1"), floor)
        await seat.keyboard.press("a")
        assert await violations(eva) == []
        await picture(eva, "audio")
        await eva.click("audio-pt")
        await seat.keyboard.press("Escape")
        await eva.until(level("level.played > 0.02"), interpreter)
        ducked = await eva.until(level("level.volume < 0.2 && level.came > 0.02"), floor)
        assert 0.1 < ducked["volume"] < 0.2 and ducked["played"] < 0.3 * full["played"], (full, ducked)
        assert (await host.run(LEVEL, interpreter))["came"] < 0.0005, "the floor does not hear the channel"
        # She reads what the interpreter says, and those of the floor do not.
        await eva.until(f"return (function() {{ {LINES} }})().includes(arguments[0])", interpreter)
        assert set(await eva.run(LINES)) == {interpreter}
        assert interpreter not in await host.run(LINES)
        for phone in (False, True):
            await picture(ina, "on-air", phone)
            await picture(eva, "listening", phone)
        # The choice is kept for the next visit.
        await seat.reload()
        await eva.join(server.links["guest"], "Eva", reads="en")
        await eva.until(level("level.played > 0.02"), interpreter)
        # Off the air: muted, and the original is back.
        await ina.click("leave-air")
        await ina.until("return document.querySelector('[data-testid=\"interpreter-bar\"]').dataset.air === ''")
        await expect(desk_of_ina.get_by_test_id("control-microphone")).to_have_attribute("aria-pressed", "false")
        await eva.until(level("level.volume === 1 && level.came > 0.005"), floor)
        # She signs instead, beside whoever speaks: seen in either layout, on a phone too.
        await desk.get_by_role("button", name="More for Ina").click()
        await desk.get_by_role("menuitem", name="Show to everybody as sign-language interpreter").click()
        for name, width, height in (("wide", 1280, 720), ("phone", 390, 844)):
            await seat.set_viewport_size({"width": width, "height": height})
            for _ in range(2):
                layout = await eva.run("return document.querySelector('[data-testid=\"stage\"]').dataset.layout")
                signing = await eva.until(SIGNER, width, height)
                assert signing["id"] == interpreter and signing["share"] > 0.04, (name, layout, signing)
                if pictures := os.environ.get("CONSILIUM_PICTURES"):
                    await eva.screenshot(Path(pictures) / f"signing-{name}-{layout}.png")
                await seat.keyboard.press("l")
        assert await violations(eva) == []
        await desk.get_by_role("button", name="More for Ina").click()
        await desk.get_by_role("menuitem", name="No longer show as sign-language interpreter").click()
        await eva.until("return !document.querySelector('[data-testid=\"signer\"]')")


async def test_viewers_by_webrtc_see_who_signs_beside_the_programme(server: ServerProcess) -> None:
    async with chromium() as browser:
        host, lia, viewer = [await new_person(browser, server.url) for _ in range(3)]
        desk = host.page
        assert isinstance(desk, Page)
        await host.join(server.links["host"], "Host")
        await lia.join(server.links["guest"], "Lia")
        await desk.keyboard.press("b")
        await host.click("cast-plan")
        link = await host.until("return document.querySelector('[data-testid=\"cast-link\"]')?.value")
        await host.choose("cast-countdown", "0")
        await host.click("cast-go")
        await desk.keyboard.press("Escape")
        await viewer.goto(link)
        await viewer.until(f"{TIER}; return tier === 'realtime'")
        assert await viewer.run("return !document.querySelector('[data-testid=\"live-signer\"]')")
        await desk.keyboard.press("p")
        await desk.get_by_role("button", name="More for Lia").click()
        await desk.get_by_role("menuitem", name="Show to everybody as sign-language interpreter").click()
        await viewer.until("return document.querySelector('[data-testid=\"live-signer\"]')?.videoWidth > 0")
        await viewer.until(PLAYS)
        for phone in (False, True):
            await picture(viewer, "viewers-signing", phone)
        assert await violations(viewer) == []
        await desk.get_by_role("button", name="More for Lia").click()
        await desk.get_by_role("menuitem", name="No longer show as sign-language interpreter").click()
        await viewer.until("return !document.querySelector('[data-testid=\"live-signer\"]')")
