"""Meetings over real sockets: coming, going, lobby, chat, moderation, recording."""

from __future__ import annotations

import asyncio
import time

import pytest

from sfu.client import ClientTrack, MediaClient
from signaling import protocol


async def published(browser, *tracks: ClientTrack) -> MediaClient:
    """Publishes tracks for a browser; returns the media client once media can flow."""
    media = MediaClient()

    async def exchange(sdp, labels):
        await browser.send(
            protocol.PublishOffer(
                sdp=sdp, tracks=[protocol.TrackLabel(mid=label.mid, source=label.source) for label in labels]
            )
        )
        return (await browser.wait("publish-answer"))["sdp"]

    await media.connect_publish(tracks, exchange)
    return media


async def test_two_people_see_each_other_come_and_go(house):
    ana = await house.join(name="Ana")
    ben = await house.join(name="Ben")
    assert [p["name"] for p in ben.welcome["people"]] == ["Ana", "Ben"]
    joined = await ana.wait("joined")
    assert joined["person"]["name"] == "Ben" and joined["person"]["color"] == 1
    await ben.send(protocol.Leave())
    assert (await ana.wait("left")) == {"type": "left", "participant": ben.id, "reason": "left"}


async def test_a_name_that_deceives_is_cleaned(house):
    browser = await house.join(name="\u202eDr\u200b  Ana\x00")
    assert browser.welcome["people"][0]["name"] == "Dr Ana"


async def test_a_name_of_nothing_visible_is_refused(house):
    browser = await house.hello(name="\u200b\u202e")
    assert (await browser.ended())["reason"] == "protocol"


async def test_a_lost_socket_is_resumed_as_the_same_person(house):
    ana, ben = await house.join(name="Ana"), await house.join(name="Ben")
    await ana.socket.close()
    lost = await ben.wait("changed", lambda m: m["person"]["id"] == ana.id)
    assert lost["person"]["connected"] is False
    again = await house.hello(name="other", grant="expired by now", resume=ana.welcome["resume"])
    welcome = await again.wait("welcome")
    assert welcome["resumed"] and welcome["participant"] == ana.id
    back = await ben.wait("changed", lambda m: m["person"]["id"] == ana.id)
    assert back["person"]["connected"] is True and back["person"]["name"] == "Ana"


async def test_a_resume_elsewhere_replaces_the_first_socket(house):
    ana = await house.join()
    again = await house.hello(resume=ana.welcome["resume"])
    assert (await again.wait("welcome"))["resumed"]
    closed = await ana.ended()
    assert closed["reason"] == "replaced" and closed["retry"] is False
    assert (await again.ask(protocol.RaiseHand(raised=True)))["type"] == "ack"


async def test_somebody_who_does_not_come_back_is_gone(open_house):
    house = await open_house(limits={"resume_seconds": 0.05})
    ana, ben = await house.join(name="Ana"), await house.join(name="Ben")
    await ana.socket.close()
    assert (await ben.wait("left"))["reason"] == "lost"
    again = await house.hello(grant="not a grant", resume=ana.welcome["resume"])
    assert (await again.ended())["reason"] == "grant"


async def test_an_empty_room_closes_and_its_chat_is_forgotten(open_house):
    house = await open_house(limits={"empty_room_seconds": 0.05})
    ana = await house.join()
    await ana.ask(protocol.SendChat(key="1", text="secret"))
    room = house.server.hub.rooms["demo"]
    assert len(await house.server.store.chat.of_meeting(room.meeting)) == 1
    await ana.send(protocol.Leave())
    await asyncio.wait_for(room.closed.wait(), 10)
    assert await house.server.store.chat.of_meeting(room.meeting) == []
    assert "demo" not in house.server.hub.rooms
    assert (await house.join()).welcome["chat"] == []


async def test_hello_is_due_and_only_once(house):
    ana = await house.join()
    answer = await ana.ask(protocol.Hello(version=1, grant="x", name="y"))
    assert answer["code"] == "bad-state"
    stranger = await house.socket()
    assert (await stranger.ask(protocol.RaiseHand(raised=True)))["code"] == "bad-state"


