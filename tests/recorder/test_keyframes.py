"""When the recorder asks for key frames."""

from __future__ import annotations

from itertools import pairwise

from recorder.keyframes import EVERY_MS, RETRY_MS, KeyframeWish
from sfu.taps import TapPacket


def packet(at: float, keyframe: bool = False, lost: int = 0) -> TapPacket:
    return TapPacket("t", int(at), 0, at, at, True, keyframe, lost, b"x")


def asked(wish: KeyframeWish, packets: list[TapPacket]) -> list[float]:
    return [one.room_ms for one in packets if wish.seen(one, one.room_ms)]


def test_one_at_the_start_and_again_until_it_comes() -> None:
    wish = KeyframeWish()
    assert wish.wish(0)
    assert asked(wish, [packet(at) for at in range(33, 1000, 33)]) == [429, 858]


def test_about_every_four_seconds() -> None:
    wish = KeyframeWish()
    times: list[float] = []
    for at in range(0, 20_000, 33):
        if wish.seen(packet(at, keyframe=at == 0 or (bool(times) and at - times[-1] == 99)), at):
            times.append(at)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert all(EVERY_MS <= gap <= EVERY_MS + 200 for gap in gaps) and len(gaps) >= 3


def test_loss_asks_at_once_but_not_with_every_packet() -> None:
    wish = KeyframeWish()
    wish.seen(packet(0, keyframe=True), 0)
    times = asked(wish, [packet(at, lost=1) for at in range(1000, 1400, 20)])
    assert times == [1000]
    assert asked(wish, [packet(1000 + RETRY_MS)]) == [1000 + RETRY_MS]


def test_a_fresh_key_frame_serves_a_new_speaker() -> None:
    wish = KeyframeWish()
    wish.seen(packet(1000, keyframe=True), 1000)
    assert not wish.wish(1200)
    assert wish.wish(2000)
