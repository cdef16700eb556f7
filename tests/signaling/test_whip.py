"""WHIP with aiortc as the publisher: somebody else's WebRTC, our HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from typing import Any

import aiohttp
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack

from signaling import protocol
from signaling.whip import FRAGMENT, fragment_of, with_credentials

SDP = {"Content-Type": "application/sdp"}
Peers = Callable[[], RTCPeerConnection]


@pytest.fixture
async def peers() -> AsyncIterator[Peers]:
    made: list[RTCPeerConnection] = []

    def make() -> RTCPeerConnection:
        made.append(RTCPeerConnection(RTCConfiguration(iceServers=[])))
        return made[-1]

    yield make
    await asyncio.gather(*(p.close() for p in made))


async def offer(peer: RTCPeerConnection) -> str:
    peer.addTrack(AudioStreamTrack())
    peer.addTrack(VideoStreamTrack())
    for transceiver in peer.getTransceivers():
        transceiver.direction = "sendonly"
    await peer.setLocalDescription(await peer.createOffer())
    return str(peer.localDescription.sdp)


async def post(house, text, role="host", room="demo", name="Theatre 2", **headers):
    code = (await house.codes())[role]
    headers = {"Authorization": f"Bearer {code}", **SDP, **headers}
    return await house.http.post(f"{house.url}/whip/{room}", params={"name": name}, data=text, headers=headers)


async def start(house, peer: RTCPeerConnection, **more) -> tuple[str, str]:
    """A connected publisher: its session's address and ETag."""
    connected = asyncio.Event()
    peer.on("connectionstatechange", lambda: connected.set() if peer.connectionState == "connected" else None)
    async with await post(house, await offer(peer), **more) as answer:
        assert answer.status == 201, await answer.text()
        assert answer.content_type == "application/sdp"
        await peer.setRemoteDescription(RTCSessionDescription(await answer.text(), "answer"))
        found = f"{house.url}{answer.headers['Location']}", answer.headers["ETag"]
    async with asyncio.timeout(20):
        await connected.wait()
    return found


async def test_a_program_publishes_and_everybody_sees_it(house, peers: Peers) -> None:
    ana = await house.join()
    where, _ = await start(house, peers())
    joined = await ana.wait("joined")
    assert joined["person"]["name"] == "Theatre 2" and joined["person"]["connected"]
    them = joined["person"]["id"]
    await ana.wait("changed", lambda m: m["person"]["id"] == them and len(m["person"]["tracks"]) == 2)
    room = house.server.hub.rooms["demo"]
    sources = {t.source for t in room.people[them].tracks.values()}
    assert sources == {"microphone", "camera"}
    async with asyncio.timeout(20):
        while not house.server.sfu.stats().packets_in > 50:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    async with house.http.delete(where) as answer:
        assert answer.status == 200
    assert (await ana.wait("left"))["participant"] == them
    async with house.http.delete(where) as answer:
        assert answer.status == 404


async def test_a_publisher_that_hangs_up_is_gone(house, peers: Peers) -> None:
    ana, peer = await house.join(), peers()
    await start(house, peer)
    await peer.close()
    assert (await ana.wait("left"))["reason"] == "lost"


async def test_a_moderator_removes_a_program_for_the_whole_meeting(house, peers: Peers) -> None:
    host, peer = await house.join("host"), peers()
    where, _ = await start(house, peer, role="guest")
    them = (await host.wait("joined"))["person"]["id"]
    assert (await host.ask(protocol.RemoveParticipant(participant=them)))["type"] == "ack"
    async with house.http.delete(where) as answer:
        assert answer.status == 404
    async with await post(house, await offer(peers()), role="guest") as answer:
        assert answer.status == 403


async def test_candidates_are_taken_and_ice_restarts(house, peers: Peers) -> None:
    peer = peers()
    where, etag = await start(house, peer)
    trickle = {"Content-Type": FRAGMENT, "If-Match": etag}
    async with house.http.patch(where, data="a=end-of-candidates\r\n", headers=trickle) as answer:
        assert answer.status == 204
    fragment = "a=ice-ufrag:wxyz\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n"
    async with house.http.patch(where, data=fragment, headers={**trickle, "If-Match": "*"}) as answer:
        assert answer.status == 200 and answer.content_type == FRAGMENT
        ours = await answer.text()
        assert answer.headers["ETag"] != etag
    assert "a=ice-ufrag:" in ours and "a=candidate:" in ours and "a=mid:" in ours
    async with house.http.patch(where, data="", headers=trickle) as answer:
        assert answer.status == 412, "the old ETag"
    async with house.http.patch(where, data=fragment, headers={"Content-Type": FRAGMENT}) as answer:
        assert answer.status == 428
    async with house.http.patch(where, data="nothing", headers={**trickle, "If-Match": "*"}) as answer:
        assert answer.status == 400