async def test_the_lobby_holds_guests_until_somebody_admits_them(house):
    host = await house.join("host", "Host")
    assert (await host.ask(protocol.SetLobby(enabled=True)))["type"] == "ack"
    ana, ben, eve = [await house.hello(name=name) for name in ("Ana", "Ben", "Eve")]
    for place, browser in enumerate((ana, ben, eve), 1):
        browser.welcome = await browser.wait("waiting", lambda m, place=place: m["position"] == place)
    assert (await ana.ask(protocol.SendChat(key="k", text="hi")))["code"] == "bad-state"
    await host.wait("lobby-changed", lambda m: len(m["waiting"]) == 3)
    assert (await host.ask(protocol.Deny(participant=eve.id)))["type"] == "ack"
    assert (await eve.ended())["reason"] == "denied"
    assert (await host.ask(protocol.Admit(participant=ben.id)))["type"] == "ack"
    assert (await ben.wait("welcome"))["participant"] == ben.id
    assert (await ana.wait("waiting"))["position"] == 1
    assert (await host.ask(protocol.Admit()))["type"] == "ack"
    assert (await ana.wait("welcome"))["waiting"] == []
    assert (await host.ask(protocol.Admit(participant="pnobody")))["code"] == "not-found"
    assert (await house.server.store.rooms.get("demo")).lobby is True


async def test_a_room_declares_its_languages_and_keeps_them(house):
    host, ana = await house.join("host", "Host"), await house.join(name="Ana")
    assert (await ana.ask(protocol.SetSpoken(languages=["pt"])))["code"] == "not-allowed"
    assert (await host.ask(protocol.SetSpoken(languages=["pt-BR", "en", "pt"])))["type"] == "ack"
    await ana.wait("room-changed", lambda m: m["room"]["spoken"] == ["en", "pt"])
    words = house.server.hub.rooms["demo"].words
    assert words._captions._among == ["en", "pt"]
    assert (await house.server.store.rooms.get("demo")).spoken == ["en", "pt"]
    await house.server.hub.close_room(house.server.hub.rooms["demo"])
    again = await house.join("host", "Host")
    assert again.welcome["room"]["spoken"] == ["en", "pt"]
    assert (await again.ask(protocol.SetSpoken(languages=[])))["type"] == "ack"
    assert (await house.server.store.rooms.get("demo")).spoken == []


async def test_a_removed_person_stays_out_for_the_meeting(house):
    host = await house.join("host", "Host")
    grant = await house.grant()
    eve = await house.join(name="Eve", grant=grant)
    assert (await host.ask(protocol.RemoveParticipant(participant=eve.id)))["type"] == "ack"
    closed = await eve.ended()
    assert closed["reason"] == "removed" and closed["retry"] is False
    for more in ({"grant": grant}, {"grant": grant, "resume": eve.welcome["resume"]}):
        assert (await (await house.hello(**more)).ended())["reason"] == "removed"
    acts = [(row.act, row.subject) for row in await house.server.store.audit.of_room("demo")]
    assert ("remove", eve.id) in acts


async def test_a_removed_browser_stays_out_with_a_new_grant_too(house):
    host = await house.join("host", "Host")
    cookie = {"Cookie": "consilium_visitor=abcdefghijklmnop"}

    async def hello():
        browser = await house.socket(**cookie)
        await browser.send(protocol.Hello(version=1, grant=await house.grant(), name="Eve"))
        return browser

    eve = await hello()
    eve.welcome = await eve.wait("welcome")
    await host.ask(protocol.RemoveParticipant(participant=eve.id))
    await eve.ended()
    assert (await (await hello()).ended())["reason"] == "removed"
    assert (await house.join(name="Innocent")).welcome


async def test_a_moderator_does_not_remove_a_host(house):
    host = await house.join("host", "Host")
    grant = house.server.services.grants.mint("demo", "moderator", time.time())
    moderator = await house.join(grant=grant, name="Mod")
    answer = await moderator.ask(protocol.RemoveParticipant(participant=host.id))
    assert answer["code"] == "not-allowed"


