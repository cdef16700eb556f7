"""Ways to a recording: who gets in, to how much of it, until when, inside which sites; and that deleting deletes."""

from __future__ import annotations

import asyncio
import io
import re
from datetime import UTC, datetime, timedelta

import av
import pytest

from community.models import RecordingRow
from signaling.passes import share_code

PASSWORD = "a long password"


class Recorded:
    """A recording, and an administrator who owns it."""

    def __init__(self, house, recording: str, owner: dict[str, str]) -> None:
        self.house, self.id, self.owner = house, recording, owner
        self.api = f"{house.url}/api/recordings/{recording}"

    async def call(self, method: str, path: str = "", json=None, **headers: str):
        url = path if path.startswith("http") else self.api + path
        async with self.house.http.request(method, url, json=json, headers=headers) as answer:
            body = await answer.json() if answer.content_type == "application/json" else await answer.read()
            return answer.status, body, answer

    async def share(self, **body):
        status, made, _ = await self.call("POST", "/shares", {"audience": "link", **body}, **self.owner)
        assert status == 201, made
        return made

    async def open(self, code: str | None = None, password: str | None = None, **headers: str):
        """(status, error code, headers that open it)."""
        body = {"code": code, "password": password}
        status, answer, response = await self.call("POST", "/access", {k: v for k, v in body.items() if v}, **headers)
        cookie = response.cookies.get("consilium_replay")
        return status, answer.get("code"), {"Cookie": f"consilium_replay={cookie.value}"} if cookie else {}

    async def audit(self) -> list[tuple[str, str]]:
        return [(row.act, row.actor.partition(":")[0]) for row in await self.house.server.store.audit.latest()]


class SetClock:
    time = 0.0

    def now(self) -> float:
        return self.time


LINES = (("the first line", 100), ("a later line", 4_100), ("the last line", 8_100))


@pytest.fixture
async def recorded(house):
    """Twelve seconds of silence in the dark, with a chat line every four."""
    return await record(house, LINES)


async def record(house, lines) -> Recorded:
    """Of an administrator; `lines` of chat, with their time in ms."""
    store, parts = house.server.store, house.server.hub.parts
    await store.members.first_administrator("ana@example.org", "Ana", PASSWORD)
    member = await store.members.authenticate("ana@example.org", PASSWORD)
    owner = {"Cookie": f"consilium_session={await store.members.log_in(member.id)}"}
    about = {
        "room": "demo",
        "title": "Ward round",
        "purpose": "",
        "started_by": "Host",
        "started_at": datetime.now(UTC),
    }
    clock = SetClock()
    running = await parts.recorder.begin(
        "rec1", clock=clock, request_keyframe=lambda _: None, on_failure=lambda _: None, **about
    )
    for text, at in lines:
        running.chat("p1", "Host", text, at)
    clock.time = 12_000.0
    manifest = await running.finish()
    await store.recordings.create(
        RecordingRow(
            id="rec1",
            room_id="demo",
            state="recording",
            member_id=None,
            **{k: v for k, v in about.items() if k != "room"},
        )
    )
    await store.recordings.ended("rec1", "ready")
    await house.server.library.index(manifest)
    return Recorded(house, "rec1", owner)


def code_of(share) -> str:
    return share["path"].partition("#k=")[2]


async def test_a_share_lets_in_until_it_ends_and_each_request_is_asked_anew(recorded):
    assert (await recorded.call("POST", "/shares", {"audience": "link"}))[0] == 401
    share = await recorded.share(label="Ward", days=3)
    status, _, key = await recorded.open(code_of(share))
    assert status == 200 and (await recorded.call("GET", **key))[0] == 200
    assert (await recorded.call("GET", "/media/mix.mp4", Range="bytes=0-9", **key))[0] == 206
    assert (await recorded.call("GET", "/shares", **key))[0] == 401, "who watches does not share"
    assert (await recorded.call("DELETE", **key))[0] == 401
    listed = (await recorded.call("GET", "/shares", **recorded.owner))[1]
    assert [(one["label"], one["uses"], one["path"] == share["path"]) for one in listed] == [("Ward", 1, True)]
    assert (await recorded.call("DELETE", f"/shares/{share['id']}", **recorded.owner))[0] == 200
    assert (await recorded.call("GET", "/media/mix.mp4", Range="bytes=0-9", **key))[0] == 404
    assert (await recorded.open(code_of(share)))[0] == 404
    acts = await recorded.audit()
    assert acts[:3] == [("share-end", "member"), ("recording-open", "share"), ("share-create", "member")]


