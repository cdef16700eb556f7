"""How a reader has captions: held still, in other colours, with doubts marked and names left out, in two languages."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from benchmarks.harness.browsers import chromium
from captioning.service import RoomCaptions
from signaling.server import Server, ServerLinks
from signaling.settings import Settings
from tests.e2e.person import Person
from tests.e2e.test_accessibility import violations

pytestmark = pytest.mark.asyncio(loop_scope="module")


class House:
    """A server in this process, whose captions are put into the demo room's mouths by the test."""

    def __init__(self, server: Server, links: ServerLinks) -> None:
        self.server, self.links = server, links
        self._said = 0

    def say(self, participant: str, text: str, portuguese: str = "", **more: Any) -> None:
        """A final in English, and its translation."""
        room = self.server.hub.rooms["demo"]
        captions = room.words._captions
        assert isinstance(captions, RoomCaptions)
        self._said += 1
        at = self._said * 2_000.0
        known = {"segment": f"t.{self._said}", "participant": participant, "track": "t", "source": "en"}
        guard = more.pop("guard", [])
        times = {"start": at, "end": at + 1_500, "tail": "", "final": True}
        captions._publish(captions._segments.revise(language="en", stable=text, **known, **times, **more))
        if portuguese:
            captions._publish(
                captions._segments.revise(
                    language="pt", stable=portuguese, engine="firefox", guard=guard, **known, **times
                )
            )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(folder: Path) -> AsyncIterator[House]:
    values = {
        "port": 0,
        "data_dir": str(folder),
        "media": {"host": "127.0.0.1", "port": 0},
        "captions": {"enabled": False},
    }
    server = Server(msgspec.convert(values, Settings))
    await server.start()
    try:
        yield House(server, await server.links())
    finally:
        await server.stop()


async def enter(browser: Browser, house: House, role: str, name: str, locale: str, **how: Any) -> tuple[Person, Page]:
    context = await browser.new_context(permissions=["microphone", "camera"], locale=locale)
    person = Person(await context.new_page(), f"http://127.0.0.1:{house.server.port}")
    await person.join(str(getattr(house.links, role)), name, **how)
    assert isinstance(person.page, Page)
    return person, person.page


async def test_terms_are_written_taken_in_changed_and_deleted(house: House) -> None:
    member = await house.server.store.members.first_administrator("ana@example.org", "Ana", "a long password")
    session = await house.server.store.members.log_in(member.id)
    url = f"http://127.0.0.1:{house.server.port}"
    async with chromium() as browser:
        context = await browser.new_context(locale="en-US")
        await context.add_cookies([{"name": "consilium_session", "value": session, "url": url}])
        await context.add_init_script("localStorage.setItem('consilium.member', '1')")
        page = await context.new_page()
        person = Person(page, url)
        await page.goto(f"{url}/admin#glossary")
        await page.get_by_test_id("term-new").click()
        await page.get_by_test_id("term-term").fill("metformin")
        await page.get_by_test_id("term-language").select_option("en")
        await page.get_by_test_id("term-drug").check()
        await page.get_by_test_id("term-aliases").fill("met forming, met for men")
        await page.get_by_test_id("term-translations").fill("pt: metformina")
        assert await violations(person) == []
        await page.get_by_test_id("term-save").click()
        row = page.get_by_role("row").filter(has_text="metformin")
        await expect(row).to_contain_text("pt: metformina")
        # A file, with a report; one that is none changes nothing and says why.
        table = b"term,language,kind,aliases,pt\nsepsis,en,term,,sepse\nMetformin,en,drug,metforming,metformina\n"
        await page.get_by_test_id("glossary-file").set_input_files(
            {"name": "terms.csv", "mimeType": "text/csv", "buffer": table}
        )
        await expect(page.get_by_test_id("glossary-report")).to_have_text("1 new, 1 changed; 2 terms now.")
        await page.get_by_test_id("glossary-file").set_input_files(
            {"name": "terms.csv", "mimeType": "text/csv", "buffer": b"term,language\nx,not a language\n"}
        )
        await expect(page.get_by_test_id("glossary-refused")).to_contain_text("line 2")
        await page.get_by_test_id("table-filter").fill("sepse")
        await expect(page.get_by_test_id("term-edit")).to_have_count(1)
        await page.get_by_test_id("term-edit").click()
        await page.get_by_test_id("term-term").fill("metformin")
        await page.get_by_test_id("term-save").click()
        await expect(page.get_by_role("dialog")).to_contain_text("this term is there already")
        await page.get_by_test_id("term-term").fill("septic shock")
        await page.get_by_test_id("term-save").click()
        await page.get_by_test_id("table-filter").fill("septic")
        await expect(page.get_by_role("row").filter(has_text="septic shock")).to_have_count(1)
        assert await violations(person) == []
        await page.get_by_test_id("table-filter").fill("")
        await picture(page, "glossary")
        await page.set_viewport_size({"width": 390, "height": 844})
        await page.emulate_media(color_scheme="dark")
        await picture(page, "glossary-phone")
        await page.get_by_test_id("term-delete").last.click()
        await expect(page.get_by_test_id("term-delete")).to_have_count(1)
        await page.get_by_test_id("glossary-scope").select_option("demo")
        await expect(page.get_by_text("There are no terms yet.")).to_be_visible()