async def test_chat_is_stored_once_and_private_lines_stay_private(house):
    ana, ben, eve = [await house.join(name=name) for name in ("Ana", "Ben", "Eve")]
    for _ in range(2):
        assert (await ana.ask(protocol.SendChat(key="k1", text="Good morning")))["type"] == "ack"
    assert (await ana.ask(protocol.SendChat(key="k2", text="for Ben", to=ben.id)))["type"] == "ack"
    assert (await ana.ask(protocol.SendChat(key="k3", text="for nobody", to="p0")))["code"] == "not-found"
    assert (await ana.ask(protocol.SendChat(key="k4", text=" \x00 ")))["code"] == "malformed"
    assert (await ben.wait("chatted"))["entry"]["text"] == "Good morning"
    assert (await ben.wait("chatted"))["entry"]["text"] == "for Ben"
    await eve.ask(protocol.RaiseHand(raised=True))
    assert [m["entry"]["text"] for m in eve.seen if m["type"] == "chatted"] == ["Good morning"]
    late = await house.join(name="Late")
    assert [entry["text"] for entry in late.welcome["chat"]] == ["Good morning"]
    meeting = house.server.hub.rooms["demo"].meeting
    assert len(await house.server.store.chat.of_meeting(meeting)) == 2


async def test_hands_go_up_and_a_moderator_lowers_them(house):
    host, ana = await house.join("host", "Host"), await house.join()
    await ana.ask(protocol.RaiseHand(raised=True))
    raised = await host.wait("changed", lambda m: m["person"]["id"] == ana.id)
    assert raised["person"]["hand"] is not None
    await host.ask(protocol.LowerHand(participant=ana.id))
    lowered = await ana.wait("changed", lambda m: m["person"]["hand"] is None)
    assert lowered["person"]["id"] == ana.id


async def test_tracks_are_published_seen_muted_and_muted_by_a_moderator(house):
    host, ana = await house.join("host", "Host"), await house.join()
    media = await published(ana, ClientTrack("microphone", "OPUS"), ClientTrack("camera", "VP8"))
    try:
        seen = await host.wait("changed", lambda m: len(m["person"]["tracks"]) == 2)
        audio = next(t for t in seen["person"]["tracks"] if t["kind"] == "audio")
        assert audio["source"] == "microphone" and audio["muted"] is False
        assert (await ana.ask(protocol.SetMuted(track=audio["id"], muted=True)))["type"] == "ack"
        assert (await host.ask(protocol.SetMuted(track=audio["id"], muted=False)))["code"] == "not-found"
        assert (await ana.ask(protocol.SetMuted(track=audio["id"], muted=False)))["type"] == "ack"
        assert (await host.ask(protocol.MuteParticipant(participant=ana.id, kind="audio")))["type"] == "ack"
        assert (await ana.wait("muted-by"))["track"] == audio["id"]
        offer = await host.ask(protocol.SubscribeRestart())
        assert offer["type"] == "ack"
    finally:
        await media.close()


async def test_who_does_not_want_captions_says_so_and_everybody_knows(house):
    ben, ana = await house.join(name="Ben"), await house.join(name="Ana", captioned=False)
    assert next(p for p in ana.welcome["people"] if p["id"] == ana.id)["captioned"] is False
    assert (await ben.wait("joined"))["person"]["captioned"] is False
    assert (await ana.ask(protocol.SetCaptioned(captioned=True)))["type"] == "ack"
    assert (await ben.wait("changed", lambda m: m["person"]["id"] == ana.id))["person"]["captioned"] is True


async def test_a_viewer_comes_on_stage_and_goes_back_without_a_new_connection(house):
    host, eva, ben = await house.join("host", "Host"), await house.join("viewer", "Eva"), await house.join(name="Ben")
    assert (await ben.ask(protocol.SetRole(participant=eva.id, role="participant")))["code"] == "not-allowed"
    assert (await host.ask(protocol.SetRole(participant=eva.id, role="participant")))["type"] == "ack"
    told = await eva.wait("permissions-changed")
    assert told["role"] == "participant" and "publish-audio" in told["permissions"]
    assert (await ben.wait("changed", lambda m: m["person"]["id"] == eva.id))["person"]["role"] == "participant"
    media = await published(eva, ClientTrack("microphone", "OPUS"))
    try:
        here = await host.wait("changed", lambda m: m["person"]["id"] == eva.id and m["person"]["tracks"])
        track = here["person"]["tracks"][0]["id"]
        assert (await eva.ask(protocol.RaiseHand(raised=True)))["type"] == "ack"
        assert (await host.ask(protocol.SetRole(participant=eva.id, role="viewer")))["type"] == "ack"
        back = await ben.wait("changed", lambda m: m["person"]["role"] == "viewer")
        assert back["person"]["hand"] is None and all(t["muted"] for t in back["person"]["tracks"])
        assert (await eva.ask(protocol.SetMuted(track=track, muted=False)))["code"] == "not-allowed"
        assert (await eva.ask(protocol.SendChat(key="1", text="hello?")))["code"] == "not-allowed"
    finally:
        await media.close()


