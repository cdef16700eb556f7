"""Lists for people with an account: rooms are one's own, an administrator sees all, nobody else sees anything."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

from community.models import Member
from tests.signaling.conftest import House

PASSWORD = "correct horse battery"


async def log_in(house: House, email: str, role: str) -> dict[str, str]:
    members = house.server.store.members
    if role == "admin":
        await members.first_administrator(email, "Ana", PASSWORD)
    else:
        hashed = await members._passwords.hash(PASSWORD)
        async with house.server.store.database.begin() as session:
            session.add(
                Member(
                    id=secrets.token_hex(8), email=email, name="Bruno", role=role,
                    password_hash=hashed, created_at=datetime.now(UTC), disabled=False,
                )
            )  # fmt: skip
    async with house.http.post(house.url + "/api/login", json={"email": email, "password": PASSWORD}) as answer:
        assert answer.status == 200
        return {name: cookie.value for name, cookie in answer.cookies.items()}


async def test_lists_are_for_people_with_an_account(house: House) -> None:
    for path in ("/api/rooms", "/api/audit"):
        async with house.http.get(house.url + path) as answer:
            assert answer.status == 401


async def test_a_member_lists_their_own_rooms_and_reads_no_audit_log(house: House) -> None:
    await house.server.store.rooms.create("somebodys", "Not theirs")
    cookies = await log_in(house, "bruno@example.org", "member")
    async with house.http.post(house.url + "/api/rooms", json={"name": "Ward 3"}, cookies=cookies) as answer:
        assert answer.status == 201
    async with house.http.get(house.url + "/api/rooms", cookies=cookies) as answer:
        assert [room["name"] for room in await answer.json()] == ["Ward 3"]
    async with house.http.get(house.url + "/api/audit", cookies=cookies) as answer:
        assert answer.status == 403


async def test_an_administrator_lists_every_room_and_the_newest_acts(house: House) -> None:
    await house.server.store.rooms.create("somebodys", "Not theirs")
    cookies = await log_in(house, "ana@example.org", "admin")
    async with house.http.get(house.url + "/api/rooms", cookies=cookies) as answer:
        assert "somebodys" in {room["id"] for room in await answer.json()}
    async with house.http.get(house.url + "/api/audit", cookies=cookies) as answer:
        acts = await answer.json()
    assert acts[0]["act"] == "login" and acts[0]["actor"].startswith("member:")