async def picture(page: Page, name: str) -> None:
    if pictures := os.environ.get("CONSILIUM_PICTURES"):
        await page.screenshot(path=Path(pictures) / f"{name}.png")


async def test_a_reader_has_captions_as_they_like(house: House) -> None:
    async with chromium() as browser:
        ana, page = await enter(browser, house, "host", "Ana", "en-US", reads="en")
        bia, other = await enter(browser, house, "guest", "Bia", "pt-BR", reads="pt")
        speaker = next(iter(house.server.hub.rooms["demo"].people))
        house.say(speaker, "Take metformin.", "Tome metformina.", doubtful=[1], heard="Take met forming.")
        house.say(speaker, "Not five milligrams.", "Cinco miligramas.", guard=["negation"])
        captions, theirs = page.get_by_test_id("captions"), other.get_by_test_id("captions")

        # What was not heard clearly, and what may be wrong, in the captions and in the transcript.
        await expect(captions.locator(".doubtful")).to_have_text("metformin.")
        await expect(theirs.get_by_test_id("caption-check")).to_contain_text(
            "conferir: Esta tradução pode estar errada"
        )
        await expect(theirs.get_by_test_id("caption-original")).to_have_text("Not five milligrams.")
        await page.keyboard.press("t")
        await expect(page.get_by_test_id("transcript-heard")).to_have_text("Heard as: Take met forming.")
        await expect(page.get_by_test_id("transcript").locator(".doubtful")).to_have_text("metformin.")

        # What was put right can be a term, and can be taken back.
        await page.get_by_test_id("term-add").click()
        await expect(page.get_by_test_id("term-name")).to_have_value("metformin")
        await page.get_by_test_id("term-keep").click()
        await expect(page.get_by_test_id("term-keep")).to_have_count(0)
        (kept,) = await house.server.store.glossary.all("demo")
        assert (kept.term, kept.language, kept.aliases) == ("metformin", "en", ["met forming"])
        await house.server.store.glossary.delete("demo")
        await picture(page, "reading-transcript")
        await page.get_by_test_id("correct-revert").click()
        await expect(page.get_by_test_id("transcript")).to_contain_text("Take met forming.")
        await expect(page.get_by_test_id("correct-revert")).to_have_count(0)

        # A screen reader is given translations, but none that was taken back; originals only to whoever wants them.
        await expect(other.get_by_test_id("caption-log").locator("p")).to_have_count(1)
        await expect(page.get_by_test_id("caption-log").locator("p")).to_have_count(0)

        # Held: nothing moves, what comes is counted, and all of it is there afterwards.
        await page.get_by_test_id("caption-pause").click()
        house.say(speaker, "And call me tomorrow.", "E me ligue amanhã.")
        await expect(page.get_by_test_id("caption-missed")).to_have_text("1 new line")
        await expect(captions.get_by_test_id("caption-line").last).not_to_contain_text("tomorrow")
        assert await violations(ana) == []
        await picture(page, "reading-paused")
        await page.get_by_test_id("caption-pause").click()
        await expect(captions.get_by_test_id("caption-line").last).to_contain_text("tomorrow")

        # Colours, from the settings, on a phone too.
        await other.set_viewport_size({"width": 390, "height": 844})
        await other.keyboard.press(",")
        await other.get_by_test_id("caption-background").select_option("white")
        await other.get_by_test_id("caption-contrast").check()
        await picture(other, "reading-settings")
        await other.keyboard.press("Escape")
        await expect(theirs).to_have_css("background-color", "rgb(255, 255, 255)")
        await expect(theirs.get_by_test_id("caption-line").last).to_have_css("color", "rgb(0, 0, 0)")
        assert await violations(bia) == []
        await picture(other, "reading-phone")