async def test_codes_cannot_be_guessed_changed_or_used_elsewhere(recorded):
    share = await recorded.share()
    code = code_of(share)
    wrong = [
        code[:-1] + ("A" if code[-1] != "A" else "B"),
        share["id"],
        share["id"] + ".",
        "." + code.partition(".")[2],
        share_code("another secret", share["id"]),
        share_code(recorded.house.server.secret, "zzzzzzzzzzzz"),
        "é.é",
    ]
    for one in wrong:
        assert (await recorded.open(one))[0] == 404, one
    assert (await recorded.open())[0] == 404, "nothing is public by itself"
    _, _, key = await recorded.open(code)
    other = recorded.api.replace(recorded.id, "x" * len(recorded.id))
    assert (await recorded.call("GET", other, **key))[0] == 404
    assert (await recorded.call("POST", f"{other}/access", {"code": code}))[0] == 404
    bearer = {"Authorization": "Bearer " + key["Cookie"].partition("=")[2]}
    assert (await recorded.call("GET", **bearer))[0] == 200
    assert (await recorded.call("GET", Authorization="Bearer x"))[0] == 404


async def test_audiences_and_passwords(recorded):
    members = await recorded.share(audience="members")
    assert (await recorded.open(code_of(members)))[:2] == (401, "login")
    _, _, key = await recorded.open(code_of(members), **recorded.owner)
    assert (await recorded.call("GET", **key))[0] == 404, "without the account the cookie is nothing"
    locked = await recorded.share(audience="public", password="open sesame")
    assert locked["path"] == f"/replay/{recorded.id}" and locked["password"] is True
    assert (await recorded.open())[:2] == (403, "password")
    assert (await recorded.open(password="sesame"))[:2] == (403, "wrong-password")
    status, _, key = await recorded.open(password="open sesame")
    assert status == 200 and (await recorded.call("GET", **key))[0] == 200
    tries = [(await recorded.open(password="guess"))[0] for _ in range(12)]
    assert tries[-1] == 429, "guessing is slowed down"
    await recorded.share(audience="public")
    assert (await recorded.open())[0] == 200


async def test_what_cannot_be_shared_is_refused(recorded):
    for body in (
        {"audience": "everybody"}, {"days": 0}, {"password": "abc"}, {"start": -1},
        {"passage": {"start": 0, "end": 500}}, {"passage": {"start": 1e9, "end": 2e9}},
        {"passage": {"start": -5, "end": 2000}}, {"sites": ["https://a.example; script-src *"]}, {"sites": ["*"]},
        {"sites": ["https://*"]}, {"sites": ["javascript:alert(1)"]}, {"sites": ["https://a.example/path"]},
        {"sites": ["https://a.example\n"] * 21}, {"audience": "members", "sites": ["https://a.example"]},
    ):  # fmt: skip
        status, answer, _ = await recorded.call("POST", "/shares", {"audience": "link", **body}, **recorded.owner)
        assert status == 400, (body, answer)


async def test_a_clip_opens_its_words_and_bytes_and_nothing_else(recorded):
    clip = await recorded.share(passage={"start": 0, "end": 1000})
    _, _, key = await recorded.open(code_of(clip))
    manifest = (await recorded.call("GET", **key))[1]
    assert manifest["kept"] == [{"start": 0, "end": 1000}] and manifest["shared"]
    assert [line["text"] for line in manifest["chat"]] == ["the first line"] and manifest["tracks"] == []
    text = (await recorded.call("GET", "/media/audio.m3u8", **key))[1].decode()
    whole = (recorded.house.server.settings.recordings_dir / recorded.id / "audio.m3u8").read_text()
    size, start = map(int, re.findall(r"#EXT-X-BYTERANGE:(\d+)@(\d+)", text)[-1])
    assert text.count("#EXTINF") <= whole.count("#EXTINF")
    status, body, _ = await recorded.call("GET", "/media/mix.mp4", Range=f"bytes={start}-{start + size - 1}", **key)
    assert status == 206 and len(body) == size
    file = recorded.house.server.settings.recordings_dir / recorded.id / "video.m3u8"
    segments = re.findall(r"#EXT-X-BYTERANGE:(\d+)@(\d+)\n(\S+)", file.read_text())
    size, start, name = int(segments[-1][0]), int(segments[-1][1]), segments[-1][2]
    for headers in (
        {"Range": f"bytes={start}-{start + size - 1}"}, {}, {"Range": "bytes=0-"}, {"Range": "bytes=-100"},
        {"Range": f"bytes={start}-"}, {"Range": "bytes=0-99999999999"}, {"Range": f"bytes=0-1,{start}-{start + 5}"},
        {"Range": "bytes=0-1", "If-Range": "Thu, 01 Jan 1970 00:00:00 GMT"}, {"Range": "bytes=5-2"},
    ):  # fmt: skip
        status, body, _ = await recorded.call("GET", f"/media/{name}", **headers, **key)
        assert status in (404, 416) or (status == 206 and len(body) == 2), headers
    for name in ("audio-000.mp4", "recording.json", "index.json", "..%2fconsilium.db", "journal%2fevents"):
        assert (await recorded.call("GET", f"/media/{name}", Range="bytes=0-1", **key))[0] == 404
    assert (await recorded.call("POST", "/exports", {"format": "mkv"}, **key))[0] == 404


