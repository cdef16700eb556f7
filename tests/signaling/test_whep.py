"""WHEP with aiortc as the player, and as the publishers: somebody else's WebRTC, our HTTP, plane and mix."""

from __future__ import annotations

import asyncio
import fractions
import json
from collections.abc import Callable

import av
import numpy as np
import pytest
from aiortc import RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack, VideoStreamTrack

from signaling import protocol
from signaling.whip import FRAGMENT
from tests.signaling.conftest import House, Open
from tests.signaling.test_broadcast import Viewer, live, state_of
from tests.signaling.test_whip import Peers, peers

__all__ = ["peers"]
SDP = {"Content-Type": "application/sdp"}
RED, BLUE = (200, 20, 20), (20, 20, 200)


class Colour(VideoStreamTrack):
    """One colour."""

    def __init__(self, colour: tuple[int, int, int]) -> None:
        super().__init__()
        self.picture = np.full((240, 320, 3), colour, np.uint8)

    async def recv(self) -> av.VideoFrame:
        pts, base = await self.next_timestamp()
        frame = av.VideoFrame.from_ndarray(self.picture, format="rgb24")
        frame.pts, frame.time_base = pts, base
        return frame


class Tone(MediaStreamTrack):
    """A sine, in frames of 20 ms."""

    kind = "audio"

    def __init__(self, hertz: float) -> None:
        super().__init__()
        self._hertz, self._at, self._begun = hertz, 0, 0.0

    async def recv(self) -> av.AudioFrame:
        loop = asyncio.get_running_loop()
        self._begun = self._begun or loop.time()
        await asyncio.sleep(max(0.0, self._begun + self._at / 48_000 - loop.time()))
        wave = 8000 * np.sin(2 * np.pi * self._hertz * np.arange(self._at, self._at + 960) / 48_000)
        frame = av.AudioFrame.from_ndarray(wave.astype(np.int16)[None, :], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, self._at, fractions.Fraction(1, 48_000)
        self._at += 960
        return frame


async def publish(house: House, peer: RTCPeerConnection, name: str, codec: str, *tracks: MediaStreamTrack) -> None:
    for track in tracks:
        peer.addTrack(track)
    for transceiver in peer.getTransceivers():
        transceiver.direction = "sendonly"
        if transceiver.kind == "video":
            known = RTCRtpSender.getCapabilities("video").codecs
            transceiver.setCodecPreferences([c for c in known if c.name == codec or c.name == "rtx"])
    await peer.setLocalDescription(await peer.createOffer())
    headers = {**SDP, "Authorization": f"Bearer {(await house.codes())['host']}"}
    url = f"{house.url}/whip/demo"
    async with house.http.post(url, params={"name": name}, data=peer.localDescription.sdp, headers=headers) as answer:
        assert answer.status == 201, await answer.text()
        await peer.setRemoteDescription(RTCSessionDescription(await answer.text(), "answer"))


async def signs(viewer: Viewer) -> bool:
    return bool(json.loads(await viewer.text(""))["signs"])


async def offer(peer: RTCPeerConnection, kinds: tuple[str, ...] = ("video", "audio")) -> str:
    for kind in kinds:
        peer.addTransceiver(kind, direction="recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    return str(peer.localDescription.sdp)


class Player:
    """What a player sees and hears."""

    def __init__(self, peer: RTCPeerConnection) -> None:
        self.peer = peer
        self.colours: list[tuple[int, ...] | None] = [None, None]
        self.frames = 0
        self.heard: dict[int, float] = {}
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        peer.on("track", lambda track: self._tasks.append(asyncio.create_task(self._take(track, len(self._tasks)))))

    @property
    def colour(self) -> tuple[int, ...] | None:
        return self.colours[0]

    async def _take(self, track: MediaStreamTrack, place: int) -> None:
        while True:
            frame = await track.recv()
            if isinstance(frame, av.VideoFrame):
                picture = frame.to_ndarray(format="rgb24")
                self.colours[place // 2], self.frames = tuple(picture[120, 160].tolist()), self.frames + 1
            else:
                samples = frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0].astype(float)
                spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
                for hertz in (440, 1000):
                    self.heard[hertz] = float(spectrum[round(hertz * len(samples) / 48_000)])
            self._changed.set()

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(20):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"{what}: {self.colour} {self.frames} {self.heard}") from None

    def sees(self, colour: tuple[int, int, int], place: int = 0) -> bool:
        seen = self.colours[place]
        return seen is not None and all(abs(a - b) < 60 for a, b in zip(seen, colour, strict=True))

    def hears(self, *hertz: int) -> bool:
        return bool(self.heard) and {h for h, loud in self.heard.items() if loud > 100_000} == set(hertz)

    async def watch(
        self,
        house: House,
        viewer: Viewer,
        headers: dict[str, str] | None = None,
        kinds: tuple[str, ...] = ("video", "audio"),
    ) -> tuple[str, str]:
        text = await offer(self.peer, kinds)
        headers = {**SDP, **(headers if headers is not None else {"Cookie": viewer.cookie})}
        async with house.http.post(f"{viewer.url}/whep", data=text, headers=headers) as answer:
            assert answer.status == 201, await answer.text()
            assert answer.content_type == "application/sdp"
            described = await answer.text()
            # aiortc takes the candidates of the last m-line of a kind; they are in the first of all (RFC 8843).
            there = "".join(line for line in described.splitlines(keepends=True) if line.startswith("a=candidate"))
            described = described.replace("a=mid:2", f"{there}a=mid:2")
            await self.peer.setRemoteDescription(RTCSessionDescription(described, "answer"))
            return f"{house.url}{answer.headers['Location']}", answer.headers["ETag"]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@pytest.mark.parametrize("plane", ["python", "native"])
async def test_one_picture_and_one_sound_whoever_is_shown_in_whatever_codec(
    open_house: Open, peers: Peers, plane: str
) -> None:
    if plane == "native":
        pytest.importorskip("sfu.plane._native")
    house = await open_house(media={"host": "127.0.0.1", "port": 0, "plane": plane})
    host = await house.join("host")
    viewer, state = await live(house, host)
    await publish(house, peers(), "Red", "H264", Colour(RED), Tone(440))
    red = (await host.wait("joined"))["person"]["id"]
    await publish(house, peers(), "Blue", "VP8", Colour(BLUE), Tone(1000))
    blue = (await host.wait("joined"))["person"]["id"]
    assert (await host.ask(protocol.Spotlight(participant=red)))["type"] == "ack"

    player = Player(peers())
    where, etag = await player.watch(house, viewer)
    await player.until(lambda: player.sees(RED), "the spotlight is on red")
    await player.until(lambda: player.hears(440, 1000), "both voices, one mix")
    # VP8 after H.264, in the same stream: HLS is dark where only VP8 is sent.
    assert (await host.ask(protocol.Spotlight(participant=blue)))["type"] == "ack"
    await player.until(lambda: player.sees(BLUE), "the spotlight is on blue")
    await host.ask(protocol.Spotlight(participant=red))
    await player.until(lambda: player.sees(RED), "and on red again")

    if not state_of(host)["hidden"]:
        await host.wait("room-changed", lambda m: bool(m["room"]["broadcast"]["hidden"]))
    assert state_of(host)["hidden"] == [blue], "HLS has no room for VP8"

    # A player without the cookie has the link's code; it shares the mix, and the picture.
    other = Player(peers())
    code = state["link"].partition("#k=")[2]
    await other.watch(house, viewer, {"Authorization": f"Bearer {code}"})
    await other.until(lambda: other.sees(RED) and other.hears(440, 1000), "the second player")
    assert len(house.server.hub.rooms["demo"].live.programme) == 2

    # A page that takes two pictures gets who signs beside the programme, until nobody does or they are large already.
    deaf = Player(peers())
    await deaf.watch(house, viewer, kinds=("video", "audio", "video"))
    assert (await host.ask(protocol.SetSigning(participant=blue)))["type"] == "ack"
    await deaf.until(lambda: deaf.sees(RED) and deaf.sees(BLUE, 1), "red, and blue who signs")
    assert player.colours[1] is None and await signs(viewer)
    assert (await host.ask(protocol.Spotlight(participant=blue)))["type"] == "ack"
    await deaf.until(lambda: deaf.sees(BLUE), "blue is large")
    assert not await signs(viewer)
    assert (await host.ask(protocol.Spotlight(participant=red)))["type"] == "ack"
    await deaf.until(lambda: deaf.sees(RED), "red is large again")
    assert await signs(viewer)
    assert (await host.ask(protocol.SetSigning()))["type"] == "ack"
    await player.until(lambda: not house.server.hub.rooms["demo"].live.programme.signs, "nobody signs")
    await deaf.close()
    await deaf.peer.close()

    # Whoever does not agree to be recorded is neither seen nor heard.
    room = house.server.hub.rooms["demo"]
    await room.recording.consent(room.people[red], agreed=False)
    await player.until(lambda: player.sees(BLUE) and player.hears(1000), "red is left out")

    # ICE restarts, trickles and ends as RFC 9725 has it.
    trickle = {"Content-Type": FRAGMENT, "If-Match": etag}
    async with house.http.patch(where, data="a=end-of-candidates\r\n", headers=trickle) as answer:
        assert answer.status == 204
    fragment = "a=ice-ufrag:wxyz\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n"
    async with house.http.patch(where, data=fragment, headers={**trickle, "If-Match": "*"}) as answer:
        assert answer.status == 200 and answer.headers["ETag"] != etag
        assert "a=candidate:" in await answer.text()
    async with house.http.patch(where, data="", headers=trickle) as answer:
        assert answer.status == 412, "the old ETag"
    async with house.http.patch(where, data=fragment, headers={"Content-Type": FRAGMENT}) as answer:
        assert answer.status == 428
    async with house.http.delete(where) as answer:
        assert answer.status == 200
    async with house.http.delete(where) as answer:
        assert answer.status == 404

    # When it ends everybody is sent away.
    ended = asyncio.Event()
    other.peer.on("connectionstatechange", lambda: other.peer.connectionState == "closed" and ended.set())
    assert (await host.ask(protocol.EndBroadcast()))["type"] == "ack"
    async with asyncio.timeout(10):
        await ended.wait()
    assert len(room.live.programme) == 0
    await asyncio.gather(player.close(), other.close())


async def test_who_may_not_watch_or_asks_wrongly_is_told_why(open_house: Open, peers: Peers) -> None:
    house = await open_house(broadcast={"realtime_viewers": 1})
    host = await house.join("host")
    viewer, _ = await live(house, host)
    url, cookie = f"{viewer.url}/whep", {"Cookie": viewer.cookie}
    text = await offer(peers())

    async def post(data: str, **headers: str) -> tuple[int, str]:
        async with house.http.post(url, data=data, headers={**SDP, **cookie, **headers}) as answer:
            if answer.status == 201:
                return answer.status, answer.headers["Location"]
            # As RFC 9457 has it.
            body = await answer.json(content_type="application/problem+json")
            assert body["status"] == answer.status and body["title"] and body["detail"]
            return answer.status, body["code"]

    assert (await post(text, Cookie=""))[0] == 404
    assert (await post(text, Cookie="", Authorization="Bearer nothing"))[0] == 404
    assert (await post(text, **{"Content-Type": "application/json"}))[0] == 415
    for broken in ("", "v=0\r\n", text.replace("actpass", "passive"), text.replace("a=rtcp-mux\r\n", ""), "\xff" * 9):
        assert await post(broken) in [(400, "bad-sdp"), (422, "codecs")], broken[:40]
    assert await post(text.replace("recvonly", "sendonly")) == (422, "codecs")
    assert await post(text.replace("VP8", "H261").replace("H264", "H263")) == (422, "codecs")
    async with house.http.options(url) as answer:
        assert answer.status == 204 and answer.headers["Accept-Post"] == "application/sdp"
    # As long as the programme is in H.264, a player of VP8 alone is told so.
    await publish(house, peers(), "Red", "H264", Colour(RED))
    track = (await host.wait("changed", lambda m: len(m["person"]["tracks"]) == 1))["person"]["tracks"][0]["id"]
    room = house.server.hub.rooms["demo"]
    assert [info.id for info, _ in room.media.pictures()] in ([track], [])
    async with asyncio.timeout(10):
        while not room.media.pictures():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert await post(text.replace("H264", "H263")) == (422, "codecs")

    status, where = await post(text)
    assert status == 201
    async with house.http.post(url, data=text, headers={**SDP, **cookie}) as answer:
        assert answer.status == 503 and int(answer.headers["Retry-After"]) > 0
    async with house.http.delete(f"{house.url}{where}") as answer:
        assert answer.status == 200
    assert (await post(text))[0] == 201, "there is room again"
    # A new link sends those of the old one away.
    assert (await host.ask(protocol.PlanBroadcast(title="Grand round", renew=True)))["type"] == "ack"
    assert len(room.live.programme) == 0
    assert (await post(text))[0] == 404
    assert (await host.ask(protocol.EndBroadcast()))["type"] == "ack"
