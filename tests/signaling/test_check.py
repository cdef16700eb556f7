"""Connection checks by HTTP: sound goes up and comes back over UDP and TCP; everything about them is bounded."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from sfu.client import ClientTrack, MediaClient
from sfu.peer import LinkKind
from sfu.streams import ReceivedPacket
from signaling import loopback

TURN = {"urls": ["turn:turn.example.org:3478", "stun:turn.example.org"], "secret": "s" * 32, "ttl": 3600}


async def call(house: Any, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    async with house.http.request(method, f"{house.url}{path}", json=body) as answer:
        return answer.status, await answer.json()


async def opened(house: Any) -> Any:
    status, check = await call(house, "POST", "/api/check", {})
    assert status == 201, check
    return check


@pytest.mark.parametrize("kind", ["udp", "tcp"])
async def test_sound_that_goes_up_comes_back_down(house: Any, kind: LinkKind) -> None:
    check = await opened(house)
    assert [path["id"] for path in check["paths"]] == ["udp", "tcp"]
    place = f"/api/check/{check['check']}/paths/{kind}"
    heard: asyncio.Queue[ReceivedPacket] = asyncio.Queue()
    client = MediaClient(on_packet=heard.put_nowait, transport=kind)
    begun: dict[str, Any] = {}

    async def exchange(sdp: str, labels: Any) -> str:
        status, answer = await call(house, "POST", place, {"sdp": sdp, "mid": labels[0].mid})
        assert status == 200, answer
        begun.update(answer)
        return str(answer["answer"])

    await client.connect_publish([ClientTrack("microphone", "OPUS")], exchange)
    sdp = await client.answer(begun["offer"])
    assert (await call(house, "POST", f"{place}/answer", {"sdp": sdp, "revision": begun["revision"]}))[0] == 200
    await client.subscribed()

    async def speak() -> None:
        for number in range(500):
            client.send_rtp(client.labels[0].mid, b"sound %d" % number, number * 960)
            await asyncio.sleep(0.02)

    speaking = asyncio.create_task(speak())
    packet = await asyncio.wait_for(heard.get(), 10)
    speaking.cancel()
    assert packet.payload.startswith(b"sound")
    assert house.server.sfu.stats().rooms == 1
    assert (await call(house, "DELETE", f"/api/check/{check['check']}"))[0] == 200
    assert house.server.sfu.stats().rooms == 0
    assert (await call(house, "DELETE", place))[0] == 404
    await client.close()


async def test_relays_are_offered_one_by_one_with_credentials_of_the_check_only(open_house: Any) -> None:
    house = await open_house(turn=TURN)
    relay = (await opened(house))["paths"][-1]
    assert (relay["id"], relay["kind"], relay["url"]) == ("relay-0", "relay", "turn:turn.example.org:3478")
    assert 60 < int(relay["username"].partition(":")[0]) - time.time() < 180


async def test_bandwidth_is_bounded(house: Any) -> None:
    check = await opened(house)
    place = f"/api/check/{check['check']}"
    async with house.http.get(f"{house.url}{place}/download?bytes=100000") as answer:
        assert answer.status == 200 and len(await answer.read()) == 100_000
    async with house.http.post(f"{house.url}{place}/upload", data=b"x" * 70_000) as answer:
        assert answer.status == 200 and (await answer.json())["bytes"] == 70_000
    for size in ("", "0", "-1", "99999999999", "5000000", "x"):
        assert (await call(house, "GET", f"{place}/download?bytes={size}"))[0] == 400, size
    full = 4 << 20
    statuses = []
    for _ in range(5):
        async with house.http.get(f"{house.url}{place}/download?bytes={full}") as answer:
            statuses.append(answer.status)
            await answer.read()
    assert statuses == [200, 200, 200, 503, 503]


async def test_checks_are_few_and_end_by_themselves(open_house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loopback, "SECONDS", 0.3)
    house = await open_house()
    first = await opened(house)
    for _ in range(loopback.AT_ONCE_PER_ADDRESS - 1):
        await opened(house)
    status, refused = await call(house, "POST", "/api/check", {})
    assert (status, refused["code"]) == (503, "busy")
    async with asyncio.timeout(5):
        while (await call(house, "DELETE", f"/api/check/{first['check']}/paths/udp"))[0] == 200:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await opened(house)


async def test_what_is_no_offer_is_refused_and_leaves_nothing(house: Any) -> None:
    check = await opened(house)
    place = f"/api/check/{check['check']}/paths"
    assert (await call(house, "POST", f"{place}/udp", {"sdp": "hello", "mid": "0"}))[0] == 400
    assert (await call(house, "POST", f"{place}/udp", {"sdp": "v=0", "mid": "0" * 17}))[0] == 400
    assert (await call(house, "POST", f"{place}/moon", {"sdp": "v=0", "mid": "0"}))[0] == 404
    assert (await call(house, "POST", f"{place}/udp/answer", {"sdp": "v=0", "revision": 1}))[0] == 404
    assert (await call(house, "POST", "/api/check/nobody/paths/udp", {"sdp": "v=0", "mid": "0"}))[0] == 404
    assert house.server.sfu.stats().rooms == 0


async def test_openings_are_rate_limited(house: Any) -> None:
    statuses = []
    for _ in range(14):
        status, check = await call(house, "POST", "/api/check", {})
        statuses.append(status)
        if status == 201:
            await call(house, "DELETE", f"/api/check/{check['check']}")
    assert statuses[:12] == [201] * 12 and statuses[-1] == 429
