"""A broadcast out of a room: who may, what viewers get, what strangers do not."""

from __future__ import annotations

import asyncio
import json
import re
import time
from typing import Any

import aiohttp
import pytest

from captioning.caption import Caption
from signaling import protocol
from signaling.subtitles import Subtitles, document
from tests.signaling.conftest import Browser, House, Open


class Viewer:
    """A page of the audience: a cookie, and what it opens."""

    def __init__(self, house: House, broadcast: str) -> None:
        self.http, self.url = house.http, f"{house.url}/api/live/{broadcast}"
        self.cookie = ""

    async def access(self, code: str) -> tuple[int, dict[str, Any]]:
        async with self.http.post(f"{self.url}/access", json={"code": code}, headers={"Cookie": self.cookie}) as answer:
            if "Set-Cookie" in answer.headers:
                assert "HttpOnly" in answer.headers["Set-Cookie"] and "SameSite=Strict" in answer.headers["Set-Cookie"]
                self.cookie = answer.headers["Set-Cookie"].partition(";")[0]
            return answer.status, await answer.json()

    async def get(self, path: str = "") -> tuple[int, bytes, Any]:
        async with self.http.get(self.url + path, headers={"Cookie": self.cookie}) as answer:
            return answer.status, await answer.read(), answer.headers

    async def text(self, path: str) -> str:
        status, body, _ = await self.get(path)
        assert status == 200, (path, body)
        return body.decode()


async def planned(host: Browser, title: str = "Grand round") -> dict[str, Any]:
    answer = await host.ask(protocol.PlanBroadcast(title=title, about="Two cases", starts_at=2e12))
    assert answer["type"] == "ack", answer
    return state_of(host)


def state_of(host: Browser) -> dict[str, Any]:
    return next(m for m in reversed(host.seen) if m["type"] == "room-changed")["room"]["broadcast"]


async def live(house: House, host: Browser) -> tuple[Viewer, dict[str, Any]]:
    state = await planned(host)
    viewer = Viewer(house, state["id"])
    assert (await viewer.access(state["link"].partition("#k=")[2]))[0] == 200
    assert (await host.ask(protocol.GoLive()))["type"] == "ack"
    return viewer, state


async def test_from_the_holding_page_to_the_replay_at_the_same_address(house: House) -> None:
    host = await house.join("host")
    state = await planned(host)
    viewer = Viewer(house, state["id"])
    assert (await viewer.get())[0] == 404
    code = state["link"].partition("#k=")[2]
    status, view = await viewer.access(code)
    assert status == 200 and view["state"] == "scheduled" and view["startsAt"] == 2e12 and view["playlist"] is None
    assert (view["title"], view["about"]) == ("Grand round", "Two cases")

    assert (await host.ask(protocol.GoLive(countdown=30)))["type"] == "ack"
    _, view = await viewer.access(code)
    assert view["state"] == "countdown" and 25_000 < view["at"] - time.time() * 1000 <= 30_000
    assert (await host.ask(protocol.EndBroadcast()))["type"] == "ack"  # called off
    assert state_of(host)["state"] == "scheduled"
    assert (await host.ask(protocol.GoLive()))["type"] == "ack"

    assert (await host.ask(protocol.SendChat(key="k", text="Is my hair all right?")))["type"] == "ack"
    master = await viewer.text("/hls/master.m3u8")  # waits for the first picture
    assert "TYPE=AUDIO" in master and 'CODECS="vp09' in master
    # Blocking: what is asked for is in the answer.
    playlist = await viewer.text("/hls/video.m3u8")
    number = playlist.count("#EXTINF")
    began = time.monotonic()
    later = await viewer.text(f"/hls/video.m3u8?_HLS_msn={number + 1}&_HLS_part=0")
    assert f'URI="v{number + 1}.0.m4s"' in later and time.monotonic() - began > 0.4
    hint = re.search(r'PRELOAD-HINT:TYPE=PART,URI="([^"]+)"', later)
    assert hint
    status, part, headers = await viewer.get(f"/hls/{hint[1]}")
    assert status == 200 and part[4:8] == b"moof" and headers["Cache-Control"].startswith("private, max-age=86400")
    assert (await viewer.get("/hls/video.m3u8?_HLS_msn=999"))[0] == 400
    assert (await viewer.get("/hls/video.m3u8?_HLS_part=1"))[0] == 400
    assert (await viewer.get("/hls/video-000-0.mp4"))[0] == 404  # nobody's own file

    assert (await host.ask(protocol.EndBroadcast()))["type"] == "ack"
    assert state_of(host)["state"] == "ended"
    assert "#EXT-X-ENDLIST" in await viewer.text("/hls/video.m3u8")
    _, view = await viewer.access(code)
    assert view["state"] == "ended" and view["replay"]
    url = f"{house.url}/api/recordings/{view['replay']['recording']}"
    async with house.http.post(f"{url}/access", json={"code": view["replay"]["code"]}) as answer:
        assert answer.status == 200
        cookie = answer.headers["Set-Cookie"].partition(";")[0]
    async with house.http.get(url, headers={"Cookie": cookie}) as answer:
        manifest = await answer.json()
    assert manifest["title"] == "Grand round" and manifest["duration"] > 1_000
    # The programme, not what was written on stage nor everybody's own files.
    assert manifest["chat"] == [] and manifest["tracks"] == []
    async with house.http.post(f"{url}/exports", json={"format": "mkv"}, headers={"Cookie": cookie}) as answer:
        assert answer.status == 404


