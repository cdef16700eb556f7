"""What is written reaches everybody in the language they read, by a real worker and real models."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import pytest_asyncio

from captioning import models
from captioning.service import RoomCaptions
from community.glossary import NewTerm
from recorder.edits import Correction, Edits, Rendering
from signaling import protocol
from signaling.audience import Viewer
from signaling.server import Server
from tests.captioning.speech import state
from tests.signaling.conftest import House, settings
from tests.signaling.test_sharing import code_of, record

pytestmark = pytest.mark.asyncio(loop_scope="module")


def models_there() -> Path:
    """Where the tests of captioning install the embedded models too, once a machine."""
    folder = Path(tempfile.gettempdir()) / f"consilium-test-models-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    models.install_embedded(folder)
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    folder: Path = tmp_path_factory.mktemp("house")
    server = Server(settings(folder, captions={"enabled": True}, models=str(models_there())))
    await server.start()
    try:
        async with aiohttp.ClientSession() as http:
            await state(server.captions, "ready", "failed")
            yield House(server, http)
    finally:
        await server.stop()


def chat(text: str, to: str | None = None) -> protocol.SendChat:
    return protocol.SendChat(key=f"k{hash(text)}", text=text, to=to)


async def test_chat_is_read_in_ones_own_language(house: House) -> None:
    ana = await house.join("guest", "Ana", reads="pt", spoken="pt")
    ben = await house.join("host", "Ben", reads="en", spoken="en")
    assert (await ben.ask(chat("Take five tablets.\nCall me tomorrow.")))["type"] == "ack"
    line = (await ana.wait("chatted"))["entry"]
    said = await ana.wait("rendered")
    assert (said["about"], said["of"], said["source"], said["language"]) == (line["id"], "chat", "en", "pt")
    assert "cinco" in said["text"] and said["text"].count("\n") == 1, said
    # By what it says, not by what its writer declared; and never back into the language it is in.
    assert (await ben.ask(chat("A dose está errada, não é cinco.")))["type"] == "ack"
    back = await ben.wait("rendered")
    assert back["source"] == "pt" and "dose" in back["text"]
    late = await house.join("guest", "Late", reads="pt")
    again = await late.wait("rendered")
    assert again["text"] == said["text"], "kept, not made again"
    # Private lines are for two.
    assert (await ben.ask(chat("This is only for you.", ana.id)))["type"] == "ack"
    await ana.wait("rendered", lambda m: "você" in m["text"] or "para" in m["text"])
    changed: dict[str, Any] = await late.ask(protocol.SetLanguages(reads="en"))
    assert changed["type"] == "ack"
    assert [m["text"] for m in late.seen if m["type"] == "rendered" and m["language"] == "en"] == [back["text"]]
    assert all("only for you" not in str(message) and "para ti" not in str(message) for message in late.seen)


async def test_a_question_is_translated_for_those_who_see_it(house: House) -> None:
    host = await house.join("host", "Host", reads="en")
    eva = await house.join("guest", "Eva", reads="en")
    rui = await house.join("guest", "Rui", reads="pt", spoken="pt")
    rules = protocol.SetQuestions(open=True, moderated=True, anonymous=False)
    assert (await host.ask(rules))["type"] == "ack"
    assert (await rui.ask(protocol.Ask(key="q1", text="Qual é a dose para uma criança?")))["type"] == "ack"
    question = await host.wait("rendered", lambda m: m["of"] == "question")
    assert "dose" in question["text"] and "child" in question["text"]
    assert not [m for m in eva.seen if m["type"] == "rendered" and m["of"] == "question"], "it waits for a moderator"
    settle = protocol.SettleQuestion(question=question["about"], state="answered", answer="It is not for children.")
    assert (await host.ask(protocol.SettleQuestion(question=question["about"], state="open")))["type"] == "ack"
    await eva.wait("rendered", lambda m: m["of"] == "question")
    assert (await host.ask(settle))["type"] == "ack"
    answer = await rui.wait("rendered", lambda m: m["of"] == "answer")
    assert "crianças" in answer["text"] and answer["about"] == question["about"]


class Page:
    """A viewer's transport, and the events that went over it."""

    def __init__(self) -> None:
        self.written = b""
        self.news = asyncio.Event()

    def write(self, data: bytes) -> None:
        self.written += data
        self.news.set()

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        raise AssertionError("nothing waits here")

    def rendered(self) -> list[dict[str, Any]]:
        events = re.findall(rb"event: rendered\ndata: (.*)\n", self.written)
        return [msgspec.json.decode(event) for event in events]