async def test_nobody_gives_what_they_do_not_hold_or_rises_by_themselves(house):
    host, other = await house.join("host", "Host"), await house.join("host", "Other")
    moderator = await house.join(grant=house.server.services.grants.mint("demo", "moderator", time.time()), name="Mod")
    ana = await house.join(name="Ana")
    refused = (
        (moderator, ana, "host"), (moderator, host, "viewer"), (moderator, moderator, "host"), (host, host, "viewer"),
        (ana, ana, "moderator"),
    )  # fmt: skip
    for giver, person, role in refused:
        assert (await giver.ask(protocol.SetRole(participant=person.id, role=role)))["code"] == "not-allowed"
    assert (await moderator.ask(protocol.SetRole(participant=ana.id, role="moderator")))["type"] == "ack"
    assert (await ana.wait("permissions-changed"))["role"] == "moderator"
    assert (await host.ask(protocol.SetRole(participant=other.id, role="viewer")))["type"] == "ack"
    assert (await host.ask(protocol.SetRole(participant="p0", role="viewer")))["code"] == "not-found"


async def test_a_viewer_may_not_publish(house):
    viewer = await house.join("viewer", "Viewer")
    offer = protocol.PublishOffer(sdp="v=0", tracks=[protocol.TrackLabel(mid="0", source="microphone")])
    answer = await viewer.ask(offer)
    assert answer["code"] == "not-allowed" and answer["about"] == "0"


@pytest.mark.parametrize("sdp", ["v=0", "garbage", "v=0\r\nm=audio", "\x00" * 1000, "a=" * 50_000])
async def test_a_malformed_offer_is_its_senders_problem_only(house, sdp):
    ana, ben = await house.join(name="Ana"), await house.join(name="Ben")
    answer = await ana.ask(protocol.PublishOffer(sdp=sdp, tracks=[protocol.TrackLabel(mid="0", source="camera")]))
    assert answer["code"] == "bad-sdp" and answer["message"]
    assert (await ana.ask(protocol.SubscribeAnswer(sdp=sdp, revision=99)))["type"] in ("ack", "error")
    assert (await ben.ask(protocol.RaiseHand(raised=True)))["type"] == "ack"


async def test_a_recording_is_announced_made_and_opened_by_its_link_only(house):
    host, ana = await house.join("host", "Host"), await house.join()
    assert (await ana.ask(protocol.StartRecording()))["code"] == "not-allowed"
    assert (await host.ask(protocol.StopRecording()))["code"] == "bad-state"
    assert (await host.ask(protocol.StartRecording(purpose="round")))["type"] == "ack"
    told = await ana.wait("room-changed", lambda m: m["room"]["recording"]["state"] == "recording")
    assert told["room"]["recording"]["purpose"] == "round"
    late = await house.join(name="Late")
    assert late.welcome["room"]["recording"]["state"] == "recording"
    assert (await host.ask(protocol.StartRecording()))["code"] == "bad-state"
    await ana.ask(protocol.SendChat(key="1", text="in the record"))
    assert (await host.ask(protocol.StopRecording()))["type"] == "ack"
    done = await ana.wait("room-changed", lambda m: m["room"]["recording"]["replay"] is not None)
    path, _, code = done["room"]["recording"]["replay"].partition("#k=")
    api = f"{house.url}/api/recordings/{path.rsplit('/', 1)[1]}"

    async with house.http.get(api) as answer:
        assert answer.status == 404
    async with house.http.post(f"{api}/access", json={"code": "wrong"}) as answer:
        assert answer.status == 404
    async with house.http.post(f"{api}/access", json={"code": code}) as answer:
        assert answer.status == 200
        cookie = answer.cookies["consilium_replay"]
        assert (
            cookie["httponly"] and cookie["samesite"] == "Strict" and cookie["path"] == f"/api/recordings/{api[-12:]}"
        )
    headers = {"Cookie": f"consilium_replay={cookie.value}"}
    async with house.http.get(api, headers=headers) as answer:
        manifest = await answer.json()
        assert manifest["chat"][0]["text"] == "in the record" and manifest["purpose"] == "round"
    async with house.http.get(f"{api}/media/{manifest['master']}", headers=headers | {"Range": "bytes=0-6"}) as answer:
        assert (answer.status, await answer.read()) == (206, b"#EXTM3U")
    for name in ("manifest.json", "..%2fsecret", "%2e%2e%2f%2e%2e%2fconsilium.db", "nothing.mp4"):
        async with house.http.get(f"{api}/media/{name}", headers=headers) as answer:
            assert answer.status == 404
    async with house.http.get(f"{api}/media/{manifest['master']}") as answer:
        assert answer.status == 404
    assert await house.server.store.links.revoke(code)
    async with house.http.get(api, headers=headers) as answer:
        assert answer.status == 404


