"""What is written reaches everybody in the language they read, by a real worker and real models."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from captioning import models
from signaling import protocol
from signaling.server import Server
from tests.captioning.speech import state
from tests.signaling.conftest import House, settings

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
