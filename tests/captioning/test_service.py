"""The whole of captioning on real speech: packets in, attributed and translated captions out, through real workers."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from captioning.config import CaptionConfig
from captioning.segment import Outdated
from captioning.service import CaptionService
from sfu.taps import Codec, TrackInfo

from .speech import CLIPS, Room, clip, eventually, missing, opus, silence, state, tap_packet, words


@pytest.fixture(scope="module")
async def service(model_folder: Path) -> AsyncIterator[CaptionService]:
    service = CaptionService(CaptionConfig(models=model_folder))
    await service.start()
    await state(service, "ready", "failed")
    assert service.status().problem is None
    yield service
    await service.stop()


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_words_are_attributed_to_who_said_them_and_read_in_portuguese(service: CaptionService) -> None:
    room = Room(service)
    room.room.set_readers(frozenset({"pt-BR", "en"}))
    room.room.set_spoken("ana", "pt")
    room.open("helen", "track-h")
    room.open("ana", "track-a")
    room.send("track-h", clip("en-dose.opus"))
    room.send("track-a", clip("pt-consulta.opus"))
    await room.finish()
    said, consulta = CLIPS["en-dose.opus"], CLIPS["pt-consulta.opus"]
    assert len(missing(said, room.text("en", "helen"))) <= 1, room.text("en", "helen")
    assert len(missing(consulta, room.text("pt", "ana"))) <= 2, room.text("pt", "ana")
    portuguese = room.text("pt-BR", "helen").lower()
    assert "morfina" in portuguese and "direito" in portuguese, portuguese
    english = room.text("en", "ana").lower()
    assert "fever" in english and "knee" in english, english
    assert {c.track for c in room.captions if c.participant == "helen"} == {"track-h"}
    assert {c.engine for c in room.finals("pt-BR")} == {"firefox"}
    assert not room.finals("pt-BR", "ana"), "what is spoken in a language is not translated into it"


async def test_revisions_only_grow_and_end_in_one_final(service: CaptionService) -> None:
    room = Room(service)
    room.room.set_readers(frozenset({"pt"}))
    room.open("p", "t")
    packets = clip("en-round.opus")
    for _ in range(5):  # a worker that gets nothing of a busy machine makes no interims the first time
        for begin in range(0, len(packets), 10):  # as fast as speech, or finals alone are made
            room.send("t", packets[begin : begin + 10])
            await asyncio.sleep(0.2)
        if any(not c.final for c in room.captions):
            break
    await room.finish()
    newest: dict[tuple[str, str], tuple[int, bool, str]] = {}
    for c in room.captions:
        revision, final, stable = newest.get((c.segment, c.language), (-1, False, ""))
        assert c.revision == revision + 1
        assert not final
        assert c.start < c.end
        if not c.final and c.engine is not None:
            assert c.stable.startswith(stable)
        elif not c.final:  # a pause may put settled words right, but takes none away
            assert len(words(c.stable)) >= len(words(stable)) - 2, (stable, c.stable)
        newest[c.segment, c.language] = (c.revision, c.final, c.stable if not c.final else "")
    assert newest and all(final for _, final, _ in newest.values())
    assert any(not c.final for c in room.captions)
    snapshot = room.room.snapshot()
    assert {(c.segment, c.language): c.revision for c in snapshot} == {k: v[0] for k, v in newest.items() if v[0] >= 0}


async def test_who_speaks_another_language_than_they_said_is_not_translated(service: CaptionService) -> None:
    room = Room(service)
    room.room.set_spoken("ana", "en")
    room.room.set_among(["fr", "pt"])
    room.open("ana", "a")
    room.open("rui", "r")
    for track in ("a", "r"):
        room.send(track, clip("pt-consulta.opus"))
    room.room.set_among(["en", "pt"])
    await room.finish()
    for who in ("ana", "rui"):
        finals = [c for c in room.captions if c.final and c.stable and c.participant == who]
        assert {(c.source, c.language) for c in finals} == {("pt", "pt")}, finals
        assert len(missing(CLIPS["pt-consulta.opus"], room.text("pt", who))) <= 2, finals


async def test_lost_packets_and_pauses_in_transmission_are_silence(service: CaptionService) -> None:
    room = Room(service)
    room.room.set_spoken("p", "en")
    room.open("p", "t")
    packets = clip("en-dose.opus")
    room.send("t", packets, loss=lambda index: index % 40 == 7)
    room.pause("t", 30)
    room.send("t", packets)
    await room.finish()
    finals = room.finals("en")
    assert len(missing(CLIPS["en-dose.opus"], finals[0].stable + " " + finals[1].stable)) <= 3
    late = [c for c in finals if c.start > 30_000]
    assert late, "the second time lies after the pause on the room clock"
    length = len(packets) * 20
    assert 1000 + length + 30_000 <= late[0].start <= 1000 + length + 30_000 + 1_500


async def test_who_does_not_want_captions_is_not_heard_and_may_come_back(service: CaptionService) -> None:
    room = Room(service)
    room.room.set_readers(frozenset({"pt"}))
    room.room.set_spoken("p", "en")
    room.open("p", "t")
    packets = clip("en-dose.opus")
    room.send("t", packets)
    room.room.set_heard("p", False)
    said = [stream for stream in service._owners if stream.startswith("t")]
    assert said == ["t"], "what was said is still being finished"
    room.send("t", clip("en-round.opus"))
    room.open("p", "second")
    assert "second" not in service._owners, "no worker is told of them"
    await eventually(lambda: "t" not in service._owners)
    room.room.set_heard("p", True)
    room.send("t", packets)
    await room.finish()
    finals = room.finals("en")
    text = " ".join(c.stable for c in finals)
    assert len(missing(CLIPS["en-round.opus"], text)) > 5, text
    assert text.lower().count("morphine") == 2 and {c.track for c in finals} == {"t"}, text
    assert len({c.segment for c in finals}) == len(finals)
    # The worker had nobody of this room to listen to meanwhile; it knows its readers again.
    assert room.text("pt").lower().count("morfina") == 2, room.text("pt")


async def test_a_person_corrects_a_final_and_its_translations_follow(service: CaptionService) -> None:
    room = Room(service)
    room.room.set_readers(frozenset({"pt", "en"}))
    room.room.set_spoken("p", "en")
    room.open("p", "t")
    room.send("t", clip("en-dose.opus"))
    room.room.track_closed("t", 0)
    await room.until(lambda: bool(room.finals("pt")))
    wrong, before = room.finals("en")[0], room.finals("pt")[0]
    text = "Give twenty milligrams in the left arm."
    with pytest.raises(Outdated):
        room.room.correct(wrong.segment, wrong.revision - 1, text, "host")
    with pytest.raises(KeyError):
        room.room.correct("nothing", 0, text, "host")
    room.captions.clear()
    room.room.correct(wrong.segment, wrong.revision, text, "host")
    now, gone = room.captions
    assert (now.stable, now.heard, now.corrected_by, now.revision) == (text, wrong.stable, "host", wrong.revision + 1)
    assert (gone.language, gone.stable, gone.revision) == ("pt", "", before.revision + 1), "it was of other words"
    await room.until(lambda: bool(room.finals("pt")))
    again = room.finals("pt")[0]
    assert "esquerdo" in again.stable and again.revision == gone.revision + 1, again
    with pytest.raises(Outdated):  # somebody else was faster
        room.room.correct(wrong.segment, wrong.revision, "Something else.", "other")
    room.room.correct(wrong.segment, now.revision, wrong.stable, "host")
    assert room.finals("en")[-1].heard is None, "it can be taken back"
    await room.finish()


async def test_mute_and_leaving_finish_what_was_said(service: CaptionService) -> None:
    room = Room(service)
    room.room.set_spoken("p", "en")
    room.open("p", "t")
    packets = clip("en-dose.opus", quiet_after=0.0)
    room.send("t", packets[: len(packets) * 9 // 10])
    room.room.track_muted("t", True, room.clock.now())
    await room.until(lambda: "morphine" in room.text("en").lower())
    room.room.track_muted("t", False, room.clock.now())
    room.send("t", packets)
    room.room.track_closed("t", room.clock.now())
    await room.until(lambda: room.text("en").lower().count("morphine") == 2)
    await room.finish()


async def test_ten_minutes_of_silence_and_noise_give_no_words(service: CaptionService) -> None:
    room = Room(service)
    generator = np.random.default_rng(1)
    minute = 60 * 48_000
    room.open("quiet", "q")
    room.open("noisy", "n")
    room.send("q", opus(silence(60)) * 5)
    white = opus((generator.standard_normal(minute // 2) * 0.05).astype(np.float32))
    time = np.arange(minute // 2) / 48_000
    hum = 0.1 * np.sin(2 * np.pi * 100 * time) + 0.02 * generator.standard_normal(minute // 2)
    clicks = np.where(generator.random(minute // 2) < 2e-5, 0.8, 0.0)
    room.send("n", (white + opus(hum.astype(np.float32)) + opus(clicks.astype(np.float32))) * 4)
    for track in ("q", "n"):
        room.room.track_closed(track, 0.0)
    await eventually(lambda: service.status().streams == 0, 180)
    assert [c.stable + c.tail for c in room.captions if c.stable or c.tail] == []


async def test_what_is_not_a_microphone_is_not_heard_and_garbage_harms_nobody(service: CaptionService) -> None:
    room = Room(service)
    room.room.set_spoken("p", "en")
    opus_codec = Codec("OPUS", 48_000, 2)
    room.room.track_opened(TrackInfo("s", "p", "audio", "screen-audio", opus_codec), 0)
    room.room.track_opened(TrackInfo("v", "p", "video", "camera", Codec("VP8", 90_000)), 0)
    room.room.packets([tap_packet("s", 0, b"x", 0.0), tap_packet("nobody", 0, b"x", 0.0)])
    assert service.status().streams == 0
    room.open("evil", "e")
    room.open("p", "t")
    generator = np.random.default_rng(2)
    room.send("e", [generator.bytes(int(generator.integers(0, 1_400))) for _ in range(400)] + [b"x" * 60_000])
    room.send("t", clip("en-dose.opus"))
    await room.until(lambda: "morphine" in room.text("en", "p").lower())
    await room.finish()
    assert service.status().counters.get("worker_restarts", 0) == 0


async def test_a_killed_worker_comes_back_and_what_was_said_is_not_lost(service: CaptionService) -> None:
    room = Room(service)
    room.room.set_spoken("p", "en")
    room.open("p", "t")
    packets = clip("en-round.opus")
    half = len(packets) // 2
    room.send("t", packets[:half])
    (pid,) = service.worker_pids()
    before = service.status().counters.get("worker_restarts", 0)
    os.kill(pid, signal.SIGKILL)
    await state(service, "loading", "failed")
    room.send("t", packets[half:])
    await room.until(lambda: len(missing(CLIPS["en-round.opus"], room.text("en"))) <= 2)
    await room.finish()
    assert service.worker_pids() != [pid]
    assert service.status().counters["worker_restarts"] == before + 1
    segments = [c.segment for c in room.finals("en")]
    assert len(segments) == len(set(segments))


async def test_many_voices_at_once_lose_no_final(service: CaptionService) -> None:
    room = Room(service)
    voices = [f"p{i}" for i in range(6)]
    packets = clip("en-dose.opus")
    for voice in voices:
        room.room.set_spoken(voice, "en")
        room.open(voice, f"t-{voice}")
    for begin in range(0, len(packets), 25):
        for voice in voices:
            room.send(f"t-{voice}", packets[begin : begin + 25])
        await asyncio.sleep(0.1)
    await room.until(lambda: all("morphine" in room.text("en", voice).lower() for voice in voices))
    await room.finish()
    await eventually(lambda: service.status().queue == 0)  # as its next sign of life will say


async def test_a_missing_model_is_a_clear_failure_and_nothing_else(tmp_path: Path) -> None:
    service = CaptionService(CaptionConfig(models=tmp_path / "models", model="whisper-small"))
    assert service.status().state == "off"
    await service.start()
    await state(service, "failed")
    problem = service.status().problem
    assert problem is not None and "whisper-small is missing" in problem and "models pull whisper-small" in problem
    room = Room(service)
    room.open("p", "t")
    room.send("t", opus(silence(1)))
    await room.room.close()
    await service.stop()
    assert room.captions == []


async def test_captions_can_be_off() -> None:
    service = CaptionService(CaptionConfig(enabled=False))
    await service.start()
    room = Room(service)
    room.open("p", "t")
    room.send("t", opus(silence(1)))
    room.room.set_readers(frozenset({"pt"}))
    await room.room.close()
    assert service.status().state == "off"
    await service.stop()
