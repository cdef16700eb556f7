"""Search over what was said."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from community.models import RecordingRow
from community.search import Said, fold, pieces
from community.store import Store


@pytest.fixture
async def store(store):
    await store.members.first_administrator("ana@example.org", "Ana", "a long password")
    return store


async def recorded(store: Store, recording: str, member: str | None = None, *texts: tuple[str, str]) -> None:
    row = RecordingRow(
        id=recording, room_id="r", title=recording, purpose="", started_by="x", member_id=member,
        started_at=datetime(2026, 1, 1, tzinfo=UTC), state="ready",
    )  # fmt: skip
    await store.recordings.create(row)
    lines = [Said(1000.0 * n, language, "Ann", text) for n, (language, text) in enumerate(texts)]
    await store.search.put(recording, lines)


async def found(store: Store, query: str, member: str | None = None) -> dict[str, list[str]]:
    page = await store.search.find(query, member)
    return {one.recording: [line.text for line in one.lines] for one in page.found}


async def test_words_are_found_in_every_language_whatever_their_case_and_accents(store):
    await recorded(
        store, "one", None,
        ("en", "Take 5 mg of Ibuprofen twice a day."), ("pt", "Tome 5 mg de ibuprofeno; não esqueça a medicação."),
        ("de", "Zweimal täglich nach der MAẞNAHME"), ("zh", "每天两次，每次五毫克"), ("th", "รับประทานวันละสองครั้ง"),
        ("hi", "दिन में दो बार लें"), ("el", "δύο φορές την ημέρα"),
    )  # fmt: skip
    for query, language in {
        "IBUPROFEN twice": "Take", "medicacao nao": "Tome", "taglich massnahme": "Zwei", "两次": "每天", "สองครั้ง": "รับ",
        "दो बार": "दिन", "δυο φορες": "δύο", '"5 mg of"': "Take", "ibuprofeno esq": "Tome",
    }.items():  # fmt: skip
        lines = (await found(store, query)).get("one", [])
        assert any(line.startswith(language) for line in lines), query
    for query in ('"5 mg twice"', "次两", "ibuprofen never", "", '"', "*", "AND", "NEAR(", "-", "text:5", "ann"):
        assert await found(store, query) == {}, query


async def test_everybody_finds_only_what_they_may_see_newest_first_and_page_by_page(store):
    member = (await store.members.authenticate("ana@example.org", "a long password")).id
    for number in range(30):
        words = [("en", f"common word {number}")] * 5
        await recorded(store, f"r{number}", member if number % 10 == 3 else None, *words)
    page = await store.search.find("common", None, most=20)
    assert [one.recording for one in page.found] == [f"r{n}" for n in range(29, 9, -1)]
    assert page.found[0].count == 5 and len(page.found[0].lines) == 3
    rest = await store.search.find("common", None, before=page.more)
    assert [one.recording for one in rest.found] == [f"r{n}" for n in range(9, -1, -1)] and rest.more is None
    assert list(await found(store, "common", member)) == ["r23", "r13", "r3"]
    assert list(await found(store, "word 13", member)) == ["r13"] and await found(store, "word 14", member) == {}
    assert await found(store, "common", "nobody") == {}


async def test_a_deleted_recording_leaves_no_word_in_the_file(store):
    await recorded(store, "stays", None, *[("en", f"ordinary words {n}") for n in range(300)])
    await recorded(store, "goes", None, *[("en", f"unmistakable{n} secret") for n in range(300)])
    assert list(await found(store, "secret")) == ["goes"]
    await store.shares.create("goes", audience="link")
    await store.recordings.doom("goes")
    assert await found(store, "secret") == {} and await store.recordings.get("goes") is None
    await store.recordings.delete("goes")
    await store.search.tidy()
    assert await found(store, "secret") == {} and list(await found(store, "ordinary")) == ["stays"]
    await store.close()
    if (file := make_url(store.database.url)).drivername.startswith("sqlite"):
        with sqlite3.connect(file.database) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert b"unmistakable" not in Path(file.database).read_bytes()


async def test_a_recording_is_indexed_anew_and_what_is_missing_is_known(store):
    await recorded(store, "one", None, ("en", "first draft"))
    await store.search.put("one", [Said(0, "en", "Ann", "second draft")])
    assert await found(store, "first") == {} and list(await found(store, "second")) == ["one"]
    await store.recordings.create(
        RecordingRow(
            id="two", room_id="r", title="", purpose="", started_by="", started_at=datetime.now(UTC), state="ready"
        )
    )
    assert await store.search.missing() == ["two"]
    await store.search.put("two", [])
    assert await store.search.missing() == []


@given(st.text(max_size=300))
def test_any_query_becomes_words_and_nothing_else(query):
    for words in pieces(query):
        assert words and all(word.isalnum() and fold(word) == word for word in words)


async def test_shares_end_by_time_and_by_hand_and_check_their_password(store):
    await recorded(store, "one")
    open_, timed = (
        await store.shares.create("one", audience="public", password="open sesame"),
        await store.shares.create("one", audience="link", lifetime=timedelta(microseconds=1)),
    )
    assert await store.shares.get(open_.id) is not None and await store.shares.get(timed.id) is None
    assert (await store.shares.public("one")).id == open_.id
    assert await store.shares.password_is(open_, "open sesame") and not await store.shares.password_is(open_, "x")
    assert not await store.shares.revoke("two", open_.id) and await store.shares.revoke("one", open_.id)
    assert await store.shares.get(open_.id) is None and await store.shares.public("one") is None
