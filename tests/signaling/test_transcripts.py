"""Words of a recording as files: who may have them, and how much of them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from community.models import RecordingRow
from recorder.service import Cue

from .test_sharing import PASSWORD, Recorded, SetClock, code_of


@pytest.fixture
async def recorded(house):
    """Twelve seconds in which three things are said and translated, the second translation with a doubt."""
    store, parts = house.server.store, house.server.hub.parts
    await store.members.first_administrator("ana@example.org", "Ana", PASSWORD)
    member = await store.members.authenticate("ana@example.org", PASSWORD)
    owner = {"Cookie": f"consilium_session={await store.members.log_in(member.id)}"}
    about = {"title": "Ward round", "purpose": "", "started_by": "Host", "started_at": datetime.now(UTC)}
    clock = SetClock()
    running = await parts.recorder.begin(
        "rec1", room="demo", clock=clock, request_keyframe=lambda _: None, on_failure=lambda _: None, **about
    )
    running.participant("p1", "Helen")
    for number, (english, portuguese) in enumerate((("First.", "Primeiro."), ("5 mg.", "50 mg."), ("Last.", "Fim."))):
        times = {"start": 4_000.0 * number + 500, "end": 4_000.0 * number + 2_500}
        known = {"segment": f"s{number}", "revision": 1, "participant": "p1", "source": "en", **times}
        running.cue(Cue(language="en", text=english, **known))
        running.cue(Cue(language="pt", text=portuguese, guard=["dose"] if number == 1 else [], **known))
    clock.time = 12_000.0
    await running.finish()
    await store.recordings.create(RecordingRow(id="rec1", room_id="demo", state="recording", member_id=None, **about))
    await store.recordings.ended("rec1", "ready")
    return Recorded(house, "rec1", owner)


async def test_words_can_be_had_in_every_format_by_who_may_open_the_recording(recorded):
    assert (await recorded.call("GET", "/transcripts/pt.txt"))[0] == 404, "nobody in particular asks"
    for extension in ("vtt", "srt", "txt", "docx", "json"):
        status, body, answer = await recorded.call("GET", f"/transcripts/pt.{extension}", **recorded.owner)
        assert status == 200 and body, extension
        assert f".pt.{extension}" in answer.headers["Content-Disposition"]
    text = (await recorded.call("GET", "/transcripts/pt.txt", **recorded.owner))[1].decode()
    assert "Helen: [?] 50 mg." in text and "(en: 5 mg.)" in text
    for name in ("de.txt", "pt.exe", "pt", "..%2fx.txt"):
        assert (await recorded.call("GET", f"/transcripts/{name}", **recorded.owner))[0] == 404, name


async def test_who_may_see_a_passage_gets_its_words_only(recorded):
    share = await recorded.share(passage={"start": 4_000, "end": 8_000})
    _, _, key = await recorded.open(code_of(share))
    status, body, _ = await recorded.call("GET", "/transcripts/en.json", **key)
    assert status == 200 and [line["text"] for line in body["lines"]] == ["5 mg."]
