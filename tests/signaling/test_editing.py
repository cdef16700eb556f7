"""Editing over HTTP: whose right it is, and that everything that leaves the server follows."""

from __future__ import annotations

import re

from tests.signaling.test_sharing import code_of, recorded

__all__ = ["recorded"]

CUT = {"cuts": [{"start": 4_050, "end": 4_200}]}


async def opened(one, **share):
    made = await one.share(**share)
    return (await one.open(code_of(made)))[2]


async def test_only_the_owner_edits_or_sees_what_was_recorded(recorded):
    guest = await opened(recorded)
    for method, path in (("GET", "/edits"), ("PUT", "/edits"), ("GET", "/original"), ("GET", "/original/audio.m3u8")):
        body = CUT if method == "PUT" else None
        assert (await recorded.call(method, path, body))[0] == 401
        assert (await recorded.call(method, path, body, **guest))[0] == 401
        assert (await recorded.call(method, path, body, **recorded.owner))[0] == 200, path
    assert (await recorded.call("GET", "/original/edits.json", **recorded.owner))[0] == 404


async def test_what_is_cut_out_leaves_by_no_way_and_comes_back_when_the_cut_is_taken_back(recorded):
    guest = await opened(recorded)
    before = (await recorded.call("GET", **guest))[1]
    status, saved, _ = await recorded.call("PUT", "/edits", CUT, **recorded.owner)
    assert (status, saved["revision"]) == (200, 1)
    clip = await opened(recorded, passage={"start": 0, "end": 12_000})
    for headers in (guest, clip, recorded.owner):
        manifest = (await recorded.call("GET", **headers))[1]
        assert [one["text"] for one in manifest["chat"]] == ["the first line", "the last line"]
        assert len(manifest["kept"]) == 2
        playlist = (await recorded.call("GET", "/media/audio.m3u8", **headers))[1].decode()
        assert "#EXT-X-GAP" in playlist
        assert (await recorded.call("GET", "/media/mix.mp4", **headers))[0] == 416
        whole = (await recorded.call("GET", "/original/audio.m3u8", **recorded.owner))[1].decode()
        statuses = {}
        for size, start in re.findall(r"BYTERANGE:(\d+)@(\d+)\n", whole):
            bytes_ = f"bytes={start}-{int(start) + int(size) - 1}"
            statuses[start] = (await recorded.call("GET", "/media/mix.mp4", Range=bytes_, **headers))[0]
        assert set(statuses.values()) == {206, 404} and list(statuses.values()).count(404) == 1
    found = (await recorded.call("GET", f"{recorded.house.url}/api/search?q=ward", **recorded.owner))[1]
    assert found["found"][0]["recording"]["id"] == "rec1"
    # The archive has everything: not for who may see less.
    assert (await recorded.call("POST", "/exports", {"format": "zip"}, **guest))[0] == 409
    assert (await recorded.call("POST", "/exports", {"format": "zip"}, **recorded.owner))[0] == 202
    assert (await recorded.call("PUT", "/edits", CUT, **recorded.owner))[0] == 409, "from an older revision"
    assert (await recorded.call("PUT", "/edits", {"revision": 1}, **recorded.owner))[0] == 200
    assert (await recorded.call("GET", **guest))[1] == before
    assert (await recorded.call("GET", "/original", **recorded.owner))[1] == before
    acts = [act for act, _ in await recorded.audit()]
    assert acts.count("recording-edit") == 2 and "recording-original" in acts


async def test_a_share_of_a_passage_that_was_cut_out_since_shows_nothing_of_it(recorded):
    clip = await opened(recorded, passage={"start": 4_000, "end": 5_000})
    assert len((await recorded.call("GET", **clip))[1]["chat"]) == 1
    cut = {"cuts": [{"start": 3_000, "end": 6_000}]}
    assert (await recorded.call("PUT", "/edits", cut, **recorded.owner))[0] == 200
    manifest = (await recorded.call("GET", **clip))[1]
    assert manifest["chat"] == [] and manifest["people"] == []
    assert b"mix.mp4" not in (await recorded.call("GET", "/media/audio.m3u8", **clip))[1]


async def test_edits_that_cannot_be_followed_say_why(recorded):
    for body in (
        {"cuts": [{"start": 5, "end": 1}]},
        {"cuts": [{"start": 0, "end": 11_999}]},
        {"names": {"nobody": "x"}},
        {"words": [{"segment": "x", "language": "en", "text": "x"}]},
    ):
        status, answer, _ = await recorded.call("PUT", "/edits", body, **recorded.owner)
        assert (status, answer["code"]) == (400, "edit"), body
    assert (await recorded.call("PUT", "/edits", {"cuts": 5}, **recorded.owner))[0] == 400
    assert (await recorded.call("GET", "/edits", **recorded.owner))[1]["revision"] == 0


async def test_a_new_title_is_in_the_list_the_replay_the_search_and_on_shares(recorded):
    guest = await opened(recorded)
    before = (await recorded.call("GET", **guest))[1]["title"]
    for headers in ({}, guest):
        assert (await recorded.call("PUT", "/title", {"title": "Mine"}, **headers))[0] == 401
    for wrong in ("", "   ", "x" * 201, 5):
        assert (await recorded.call("PUT", "/title", {"title": wrong}, **recorded.owner))[0] == 400, wrong
    assert (await recorded.call("GET", **guest))[1]["title"] == before
    status, named, _ = await recorded.call("PUT", "/title", {"title": " Zebrafish  round "}, **recorded.owner)
    assert (status, named) == (200, {"title": "Zebrafish round"})
    # Whoever saves edits that they began before knows nothing of it and takes nothing back.
    assert (await recorded.call("PUT", "/edits", CUT, **recorded.owner))[0] == 200
    assert (await recorded.call("GET", **guest))[1]["title"] == "Zebrafish round"
    assert (await recorded.call("GET", "/original", **recorded.owner))[1]["title"] == before
    url = recorded.house.url
    listed = (await recorded.call("GET", f"{url}/api/recordings", **recorded.owner))[1]
    assert [one["title"] for one in listed] == ["Zebrafish round"]
    found = (await recorded.call("GET", f"{url}/api/search?q=zebrafish", **recorded.owner))[1]["found"]
    assert [one["recording"]["title"] for one in found] == ["Zebrafish round"]
    assert (await recorded.call("PUT", "/title", {"title": before}, **recorded.owner))[0] == 200
    assert (await recorded.call("GET", f"{url}/api/search?q=zebrafish", **recorded.owner))[1]["found"] == []
    assert [act for act, _ in await recorded.audit()].count("recording-rename") == 2
