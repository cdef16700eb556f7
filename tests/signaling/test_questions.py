"""Questions: asked, voted for, settled and merged by people with sockets; the board's own rules by example."""

from __future__ import annotations

import asyncio
import csv
import io

import pytest

from signaling import board, protocol
from signaling.asked import QuestionAsked, as_csv
from signaling.board import Board
from signaling.refusal import Refusal

OPEN = protocol.SetQuestions(open=True, moderated=False, anonymous=False)


async def seen(browser, where):
    """Waits for a question that fits among what changed."""
    told = await browser.wait("questions-changed", lambda m: any(where(q) for q in m["changed"]))
    return next(q for q in told["changed"] if where(q))


async def test_a_question_waits_for_a_moderator_then_everybody_sees_it_and_votes(house):
    host, ana, ben = await house.join("host", "Host"), await house.join("viewer", "Ana"), await house.join(name="Ben")
    assert (await ana.ask(protocol.Ask(key="1", text="too early?")))["code"] == "bad-state"
    rules = protocol.SetQuestions(open=True, moderated=True, anonymous=False)
    assert (await ana.ask(rules))["code"] == "not-allowed"
    assert (await host.ask(rules))["type"] == "ack"
    assert (await ana.wait("room-changed", lambda m: m["room"]["questions"]["open"]))["room"]["questions"]["moderated"]
    for _ in range(2):  # a retry is acknowledged and is not a second question
        assert (await ana.ask(protocol.Ask(key="1", text=" Which dose? ")))["type"] == "ack"
    waiting = await seen(host, lambda q: q["state"] == "waiting")
    assert (waiting["text"], waiting["name"], waiting["votes"]) == ("Which dose?", "Ana", 1)
    assert (await seen(ana, lambda q: q["id"] == waiting["id"]))["state"] == "waiting"
    late = await house.join("viewer", "Late")
    assert late.welcome["questions"] == []
    assert (await ben.ask(protocol.Vote(question=waiting["id"])))["code"] == "not-found"
    assert (await ana.ask(protocol.SettleQuestion(question=waiting["id"], state="open")))["code"] == "not-allowed"

    assert (await host.ask(protocol.SettleQuestion(question=waiting["id"], state="open")))["type"] == "ack"
    await seen(ben, lambda q: q["state"] == "open")
    assert not any(q["state"] == "waiting" for m in ben.seen if m["type"] == "questions-changed" for q in m["changed"])
    for browser in (ben, late, late):
        assert (await browser.ask(protocol.Vote(question=waiting["id"])))["type"] == "ack"
    assert (await seen(ana, lambda q: q["votes"] == 3))["state"] == "open"
    assert (await ben.ask(protocol.Vote(question=waiting["id"], up=False)))["type"] == "ack"
    await seen(ana, lambda q: q["votes"] == 2)

    assert (await host.ask(protocol.SettleQuestion(question=waiting["id"], state="live")))["type"] == "ack"
    live = await seen(ana, lambda q: q["state"] == "live")
    assert live["liveAt"] > 0 and live["answeredBy"] == "Host"
    written = protocol.SettleQuestion(question=waiting["id"], state="answered", answer="5 mg, twice a day.")
    assert (await host.ask(written))["type"] == "ack"
    assert (await seen(ana, lambda q: q["state"] == "answered"))["answer"] == "5 mg, twice a day."
    assert (await ben.ask(protocol.Vote(question=waiting["id"])))["code"] == "bad-state"
    again = await house.join("viewer", "Again")
    assert [q["id"] for q in again.welcome["questions"]] == [waiting["id"]]