async def test_viewers_of_a_broadcast_read_questions_in_their_language_once_they_are_public(house: House) -> None:
    host = await house.join("host", "Host", reads="en", spoken="en")
    rules = protocol.SetQuestions(open=True, moderated=True, anonymous=True)
    assert (await host.ask(rules))["type"] == "ack"
    live = house.server.hub.rooms["demo"].live
    page, other = Page(), Page()
    viewers = [Viewer("v1", "pt", live.who("v1"), page), Viewer("v2", None, live.who("v2"), other)]
    for viewer in viewers:
        live.audience.join(viewer)
    try:
        asked = protocol.Ask(key="v", text="Qual é a dose para um adulto?")
        await live.ask("v3", "Zé", "pt", asked)
        question = await host.wait("rendered", lambda m: m["of"] == "question")
        assert question["language"] == "en" and "adult" in question["text"]
        english = protocol.Ask(key="w", text="Is it safe for the elderly?")
        await live.ask("v4", "Zoe", "en", english)
        board = house.server.hub.rooms["demo"].questions
        about = next(q.id for q in board.seen_by("", True) if q.text == english.text)
        assert page.rendered() == [], "it waits for a moderator"
        settle = protocol.SettleQuestion(question=about, state="answered", answer="Yes, with half the dose.")
        assert (await host.ask(protocol.SettleQuestion(question=about, state="open")))["type"] == "ack"
        assert (await host.ask(settle))["type"] == "ack"
        async with asyncio.timeout(10):
            while not any(one["of"] == "answer" for one in page.rendered()):
                page.news.clear()
                await page.news.wait()
        assert {(one["of"], one["about"], one["language"]) for one in page.rendered()} == {
            ("question", about, "pt"), ("answer", about, "pt"),
        }  # fmt: skip
        assert "metade" in " ".join(one["text"] for one in page.rendered()) and other.rendered() == []
        late = Page()
        live.greet(Viewer("v5", "pt", live.who("v5"), late))
        assert {one["of"] for one in late.rendered() if one["about"] == about} == {"question", "answer"}, "kept"
    finally:
        for viewer in viewers:
            live.audience.leave(viewer)


