"""The demo guests as a process of their own, on a real server, heard by a headless participant of ours."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path

import av
import pytest

from sfu.client import MediaClient
from sfu.streams import ReceivedPacket
from signaling import protocol
from signaling.client import Participant, Refused, redeem
from signaling.demo.assets import is_20_ms, picture, script, sound
from signaling.demo.guest import SILENCE
from signaling.demo.stage import BEFORE, BETWEEN, Timeline
from signaling.demo.vp9 import PAYLOAD, VideoError, payloads, read_ivf

ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


class Listener:
    """Somebody in the room; `until` waits for a condition on what they saw and heard."""

    def __init__(self, house) -> None:
        self.packets: dict[tuple[str, str], list[ReceivedPacket]] = {}
        self._changed = asyncio.Event()
        media = MediaClient(on_packet=self._packet, name="listener")
        self.inside = Participant(house.http, media, "Listener", on_message=lambda _: self._changed.set())
        self._house = house

    async def enter(self) -> None:
        await self.inside.enter(await redeem(self._house.http, await guest_link(self._house)))

    def _packet(self, packet: ReceivedPacket) -> None:
        track = self.inside.subscribed.get(packet.mid)
        if track is not None and not packet.retransmitted:
            self.packets.setdefault((track.participant, track.kind), []).append(packet)
            self._changed.set()

    @property
    def guests(self) -> dict[str, protocol.Person]:
        """The other people, by name."""
        return {p.name: p for p in self.inside.people.values() if p.id != self.inside.id and p.connected}

    async def until(self, condition: Callable[[], bool], seconds: float = 30.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


async def guest_link(house) -> str:
    return f"{house.url}/j/{(await house.codes())['guest']}"


@pytest.fixture
async def demo(house) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "signaling.demo", await guest_link(house),
        env=ENVIRONMENT,
    )  # fmt: skip
    yield process
    if process.returncode is None:
        process.terminate()
        await asyncio.wait_for(process.wait(), 10)


@pytest.fixture
async def listener(house) -> AsyncIterator[Listener]:
    listener = Listener(house)
    yield listener
    await listener.inside.leave()


async def test_three_doctors_are_seen_and_heard_as_they_were_recorded(
    demo: asyncio.subprocess.Process, listener: Listener
) -> None:
    names = {guest.name for guest in script().guests}
    await listener.enter()
    await listener.until(lambda: names <= set(listener.guests))
    assert {person.spoken for person in listener.guests.values()} == {"en", "pt"}
    helen = listener.guests["Dr. Helen Carter"].id

    def heard(count: int) -> bool:
        spoken = [p for p in listener.packets.get((helen, "audio"), []) if p.payload != SILENCE]
        return len(spoken) > count and len(listener.packets.get((helen, "video"), [])) > 60

    await listener.until(lambda: heard(100))
    audio = listener.packets[helen, "audio"]
    steps = {later.timestamp - earlier.timestamp for earlier, later in pairwise(audio)}
    assert steps == {960}
    recorded = set(sound("helen").packets)
    assert all(p.payload in recorded for p in audio if p.payload != SILENCE)
    # The picture begins with a keyframe and decodes.
    frames, decoder, whole = [], av.CodecContext.create("vp9", "r"), b""
    for packet in listener.packets[helen, "video"]:
        whole += packet.payload[3:]
        if packet.marker:
            frames += decoder.decode(av.Packet(whole))
            whole = b""
    assert len(frames) > 10
    assert {(f.width, f.height) for f in frames} == {(640, 360)}


async def test_nothing_is_sent_to_an_empty_room_and_the_discussion_starts_anew(
    house, demo: asyncio.subprocess.Process, listener: Listener
) -> None:
    await listener.enter()
    await listener.until(lambda: len(listener.guests) == 3)
    ana = listener.guests["Dra. Ana Ribeiro"].id
    await listener.until(lambda: len(listener.packets.get((ana, "audio"), [])) > 20)

    async def packets_in_a_second() -> int:
        before = house.server.sfu.stats().packets_in
        await asyncio.sleep(1.0)  # a rate takes time to measure
        return int(house.server.sfu.stats().packets_in - before)

    assert await packets_in_a_second() > 150
    await listener.inside.leave()
    async with asyncio.timeout(10):
        while await packets_in_a_second() > 30:  # reports and consent go on
            pass
    # Whoever comes next hears the discussion from its beginning.
    again = Listener(house)
    await again.enter()
    await again.until(lambda: len(again.guests) == 3)
    helen = again.guests["Dr. Helen Carter"].id
    await again.until(lambda: any(p.payload != SILENCE for p in again.packets.get((helen, "audio"), [])))
    first = next(p.payload for p in again.packets[helen, "audio"] if p.payload != SILENCE)
    assert first in sound("helen").packets[:25]
    await again.inside.leave()


async def test_they_leave_on_sigterm(demo: asyncio.subprocess.Process, listener: Listener) -> None:
    await listener.enter()
    await listener.until(lambda: len(listener.guests) == 3)
    demo.send_signal(signal.SIGTERM)
    await listener.until(lambda: not listener.inside.people.keys() - {listener.inside.id}, 10)
    assert await asyncio.wait_for(demo.wait(), 10) == 0


async def test_they_come_back_when_the_server_was_away(open_house, tmp_path: Path) -> None:
    first = await open_house()
    port, link = first.server.port, await guest_link(first)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "signaling.demo", link,
        env=ENVIRONMENT,
    )  # fmt: skip
    try:
        before = Listener(first)
        await before.enter()
        await before.until(lambda: len(before.guests) == 3)
        await first.server.stop()
        await before.inside.leave()
        second = await open_house(port=port)
        after = Listener(second)
        await after.enter()
        await after.until(lambda: len(after.guests) == 3)
        ana = after.guests["Dra. Ana Ribeiro"].id
        await after.until(lambda: len(after.packets.get((ana, "video"), [])) > 20)
        await after.inside.leave()
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 10) == 0


async def test_one_who_is_removed_stays_away_and_the_others_go_on(
    house, demo: asyncio.subprocess.Process, listener: Listener
) -> None:
    await listener.enter()
    await listener.until(lambda: len(listener.guests) == 3)
    host = await house.join("host", "Host")
    removed = listener.guests["Dr. James Osei"].id
    assert (await host.ask(protocol.RemoveParticipant(participant=removed)))["type"] == "ack"
    await listener.until(lambda: "Dr. James Osei" not in listener.guests)
    ana = listener.guests["Dra. Ana Ribeiro"].id
    await listener.until(lambda: len(listener.packets.get((ana, "audio"), [])) > 100)
    assert "Dr. James Osei" not in listener.guests and "Dr. Helen Carter" in listener.guests


async def test_the_command_says_what_a_link_is() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "signaling.demo", "http://127.0.0.1/r/demo", stderr=asyncio.subprocess.PIPE,
        env=ENVIRONMENT,
    )  # fmt: skip
    _, said = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 1
    assert said.decode().startswith("consilium: not a room's link")


async def test_a_link_that_is_none_is_refused_in_words(house) -> None:
    with pytest.raises(ValueError, match="looks like"):
        await redeem(house.http, f"{house.url}/r/demo")
    with pytest.raises(Refused, match="does not work"):
        await redeem(house.http, f"{house.url}/j/wrong")


def test_the_discussion_waits_for_listeners_and_repeats() -> None:
    timeline = Timeline(10.0)
    timeline.step(100.0, False)
    assert timeline.spoken_from is None
    timeline.step(100.2, True)
    assert timeline.spoken_from == pytest.approx(0.2 + BEFORE)
    for tick in range(1, 601):
        timeline.step(100.2 + tick * 0.02, True)
    assert timeline.spoken_from == pytest.approx(0.2 + BEFORE + 10.0 + BETWEEN, abs=0.05)
    timeline.step(113.0, False)
    assert timeline.spoken_from is None


def test_every_guest_has_a_voice_and_a_picture_on_one_timeline() -> None:
    discussion = script()
    assert [line.start for line in discussion.lines] == sorted(line.start for line in discussion.lines)
    for guest in discussion.guests:
        voice, loop = sound(guest.id), picture(guest.id)
        assert abs(len(voice.packets) * 0.02 - discussion.seconds) < 0.1
        assert loop.rate == 15 and len(loop.keyframes) >= 5
        for line in discussion.lines:
            levels = voice.levels[int(line.start * 50) : int(line.end * 50)]
            voiced = sum(1 for level in levels if level & 0x80) / len(levels)
            assert voiced > 0.7 if line.speaker == guest.id else voiced == 0, (guest.id, line.text, voiced)


def test_vp9_is_cut_into_packets_that_make_the_frame_again() -> None:
    frame = bytes(range(256)) * 11
    parts = payloads(frame, 0x7FFF, keyframe=True)
    assert b"".join(part[3:] for part in parts) == frame
    assert max(map(len, parts)) <= PAYLOAD + 3
    assert [part[0] for part in parts] == [0x88, *[0x80] * (len(parts) - 2), 0x84]
    assert payloads(b"x", 5, keyframe=False) == [b"\xcc\x80\x05x"]


@pytest.mark.parametrize("damage", [b"", b"DKIF", b"RIFF" * 20, "cut", "rate"])
def test_a_damaged_picture_file_is_refused(damage: bytes | str) -> None:
    good = (Path("signaling/demo/assets/ana.ivf")).read_bytes()
    bad = {"cut": good[:-1], "rate": good[:16] + bytes(8) + good[24:]}.get(str(damage), damage)
    assert isinstance(bad, bytes)
    with pytest.raises(VideoError):
        read_ivf(bad)


def test_opus_durations_are_told_by_the_first_byte() -> None:
    assert [c for c in range(32) if is_20_ms(bytes([c << 3]))] == [1, 5, 9, 13, 15, 19, 23, 27, 31]
    assert not is_20_ms(bytes([1 << 3 | 1]))