async def test_what_is_put_aside_is_gone_for_all_but_those_who_answer_and_who_asked(house):
    host, ana, ben = await house.join("host", "Host"), await house.join(name="Ana"), await house.join(name="Ben")
    await host.ask(OPEN)
    await ana.ask(protocol.Ask(key="1", text="An insult"))
    asked = await seen(ben, lambda q: q["state"] == "open")
    await host.ask(protocol.SettleQuestion(question=asked["id"], state="dismissed"))
    assert (await ben.wait("questions-changed", lambda m: m["gone"]))["gone"] == [asked["id"]]
    assert (await seen(ana, lambda q: q["id"] == asked["id"] and q["state"] == "dismissed"))["answer"] is None
    assert (await seen(host, lambda q: q["state"] == "dismissed"))["id"] == asked["id"]


async def test_a_question_without_a_name_has_none_anywhere(house):
    host, ana = await house.join("host", "Host"), await house.join(name="Ana")
    await host.ask(OPEN)
    assert (await ana.ask(protocol.Ask(key="1", text="Who knows?", anonymous=True)))["code"] == "not-allowed"
    await host.ask(protocol.SetQuestions(open=True, moderated=False, anonymous=True))
    assert (await ana.ask(protocol.Ask(key="1", text="Who knows?", anonymous=True)))["type"] == "ack"
    assert (await seen(host, lambda q: q["text"] == "Who knows?"))["name"] is None
    (row,) = await house.server.store.questions.of_room("demo")
    assert row.name is None


async def test_merged_questions_count_each_voter_once(house):
    host, ana, ben = await house.join("host", "Host"), await house.join(name="Ana"), await house.join(name="Ben")
    await host.ask(OPEN)
    await ana.ask(protocol.Ask(key="1", text="Which dose?"))
    await ben.ask(protocol.Ask(key="1", text="How much of it?"))
    one = await seen(host, lambda q: q["text"] == "Which dose?")
    two = next(
        (q for m in host.seen if m["type"] == "questions-changed" for q in m["changed"] if q["name"] == "Ben"), None
    ) or await seen(host, lambda q: q["name"] == "Ben")
    await ana.ask(protocol.Vote(question=two["id"]))
    assert (await host.ask(protocol.MergeQuestion(question=two["id"], into=one["id"])))["type"] == "ack"
    told = await ben.wait("questions-changed", lambda m: any(q["state"] == "merged" for q in m["changed"]))
    changed = {q["id"]: q for q in told["changed"]}
    assert changed[one["id"]]["votes"] == 2 and changed[two["id"]]["into"] == one["id"] and told["gone"] == []
    assert (await host.ask(protocol.MergeQuestion(question=one["id"], into=one["id"])))["code"] == "bad-state"


async def test_a_storm_of_votes_goes_out_in_batches_and_is_stored(house):
    host = await house.join("host", "Host")
    people = [await house.join("viewer", f"V{n}") for n in range(20)]
    await host.ask(OPEN)
    await people[0].ask(protocol.Ask(key="1", text="Which dose?"))
    asked = await seen(host, lambda q: q["state"] == "open")
    before = len(host.seen)
    answers = await asyncio.gather(*(p.ask(protocol.Vote(question=asked["id"])) for p in people))
    assert {a["type"] for a in answers} == {"ack"}
    await seen(host, lambda q: q["votes"] == 20)
    assert sum(m["type"] == "questions-changed" for m in host.seen[before:]) <= 5
    assert len(await house.server.store.questions.voters(asked["id"])) == 20


async def test_questions_are_taken_away_as_json_and_csv_by_those_whose_room_it_is(house):
    host, ana = await house.join("host", "Host"), await house.join(name="Ana")
    await host.ask(OPEN)
    await ana.ask(protocol.Ask(key="1", text="=cmd()"))
    url, codes = f"{house.url}/api/rooms/demo/questions", await house.codes()
    async with house.http.get(url) as answer:
        assert answer.status == 401
    async with house.http.get(url, headers={"Authorization": f"Bearer {codes['guest']}"}) as answer:
        assert answer.status == 404
    owner = {"Authorization": f"Bearer {codes['host']}"}
    async with house.http.get(url, headers=owner) as answer:
        assert [(q["text"], q["state"]) for q in await answer.json()] == [("=cmd()", "open")]
    async with house.http.get(url, params={"format": "csv"}, headers=owner) as answer:
        assert answer.content_type == "text/csv"
        (line,) = csv.DictReader(io.StringIO((await answer.read()).decode("utf-8-sig")))
    assert line["text"] == "'=cmd()" and line["name"] == "Ana"
    async with house.http.get(url, params={"format": "pdf"}, headers=owner) as answer:
        assert answer.status == 400


