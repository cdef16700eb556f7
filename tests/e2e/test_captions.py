"""Words from a fake microphone to another person's screen, and in another language."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Page, expect

from benchmarks.harness.browsers import chromium
from benchmarks.harness.server import ServerProcess
from tests.e2e.person import Person, new_person
from tests.e2e.test_accessibility import violations


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(folder: Path) -> AsyncIterator[ServerProcess]:
    async with ServerProcess(folder) as server:
        yield server


LINES = """
return [...document.querySelectorAll('[data-testid="caption-line"]')].map((line) => ({
  participant: line.dataset.participant, text: line.innerText.toLowerCase()
}));
"""


async def test_spoken_words_are_attributed_and_translated(server: ServerProcess, spoken_english: Path) -> None:
    async with chromium() as listening, chromium(microphone=spoken_english, loop_microphone=True) as speaking:
        reader = await new_person(listening, server.url)
        await reader.join(server.links["host"], "Leitora", reads="pt")
        english = await new_person(listening, server.url)
        await english.join(server.links["guest"], "Reader", reads="en")
        for quiet in (reader, english):
            await quiet.click("control-microphone")
        doctor = await new_person(speaking, server.url)
        await doctor.join(server.links["guest"], "Dr. Speaker", spoken="en")
        me = await english.until(
            "return [...document.querySelectorAll('[data-testid=\"tile\"]')]"
            ".find((tile) => tile.innerText.includes('Dr. Speaker'))?.dataset.participant"
        )
        # Words of the clip that the base model has no trouble with.
        await english.until(
            f"return (function() {{ {LINES} }})().some((line) => line.participant === arguments[0] &&"
            " line.text.includes('morphine') && /5|five/.test(line.text))",
            me,
            timeout=90,
        )
        await reader.until(
            f"return (function() {{ {LINES} }})().some((line) => line.participant === arguments[0] &&"
            " line.text.includes('morfina'))",
            me,
            timeout=60,
        )
        assert await english.run(
            f"return (function() {{ {LINES} }})().every((line) => line.participant === arguments[0])", me
        )
        await correct(reader, english)
        await write(english, reader)


async def correct(moderator: Person, other: Person) -> None:
    """A moderator who reads Portuguese writes an English final anew; everybody gets it, and a translation of it."""
    assert isinstance(moderator.page, Page)
    assert await other.run("return document.querySelectorAll('[data-testid=\"correct-caption\"]').length") == 0
    for person in (moderator, other):
        assert isinstance(person.page, Page)
        await person.page.keyboard.press("t")
    await moderator.until("return !!document.querySelector('[data-testid=\"transcript\"]')")
    await moderator.click("correct-caption")
    assert await violations(moderator) == []
    if pictures := os.environ.get("CONSILIUM_PICTURES"):
        await moderator.screenshot(Path(pictures) / "correct.png")
    await moderator.fill("correct-words", "The zebra sleeps in the left arm.")
    await moderator.page.keyboard.press("Enter")
    text = "return document.querySelector('[data-testid=\"transcript\"]')?.innerText.includes(arguments[0])"
    await other.until(text, "The zebra sleeps in the left arm.")
    await moderator.until(text, "esquerdo")
    await other.until(text, "Corrected by Leitora")
    assert await other.run("return document.querySelectorAll('[data-testid=\"correct-caption\"]').length") == 0
    if pictures:
        await moderator.screenshot(Path(pictures) / "corrected.png")


async def write(writer: Person, reader: Person) -> None:
    """A line of chat in English, read in Portuguese, and as it was written at one tap."""
    assert isinstance(reader.page, Page)
    for person in (writer, reader):
        await person.click("control-chat")
    await writer.fill("chat-input", "The patient must not take five tablets.")
    await writer.click("chat-send")
    rendered = reader.page.get_by_test_id("rendered")
    await expect(rendered).to_contain_text("cinco comprimidos")
    await expect(reader.page.get_by_test_id("chat")).not_to_contain_text("must not")
    assert await violations(reader) == []
    if pictures := os.environ.get("CONSILIUM_PICTURES"):
        await reader.screenshot(Path(pictures) / "chat.png")
    await reader.click("written-toggle")
    await expect(reader.page.get_by_test_id("written")).to_have_text("The patient must not take five tablets.")
    await reader.click("written-toggle")
    await expect(rendered).to_be_visible()