async def test_an_embed_names_its_sites_and_gets_a_token_instead_of_a_cookie(recorded):
    share = await recorded.share(sites=["https://Hospital.example", "https://*.ward.example:8443/"], start=1500)
    url = recorded.house.url
    page, _, code = share["embed"].partition("#k=")
    _, _, answer = await recorded.call("GET", url + page)
    assert (
        "frame-ancestors https://hospital.example https://*.ward.example:8443"
        in answer.headers["Content-Security-Policy"]
    )
    assert "X-Frame-Options" not in answer.headers
    for path in (f"/replay/{recorded.id}", "/embed/zzzzzzzzzzzz", "/"):
        _, _, answer = await recorded.call("GET", url + path)
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"], path
    access = f"{url}/api/embeds/{share['id']}/access"
    assert (await recorded.call("POST", access, {}))[0] == 404
    status, opened, answer = await recorded.call("POST", access, {"code": code})
    assert status == 200 and opened["recording"] == recorded.id and opened["start"] == 1500 and not answer.cookies
    bearer = {"Authorization": f"Bearer {opened['token']}"}
    assert (await recorded.call("GET", **bearer))[0] == 200
    plain = await recorded.share()
    assert (await recorded.call("POST", f"{url}/api/embeds/{plain['id']}/access", {"code": code_of(plain)}))[0] == 404
    await recorded.call("DELETE", f"/shares/{share['id']}", **recorded.owner)
    assert (await recorded.call("GET", **bearer))[0] == 404


async def test_search_is_for_members_and_finds_what_they_may_see(recorded):
    server, url = recorded.house.server, recorded.house.url
    assert (await recorded.call("GET", f"{url}/api/search?q=demo"))[0] == 401
    title = (await recorded.call("GET", **recorded.owner))[1]["title"]
    status, answer, _ = await recorded.call("GET", f"{url}/api/search?q={title.split()[0]}", **recorded.owner)
    assert status == 200 and [hit["recording"]["id"] for hit in answer["found"]] == [recorded.id]
    assert (await recorded.call("GET", f"{url}/api/search?q=x&before=1e5", **recorded.owner))[0] == 400
    assert (await recorded.call("GET", f"{url}/api/search", **recorded.owner))[1] == {"found": [], "more": None}
    assert await server.store.search.missing() == []


async def test_deleting_leaves_nothing_and_is_finished_by_the_next_start(recorded):
    server = recorded.house.server
    folder = server.settings.recordings_dir / recorded.id
    share = await recorded.share()
    _, _, key = await recorded.open(code_of(share))
    await server.store.recordings.doom(recorded.id)  # and there the server died
    assert folder.is_dir() and (await recorded.call("GET", **key))[0] == 404
    assert (await recorded.call("GET", **recorded.owner))[0] == 404
    await server.library.sweep(datetime.now(UTC))
    assert not folder.exists() and await server.store.shares.get(share["id"]) is None
    assert (await recorded.audit())[0] == ("recording-delete", "server")


async def test_a_recording_goes_when_its_time_has_come(recorded):
    server, now = recorded.house.server, datetime.now(UTC)
    status, row, _ = await recorded.call("POST", "/keep", {"days": 2}, **recorded.owner)
    assert status == 200 and row["keepUntil"] is not None
    assert (await recorded.call("POST", "/keep", {"days": 2}))[0] == 401
    await server.library.sweep(now + timedelta(days=1))
    assert (await recorded.call("GET", **recorded.owner))[0] == 200
    await server.library.sweep(now + timedelta(days=3))
    assert (await recorded.call("GET", **recorded.owner))[0] == 404
    assert (await recorded.audit())[0] == ("recording-expire", "server")
    assert not (server.settings.recordings_dir / recorded.id).exists()


