"""A server whose recordings are in a bucket: replay, search, edits, deletion, and what people are told."""

from __future__ import annotations

import asyncio
import io
import shutil
import zipfile
from datetime import UTC, datetime

import aiohttp
import av
import pytest

from benchmarks._synthetic import SetClock, camera, video_packets, vp9_clip
from community.models import RecordingRow
from recorder.storage.ledger import load_ledger
from signaling import protocol
from signaling.server import Server
from tests.moto_server import S3
from tests.signaling.conftest import House, settings


@pytest.fixture(scope="module")
def s3():
    one = S3()
    yield one
    one.away()


def told(s3, **more):
    return {
        "kind": "s3", "bucket": s3.bucket, "prefix": "here/", "endpoint": s3.endpoint, "region": "us-east-1",
        "access_key": "id", "secret_key": "secret", **more,
    }  # fmt: skip


@pytest.fixture
async def stored(s3, tmp_path):
    """A server, its administrator, and a recording of which this machine has nothing any more."""
    server = Server(settings(tmp_path / "data", storage=told(s3, playback="signed")))
    await server.start()
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        house = House(server, http)
        members = server.store.members
        await members.first_administrator("ana@example.org", "Ana", "long enough pw")
        member = await members.authenticate("ana@example.org", "long enough pw")
        http.headers["Cookie"] = f"consilium_session={await members.log_in(member.id)}"
        about = {"title": "Ward round", "purpose": "", "started_by": "Host", "started_at": datetime.now(UTC)}
        room = type("Clock", (), {"time": 0.0, "now": lambda self: self.time})()
        running = await server.recorder.begin(
            "rec1", room="demo", clock=room, request_keyframe=lambda _: None, on_failure=lambda _: None, **about
        )
        running.chat("p1", "Host", "the first line", 100)
        room.time = 12_000.0
        await server.store.recordings.create(RecordingRow(id="rec1", room_id="demo", state="recording", **about))
        await running.finish()
        await server.store.recordings.ended("rec1", "ready")
        folder = server.settings.recordings_dir / "rec1"
        async with asyncio.timeout(20):
            while not load_ledger(folder).stored:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        mix = (folder / "mix.mp4").read_bytes()
        shutil.rmtree(folder)
        yield house, mix
    await server.stop()


async def test_a_library_that_is_only_in_the_bucket(stored, s3):
    house, mix = stored
    http, api = house.http, f"{house.url}/api/recordings/rec1"
    async with http.get(api) as answer:
        assert answer.status == 200 and (await answer.json())["chat"][0]["text"] == "the first line"
    async with http.get(f"{api}/media/master.m3u8") as answer:
        assert answer.status == 200 and b"audio.m3u8" in await answer.read()
    async with http.get(f"{api}/media/mix.mp4", headers={"Range": "bytes=10-99"}, allow_redirects=False) as answer:
        assert answer.status == 307 and answer.headers["Location"].startswith(s3.endpoint)
        assert s3.endpoint in answer.headers["Content-Security-Policy"].split("connect-src")[1]
    async with http.get(f"{api}/media/mix.mp4", headers={"Range": "bytes=10-99"}) as answer:
        assert (answer.status, await answer.read()) == (206, mix[10:100]), "the bucket's own answer"
    # What is cut out must not leave by an address that opens the whole file.
    async with http.put(f"{api}/edits", json={"revision": 0, "cuts": [{"start": 0, "end": 1000}]}) as answer:
        assert answer.status == 200, await answer.text()
    async with http.get(f"{api}/media/mix.mp4", headers={"Range": "bytes=900-999"}, allow_redirects=False) as answer:
        assert answer.status == 404
    async with http.get(f"{api}/media/audio.m3u8") as answer:
        shown = await answer.text()
        assert "EXT-X-GAP" in shown
    size, offset = map(int, shown.rsplit("#EXT-X-BYTERANGE:", 1)[1].split("\n")[0].split("@"))
    span = {"Range": f"bytes={offset}-{offset + size - 1}"}
    async with http.get(f"{api}/media/mix.mp4", headers=span, allow_redirects=False) as answer:
        assert (answer.status, await answer.read()) == (206, mix[offset : offset + size]), "through the app, by range"
    async with http.get(f"{house.url}/metrics") as answer:
        text = await answer.text()
        assert "consilium_storage_away 0.0" in text and "consilium_storage_uploaded_bytes_total" in text

    s3.away()
    try:
        shutil.rmtree(house.server.settings.recordings_dir / "rec1")
        async with http.get(api) as answer:
            assert (answer.status, (await answer.json())["code"]) == (503, "unavailable")
        async with http.get(f"{api}/media/mix.mp4", headers=span, allow_redirects=False) as answer:
            assert (answer.status, (await answer.json())["code"]) == (503, "unavailable")
        async with http.delete(api) as answer:
            assert answer.status == 503
        async with http.get(api) as answer:
            assert answer.status == 404, "nobody opens it from then on"
    finally:
        s3.back()
    await house.server.library.sweep(datetime.now(UTC))
    assert s3.left() == 0
    acts = [one.act for one in await house.server.store.audit.latest()]
    assert "recording-delete" in acts


