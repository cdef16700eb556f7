"""A room in which viewers say what they show: what they get, and what publishers are asked to send."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sfu.interface import Tile, TrackLabel
from sfu.server import SfuRoom
from tests.sfu.people import Person, Recorded
from tests.sfu.test_room import Listener
from tests.sfu.test_simulcast import CAMERA, encoding, sizes

Join = Callable[..., Person]


async def test_a_viewer_gets_what_it_shows_and_publishers_send_what_is_wanted(
    join: Join, events: Recorded, room: SfuRoom
) -> None:
    ana, ben = join("ana"), join("ben")
    ben.listen()
    await ana.publish([CAMERA])
    track = ana.tracks["0"]

    def show(width: int, *, visible: bool = True) -> None:
        room.view("ben", [Tile(track, width, width * 9 // 16, visible, False)])

    def seen() -> int:
        return max(sizes([p.payload for p in ben.packets.get(track, [])[-1:]]), default=0)

    show(200)
    async with encoding(ana, "q") as low, encoding(ana, "h"), encoding(ana, "f"):
        await events.until(lambda: seen() == 100)
        # The quarter is enough for everybody, so the publisher is asked for no more.
        await events.until(lambda: events.encoded.get(track) == ["q"])
        assert room.encodings("ana") == {track: ["q"]} and room.encodings("ben") == {}
        show(1280)
        await events.until(lambda: seen() == 400 and "f" in events.encoded[track])
        show(1280, visible=False)
        got, sent = len(ben.packets[track]), low.sent
        await events.until(lambda: low.sent > sent + 10)
        late = len(ben.packets[track])
        await events.until(lambda: low.sent > sent + 30)
        assert len(ben.packets[track]) == late < got + 15
        show(200)
        await events.until(lambda: seen() == 100 and len(ben.packets[track]) > late + 10)


async def test_a_recording_wants_the_best_encoding_though_nobody_watches(
    join: Join, events: Recorded, room: SfuRoom
) -> None:
    ana, captions, recorder = join("ana"), Listener(events), Listener(events)
    room.add_tap(captions, video=False)
    await ana.publish([CAMERA])
    track = ana.tracks["0"]
    async with encoding(ana, "q"), encoding(ana, "f"):
        await events.until(lambda: events.encoded.get(track) == ["q"])
        room.add_tap(recorder)
        await events.until(lambda: events.encoded[track] == ["q", "f"])
        await events.until(lambda: 400 in sizes([p.payload for p in recorder.packets_of(track)[-1:]]))


async def test_what_is_sent_and_received_is_counted_by_layer(join: Join, events: Recorded, room: SfuRoom) -> None:
    ana, ben = join("ana"), join("ben")
    ben.listen()
    await ana.publish([CAMERA])
    track = ana.tracks["0"]
    room.view("ben", [Tile(track, 200, 112, True, False)])
    async with encoding(ana, "q"), encoding(ana, "f"):
        await events.until(lambda: len(ben.packets.get(track, [])) > 40)
        present = room.present()
    assert (present["camera", "q"].sources, present["camera", "q"].sinks) == (1, 1)
    assert (present["camera", "f"].sources, present["camera", "f"].sinks) == (1, 0)
    assert present["camera", "f"].bitrate > present["camera", "q"].bitrate > 0
    assert room.viewers == (1, 0)


async def test_a_small_camera_is_not_taken_for_a_large_one(join: Join, events: Recorded, room: SfuRoom) -> None:
    """A tile of 500 x 281 is covered by half of a camera of 720 lines, but needs all of one of 360."""
    ana, ben = join("ana"), join("ben")
    ben.listen()

    async def exchange(sdp: str, labels: list[TrackLabel]) -> str:
        published = await room.publish("ana", sdp, [replace(label, width=640, height=360) for label in labels])
        ana.tracks = published.tracks
        return published.sdp

    await ana.client.connect_publish([CAMERA], exchange)
    track = ana.tracks["0"]
    room.view("ben", [Tile(track, 500, 281, True, False)])
    async with encoding(ana, "q"), encoding(ana, "h"), encoding(ana, "f"):
        await events.until(lambda: 400 in sizes([p.payload for p in ben.packets.get(track, [])[-1:]]))
