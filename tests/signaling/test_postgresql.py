"""The whole server on PostgreSQL: what a meeting leaves behind is there after a restart."""

from __future__ import annotations

import re

import msgspec
import pytest

from community.database import Database, DatabaseUnavailable
from signaling import protocol
from signaling.doctor import database as finding
from signaling.settings import Settings
from tests.postgres import database, postgres

__all__ = ["postgres"]


def _settings(url: str) -> Settings:
    return msgspec.convert({"database": {"url": url}}, Settings)


async def test_a_meeting_is_kept_by_postgresql(open_house, postgres):
    url = {"url": await database(postgres)}
    house = await open_house(database=url)
    code = (await house.server.links()).setup.rsplit("/", 1)[1]
    administrator = {"email": "ada@example.org", "name": "Ada", "password": "correct horse battery"}
    async with house.http.post(f"{house.url}/api/setup/{code}", json=administrator) as answer:
        assert answer.status == 201
    host = await house.join("host", "Host")
    assert (await host.ask(protocol.StartRecording(purpose="round")))["type"] == "ack"
    assert (await host.ask(protocol.SendChat(key="1", text="in the record")))["type"] == "ack"
    assert (await host.ask(protocol.StopRecording()))["type"] == "ack"
    await house.server.stop()

    house = await open_house(database=url)
    credentials = {"email": "ada@example.org", "password": administrator["password"]}
    async with house.http.post(f"{house.url}/api/login", json=credentials) as answer:
        assert answer.status == 200
        cookie = {"Cookie": f"consilium_session={answer.cookies['consilium_session'].value}"}
    async with house.http.get(f"{house.url}/api/recordings", headers=cookie) as answer:
        assert [(one["purpose"], one["state"]) for one in await answer.json()] == [("round", "ready")]
    async with house.http.get(f"{house.url}/api/audit", headers=cookie) as answer:
        assert {"record-start", "record-stop"} <= {entry["act"] for entry in await answer.json()}


async def test_a_database_that_cannot_be_opened_is_named_without_its_password(postgres):
    for url, reason in (
        ("postgresql://ada:secret@127.0.0.1:1/c", "Connect call failed"),
        (f"{postgres}/nowhere", "does not exist"),
        ("sqlite:////proc/nowhere/c.db", "No such file"),
    ):
        with pytest.raises(DatabaseUnavailable, match=reason) as refusal:
            await Database(url).open()
        assert "secret" not in str(refusal.value)
    (line,) = await finding(_settings("postgres://ada:secret@127.0.0.1:1/c"))
    assert line.state == "fail" and "secret" not in line.text and "127.0.0.1:1" in line.text
    (line,) = await finding(_settings(f"{postgres}/postgres"))
    assert line.state == "ok" and re.fullmatch(r"PostgreSQL \d+\..+", line.text)
