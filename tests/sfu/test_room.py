"""Whole rooms on loopback with `MediaClient`s: real sockets, ICE, DTLS and SRTP at both ends."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest

from sfu import ice
from sfu.client import ClientTrack, MediaClient
from sfu.interface import SdpError, TrackLabel
from sfu.server import Sfu, SfuConfig, SfuRoom
from sfu.taps import TapPacket, TrackInfo
from tests.sfu.people import CAMERA, MICROPHONE, Feed, Person, Recorded

Join = Callable[..., Person]


def voice(person: Person, mid: str = "0") -> Feed:
    return Feed(person.client, mid, period=0.02, clock=48000)


def picture(person: Person, mid: str = "1") -> Feed:
    return Feed(person.client, mid, period=1 / 30, clock=90000)


async def test_two_people_hear_and_see_each_other(join: Join, events: Recorded) -> None:
    people = [join("ana"), join("ben")]
    for person in people:
        person.listen()
        await person.publish([MICROPHONE, CAMERA])
    async with voice(people[0]), voice(people[1]), picture(people[0]), picture(people[1]):
        await events.until(lambda: all(len(p.packets) == 2 for p in people))
        for person, other in (people, people[::-1]):
            assert set(person.packets) == set(other.tracks.values())
    assert events.states == {(n, c): "connected" for n in ("ana", "ben") for c in ("publish", "subscribe")}


@pytest.mark.parametrize("codec", ["VP9", "H264", "VP8", "AV1"])
async def test_a_track_is_announced_with_its_exact_codec(join: Join, events: Recorded, codec: str) -> None:
    ana = join("ana")
    await ana.publish([ClientTrack("camera", codec)])
    (track,) = events.tracks.values()
    assert (track.codec.name, track.kind, track.source, track.participant) == (codec, "video", "camera", "ana")


async def test_media_flows_over_tcp_alone(join: Join, events: Recorded, sfu: Sfu) -> None:
    ana, ben = join("ana", transport="tcp"), join("ben", transport="tcp")
    ben.listen()
    await ana.publish([MICROPHONE])
    async with voice(ana):
        await events.until(lambda: sum(map(len, ben.packets.values())) > 20)
    assert sfu.stats().tcp_connections == 2


async def test_late_joiner_gets_what_is_there_and_its_key_frame_is_asked_for(join: Join, events: Recorded) -> None:
    ana = join("ana")
    await ana.publish([MICROPHONE, CAMERA])
    async with picture(ana) as feed:
        feed.key = lambda: bool(ana.keyframes)  # a picture to start from comes on request only
        ben = join("ben")
        ben.listen()
        await events.until(lambda: bool(ben.packets))
    assert set(ana.keyframes) == {"1"}


async def test_muted_track_reaches_neither_people_nor_taps(join: Join, events: Recorded, room: SfuRoom) -> None:
    ana, ben = join("ana"), join("ben")
    tap = Listener(events)
    room.add_tap(tap)
    ben.listen()
    await ana.publish([MICROPHONE])
    track = ana.tracks["0"]
    async with voice(ana) as feed:
        await events.until(lambda: len(ben.packets.get(track, ())) > 5 and len(tap.packets_of(track)) > 5)
        room.set_muted(track, True)
        assert tap.log[-1] == ("muted", track, True)
        heard, tapped, sent = len(ben.packets[track]), len(tap.packets_of(track)), feed.sent
        # What left before the mute may still be on its way; what was sent later must not come.
        await asyncio.sleep(0.5)
        assert feed.sent > sent + 15
        assert len(ben.packets[track]) <= heard + 3
        assert len(tap.packets_of(track)) == tapped
        room.set_muted(track, False)
        await events.until(lambda: len(ben.packets[track]) > heard + 10)


async def test_tap_sees_open_tracks_and_room_times_that_grow(join: Join, events: Recorded, room: SfuRoom) -> None:
    ana = join("ana")
    await ana.publish([MICROPHONE, CAMERA])
    async with voice(ana), picture(ana):
        tap = Listener(events)
        room.add_tap(tap)
        assert {t for kind, t, *_ in tap.log if kind == "opened"} == set(ana.tracks.values())
        await events.until(lambda: all(len(tap.packets_of(t)) > 30 for t in ana.tracks.values()))
    for track in ana.tracks.values():
        packets = tap.packets_of(track)
        assert [p.sequence for p in packets] == list(range(packets[0].sequence, packets[0].sequence + len(packets)))
        assert all(b.media_ms > a.media_ms for a, b in pairwise(packets))
        assert all(0 <= p.room_ms <= room.clock.now() for p in packets)
        assert all(abs(p.room_ms - p.media_ms) < 500 for p in packets)
    room.remove_participant("ana")
    assert {t for kind, t, *_ in tap.log if kind == "closed"} == set(ana.tracks.values())


async def test_failing_tap_hurts_nobody(join: Join, events: Recorded, room: SfuRoom) -> None:
    class Broken(Listener):
        def packets(self, packets: Sequence[TapPacket]) -> None:
            raise RuntimeError("broken tap")

    ana, ben = join("ana"), join("ben")
    tap = Listener(events)
    room.add_tap(Broken(events))
    room.add_tap(tap)
    ben.listen()
    await ana.publish([MICROPHONE])
    async with voice(ana):
        await events.until(lambda: bool(ben.packets) and bool(tap.packets_of(ana.tracks["0"])))


async def test_tracks_come_and_go_on_one_connection(join: Join, events: Recorded) -> None:
    ana, ben = join("ana"), join("ben")
    ben.listen()
    await ana.publish([MICROPHONE])
    screen = ClientTrack("screen", "VP9")
    await ana.publish([MICROPHONE, CAMERA, screen])
    assert sorted(t.source for t in events.tracks.values()) == ["camera", "microphone", "screen"]
    camera = ana.tracks["1"]
    await events.until(lambda: camera in ben.mids.values())
    before = events.offers["ben"][-1]
    await ana.publish([MICROPHONE, None, screen])
    assert events.removed == [camera]
    await events.until(lambda: camera not in ben.mids.values())
    assert {t.track for t in events.offers["ben"][-1].tracks} == set(ana.tracks.values())
    # The microphone kept its id, and a new camera takes over the freed m-line.
    await ana.publish([MICROPHONE, CAMERA, screen])
    await events.until(lambda: len(ben.mids) == 3)
    assert len(events.offers["ben"][-1].sdp.split("\r\nm=")) == len(before.sdp.split("\r\nm="))


async def test_offers_are_coalesced_and_wait_for_each_other(join: Join, events: Recorded, room: SfuRoom) -> None:
    ben = join("ben")
    events.deliver.pop("ben")
    ben.listen()
    await events.until(lambda: "ben" in events.offers)
    publishers = [join(f"p{i}") for i in range(3)]
    for person in publishers:
        await person.publish([MICROPHONE])
    await asyncio.sleep(0.2)
    assert [o.revision for o in events.offers["ben"]] == [1]
    first = events.offers["ben"][0]
    await room.answer("ben", 99, "not even sdp")
    await room.answer("ben", first.revision, await ben.client.answer(first.sdp))
    await events.until(lambda: len(events.offers["ben"]) == 2)
    assert len(events.offers["ben"][1].tracks) == 3
    await room.answer("ben", first.revision, "stale and ignored")


async def test_bad_answer_is_refused_and_a_good_one_still_taken(join: Join, events: Recorded, room: SfuRoom) -> None:
    ben = join("ben")
    events.deliver.pop("ben")
    ben.listen()
    await events.until(lambda: "ben" in events.offers)
    offer = events.offers["ben"][0]
    with pytest.raises(SdpError):
        await room.answer("ben", offer.revision, "v=0\r\n")
    await room.answer("ben", offer.revision, await ben.client.answer(offer.sdp))
    await events.until(lambda: events.states.get(("ben", "subscribe")) == "connected")


async def test_subscriber_that_cannot_decode_a_codec_still_gets_the_rest(
    join: Join, events: Recorded, room: SfuRoom
) -> None:
    ana, ben = join("ana"), join("ben", codecs=("OPUS", "VP8"))
    ben.listen()
    await ana.publish([MICROPHONE, ClientTrack("camera", "AV1"), ClientTrack("screen", "VP8")])
    async with voice(ana), picture(ana, "2"):
        await events.until(lambda: len(ben.packets) == 2)
    assert room.undecodable("ben") == {ana.tracks["1"]}
    # Later offers keep the refused m-line dead.
    carol = join("carol")
    await carol.publish([CAMERA])
    async with picture(carol, "0"):
        await events.until(lambda: carol.tracks["0"] in ben.packets)


async def test_publisher_moves_to_another_address_and_its_track_goes_on(
    join: Join, events: Recorded, room: SfuRoom
) -> None:
    ana, ben = join("ana"), join("ben")
    ben.listen()
    await ana.publish([MICROPHONE])
    track = ana.tracks["0"]
    async with voice(ana):
        await events.until(lambda: len(ben.packets.get(track, ())) > 5)
        offer = ana.client.restart()
        await ana.client.accept(await ana.exchange(offer, ana.client.labels))
        seen = len(ben.packets[track])
        await events.until(lambda: len(ben.packets[track]) > seen + 10)
    assert ana.tracks["0"] == track
    assert events.removed == []
    assert ana.client._publish is not None
    assert ana.client._publish.links == 2
    numbers = [p.sequence for p in ben.packets[track]]
    assert len(numbers) == (numbers[-1] - numbers[0] & 0xFFFF) + 1


@pytest.mark.parametrize("rebuild", [False, True])
async def test_subscriber_restarts_or_rebuilds_and_media_goes_on(
    join: Join, events: Recorded, room: SfuRoom, rebuild: bool
) -> None:
    ana, ben = join("ana"), join("ben")
    ben.listen()
    await ana.publish([MICROPHONE])
    track = ana.tracks["0"]
    async with voice(ana):
        await events.until(lambda: len(ben.packets.get(track, ())) > 5)
        offers = len(events.offers["ben"])
        room.restart_subscribe("ben", rebuild)
        await events.until(lambda: len(events.offers["ben"]) > offers)
        assert events.offers["ben"][-1].rebuild is rebuild
        await ben.client.subscribed()
        seen = len(ben.packets[track])
        await events.until(lambda: len(ben.packets[track]) > seen + 10)


async def test_publisher_comes_back_with_a_new_connection(join: Join, events: Recorded, room: SfuRoom) -> None:
    ana = join("ana")
    await ana.publish([MICROPHONE])
    old = ana.tracks["0"]
    await ana.client.close()
    client = MediaClient(name="ana")
    try:
        await client.connect_publish([MICROPHONE], ana.exchange)
        assert ana.tracks["0"] != old
        assert events.removed == [old]
        assert events.states["ana", "publish"] == "connected"
    finally:
        await client.close()


async def test_goodbye_of_a_publisher_ends_its_tracks(join: Join, events: Recorded) -> None:
    ana = join("ana")
    await ana.publish([MICROPHONE, CAMERA])
    await ana.client.close()
    await events.until(lambda: events.states["ana", "publish"] == "closed")
    assert events.tracks == {}


async def test_vanished_publisher_disconnects_fails_and_comes_back_by_an_ice_restart(
    join: Join, events: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The native plane tells on ticks, half a second apart, from which routes it has heard.
    monkeypatch.setattr(ice, "DISCONNECTED_AFTER", 1.5)
    monkeypatch.setattr(ice, "FAILED_AFTER", 3.0)
    ana, ben = join("ana"), join("ben")
    await ana.publish([MICROPHONE])
    track = ana.tracks["0"]
    peer = ana.client._publish
    assert peer is not None
    assert peer._link is not None
    peer._link.close()  # the cable is out
    await events.until(lambda: events.states["ana", "publish"] == "disconnected")
    await events.until(lambda: events.states["ana", "publish"] == "failed")
    assert list(events.tracks) == [track]
    async with voice(ana):
        await ana.client.accept(await ana.exchange(ana.client.restart(), ana.client.labels))
        await events.until(lambda: events.states["ana", "publish"] == "connected")
        ben.listen()
        await events.until(lambda: bool(ben.packets))
    assert list(ben.packets) == [track]


async def test_loudest_voice_is_told(join: Join, events: Recorded) -> None:
    ana = join("ana")
    await ana.publish([MICROPHONE])
    async with voice(ana):
        await events.until(lambda: events.spoken == [["ana"]])
    await events.until(lambda: events.spoken == [["ana"], []])


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ([], "no track label"),
        ([TrackLabel("0", "camera")], "label says camera"),
        ([TrackLabel("0", "microphone"), TrackLabel("7", "camera")], "mid 7"),
        ([TrackLabel("0", "microphone"), TrackLabel("0", "microphone")], "same mid"),
    ],
)
async def test_wrong_labels_are_refused_and_change_nothing(
    join: Join, room: SfuRoom, sfu: Sfu, labels: list[TrackLabel], reason: str
) -> None:
    ana = join("ana")
    with pytest.raises(SdpError, match=reason):
        await room.publish("ana", ana.client.offer([MICROPHONE]), labels)
    assert sfu.stats().connections == 0


async def test_six_publishers_lose_nothing_in_the_server(join: Join, events: Recorded, sfu: Sfu) -> None:
    people = [join(f"p{i}") for i in range(6)]
    for person in people:
        person.listen()
        await person.publish([MICROPHONE, CAMERA])
    await events.until(lambda: all(len(p.mids) == 10 for p in people))
    await asyncio.gather(*(p.client.subscribed() for p in people))
    await events.until(lambda: sfu.stats().forwards == 60)
    feeds = [f for p in people for f in (voice(p), picture(p))]
    for feed in feeds:
        await feed.__aenter__()
    await asyncio.sleep(8)
    for feed in feeds:
        await feed.stop()
    sent = {p.tracks[f.mid]: f.sent for f in feeds for p in people if p.client is f.client}
    await events.until(
        lambda: all(len(p.packets[t]) >= sent[t] for p in people for t in sent if t not in p.tracks.values()), 5.0
    )
    for person in people:
        for track, packets in person.packets.items():
            assert sorted({p.sequence for p in packets}) and len(packets) == sent[track]
            assert not any(p.retransmitted for p in packets)
    assert sfu.stats().dropped == {}


async def test_removing_and_closing_leaves_nothing(join: Join, events: Recorded, room: SfuRoom, sfu: Sfu) -> None:
    ana, ben = join("ana"), join("ben")
    for person in (ana, ben):
        person.listen()
        await person.publish([MICROPHONE, CAMERA])
    await events.until(lambda: sfu.stats().forwards == 4)
    room.remove_participant("ana")
    assert sfu.stats().forwards == 0
    assert {t.participant for t in events.tracks.values()} == {"ben"}
    room.close()
    assert events.tracks == {}
    stats = sfu.stats()
    assert (stats.rooms, stats.participants, stats.connections, stats.tracks) == (0, 0, 0, 0)
    sfu.open_room("room", events).close()


async def test_port_in_use_is_told_with_its_address(sfu: Sfu) -> None:
    with pytest.raises(OSError, match=rf"127\.0\.0\.1:{sfu.port}"):
        await Sfu(SfuConfig(host="127.0.0.1", port=sfu.port)).start()


async def test_a_port_that_threads_share_is_not_shared_with_another_server() -> None:
    server = Sfu(SfuConfig(host="127.0.0.1", port=0, threads=3))
    await server.start()
    try:
        for threads in (1, 3):
            with pytest.raises(OSError, match=rf"127\.0\.0\.1:{server.port}"):
                await Sfu(SfuConfig(host="127.0.0.1", port=server.port, threads=threads)).start()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other, pytest.raises(OSError, match="in use"):
                other.bind(("127.0.0.1", server.port))
    finally:
        await server.stop()


async def test_ipv6_alone_works(events: Recorded) -> None:
    server = Sfu(SfuConfig(host="::1", port=0))
    await server.start()
    try:
        ana = Person(server.open_room("six", events), events, "ana")
        await ana.publish([MICROPHONE])
        assert events.states["ana", "publish"] == "connected"
        await ana.close()
    finally:
        await server.stop()


class Listener:
    """A tap that keeps everything."""

    def __init__(self, events: Recorded) -> None:
        self.log: list[tuple[object, ...]] = []
        self._packets: dict[str, list[TapPacket]] = {}
        self._events = events

    def packets_of(self, track: str) -> list[TapPacket]:
        return self._packets.get(track, [])

    def track_opened(self, track: TrackInfo, room_ms: float) -> None:
        self.log.append(("opened", track.id))

    def packets(self, packets: Sequence[TapPacket]) -> None:
        for packet in packets:
            self._packets.setdefault(packet.track, []).append(packet)
        self._events.poke()

    def track_muted(self, track: str, muted: bool, room_ms: float) -> None:
        self.log.append(("muted", track, muted))

    def track_closed(self, track: str, room_ms: float) -> None:
        self.log.append(("closed", track))
