"""Whose voice reaches whom: on loopback, by both planes, with real packets."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest

from sfu.plane.choose import PlaneName, built
from sfu.server import SfuRoom
from tests.sfu.people import CAMERA, MICROPHONE, Feed, Person, Recorded


@pytest.fixture(params=["python", pytest.param("native", marks=pytest.mark.skipif(not built(), reason="not built"))])
def media_plane(request: pytest.FixtureRequest) -> PlaneName:
    return cast(PlaneName, request.param)


async def test_a_voice_reaches_whom_it_is_for_alone_and_is_no_speaker(
    join: Callable[..., Person], events: Recorded, room: SfuRoom
) -> None:
    ina, flo, lis = join("ina"), join("flo"), join("lis")
    for person in (flo, lis):
        person.listen()
    room.set_reach("ina", frozenset({"lis"}))
    room.set_reach("nobody", frozenset({"lis"}))
    await ina.publish([MICROPHONE, CAMERA])
    voice, picture = ina.tracks["0"], ina.tracks["1"]

    def heard(person: Person) -> int:
        return len(person.packets.get(voice, ()))

    async with Feed(ina.client, "0", period=0.02, clock=48000), Feed(ina.client, "1", period=1 / 30, clock=90000):
        await events.until(lambda: heard(lis) > 20 and all(len(p.packets.get(picture, ())) > 10 for p in (flo, lis)))
        assert heard(flo) == 0 and not events.spoken, "a picture is for everybody, this voice is not"
        late = join("late")  # who comes later is not let in on it
        late.listen()
        await events.until(lambda: len(late.packets.get(picture, ())) > 10)
        assert heard(late) == 0
        room.set_reach("ina", frozenset({"flo", "late"}))
        kept = heard(lis)
        await events.until(lambda: heard(flo) > 20 and heard(late) > 20)
        assert heard(lis) <= kept + 5, "what was on its way"
        room.set_reach("ina", None)
        before = heard(lis)
        await events.until(lambda: heard(lis) > before + 20 and ["ina"] in events.spoken)
        room.set_reach("ina", frozenset())
        await events.until(lambda: events.spoken[-1] == [])
        numbers = [packet.sequence for packet in lis.packets[voice]]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "one stream without a gap"
    room.remove_participant("ina")
    room.set_reach("ina", None)