async def test_a_name_stays_away_from_words_when_its_owner_says_so(house: House) -> None:
    async with chromium() as browser:
        _, page = await enter(browser, house, "host", "Carla", "en-US", reads="en")
        dora, other = await enter(browser, house, "guest", "Dora", "pt-BR", reads="pt")
        people = house.server.hub.rooms["demo"].people
        speaker = next(one for one in people.values() if one.name == "Dora")
        await other.keyboard.press(",")
        await other.get_by_test_id("named").uncheck()
        await page.wait_for_function("() => !!document.querySelector('[data-testid=\"captions\"]')")
        await dora.until("return document.body.innerText.includes('A partir de agora o seu nome não aparece')")
        assert not speaker.named
        house.say(speaker.id, "I am not sure.")
        line = page.get_by_test_id("captions").locator(".turn").last
        await expect(line).to_contain_text("Somebody without a name")
        await expect(line).not_to_contain_text("Dora")
        await page.get_by_test_id("control-people").click()
        await expect(page.get_by_test_id("panel-people")).to_contain_text("name not in captions")
        await picture(page, "reading-unnamed")


async def test_somebody_types_the_captions_and_others_read_them_as_they_grow(house: House) -> None:
    async with chromium() as browser:
        ana, page = await enter(browser, house, "host", "Ana Captions", "en-US", reads="en")
        cai, other = await enter(browser, house, "viewer", "Cai Typist", "pt-PT", reads="en")
        await page.get_by_test_id("control-people").click()
        await page.get_by_role("button", name="More for Cai Typist").click()
        await page.get_by_test_id("make-captioner").locator("visible=true").click()
        panel = other.get_by_test_id("panel-captioner")
        await expect(panel).to_be_visible()
        await picture(other, "captioner-before")
        await panel.get_by_test_id("captioner-of").select_option(label="Ana Captions")
        await panel.get_by_test_id("captioner-language").select_option("en")
        assert await violations(cai) == []
        await panel.get_by_test_id("captioner-start").click()
        await expect(page.get_by_test_id("people")).to_contain_text("types captions: Ana Captions")
        line = panel.get_by_test_id("captioner-input")
        await line.press_sequentially("Please give the patient five")
        captions = page.get_by_test_id("captions")
        await expect(captions.get_by_test_id("caption-line").last).to_contain_text("Please give the patient five")
        # A sentence with something behind it ends by itself; Enter ends the rest.
        await line.press_sequentially(" milligrams. And then")
        await expect(panel.get_by_test_id("captioner-written")).to_contain_text(
            "Please give the patient five milligrams."
        )
        await expect(line).to_have_value("And then")
        await line.press("Enter")
        await expect(line).to_have_value("")
        await expect(captions).to_contain_text("And then")
        await expect(captions).to_contain_text("Ana Captions")
        assert await violations(cai) == []
        await line.press_sequentially("Thank you, every")
        await expect(captions).to_contain_text("Thank you, every")
        assert await violations(ana) == [], "with words that are not settled yet"
        await picture(other, "captioner")
        await other.set_viewport_size({"width": 390, "height": 844})
        await picture(other, "captioner-phone")
        await other.set_viewport_size({"width": 1280, "height": 720})
        await page.get_by_test_id("control-transcript").click()
        await expect(page.get_by_test_id("transcript-typed").first).to_have_text("Typed by Cai Typist")
        await picture(page, "captioner-transcript")
        await panel.get_by_test_id("captioner-stop").click()
        await expect(panel.get_by_test_id("captioner-start")).to_be_visible()
        await expect(captions).to_contain_text("Thank you, every")
        await page.get_by_test_id("control-people").click()
        await expect(page.get_by_test_id("people")).to_contain_text("may type captions")
        await page.get_by_role("button", name="More for Cai Typist").click()
        await page.get_by_test_id("make-captioner").locator("visible=true").click()
        await expect(panel).to_have_count(0)
        await expect(other.get_by_test_id("control-captioner")).to_have_count(0)