async def test_stopping_the_server_tells_people_and_finishes_the_recording(open_house):
    house = await open_house()
    host = await house.join("host", "Host")
    await host.ask(protocol.StartRecording())
    recording = house.server.hub.rooms["demo"].recording.state.recording
    stopping = asyncio.create_task(house.server.stop())
    closed = await host.ended()
    assert closed["reason"] == "shutdown" and closed["retry"] is True
    await stopping
    again = await open_house()
    row = await again.server.store.recordings.get(recording)
    assert row.state == "ready" and row.problem is None


async def test_ping_is_answered_with_the_room_clock(house):
    ana = await house.join()
    await ana.send(protocol.Ping(sent=12.5))
    pong = await ana.wait("pong")
    assert pong["sent"] == 12.5 and pong["now"] >= ana.welcome["now"]


async def test_a_view_is_taken_and_what_is_no_view_is_refused(house):
    ana = await house.join()
    tile = {"track": "t1", "width": 320, "height": 180, "visible": True}
    assert (await ana.ask(protocol.View(tiles=[protocol.Tile(**tile)])))["type"] == "ack"
    twice = await ana.ask(protocol.View(tiles=[protocol.Tile(**tile)] * 2))
    assert (twice["type"], twice["code"]) == ("error", "malformed")
    for bad in (tile | {"width": -1}, tile | {"width": 1e9}, tile | {"visible": "yes"}, {"track": "t1"}):
        await ana.socket.send_json({"type": "view", "id": 7, "tiles": [bad]})
        assert (await ana.wait("error"))["code"] == "malformed"


async def test_quality_is_told_to_oneself_in_full_and_to_others_as_a_level(house):
    ana, ben = await house.join(), await house.join()
    await ana.ask(protocol.MediaReport(freezes=2, frozen_ms=1500, concealed=0, loss=0, jitter_ms=9, limited_by="cpu"))
    mine = await ana.wait("quality", lambda m: m["frozenMs"] > 0)
    assert (mine["level"], mine["subscribeLevel"], mine["publishLevel"]) == (1, 1, 3)
    assert (mine["frozenMs"], mine["limitedBy"]) == (1500, "cpu")
    seen = await ben.wait("changed", lambda m: m["person"]["id"] == ana.id and m["person"]["quality"] is not None)
    assert seen["person"]["quality"] == 1


async def test_a_full_room_and_a_full_server_say_so(open_house):
    house = await open_house(limits={"people": 1, "rooms": 1})
    await house.join()
    assert (await (await house.hello()).ended())["reason"] == "full"
    await house.server.store.rooms.create("other", "Other")
    grant = house.server.services.grants.mint("other", "host", time.time())
    browser = await house.socket("other")
    await browser.send(protocol.Hello(version=1, grant=grant, name="A"))
    assert (await browser.ended())["reason"] == "full"


async def test_a_moderator_sets_the_layout_for_everybody(house):
    host, guest = await house.join("host"), await house.join("guest")
    assert guest.welcome["room"]["layout"] is None
    assert (await guest.ask(protocol.SetLayout(layout="grid")))["code"] == "not-allowed"
    assert (await host.ask(protocol.SetLayout(layout="grid")))["type"] == "ack"
    await guest.wait("room-changed", lambda m: m["room"]["layout"] == "grid")