async def test_players_that_take_no_opus_get_aac_where_the_settings_say_so(open_house: Open) -> None:
    house = await open_house(broadcast={"aac": True})
    host = await house.join("host")
    viewer, _ = await live(house, host)
    assert 'CODECS="vp09.' in (master := await viewer.text("/hls/master-aac.m3u8")) and "mp4a.40.2" in master
    await viewer.text("/hls/aac.m3u8?_HLS_msn=1&_HLS_part=0")
    url = f"{viewer.url}/hls/master-aac.m3u8"
    options = ("-v", "warning", "-headers", f"Cookie: {viewer.cookie}\r\n", "-i", url, "-t", "2", "-f", "null", "-")
    process = await asyncio.create_subprocess_exec("ffmpeg", *options, stderr=asyncio.subprocess.PIPE)
    _, said = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0 and b"error" not in said.lower(), said.decode()
    assert "opus" in await viewer.text("/hls/master.m3u8"), "others keep Opus"
    file = next(house.server.settings.recordings_dir.rglob("live-aac.m4a"))
    assert (await host.ask(protocol.EndBroadcast()))["type"] == "ack"
    assert not file.exists()


async def test_ffmpeg_reads_it_while_it_is_live(house: House) -> None:
    host = await house.join("host")
    viewer, _ = await live(house, host)
    await viewer.text("/hls/video.m3u8?_HLS_msn=2")
    process = await asyncio.create_subprocess_exec(
        "ffmpeg", "-v", "error", "-headers", f"Cookie: {viewer.cookie}\r\n", "-i", f"{viewer.url}/hls/master.m3u8",
        "-t", "5", "-f", "null", "-", stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(30):
        _, errors = await process.communicate()
    assert process.returncode == 0 and errors.decode() == ""


async def test_nothing_opens_without_the_ticket_or_with_an_old_one(house: House) -> None:
    host = await house.join("host")
    viewer, state = await live(house, host)
    assert (await viewer.get("/hls/master.m3u8"))[0] == 200 and (await viewer.get("/pass"))[0] == 204
    stranger = Viewer(house, state["id"])
    assert (await stranger.access("A" * 24))[0] == 404
    other = Viewer(house, "0" * 16)
    assert (await other.access(state["link"].partition("#k=")[2]))[0] == 404
    paths = ("", "/pass", "/events", "/hls/master.m3u8", "/hls/video.m3u8", "/hls/v0.m4s", "/hls/v-init0.mp4")
    for path in paths:
        assert (await stranger.get(path))[0] == (403 if path == "/pass" else 404), path
    other.cookie = viewer.cookie  # of another broadcast
    assert (await other.get())[0] == 404
    # The host gives out a new link: the old one opens nothing, for those who are in either.
    async with house.http.get(f"{viewer.url}/events", headers={"Cookie": viewer.cookie}) as events:
        assert (await events.content.readline()).startswith((b"retry", b"event"))
        assert (await host.ask(protocol.PlanBroadcast(title="Grand round", renew=True)))["type"] == "ack"
        async with asyncio.timeout(5):
            await events.read()
    for path in paths:
        assert (await viewer.get(path))[0] == (403 if path == "/pass" else 404), path
    assert (await viewer.access(state["link"].partition("#k=")[2]))[0] == 404
    assert (await viewer.access(state_of(host)["link"].partition("#k=")[2]))[0] == 200


@pytest.mark.parametrize("role", ["guest", "viewer"])
async def test_only_moderators_broadcast(house: House, role: str) -> None:
    guest = await house.join(role)
    for message in (
        protocol.PlanBroadcast(title="Mine"), protocol.GoLive(), protocol.EndBroadcast(), protocol.Spotlight(),
    ):  # fmt: skip
        answer = await guest.ask(message)
        assert (answer["type"], answer["code"]) == ("error", "not-allowed")


async def test_a_viewer_reads_captions_on_the_programme_s_time(house: House) -> None:
    host = await house.join("host")
    viewer, _ = await live(house, host)
    room = house.server.hub.rooms["demo"]
    origin = room.recording.running.origin  # type: ignore[union-attr]
    async with house.http.get(f"{viewer.url}/events", headers={"Cookie": viewer.cookie}) as events:
        await events.content.readline()
        words: dict[str, Any] = {
            "segment": "s1",
            "participant": host.id,
            "track": "t",
            "source": "en",
            "start": origin + 2_000,
        }
        words |= {"end": origin + 3_000, "guard": [], "doubtful": []}
        room.live.caption(Caption(revision=2, language="en", stable="Take", tail="five", final=False, **words), host.id)
        room.live.caption(Caption(revision=2, language="pt", stable="Tome", tail="", final=False, **words), host.id)
        seen = b""
        async with asyncio.timeout(5):
            while b"event: caption" not in seen:
                seen = await events.content.readuntil(b"\n\n")
        assert b'"start":2000.0' in seen and b'"text":"Take five"' in seen and b"Tome" not in seen


def test_subtitles_are_written_once_and_what_is_late_is_repeated() -> None:
    subtitles = Subtitles(1_000, 500)

    def say(segment: str, start: float, text: str, final: bool = True, revision: int = 1) -> None:
        subtitles.take(
            Caption(segment=segment, revision=revision, participant="p", track="t", source="en", language="en",
                    start=start, end=start + 1_000, stable=text, tail="", final=final, guard=[], doubtful=[]),
            "Ana <b>", 0,
        )  # fmt: skip

    say("o", 1_400, "Said back stage")
    assert subtitles.recent(None) == []
    say("a", 2_000, "One & two")
    assert subtitles.write("en", 0, 7_999) == 0
    assert subtitles.write("en", 0, 8_000) == 1
    first = subtitles.segment("en", 0)
    assert first and b"00:00:01.000 --> 00:00:02.000\n<v Ana &lt;b&gt;>One &amp; two" in first
    say("b", 3_000, "Three")  # final after its segment was written
    say("c", 6_000, "Four")
    assert subtitles.write("en", 0, 12_000) == 2 and subtitles.segment("en", 0) == first
    second = subtitles.segment("en", 1) or b""
    assert b"Three" in second and b"Four" in second and b"One" not in second
    assert subtitles.segment("en", 2) is None and document([]).startswith(b"WEBVTT\nX-TIMESTAMP-MAP=")


async def test_the_spotlight_goes_with_whom_it_was_on(house: House) -> None:
    host, guest = await house.join("host"), await house.join("guest")
    assert (await host.ask(protocol.Spotlight(participant=guest.id)))["code"] == "bad-state"
    await live(house, host)
    assert (await host.ask(protocol.Spotlight(participant="nobody")))["code"] == "not-found"
    assert (await host.ask(protocol.Spotlight(participant=guest.id)))["type"] == "ack"
    assert state_of(host)["spotlight"] == guest.id
    await guest.send(protocol.Leave())
    await host.wait("room-changed", lambda m: m["room"]["broadcast"]["spotlight"] is None)


async def test_in_a_pause_nothing_of_anybody_leaves_the_room(house: House) -> None:
    host, guest = await house.join("host"), await house.join("guest")
    assert (await host.ask(protocol.PauseBroadcast(paused=True)))["code"] == "bad-state"
    viewer, _ = await live(house, host)
    room = house.server.hub.rooms["demo"]
    running = room.recording.running
    assert running is not None and room.recording.includes(host.id)
    assert (await guest.ask(protocol.PauseBroadcast(paused=True)))["code"] == "not-allowed"

    def say(segment: str, start: float) -> None:
        room.live.caption(
            Caption(segment=segment, revision=1, participant=host.id, track="t", source="en", language="en",
                    start=start, end=start + 500, stable=segment, tail="", final=True, guard=[], doubtful=[]),
            host.id,
        )  # fmt: skip

    async with house.http.get(f"{viewer.url}/events", headers={"Cookie": viewer.cookie}) as events:
        await events.content.readline()
        assert (await host.ask(protocol.PauseBroadcast(paused=True)))["type"] == "ack"
        assert state_of(host)["state"] == "paused" and not room.recording.includes(host.id)
        view = json.loads((await viewer.get())[1])
        assert view["state"] == "paused" and [one["end"] for one in view["pauses"]] == [None]
        say("said back stage", room.now + 10)
        late = await house.join("guest")  # nor of who comes meanwhile
        assert not room.recording.includes(late.id)
        begun = (await viewer.text("/hls/video.m3u8")).count("#EXTINF")
        await viewer.text(f"/hls/video.m3u8?_HLS_msn={begun + 1}&_HLS_part=0")  # but time goes on
        assert (await host.ask(protocol.PauseBroadcast(paused=False)))["type"] == "ack"
        assert state_of(host)["state"] == "live" and room.recording.includes(late.id)
        say("into the pause", room.now - 700)
        say("on air again", room.now + 10)
        seen = b""
        async with asyncio.timeout(5):
            while b"on air again" not in seen:
                seen += await events.content.readuntil(b"\n\n")
        assert b"back stage" not in seen and b"into" not in seen and seen.count(b"event: changed") == 2
    assert (await host.ask(protocol.PauseBroadcast(paused=True)))["type"] == "ack"
    assert (await host.ask(protocol.EndBroadcast()))["type"] == "ack"  # out of a pause too
    assert state_of(host)["state"] == "ended"


async def test_the_audience_is_bounded(open_house: Any) -> None:
    house = await open_house(broadcast={"viewers": 1})
    host = await house.join("host")
    viewer, _ = await live(house, host)
    timeout = aiohttp.ClientTimeout(total=5)
    async with house.http.get(f"{viewer.url}/events", headers={"Cookie": viewer.cookie}, timeout=timeout) as events:
        await events.content.readline()
        assert (await viewer.get("/events"))[0] == 503
        await host.wait("room-changed", lambda m: m["room"]["broadcast"]["viewers"] == 1)


async def test_a_viewer_asks_and_votes_without_being_in_the_room(house: House) -> None:
    host = await house.join("host")
    ana, _ = await live(house, host)
    ben = Viewer(house, ana.url.rsplit("/", 1)[1])
    await ben.access(state_of(host)["link"].partition("#k=")[2])

    async def ask(viewer: Viewer, **body: Any) -> tuple[int, str]:
        path = "votes" if "question" in body else "questions"
        async with house.http.post(f"{viewer.url}/{path}", json=body, headers={"Cookie": viewer.cookie}) as answer:
            return answer.status, (await answer.json()).get("code", "")

    assert await ask(ana, key="1", text="Which dose?", name="Ana") == (409, "bad-state")
    rules = protocol.SetQuestions(open=True, moderated=True, anonymous=False)
    assert (await host.ask(rules))["type"] == "ack"
    assert await ask(ana, key="1", text="Which dose?") == (403, "not-allowed")  # not without a name
    async with (
        house.http.get(f"{ana.url}/events", headers={"Cookie": ana.cookie}) as hers,
        house.http.get(f"{ben.url}/events", headers={"Cookie": ben.cookie}) as his,
    ):
        assert await ask(ana, key="1", text="Which dose?", name="Ana") == (200, "")
        assert await ask(ana, key="1", text="Which dose?", name="Ana") == (200, "")  # a retry is no second question

        async def told(events: aiohttp.ClientResponse, words: bytes) -> bytes:
            async with asyncio.timeout(5):
                while words not in (seen := await events.content.readuntil(b"\n\n")):
                    pass
                return seen

        assert b"Which dose?" in await told(hers, b'"waiting"')
        asked = (await host.wait("questions-changed"))["changed"]
        assert [one["name"] for one in asked] == ["Ana"]
        answer = await host.ask(protocol.SettleQuestion(question=asked[0]["id"], state="open"))
        assert answer["type"] == "ack"
        seen = await told(his, b"Which dose?")
        assert b'"waiting"' not in seen and b'"open"' in seen
        assert await ask(ben, question=asked[0]["id"]) == (200, "")
        await told(hers, b'"votes":2')
        assert await ask(ben, question="nothing") == (404, "not-found")


async def test_what_was_live_when_the_server_died_is_over_after_its_start(open_house: Any) -> None:
    first = await open_house()
    store = first.server.store
    row = await store.broadcasts.plan("demo", "Cut off", "", None)
    row.state, row.recording_id = "live", "gone"
    await store.broadcasts.save(row)
    await first.server.stop()
    second = await open_house()
    found = await second.server.store.broadcasts.get(row.id)
    assert (found.state, found.share_id) == ("ended", None) and found.ended_at is not None
    host = await second.join("host")
    assert host.welcome["room"]["broadcast"] is None  # another can be planned