async def test_a_line_of_a_replay_that_is_put_right_is_translated_again(house: House) -> None:
    host = await house.join("host", "Host")
    eva = await house.join("guest", "Eva", reads="pt")
    assert (await host.ask(protocol.StartRecording()))["type"] == "ack"
    begun = await eva.wait("room-changed", lambda m: m["room"]["recording"]["state"] == "recording")
    recording = begun["room"]["recording"]["recording"]
    known = {"participant": host.id, "track": "t", "start": 0.0, "end": 60_000.0, "tail": "", "final": True}
    captions = house.server.hub.rooms["demo"].words._captions
    assert isinstance(captions, RoomCaptions)
    for language, text in (("en", "Take nine tablets."), ("pt", "Tome nove comprimidos.")):
        engine = None if language == "en" else "firefox"
        captions._publish(
            captions._segments.revise(
                segment="t.0", source="en", language=language, stable=text, engine=engine, **known
            )
        )
    assert (await host.ask(protocol.StopRecording()))["type"] == "ack"
    await eva.wait("room-changed", lambda m: m["room"]["recording"]["replay"] is not None)
    library = house.server.library
    term = NewTerm("en", "tablets", "drug", translations={"pt": "drágeas"})
    await house.server.store.glossary.put("demo", [term])
    put_right = Correction(segment="t.0", language="en", text="Take five tablets.")
    forged = Rendering(segment="t.0", language="pt", of="Take five tablets.", text="Tome mil.")
    saved = await library.edit(recording, Edits(words=[put_right], translations=[forged]))
    assert saved.translations == [], "what is sent of them counts for nothing"

    async def made() -> None:
        assert library._retranslation is not None
        async with asyncio.timeout(10):
            await asyncio.gather(*library._retranslation._tasks.values())

    async def said() -> dict[str, str]:
        return (await library.seen(recording)).manifest.transcript[0].texts

    await made()
    texts = await said()
    assert texts["en"] == "Take five tablets." and "cinco" in texts["pt"]
    assert "drágeas" in texts["pt"], "as the room's glossary says it"
    assert (await library.edits(recording)).revision == saved.revision, "the owner may go on"
    # A change elsewhere keeps it; other words lose it, and get theirs.
    other = Correction(segment="t.0", language="en", text="Take two tablets.")
    again = await library.edit(recording, Edits(revision=1, words=[put_right], names={host.id: "Dr. Host"}))
    assert [one.text for one in again.translations] == [texts["pt"]]
    await library.edit(recording, Edits(revision=2, words=[other]))
    await made()
    assert "dois" in (await said())["pt"]
    assert (await house.server.library.edits(recording)).translations[0].of == "Take two tablets."


async def test_what_was_written_is_read_in_a_replay_in_ones_own_language(house: House) -> None:
    tablets, where, back = "Take the five zebra tablets.", "Where is the doctor of the hospital?", "Onde está a médica?"
    await house.server.store.glossary.delete("demo")  # whatever another test has left there
    one = await record(house, ((tablets, 100), (where, 4_100), (back, 8_100)))
    clip = (await one.open(code_of(await one.share(passage={"start": 4_000, "end": 5_000}))))[2]
    writing, owner = house.server.library.writing, one.owner
    assert writing is not None
    known = (await one.call("GET", "/written", **owner))[1]
    assert known["made"] == [] and {"en", "pt"} <= set(known["reached"])
    assert (await one.call("GET", "/written/pt", **owner))[1]["texts"] == [], "asking begins nothing"
    assert (await one.call("POST", "/written/xx", **owner))[0] == 404
    assert (await one.call("POST", "/written/pt"))[0] == 404, "who may not open it"
    status, answer, _ = await one.call("POST", "/written/pt", **clip)
    assert status == 200 and answer["making"]
    await writing.made(one.id, "pt")
    answer = (await one.call("GET", "/written/pt", **owner))[1]
    assert not answer["making"] and answer["without"] == []
    made = {text["of"]: text for text in answer["texts"]}
    assert made.keys() == {tablets, where} and made[where]["source"] == "en"
    assert "cinco" in made[tablets]["text"] and made[tablets]["guard"] == []
    assert (await one.call("POST", "/written/pt", **owner))[1] == answer, "made once"
    assert (await one.call("GET", "/written", **owner))[1]["made"] == ["pt"]
    # Whoever sees a passage reads what was written in it, and nothing else.
    assert [text["of"] for text in (await one.call("GET", "/written/pt", **clip))[1]["texts"]] == [where]
    for word in ("zebra", "cinco", "médica"):
        found = (await one.call("GET", f"{house.url}/api/search?q={word}", **owner))[1]["found"]
        assert [hit["recording"]["id"] for hit in found] == [one.id], word
    cut = {"cuts": [{"start": 50, "end": 200}]}
    assert (await one.call("PUT", "/edits", cut, **owner))[0] == 200
    assert [text["of"] for text in (await one.call("GET", "/written/pt", **owner))[1]["texts"]] == [where]
    assert (await one.call("GET", f"{house.url}/api/search?q=cinco", **owner))[1]["found"] == []
