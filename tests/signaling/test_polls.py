"""Polls: made, opened, answered in the room and by viewers, closed; the counting by hypothesis."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling import protocol
from signaling.asked import PollAsked, polls_csv
from signaling.ballot import Polls
from signaling.refusal import Refusal
from tests.signaling.conftest import Browser, House
from tests.signaling.test_broadcast import live

WHEN = protocol.MakePoll(key="1", text=" When? ", choices=["Now", "Later"])


async def seen(browser: Browser, **wanted: Any) -> dict[str, Any]:
    """Waits for a poll that is as wanted."""
    fits = lambda poll: all(poll[name] == value for name, value in wanted.items())  # noqa: E731
    told = await browser.wait("polls-changed", lambda m: any(fits(poll) for poll in m["changed"]))
    return next(poll for poll in told["changed"] if fits(poll))


async def test_a_poll_from_its_draft_to_the_recording(house: House) -> None:
    host, ana = await house.join("host", "Host"), await house.join("viewer", "Ana")
    viewer, _ = await live(house, host)
    assert (await ana.ask(WHEN))["code"] == "not-allowed"
    for _ in range(2):  # a retry is acknowledged and is not a second poll
        assert (await host.ask(WHEN))["type"] == "ack"
    draft = await seen(host, state="draft")
    assert (draft["text"], draft["counts"]) == ("When?", [0, 0])
    assert (await ana.ask(protocol.Ballot(poll=draft["id"], choices=[0])))["code"] == "bad-state"
    assert not any(m["type"] == "polls-changed" for m in ana.seen)

    async with house.http.get(f"{viewer.url}/events", headers={"Cookie": viewer.cookie}) as events:
        await events.content.readline()

        async def told(words: bytes) -> bytes:
            async with asyncio.timeout(5):
                while words not in (said := await events.content.readuntil(b"\n\n")):
                    pass
                return said

        async def choose(*choices: int, poll: str = draft["id"]) -> int:
            body = {"poll": poll, "choices": choices}
            async with house.http.post(f"{viewer.url}/ballots", json=body, headers={"Cookie": viewer.cookie}) as answer:
                return answer.status

        assert (await host.ask(protocol.SettlePoll(poll=draft["id"], state="open")))["type"] == "ack"
        assert (await seen(ana, state="open"))["counts"] == [0, 0]
        await told(b'"state":"open"')
        for ballot in ([0], [1], [1]):  # the last one counts, once
            assert (await ana.ask(protocol.Ballot(poll=draft["id"], choices=ballot)))["type"] == "ack"
        assert (await ana.ask(protocol.Ballot(poll=draft["id"], choices=[0, 1])))["code"] == "malformed"
        assert (await ana.ask(protocol.Ballot(poll=draft["id"], choices=[2])))["code"] == "malformed"
        assert [await choose(1), await choose(7), await choose(1, poll="nothing")] == [200, 400, 404]
        assert (await seen(ana, voters=2))["counts"] == [0, 2]
        await told(b'"counts":[0,2]')
    # Who comes later sees what one chose before, and by another page the same.
    again = await house.join("viewer", "Again")
    assert [poll["voters"] for poll in again.welcome["polls"]] == [2] and again.welcome["ballots"] == {}

    assert (await host.ask(protocol.SettlePoll(poll=draft["id"], state="closed")))["type"] == "ack"
    await seen(ana, state="closed")
    ((row, counts, voters),) = await house.server.store.polls.of_room("demo")
    assert (row.text, row.choices, row.state, counts, voters) == ("When?", ["Now", "Later"], "closed", [0, 2], 2)
    assert (await host.ask(protocol.EndBroadcast()))["type"] == "ack"
    recording = next(m for m in reversed(host.seen) if m["type"] == "room-changed")["room"]["recording"]["recording"]
    manifest = house.server.recorder.root / recording / "recording.json"
    assert b'"polls":[{"text":"When?","choices":["Now","Later"],"counts":[0,2],"voters":2' in manifest.read_bytes()


async def test_counts_are_told_at_the_end_where_the_moderator_wants_that(house: House) -> None:
    host, ana = await house.join("host"), await house.join("viewer", "Ana")
    secret = protocol.MakePoll(key="1", text="Which?", choices=["A", "B", "C"], several=True, live=False)
    assert (await host.ask(secret))["type"] == "ack"
    poll = (await seen(host, state="draft"))["id"]
    assert (await host.ask(protocol.SettlePoll(poll=poll, state="open")))["type"] == "ack"
    assert (await ana.ask(protocol.Ballot(poll=poll, choices=[2, 0, 2])))["type"] == "ack"
    assert (await seen(host, voters=1))["counts"] == [1, 0, 1]
    assert (await seen(ana, voters=1))["counts"] is None
    assert (await host.ask(protocol.SettlePoll(poll=poll, state="closed")))["type"] == "ack"
    assert (await seen(ana, state="closed"))["counts"] == [1, 0, 1]
    assert (await host.ask(protocol.SettlePoll(poll=poll, state="gone")))["type"] == "ack"
    await ana.wait("polls-changed", lambda m: m["gone"] == [poll])
    assert await house.server.store.polls.of_room("demo") == []


@pytest.mark.parametrize("choices", [["A", "A"], ["A", " "]])
async def test_choices_that_cannot_be_told_apart_are_refused(house: House, choices: list[str]) -> None:
    host = await house.join("host")
    assert (await host.ask(protocol.MakePoll(key="1", text="Which?", choices=choices)))["code"] == "malformed"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.lists(st.integers(0, 2), max_size=4)), max_size=30))
def test_counts_are_those_of_everybody_s_last_ballot(ballots: list[tuple[str, list[int]]]) -> None:
    polls = Polls()
    poll = polls.prepare("k", "Which?", ["A", "B", "C"], True, True, 0.0)
    polls.put(poll)
    poll.state = "open"
    last: dict[str, set[int]] = {}
    for voter, choices in ballots:
        found, chosen = polls.checked(poll.id, choices)
        polls.cast(found, voter, chosen)
        last[voter] = set(choices)
    assert poll.counts == [sum(one in chosen for chosen in last.values()) for one in range(3)]
    assert poll.view().voters == sum(bool(chosen) for chosen in last.values())
    assert polls.drain() == [poll] and polls.drain() == []


def test_a_retry_after_a_poll_that_was_not_stored_makes_it() -> None:
    polls = Polls()
    poll = polls.prepare("k", "Which?", ["A", "B"], False, True, 0.0)
    polls.put(poll)
    polls.drop(poll)
    assert not polls.known("k") and polls.all() == []
    with pytest.raises(Refusal):
        polls.checked(poll.id, [0])


def test_a_sheet_has_a_line_for_each_choice() -> None:
    made = datetime(2026, 1, 2, tzinfo=UTC)
    poll = PollAsked(id="p", meeting="m", made_at=made, text="=1+1", choices=["A", "B"], counts=[1, 0], voters=1,
                     several=False, state="closed")  # fmt: skip
    lines = polls_csv([poll]).decode("utf-8-sig").splitlines()
    assert lines[1:] == [
        "p,m,2026-01-02 00:00:00+00:00,'=1+1,closed,1,A,1",
        "p,m,2026-01-02 00:00:00+00:00,'=1+1,closed,1,B,0",
    ]


async def test_reactions_are_counted_and_told_in_batches_to_the_room_and_to_viewers(house: House) -> None:
    host, ana = await house.join("host"), await house.join("viewer", "Ana")
    viewer, _ = await live(house, host)
    async with house.http.get(f"{viewer.url}/events", headers={"Cookie": viewer.cookie}) as events:
        await events.content.readline()
        for number in range(12):
            await ana.send(protocol.React(reaction="applause", id=1000 + number))
        await ana.wait("error", lambda m: m["id"] == 1011)  # one a second, and twelve are sent in less
        refused = [m["code"] for m in ana.seen if m["type"] == "error"]
        assert set(refused) == {"too-fast"} and len(refused) <= 7
        assert 0 < (await host.wait("reacted"))["counts"]["applause"] <= 12 - len(refused)
        async with house.http.post(
            f"{viewer.url}/reactions", json={"reaction": "heart"}, headers={"Cookie": viewer.cookie}
        ) as answer:
            assert answer.status == 200
        assert (await ana.wait("reacted", lambda m: "heart" in m["counts"]))["counts"] == {"heart": 1}
        async with asyncio.timeout(5):
            while b'"heart":1' not in await events.content.readuntil(b"\n\n"):
                pass
    async with house.http.post(
        f"{viewer.url}/reactions", json={"reaction": "boo"}, headers={"Cookie": viewer.cookie}
    ) as answer:
        assert answer.status == 400
