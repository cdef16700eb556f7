"""Storage."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from community import database
from community.members import AdministratorExists
from community.models import Base, ChatRow, RecordingRow
from community.store import Store

# The words of search are the database's own business: tables of FTS5's, a column of PostgreSQL's.
OWN = ("search_words", "ix_search_lines_words", "words")
OPTIONS = {"compare_type": True, "include_name": lambda name, kind, _: not str(name).startswith(OWN)}


async def test_the_migrations_make_what_the_models_say(store):
    async with store.database.engine.connect() as connection:
        differences = await connection.run_sync(
            lambda sync: compare_metadata(MigrationContext.configure(sync, opts=OPTIONS), Base.metadata)
        )
    assert differences == []


def test_the_fast_path_knows_the_newest_migration():
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_heads() == [database.HEAD]


async def test_opening_again_changes_nothing(store):
    await store.rooms.create("r", "Room")
    again = Store(store.database.url)
    await again.open()
    assert (await again.rooms.get("r")).name == "Room"
    await again.close()


async def test_a_link_opens_expires_and_is_revoked_and_only_its_hash_is_kept(store):
    await store.rooms.create("r", "Room")
    code = await store.links.create(role="host", room="r")
    assert (await store.links.open(code, count=True)).role == "host"
    async with store.database.begin() as session:
        rows = (await session.execute(text("SELECT * FROM links"))).all()
    assert code not in str(rows)
    old = await store.links.create(role="host", room="r", lifetime=timedelta(microseconds=1))
    await asyncio.sleep(0.001)
    assert await store.links.open(old) is None
    assert await store.links.revoke(code) and await store.links.open(code) is None
    assert await store.links.open("") is None


async def test_there_is_one_first_administrator_even_in_a_race(store):
    makes = [store.members.first_administrator(f"a{i}@example.org", "A", "long enough pw") for i in range(3)]
    results = await asyncio.gather(*makes, return_exceptions=True)
    assert sum(isinstance(result, AdministratorExists) for result in results) == 2


async def test_logins_end(store):
    member = await store.members.first_administrator("A@example.org", "A", "long enough pw")
    assert await store.members.authenticate("a@EXAMPLE.org ", "long enough pw")
    assert await store.members.authenticate("a@example.org", "wrong") is None
    token = await store.members.log_in(member.id)
    assert (await store.members.of_token(token)).id == member.id
    await store.members.log_out(token)
    assert await store.members.of_token(token) is None


async def test_a_chat_key_is_stored_once_and_a_meeting_forgotten(store):
    def row(key, meeting="m"):
        return ChatRow(
            id=f"{meeting}{key}{id(object())}", meeting=meeting, participant="p", key=key, name="n", text="t", at=1.0
        )

    assert await store.chat.add(row("1"))
    assert not await store.chat.add(row("1"))
    assert await store.chat.add(row("1", "other"))
    await store.chat.forget("m")
    assert await store.chat.of_meeting("m") == [] and len(await store.chat.of_meeting("other")) == 1


async def test_a_deleted_recording_takes_its_links_along(store):
    now = datetime.now(UTC)
    await store.recordings.create(
        RecordingRow(id="x", room_id="r", title="t", purpose="", started_by="A", started_at=now, state="recording")
    )
    assert await store.recordings.unfinished() == ["x"]
    await store.recordings.ended("x", "ready")
    found = await store.recordings.get("x")
    assert found.started_at == now and found.ended_at >= now and await store.recordings.unfinished() == []
    code = await store.links.create(role="viewer", recording="x")
    await store.recordings.delete("x")
    assert await store.links.open(code) is None and await store.recordings.get("x") is None
