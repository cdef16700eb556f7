"""A meeting of ten people who speak six languages over each other: every word is its speaker's, in both languages read.

Human speech (LibriSpeech and others; `shared/data`, skipped without) and the committed clips, sent by ten clients
in real time over DTLS-SRTP through the SFU into the real recogniser. Who said a text is told by what it is nearest to.
"""

from __future__ import annotations

import asyncio
import csv
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import jiwer
import numpy as np
import pytest

from benchmarks._clips import speech_folder
from benchmarks._speech import FRAME, opus, read
from captioning.agreement import plain
from captioning.caption import Caption
from captioning.language import base
from sfu.client import ClientTrack, MediaClient
from signaling import protocol
from signaling.client import Participant, redeem
from signaling.server import Server
from tests.captioning.speech import ASSETS, CLIPS, silence, state
from tests.signaling.conftest import settings
from tests.signaling.test_renderings import models_there

HUMAN = (
    "en/leopard_test.wav", "en/librispeech_7902-96591-0000.flac", "pt/leopard_test_pt.wav", "de/leopard_test_de.wav",
    "fr/leopard_test_fr.wav", "it/leopard_test_it.wav", "ru/deepspeech_ru.wav",
)  # fmt: skip
APART = 1.2
"""Seconds between one person's first word and the next one's: all but the last speak over others."""
QUIET = 1.0


@dataclass
class Speaker:
    """One of the ten. Some do not say what they speak."""

    name: str
    language: str
    text: str
    packets: list[bytes]
    declares: bool
    begins: float
    inside: Participant | None = None
    id: str = ""
    sent: int = 0
    finals: dict[str, dict[str, Caption]] = field(default_factory=lambda: defaultdict(dict))
    """By language and segment."""

    def heard(self, language: str) -> str:
        found = sorted(self.finals[language].values(), key=lambda caption: caption.start)
        return " ".join(caption.stable for caption in found)


def speakers() -> list[Speaker]:
    folder = speech_folder()
    if not (folder / "manifest.tsv").is_file():
        pytest.skip("no shared/data/speech")
    with (folder / "manifest.tsv").open(newline="", encoding="utf-8") as manifest:
        rows = {row["file"]: row for row in csv.DictReader(manifest, delimiter="\t")}
    said: list[tuple[Path, str, str]] = [(folder / name, name[:2], rows[name]["transcript"]) for name in HUMAN]
    said += [(ASSETS / name, name[:2], text) for name, text in CLIPS.items()]
    # Languages in turn, so that neighbours, who speak at the same time, speak different ones.
    said.sort(key=lambda one: one[0].name.encode()[::-1])
    return [
        Speaker(
            # Names say nothing: two are called the same.
            name=("Ana", "Ben")[number % 2],
            language=language,
            text=text,
            packets=opus(np.concatenate([silence(0.3), read(path), silence(QUIET)])),
            declares=number not in (2, 7),
            begins=number * APART,
        )
        for number, (path, language, text) in enumerate(said)
    ]


def distance(said: str, heard: str) -> float:
    """Character errors, of letters only."""
    reference, hypothesis = (" ".join(map(plain, text.split())) or "-" for text in (said, heard))
    return float(jiwer.cer(reference, hypothesis))


async def talk(people: list[Speaker]) -> None:
    """Everybody's packets at the pace of speech; who has finished leaves at once, before their words are final."""
    began = time.monotonic()
    leaving: list[asyncio.Task[None]] = []
    left: set[str] = set()
    while len(left) < len(people):
        now = time.monotonic() - began
        for one in people:
            due = min(len(one.packets), int((now - one.begins) * 50))
            assert one.inside is not None
            while one.sent < due:
                one.inside.media.send_rtp("0", one.packets[one.sent], one.sent * FRAME)
                one.sent += 1
            if one.sent == len(one.packets) and one.id not in left:
                left.add(one.id)
                leaving.append(asyncio.create_task(one.inside.leave()))
        await asyncio.sleep(0.01)
    await asyncio.gather(*leaving)


@pytest.mark.timeout(300)
async def test_ten_people_and_six_languages_and_no_word_is_anybody_elses(tmp_path: Path) -> None:
    people = speakers()
    assert len(people) == 10 and len({one.language for one in people}) == 6
    server = Server(settings(tmp_path, captions={"enabled": True}, models=str(models_there())))
    await server.start()
    by_id: dict[str, Speaker] = {}
    strangers: list[Caption] = []

    def read_captions(message: protocol.ServerMessage) -> None:
        if isinstance(message, protocol.Captioned) and message.caption.final:
            caption = message.caption
            if (one := by_id.get(caption.participant)) is None:
                strangers.append(caption)
            elif caption.stable:
                one.finals[base(caption.language)][caption.segment] = caption
            else:
                one.finals[base(caption.language)].pop(caption.segment, None)

    try:
        links = await server.links()
        assert links.guest is not None
        await state(server.captions, "ready", "failed")
        async with aiohttp.ClientSession() as http:
            invitation = await redeem(http, links.guest)
            reader = Participant(http, MediaClient(receives=False), "Reader", reads="pt", on_message=read_captions)
            await reader.enter(invitation)

            async def enter(one: Speaker) -> None:
                spoken = one.language if one.declares else None
                one.inside = Participant(http, MediaClient(receives=False), one.name, spoken=spoken)
                await one.inside.enter(await redeem(http, links.guest or ""), [ClientTrack("microphone", "OPUS")])
                one.id = one.inside.id
                by_id[one.id] = one

            await asyncio.gather(*map(enter, people))
            room = server.hub.rooms["demo"]
            await talk(people)
            async with asyncio.timeout(200):
                await room.words._captions._empty.wait()  # type: ignore[attr-defined]
            # What the last of them said has been told by now, in the order in which it was.
            await reader.ask(protocol.SetLanguages(reads="pt"))
            await reader.leave()
    finally:
        await server.stop()
    assert strangers == []
    errors, mixed, alone, together = [], [], list[str](), 0
    for one in people:
        heard = one.heard(one.language)
        assert heard, f"nothing was heard of {one.text!r}"
        nearest = min(people, key=lambda other: distance(other.text, heard))
        if nearest is not one:
            errors.append((one.text, heard, nearest.text))
        # No segment of theirs is nearer to what somebody else said, either.
        for caption in one.finals[one.language].values():
            if len(caption.stable) > 20 and min(people, key=lambda p: distance(p.text, caption.stable)) is not one:
                mixed.append((one.text, caption.stable))
        assert {caption.source for of in one.finals.values() for caption in of.values()} == {one.language}, heard
        assert {caption.participant for of in one.finals.values() for caption in of.values()} == {one.id}
        if one.language != "pt":
            translated, said = one.finals["pt"], one.finals[one.language]
            assert set(translated) <= set(said), (one.heard(one.language), one.heard("pt"))
            alone += [caption.stable for segment, caption in said.items() if segment not in translated]
            together += len(translated)
            assert {caption.pivot for caption in translated.values()} == {
                None if one.language == "en" else "en"
            } or not translated
    assert errors == [] and mixed == []
    # Where no translation is worth showing, of a word alone or of what was hardly understood, the original stands.
    assert together > 2 * len(alone), alone
    assert len({caption.segment for one in people for of in one.finals.values() for caption in of.values()}) >= 10