async def test_an_encrypted_recording_is_replayed_and_taken_away(tmp_path):
    """By HTTP nothing shows that it is encrypted; on the disk nothing shows what it is."""
    server = Server(settings(tmp_path / "data", recordings={"min_free_mb": 0, "encrypt": True}))
    await server.start()
    try:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
            members = server.store.members
            await members.first_administrator("ana@example.org", "Ana", "long enough pw")
            member = await members.authenticate("ana@example.org", "long enough pw")
            http.headers["Cookie"] = f"consilium_session={await members.log_in(member.id)}"
            host = await House(server, http).join("host")
            await host.ask(protocol.StartRecording())
            await host.ask(protocol.SendChat(key="1", text="nobody reads this"))
            await host.ask(protocol.StopRecording())
            [row] = await server.store.recordings.visible(None)
            api = f"http://127.0.0.1:{server.port}/api/recordings/{row.id}"
            folder, exports = server.settings.recordings_dir / row.id, server.settings.data / "exports"
            assert (server.settings.data / "recordings.keys").stat().st_mode & 0o777 == 0o600
            async with http.get(api) as answer:
                manifest = await answer.json()
                assert manifest["chat"][0]["text"] == "nobody reads this"
            async with http.get(f"{api}/media/mix.mp4") as answer:
                whole = await answer.read()
                assert answer.status == 200 and b"moof" in whole and len(whole) < manifest["bytes"]
            async with http.get(f"{api}/media/mix.mp4", headers={"Range": "bytes=100-299"}) as answer:
                assert (answer.status, await answer.read()) == (206, whole[100:300])
                assert answer.headers["Content-Range"] == f"bytes 100-299/{len(whole)}"
            async with http.post(f"{api}/exports", json={"format": "zip"}) as answer:
                job = await answer.json()
            async with asyncio.timeout(60):
                while job["state"] != "done":
                    await asyncio.sleep(0.1)
                    async with http.get(f"{api}/exports/{job['id']}") as answer:
                        job = await answer.json()
                        assert job["state"] != "failed", job
            async with http.get(f"http://127.0.0.1:{server.port}{job['url']}") as answer:
                packed = await answer.read()
            assert len(packed) == job["bytes"] and zipfile.ZipFile(io.BytesIO(packed)).read("mix.mp4") == whole
            files = [one for place in (folder, exports) for one in place.rglob("*") if one.is_file()]
            assert len(files) > 6
            for one in files:
                data = one.read_bytes()
                assert b"nobody reads" not in data and b"moof" not in data and data[:4] != b"PK\x03\x04", one.name
            async with http.delete(api) as answer:
                assert answer.status == 200
            assert not folder.exists() and not list(exports.iterdir())
    finally:
        await server.stop()


async def test_the_room_is_told_while_the_bucket_is_away(s3, tmp_path):
    server = Server(settings(tmp_path / "data", storage=told(s3)))
    await server.start()
    try:
        async with aiohttp.ClientSession() as http:
            host = await House(server, http).join("host")
            server.recorder._tell_away(True)
            assert (await host.ask(protocol.StartRecording()))["type"] == "ack"
            server.recorder._tell_away(True)
            await host.wait("room-changed", lambda one: one["room"]["recording"].get("problem") == "storage-away")
            server.recorder._tell_away(False)
            await host.wait("room-changed", lambda one: one["room"]["recording"].get("problem") is None)
            assert (await host.ask(protocol.StopRecording()))["type"] == "ack"
    finally:
        await server.stop()