async def told(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    """The body of an error, which is problem details (RFC 9457)."""
    assert answer.content_type == "application/problem+json"
    body: dict[str, Any] = await answer.json(content_type="application/problem+json")
    assert set(body) == {"type", "title", "status", "detail", "code"} and body["detail"]
    assert (body["type"], body["title"], body["status"]) == (
        "about:blank",
        HTTPStatus(answer.status).phrase,
        answer.status,
    )
    return body


async def test_bad_requests_are_told_what_is_wrong_and_nobody_joins(house, peers: Peers) -> None:
    ana = await house.join()
    text = await offer(peers())
    for status, arguments in (
        (401, {"Authorization": "Bearer nothing"}),
        (401, {"Authorization": "Basic eA=="}),
        (415, {"Content-Type": "application/json"}),
    ):
        async with await post(house, text, **arguments) as answer:
            assert answer.status == status, arguments
            await told(answer)
            assert ("WWW-Authenticate" in answer.headers) == (status == 401)
    async with await post(house, text, room="elsewhere") as answer:
        assert answer.status == 401
    async with await post(house, text, role="viewer") as answer:
        assert answer.status == 403
    for broken in (
        "",
        "v=0\r\n",
        text.replace("sendonly", "recvonly"),
        text.replace("actpass", "passive"),
        "\xff" * 40,
    ):
        async with await post(house, broken) as answer:
            assert answer.status == 400, broken[:40]
            assert (await told(answer))["code"] == "bad-sdp"
    await ana.ask(protocol.RaiseHand(raised=True))
    joined = {m["person"]["id"] for m in ana.seen if m["type"] == "joined"}
    left = {m["participant"] for m in ana.seen if m["type"] == "left"}
    assert joined == left
    assert [p.name for p in house.server.hub.rooms["demo"].people.values()] == ["Ana"]


async def test_a_program_cannot_wait_in_a_lobby(house, peers: Peers) -> None:
    host = await house.join("host")
    await host.ask(protocol.SetLobby(enabled=True))
    async with await post(house, await offer(peers()), role="guest") as answer:
        assert answer.status == 403
        assert "lobby" in (await told(answer))["detail"]


async def test_options_say_what_can_be_posted(house) -> None:
    async with aiohttp.ClientSession() as http, http.options(f"{house.url}/whip/demo") as answer:
        assert answer.status == 204 and answer.headers["Accept-Post"] == "application/sdp"


async def test_a_page_of_another_site_may_publish_with_a_token_and_nothing_else(house, peers: Peers) -> None:
    origin = {"Origin": "https://studio.example.org"}
    asks = {**origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    for where, methods in (
        (f"{house.url}/whip/demo", "OPTIONS, POST"),
        (f"{house.url}/whip/demo/x", "DELETE, OPTIONS, PATCH"),
    ):
        async with house.http.options(where, headers=asks) as answer:
            assert answer.status == 204 and answer.headers["Access-Control-Allow-Origin"] == "*"
            assert answer.headers["Access-Control-Allow-Methods"] == answer.headers["Allow"] == methods
            assert {"Authorization", "If-Match"} <= set(answer.headers["Access-Control-Allow-Headers"].split(", "))
            assert "Access-Control-Allow-Credentials" not in answer.headers
    async with await post(house, await offer(peers()), Authorization="Bearer nothing", **origin) as answer:
        assert answer.status == 401 and answer.headers["Access-Control-Allow-Origin"] == "*"
    async with await post(house, await offer(peers()), **origin) as answer:
        assert answer.status == 201 and "Location" in answer.headers["Access-Control-Expose-Headers"]
        where, etag = house.url + answer.headers["Location"], answer.headers["ETag"]
    trickle = {"Content-Type": FRAGMENT, "If-Match": etag, **origin}
    async with house.http.patch(where, data="<html>", headers=trickle) as answer:
        assert answer.status == 400, "no fragment"
    async with house.http.delete(where, headers=origin) as answer:
        assert answer.status == 200
    async with house.http.post(f"{house.url}/api/rooms", json={"name": "x"}, headers=origin) as answer:
        assert answer.status == 403, "everything else stays closed"


async def test_methods_that_are_kept_for_later_are_refused(house) -> None:
    """RFC 9725, section 4.2: GET, HEAD and PUT of an endpoint and of a session; POST of a session."""
    for path, methods in (("/whip/demo", ("GET", "HEAD", "PUT")), ("/whip/demo/x", ("GET", "HEAD", "PUT", "POST"))):
        for method in methods:
            async with house.http.request(method, house.url + path) as answer:
                assert answer.status == 405 and "OPTIONS" in answer.headers["Allow"], (method, path)
                if method != "HEAD":
                    assert (await told(answer))["code"] == "method-not-allowed"


def test_credentials_change_and_nothing_else() -> None:
    text = "v=0\r\nm=audio 9 X 1\r\na=ice-ufrag:old\r\na=ice-pwd:older\r\na=mid:0\r\n"
    changed = with_credentials(text, "a=ice-pwd:new\r\na=ice-ufrag:newer\r\n")
    assert changed == "v=0\nm=audio 9 X 1\na=ice-ufrag:newer\na=ice-pwd:new\na=mid:0\n"
    assert with_credentials(text, "a=ice-pwd:new\r\n") is None
    answer = "v=0\na=ice-lite\nm=audio 9 X 1\na=ice-ufrag:a\na=ice-pwd:b\na=candidate:1\na=mid:0\na=rtpmap:1 x\n"
    assert fragment_of(answer).split("\r\n")[:5] == [
        "a=ice-lite",
        "a=ice-ufrag:a",
        "a=ice-pwd:b",
        "m=audio 9 X 1",
        "a=mid:0",
    ]
