"""A recording of real speech is transcribed again by a real model, and one can go back."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from benchmarks._speech import microphone, tap_packet
from benchmarks._synthetic import SetClock
from community.models import RecordingRow
from recorder.service import Cue
from signaling import retranscriptions
from tests.captioning.conftest import model_folder
from tests.captioning.speech import CLIPS, clip, missing
from tests.signaling.conftest import House, Open
from tests.signaling.test_sharing import PASSWORD, Recorded

__all__ = ["model_folder"]
LIVE = "Give twenty milligrams in the left arm."


@pytest.fixture
async def spoken(open_house: Open, model_folder: Path) -> Recorded:
    """Helen and Rui speak English and Portuguese, misheard live; Eve does not want the machine to hear her."""
    house: House = await open_house(models=str(model_folder), recordings={"encrypt": True, "min_free_mb": 0})
    store, parts = house.server.store, house.server.hub.parts
    await store.members.first_administrator("ana@example.org", "Ana", PASSWORD)
    member = await store.members.authenticate("ana@example.org", PASSWORD)
    assert member is not None
    owner = {"Cookie": f"consilium_session={await store.members.log_in(member.id)}"}
    clock, started = SetClock(), datetime(2026, 3, 4, 9, 30, tzinfo=UTC)
    running = await parts.recorder.begin(
        "again", room="demo", title="Round", started_by="Ana", purpose="", started_at=started, clock=clock,
        request_keyframe=lambda _: None, on_failure=lambda _: None, on_low=lambda _: None,
    )  # fmt: skip
    voices = {"helen": clip("en-dose.opus"), "rui": clip("pt-consulta.opus"), "eve": clip("en-round.opus")}
    for person in voices:
        running.participant(person, person.title())
        running.unheard(person, person == "eve")
        running.track_opened(microphone(person, f"t-{person}"), 0.0)
    for person, packets in voices.items():
        running.packets([tap_packet(f"t-{person}", at, packet, 500.0) for at, packet in enumerate(packets)])
    clock.time = 500.0 + 20 * max(map(len, voices.values()))
    for who, source, text in (("helen", "en", LIVE), ("rui", "pt", "Bom dia."), ("~eve", "en", "Nobody knows me.")):
        texts = {source: text} | ({"pt": "Outra coisa."} if source == "en" else {})
        for language, words in texts.items():
            running.cue(
                Cue(segment=who, revision=1, participant=who, source=source, language=language, start=1_000.0,
                    end=4_000.0, text=words)
            )  # fmt: skip
    manifest = await running.finish()
    await store.recordings.create(
        RecordingRow(id="again", room_id="demo", title="Round", purpose="", started_by="Ana", member_id=member.id,
                     started_at=started, state="recording")
    )  # fmt: skip
    await store.recordings.ended("again", "ready")
    await house.server.library.index(manifest)
    return Recorded(house, "again", owner)


async def test_a_recording_is_transcribed_again_and_one_can_go_back(spoken: Recorded) -> None:
    library = spoken.house.server.library

    async def wordings(method: str = "GET", json=None, wanted: int = 200):
        status, body, _ = await spoken.call(method, "/wordings", json, **spoken.owner)
        assert status == wanted, body
        return body

    async def shown() -> dict[str, dict[str, str]]:
        _, manifest, _ = await spoken.call("GET", **spoken.owner)
        for language, name in manifest["captions"].items():
            status, body, _ = await spoken.call("GET", f"/media/{name}", **spoken.owner)
            assert status == 200 and body.startswith(b"WEBVTT"), language
        found: dict[str, dict[str, str]] = {}
        for line in manifest["transcript"]:
            for language, text in line["texts"].items():
                words = found.setdefault(line["participant"], {})
                words[language] = f"{words.get(language, '')} {text}".strip()
        return found

    assert (await spoken.call("GET", "/wordings"))[0] == 401, "others have no say"
    first = await wordings()
    assert first["job"] is None and [one["model"] for one in first["versions"]] == [None]
    await wordings("POST", {"model": "../../etc"}, 400)
    await wordings("PUT", {"current": 7}, 404)
    correction = {"segment": "helen", "language": "en", "text": "A person wrote this."}
    status, _, _ = await spoken.call("PUT", "/edits", {"words": [correction]}, **spoken.owner)
    assert status == 200 and (await shown())["helen"]["en"] == "A person wrote this."

    await wordings("POST", {"model": "whisper-base"}, 202)
    await wordings("PUT", {"current": 0}, 409)
    assert (await wordings("DELETE"))["job"]["state"] == "cancelled"
    assert (await shown())["helen"]["en"] == "A person wrote this."

    await wordings("POST", {"model": "whisper-base"}, 202)
    job = spoken.house.server.retranscriptions.of("again")
    assert job is not None and job.task is not None
    async with asyncio.timeout(60):
        await job.task
    done = await wordings()
    assert done["job"]["state"] == "done" and done["job"]["progress"] == 1, done
    assert done["current"] == 1 and [one["model"] for one in done["versions"]] == [None, "whisper-base"]
    now = await shown()
    assert len(missing(CLIPS["en-dose.opus"], now["helen"]["en"])) <= 1, now
    assert len(missing(CLIPS["pt-consulta.opus"], now["rui"]["pt"])) <= 2, now
    assert "morfina" in now["helen"]["pt"].lower() and now["rui"]["en"], "translated as before"
    assert "eve" not in now and now["~eve"]["en"] == "Nobody knows me.", "who refused was not heard"
    assert (await library.edits("again")).words == [], "that correction was of other words"
    status, results, _ = await spoken.call("GET", f"{spoken.house.url}/api/search?q=morphine", **spoken.owner)
    assert status == 200 and results["found"], results
    later = {"segment": (await library.manifest("again")).transcript[0].segment, "language": "en", "text": "Corrected."}
    revision = (await library.edits("again")).revision
    await spoken.call("PUT", "/edits", {"revision": revision, "words": [later]}, **spoken.owner)

    await wordings("PUT", {"current": 0})
    assert (await shown())["helen"]["en"] == "A person wrote this."
    assert (await wordings("PUT", {"current": 1}))["current"] == 1
    assert [one.text for one in (await library.edits("again")).words] == ["Corrected."]
    assert "Corrected." in str(await shown())
    status, _, _ = await spoken.call("DELETE", **spoken.owner)
    assert status == 200 and spoken.house.server.retranscriptions.of("again") is None


async def test_of_older_recordings_only_who_was_captioned_is_heard(spoken: Recorded) -> None:
    manifest = await spoken.house.server.library.manifest("again")
    live = manifest.transcript
    assert [track.participant for track in retranscriptions.heard(manifest, live)] == ["helen", "rui", "eve"]
    (eve,) = manifest.unheard or []
    assert (eve.participant, eve.start, eve.end) == ("eve", 0.0, manifest.duration)
    older = msgspec.structs.replace(manifest, unheard=None)
    assert [track.participant for track in retranscriptions.heard(older, live)] == ["helen", "rui"]
    with pytest.raises(retranscriptions.NothingToHear):
        retranscriptions.request_for(older, [], spoken.house.server.captions.config)