@pytest.mark.parametrize(
    ("header", "part"),
    [
        (None, None), ("bytes=0-9", (0, 10)), ("bytes=90-", (90, 100)), ("bytes=-10", (90, 100)),
        ("bytes=50-900", (50, 100)), ("bytes=9-3", None), ("bytes=-", None), ("items=0-1", None),
        ("bytes=0-1,4-5", None), ("bytes=-900", (0, 100)),
    ],
)  # fmt: skip
def test_ranges(header, part):
    from signaling.media import wanted

    assert wanted(header, 100) == part


def test_a_range_beyond_the_end_is_refused():
    from signaling.endpoint import ApiError
    from signaling.media import wanted

    for header in ("bytes=100-", "bytes=-0", "bytes=500-600"):
        with pytest.raises(ApiError):
            wanted(header, 100)


@pytest.mark.parametrize("kept", ["sealed", "bucket"])
async def test_pictures_and_faces_of_what_is_encrypted_or_elsewhere(tmp_path, s3, kept):
    """The seek bar's sheets and everybody side by side, made of bytes that do not lie readable on this disk."""
    more = {"storage": told(s3)} if kept == "bucket" else {"recordings": {"min_free_mb": 0, "encrypt": True}}
    server = Server(settings(tmp_path / "data", **more))
    await server.start()
    try:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
            members = server.store.members
            member = await members.first_administrator("ana@example.org", "Ana", "long enough pw")
            http.headers["Cookie"] = f"consilium_session={await members.log_in(member.id)}"
            about = {"title": "Ward round", "purpose": "", "started_by": "Host", "started_at": datetime.now(UTC)}
            clock = SetClock()
            running = await server.recorder.begin(
                "faces", room="demo", clock=clock, request_keyframe=lambda _: None, on_failure=lambda _: None, **about
            )
            running.participant("ann", "Ann")
            running.track_opened(camera("ann"), 0.0)
            running.speaker("ann")
            for packet in video_packets("ann-camera", vp9_clip(320, 180, (200, 0, 0), 4, 15, 2), 0, 6):
                clock.time = packet.room_ms
                running.packets([packet])
            clock.time = 6_000.0
            await server.store.recordings.create(RecordingRow(id="faces", room_id="demo", state="recording", **about))
            await running.finish()
            await server.store.recordings.ended("faces", "ready")
            folder = server.settings.recordings_dir / "faces"
            if kept == "bucket":
                async with asyncio.timeout(20):
                    while not load_ledger(folder).stored:  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
                shutil.rmtree(folder)
            api = f"http://127.0.0.1:{server.port}/api/recordings/faces"
            async with http.get(f"{api}/thumbnails/index.vtt") as answer:
                assert answer.status == 200 and "0.jpg#xywh=0,0,160,90" in await answer.text()
            async with http.get(f"{api}/thumbnails/0.jpg") as answer:
                assert answer.status == 200, await answer.text()
                sheet = await answer.read()
            with av.open(io.BytesIO(sheet), "r", format="image2pipe") as opened:
                seen = next(opened.decode(video=0)).to_ndarray(format="rgb24")
            red, green, blue = (int(one) for one in seen[20, 80])
            assert red > 150 and green < 60 and blue < 60, "it is the picture, not darkness"
            async with http.get(f"{api}/grid") as answer:
                [seat] = (await answer.json())["seats"]
                assert seat["name"] == "Ann" and len(seat["pictures"]) == 1
            async with http.get(f"{api}/grid/{seat['pictures'][0]['track']}.m3u8") as answer:
                text = await answer.text()
                assert answer.status == 200 and "#EXT-X-MAP" in text
            name = next(line for line in text.splitlines() if line and not line.startswith("#")).rsplit("/", 1)[-1]
            async with http.get(f"{api}/media/{name}", headers={"Range": "bytes=4-7"}) as answer:
                assert (answer.status, await answer.read()) == (206, b"ftyp")
    finally:
        await server.stop()
