"""A camera in several encodings: what is negotiated, what viewers and taps get of it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from sfu import sdp
from sfu.capabilities import DEPENDENCY_DESCRIPTOR_URI, REPAIRED_RID_URI, RID_URI
from sfu.client import ClientTrack
from sfu.interface import SdpError
from sfu.negotiation import plan_publish, write_answer
from sfu.plane import PlanePacket
from sfu.server import SfuRoom
from sfu.simulcast import Flows, Follow
from tests.sfu.people import MICROPHONE, Feed, Person, Recorded
from tests.sfu.test_negotiation import LOCAL
from tests.sfu.test_room import Listener, voice
from tests.sfu.test_sdp import recorded

Join = Callable[..., Person]

CAMERA = ClientTrack("camera", "VP8", ("q", "h", "f"))
SIZES = {"q": 100, "h": 200, "f": 400}


def encoding(person: Person, rid: str) -> Feed:
    return Feed(person.client, "0", period=1 / 30, clock=90000, size=SIZES[rid], rid=rid)


def sizes(payloads: list[bytes]) -> set[int]:
    return {size for payload in payloads for size in SIZES.values() if 0 <= len(payload) - size < 20}


async def test_viewers_and_taps_follow_the_best_encoding_that_flows(
    join: Join, events: Recorded, room: SfuRoom
) -> None:
    ana, ben = join("ana"), join("ben")
    tap = Listener(events)
    room.add_tap(tap)
    ben.listen()
    await ana.publish([CAMERA])
    (track,) = events.tracks

    def seen() -> int:
        return max(sizes([p.payload for p in ben.packets.get(track, [])[-1:]]), default=0)

    def tapped() -> int:
        return max(sizes([p.payload for p in tap.packets_of(track)[-1:]]), default=0)

    feeds = {rid: encoding(ana, rid) for rid in "qhf"}
    for feed in feeds.values():
        feed.key = lambda: True
    async with feeds["q"], feeds["h"]:
        await events.until(lambda: seen() == tapped() == 200)
        async with feeds["f"]:
            await events.until(lambda: seen() == tapped() == 400)
        await events.until(lambda: seen() == tapped() == 200)
    sequences = [p.sequence for p in ben.packets[track] if not p.retransmitted]
    assert all((b - a) & 0xFFFF == 1 for a, b in pairwise(sequences)), "one stream for the viewer"
    assert len({p.mid for p in ben.packets[track]}) == 1
    packets = tap.packets_of(track)
    assert sizes([p.payload for p in packets]) >= {200, 400}
    for a, b in pairwise(packets):
        assert b.sequence == a.sequence + 1 and b.timestamp > a.timestamp
        assert b.media_ms >= a.media_ms


async def test_a_tap_that_wants_no_video_gets_none(join: Join, events: Recorded, room: SfuRoom) -> None:
    ana = join("ana")
    listener, watcher = Listener(events), Listener(events)
    room.add_tap(listener, video=False)
    await ana.publish([CAMERA, MICROPHONE])
    camera, microphone = ana.tracks["0"], ana.tracks["1"]
    async with encoding(ana, "q"), voice(ana, "1"):
        await events.until(lambda: len(listener.packets_of(microphone)) > 5)
        room.add_tap(watcher)
        await events.until(lambda: len(watcher.packets_of(camera)) > 5 and len(watcher.packets_of(microphone)) > 5)
        room.remove_tap(watcher)
        heard = len(listener.packets_of(microphone))
        await events.until(lambda: len(listener.packets_of(microphone)) > heard + 5)
    assert listener.packets_of(camera) == []


async def test_muting_a_simulcast_track_mutes_every_encoding(join: Join, events: Recorded, room: SfuRoom) -> None:
    ana, ben = join("ana"), join("ben")
    ben.listen()
    await ana.publish([CAMERA, MICROPHONE])
    track = ana.tracks["0"]
    async with encoding(ana, "q") as low, encoding(ana, "f") as high, voice(ana, "1"):
        await events.until(lambda: bool(ben.packets.get(track)))
        room.set_muted(track, True)
        got, sent = len(ben.packets[track]), low.sent
        await events.until(lambda: low.sent > sent + 15 and high.sent > sent + 15)
        assert len(ben.packets[track]) <= got + 2
        room.set_muted(track, False)
        await events.until(lambda: len(ben.packets[track]) > got + 10)


def answered(lines: str) -> sdp.Media:
    head = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\n"
    return sdp.parse(head + lines).media[0]


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        ("a=rid:q send\r\na=rid:h send\r\na=simulcast:send q;h\r\n", ["q", "h"]),
        ("a=rid:q send\r\na=rid:h send\r\na=rid:x recv\r\na=simulcast:recv x send q;~h\r\n", ["q", "h"]),
        ("a=rid:a send max-width=100\r\na=rid:b send pt=96,97\r\na=simulcast: send rid=a;b\r\n", ["a", "b"]),
        ("a=rid:q send\r\na=rid:h send\r\na=simulcast:send q,x;h,y\r\n", ["q", "h"]),
        ("a=rid:q send\r\na=simulcast:send q\r\n", []),
        ("a=rid:q recv\r\na=rid:h recv\r\na=simulcast:recv q;h\r\n", []),
        ("a=rid:q send\r\na=rid:h send\r\n", []),
    ],
)
def test_encodings_are_read_from_an_offer(lines: str, names: list[str]) -> None:
    assert [rid.name for rid in sdp.simulcast(answered(lines))] == names


@pytest.mark.parametrize(
    "lines",
    [
        "a=rid:q send\r\na=simulcast:send q;h\r\n",
        "a=rid:q send\r\na=simulcast:send q;q\r\n",
        "a=rid:q send\r\na=simulcast:send q;\r\n",
        "a=rid:a send\r\na=rid:b send\r\na=rid:c send\r\na=rid:d send\r\na=simulcast:send a;b;c;d\r\n",
        f"a=rid:{'x' * 17} send\r\na=rid:b send\r\na=simulcast:send {'x' * 17};b\r\n",
    ],
)
def test_a_malformed_list_of_encodings_is_refused(lines: str) -> None:
    with pytest.raises(SdpError):
        sdp.simulcast(answered(lines))


def test_a_better_encoding_counts_once_it_has_settled() -> None:
    flows, counts = Flows(["q", "h", "f"]), {"q": 0, "h": 0, "f": 0}
    assert flows.best == "q"

    def run(now: float, *sending: str) -> str:
        for source in sending:
            counts[source] += 1
        flows.sample(counts.__getitem__, now)
        return flows.best

    assert run(0.1, "q", "h") == "q"
    assert [run(t / 10, "q", "h", "f") for t in (2, 5, 10, 11, 12)] == ["q", "q", "q", "h", "f"]
    assert run(1.7, "q") == "f", "a moment of silence is no end"
    assert run(1.9, "q") == "q"
    assert not flows.flows("f", 1.9) and flows.flows("q", 1.9)
    assert run(2.5, "q", "h", "f") == "q", "those that come back must settle anew"
    assert [run(t / 10, "q", "h", "f") for t in (30, 34, 36, 40, 45)] == ["q", "q", "f", "f", "f"]
    assert run(5.5) == "f"
    assert flows.flows("f", 5.9), "silence of all is longer in meaning something"
    assert run(9.0) == "f" and not flows.flows("f", 9.0)


def test_a_followed_picture_moves_at_a_key_frame_and_leaves_a_gap_after_a_torn_frame() -> None:
    follow = Follow(90000)
    follow.target = "q"

    def take(source: str, timestamp: int, media_ms: float, key: bool = True, marker: bool = True, lost: int = 0) -> Any:
        packet = PlanePacket(5, timestamp, 0.0, marker, key, lost, b"x")
        placed = follow.take(source, packet, media_ms)
        return None if placed is None else (placed[0].sequence, placed[0].timestamp, placed[0].lost, placed[1])

    assert take("q", 1000, 0.0, key=False) is None
    assert take("q", 1000, 0.0) == (0, 1000, 0, 0.0)
    assert take("q", 4000, 33.0, key=False, marker=False, lost=2) == (3, 4000, 2, 33.0)
    follow.target = "f"
    assert take("f", 70, 40.0, key=False) is None
    assert take("f", 80, 43.0) == (5, 4900, 1, 43.0)
    assert take("q", 5000, 45.0) is None
    follow.target = "q"
    assert take("q", 9000, 40.0) == (6, 4901, 0, 43.0), "captured before what was shown last"


@pytest.mark.parametrize(("browser", "codec"), [("chromium", "VP9"), ("firefox", "VP8")])
def test_a_browsers_encodings_are_all_taken(browser: str, codec: str) -> None:
    plan = plan_publish(sdp.parse(recorded(f"{browser}-simulcast-offer")), {"0": "camera"})
    camera = plan.incoming["0"]
    assert camera.chosen.codec.name == codec
    assert camera.rids == ("q", "h", "f")
    assert (camera.ssrc, camera.rtx_ssrc) == (None, None), "Firefox signals SSRCs too, but not whose they are"
    assert camera.extensions.rid and camera.extensions.repaired_rid
    (video,) = sdp.parse(write_answer(plan, LOCAL, "7", 2)).media
    assert sdp.values(video.attributes, "rid") == ["q recv", "h recv", "f recv"]
    assert sdp.values(video.attributes, "simulcast") == ["recv q;h;f"]
    assert {RID_URI, REPAIRED_RID_URI} <= sdp.extensions(video).keys()
    assert DEPENDENCY_DESCRIPTOR_URI not in sdp.extensions(video), "VP8 and VP9 tell their layers themselves"


def test_encodings_stand_lowest_first_whatever_their_order() -> None:
    text = recorded("firefox-simulcast-offer").replace("send q;h;f", "send f;h;q")
    plan = plan_publish(sdp.parse(text), {"0": "camera"})
    assert plan.incoming["0"].rids == ("q", "h", "f")
    assert "a=simulcast:recv f;h;q\r\n" in write_answer(plan, LOCAL, "7", 2)
    text = text.replace("f;h;q", "f;1;q").replace("a=rid:h ", "a=rid:1 ")
    assert plan_publish(sdp.parse(text), {"0": "camera"}).incoming["0"].rids == ("q", "1", "f")


def test_encodings_that_may_not_use_the_codec_are_left_out() -> None:
    text = recorded("firefox-simulcast-offer").replace("a=rid:f send", "a=rid:f send pt=121")
    plan = plan_publish(sdp.parse(text), {"0": "camera"})
    assert plan.incoming["0"].rids == ("q", "h")


def test_without_the_rid_extension_a_camera_is_one_stream() -> None:
    text = recorded("chromium-simulcast-offer").replace(RID_URI, "urn:x")
    plan = plan_publish(sdp.parse(text), {"0": "camera"})
    assert plan.incoming["0"].rids == ()
    assert "simulcast" not in write_answer(plan, LOCAL, "7", 2)


def test_av1_brings_its_dependency_descriptor() -> None:
    plan = plan_publish(sdp.parse(recorded("chromium-av1-offer")), {"0": "camera"})
    assert plan.incoming["0"].extensions.dependency_descriptor == 13
    (video,) = sdp.parse(write_answer(plan, LOCAL, "7", 2)).media
    assert sdp.has(video.attributes, "extmap-allow-mixed"), "it is longer than 16 bytes in key frames"