async def test_an_archive_goes_out_and_comes_in_by_http(recorded):
    house, api = recorded.house, f"{recorded.house.url}/api/recordings"
    status, job, _ = await recorded.call("POST", "/exports", {"format": "zip"}, **recorded.owner)
    assert status == 202
    async with asyncio.timeout(30):
        while job["state"] != "done":
            assert job["state"] != "failed", job
            await asyncio.sleep(0.05)
            _, job, _ = await recorded.call("GET", f"/exports/{job['id']}", **recorded.owner)
    async with house.http.get(house.url + job["url"], headers=recorded.owner) as answer:
        packed = await answer.read()
    kind = {"Content-Type": "application/zip"}
    for headers, data, expected in (
        (kind, packed, 401),
        (recorded.owner | {"Content-Type": "application/json"}, packed, 415),
        (recorded.owner | kind, packed[:-100], 400),
        (recorded.owner | kind, b"", 400),
    ):
        async with house.http.post(api, data=data, headers=headers) as answer:
            assert answer.status == expected, await answer.text()
    async with house.http.post(api, data=packed, headers=recorded.owner | kind) as answer:
        assert answer.status == 201, await answer.text()
        taken = await answer.json()
    async with house.http.get(f"{api}/{taken['id']}", headers=recorded.owner) as answer:
        manifest = await answer.json()
    assert manifest["id"] == taken["id"] and len(manifest["chat"]) == 3
    assert ("recording-import", "member") in await recorded.audit()
    names = {path.name for path in house.server.settings.recordings_dir.iterdir()}
    assert taken["id"] in names and not any(name.startswith(".") for name in names)


async def test_a_card_shows_what_is_public_and_nothing_else(recorded):
    house, page = recorded.house, f"{recorded.house.url}/replay/rec1"

    async def card(address):
        async with house.http.get(f"{house.url}/api/oembed", params={"url": address}) as answer:
            return answer.status, await answer.json()

    async def head():
        async with house.http.get(page) as answer:
            return (await answer.text()).partition("</head>")[0]

    title = (await house.server.store.recordings.get("rec1")).title
    assert title not in await head() and (await card(page))[0] == 404
    link = await recorded.share(sites=["https://example.org"])
    assert title not in await head() and (await card(page))[0] == 404
    status, told = await card(house.url + link["path"])
    assert (status, told["type"], told["version"], told["title"]) == (200, "video", "1.0", title)
    assert f'src="{house.url}{link["embed"]}"' in told["html"]
    locked = await recorded.share(password="sesame")
    members = await recorded.share(audience="members")
    for address in (house.url + locked["path"], house.url + members["path"], house.url + link["path"][:-1],
                    "https://elsewhere.example" + link["path"], "http://[", "", "x" * 5000):  # fmt: skip
        assert (await card(address))[0] == 404
    await recorded.share(audience="public")
    assert f'property="og:title" content="{title}"' in await head()
    assert (await card(page))[1]["type"] == "link"


async def test_a_card_has_a_picture_of_what_is_public_until_it_is_deleted(recorded):
    house, address = recorded.house, f"{recorded.api}/card.jpg"
    await recorded.share()
    assert (await recorded.call("GET", "/card.jpg"))[0] == 404
    assert (await recorded.call("GET", "/card.jpg", **recorded.owner))[0] == 404
    public = await recorded.share(audience="public")
    params = {"url": f"{house.url}/replay/rec1"}
    async with house.http.get(f"{house.url}/api/oembed", params=params) as answer:
        card = await answer.json()
    assert (card["thumbnail_url"], card["thumbnail_width"], card["thumbnail_height"]) == (address, 640, 360)
    async with house.http.get(params["url"]) as answer:
        assert f'property="og:image" content="{address}"' in (await answer.text()).partition("</head>")[0]
    status, picture, answer = await recorded.call("GET", "/card.jpg")
    assert (status, answer.content_type) == (200, "image/jpeg")
    with av.open(io.BytesIO(picture), "r", format="mjpeg") as opened:
        frame = next(opened.decode(video=0))
    assert (frame.width, frame.height) == (640, 360)
    assert recorded.id in house.server.services.sheets
    assert (await recorded.call("DELETE", f"/shares/{public['id']}", **recorded.owner))[0] == 200
    assert (await recorded.call("GET", "/card.jpg"))[0] == 404
    await recorded.share(audience="public")
    assert (await recorded.call("DELETE", **recorded.owner))[0] == 200
    assert recorded.id not in house.server.services.sheets
    assert (await recorded.call("GET", "/card.jpg"))[0] == 404