async def test_answered_questions_are_in_the_recording_unless_who_asked_refused_it(house):
    host, ana, ben = await house.join("host", "Host"), await house.join(name="Ana"), await house.join(name="Ben")
    await host.ask(OPEN)
    assert (await host.ask(protocol.StartRecording()))["type"] == "ack"
    assert (await ben.ask(protocol.Consent(agreed=False)))["type"] == "ack"
    await ana.ask(protocol.Ask(key="1", text="Which dose?"))
    await ben.ask(protocol.Ask(key="1", text="How long?"))
    ids = {q["text"]: q["id"] for q in (await house.join("host", "Late")).welcome["questions"]}
    for question in ids.values():
        assert (await host.ask(protocol.SettleQuestion(question=question, state="live")))["type"] == "ack"
    written = protocol.SettleQuestion(question=ids["Which dose?"], state="answered", answer="5 mg.")
    assert (await host.ask(written))["type"] == "ack"
    recording = (await house.join("host", "Later")).welcome["room"]["recording"]["recording"]
    assert (await host.ask(protocol.StopRecording()))["type"] == "ack"
    manifest = await house.server.library.manifest(recording)
    assert [(q.text, q.name, q.answer) for q in manifest.questions] == [("Which dose?", "Ana", "5 mg.")]
    assert [(c.kind, c.text, c.name) for c in manifest.chapters] == [("question", "Which dose?", "Ana")]


def asked(on: Board, asker: str, key: str = "1", waits: bool = False) -> board.Asked:
    found = on.prepare(asker, key, asker, f"{asker} {key}?", None, 1.0, waits)
    on.put(found)
    return found


def test_one_answer_is_spoken_at_a_time():
    on = Board()
    one, two = asked(on, "ana"), asked(on, "ben")
    on.settle(one.id, "live", "host", None, 5.0)
    changed = on.settle(two.id, "live", "host", None, 9.0)
    assert {q.id: q.state for q in changed} == {one.id: "answered", two.id: "live"}
    assert (one.live_at, two.live_at) == (5.0, 9.0)
    with pytest.raises(Refusal, match="live"):
        on.settle(two.id, "live", "host", None, 9.0)


def test_nobody_fills_the_board(monkeypatch):
    on = Board()
    for key in range(board.MOST_OWN):
        asked(on, "ana", str(key))
    with pytest.raises(Refusal, match="wait for an answer"):
        asked(on, "ana", "more")
    monkeypatch.setattr(board, "MOST", board.MOST_OWN)
    with pytest.raises(Refusal, match="no more questions"):
        asked(on, "ben")


def test_changes_are_told_once():
    on = Board()
    one = asked(on, "ana")
    assert on.drain() == [one] and on.drain() == []
    on.vote(one.id, "ana", True)  # their vote is there since they asked
    assert on.drain() == []
    on.vote(one.id, "ben", True)
    assert on.drain() == [one]


def test_cells_that_spreadsheets_would_run_are_text():
    common = {"id": "1", "meeting": "m", "asked_at": None, "language": None, "state": "open", "votes": 1}
    rest = {"answer": None, "answered_by": None, "into": None}
    one = QuestionAsked(name="+Ana", text='a "quoted", text', **common, **rest)
    (row,) = csv.DictReader(io.StringIO(as_csv([one]).decode("utf-8-sig")))
    assert row["name"] == "'+Ana" and row["text"] == 'a "quoted", text' and row["answer"] == ""
