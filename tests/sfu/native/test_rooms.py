"""A room on either plane, over UDP of both families and TCP: the same things happen."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from sfu.plane.choose import PlaneName, built, make_plane
from sfu.server import Sfu, SfuConfig, SfuRoom
from sfu.taps import TapPacket, TrackInfo
from tests.sfu.people import CAMERA, MICROPHONE, Feed, Person, Recorded

Join = Callable[..., Person]


@pytest.fixture(params=[("python", 1), ("native", 1), ("native", 2)], ids=lambda kind: f"{kind[0]}-{kind[1]}")
def kind(request: pytest.FixtureRequest) -> tuple[PlaneName, int]:
    if request.param[0] == "native" and not built():
        pytest.skip("the native plane is not built")
    return request.param


@pytest.fixture
def media_plane(kind: tuple[PlaneName, int]) -> PlaneName:
    return kind[0]


@pytest.fixture
def threads(kind: tuple[PlaneName, int]) -> int:
    return kind[1]


@pytest.fixture(params=["127.0.0.1", ""])
def host(request: pytest.FixtureRequest) -> str:
    return request.param


class Ear:
    """A tap that remembers."""

    def __init__(self, events: Recorded) -> None:
        self.events = events
        self.heard: list[TapPacket] = []

    def track_opened(self, track: TrackInfo, room_ms: float) -> None: ...
    def track_muted(self, track: str, muted: bool, room_ms: float) -> None: ...
    def track_closed(self, track: str, room_ms: float) -> None: ...

    def packets(self, packets: Sequence[TapPacket]) -> None:
        self.heard += packets
        self.events.poke()


async def test_people_on_udp_and_tcp_and_a_tap_get_what_is_published(
    sfu: Sfu, room: SfuRoom, join: Join, events: Recorded, media_plane: PlaneName
) -> None:
    assert sfu.plane_name == media_plane
    ana, ben, tom = join("ana"), join("ben"), join("tom", transport="tcp")
    ear = Ear(events)
    room.add_tap(ear)
    ben.listen()
    tom.listen()
    await ana.publish([MICROPHONE, CAMERA])
    voice = Feed(ana.client, "0", period=0.02, clock=48000)
    picture = Feed(ana.client, "1", period=1 / 30, clock=90000)
    async with voice, picture:
        await events.until(
            lambda: (
                all(len(got) > 15 for p in (ben, tom) for got in p.packets.values())
                and len(ben.packets) == len(tom.packets) == 2
                and len(ear.heard) > 30
            )
        )
        before = len(ben.packets[ana.tracks["0"]])
        room.set_muted(ana.tracks["1"], True)
        await events.until(lambda: len(ben.packets[ana.tracks["0"]]) > before + 10)
    for person in (ben, tom):
        for got in person.packets.values():
            numbers = [packet.sequence for packet in got]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    stats = sfu.stats()
    assert stats.tcp_connections == 1
    assert [c.handed_over for c in sfu._ports._connections] == [media_plane == "native"]
    assert stats.packets_out >= len(ben.packets) * 15


def test_auto_takes_the_native_plane_where_it_was_built() -> None:
    assert make_plane("auto", lambda route, datagram: None).name == ("native" if built() else "python")


def test_a_native_plane_that_is_not_there_is_an_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sfu.plane._native", None)
    monkeypatch.delitem(__import__("sys").modules, "sfu.plane.compiled", raising=False)
    monkeypatch.setattr("sfu.plane.choose.built", lambda: False)
    with pytest.raises(ValueError, match="install Rust"):
        Sfu(SfuConfig(plane="native"))
    assert Sfu(SfuConfig(plane="auto")).plane_name == "python"
