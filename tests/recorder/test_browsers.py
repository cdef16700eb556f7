"""The replay in real browsers: played through and sought, across speakers, sizes, codecs and a camera that is off."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import browsers
import pytest
from kit import BLUE, GREEN, MAGENTA, RED, START, YELLOW, clip, looped, meeting, microphone, sound, track, video

HLS = Path(__file__).parents[2] / "web/node_modules/hls.js/dist/hls.min.js"
Open = Callable[[str], AbstractAsyncContextManager[browsers.Page]]


def near(colour: list[int], wanted: tuple[int, int, int]) -> bool:
    return all(abs(one - other) < 70 for one, other in zip(colour, wanted, strict=True))


async def record(root: Path) -> None:
    """0-4 s Ann (red, VP9), 4-6 s a larger encoding of hers (magenta), 6-12 s Bob (green, VP9, larger), 12-16 s nobody,
    16-20 s Eve (blue, H.264, larger from 18 s), 20-24 s Vic (yellow, VP8)."""
    one = await meeting(root)
    recording = one.recording
    ann, bob, eve, vic = track("ann"), track("bob"), track("eve", "H264"), track("vic", "VP8")
    for info in (ann, bob, eve, vic, microphone("ann")):
        recording.track_opened(info, START)
    green = clip("VP9", 640, 360, GREEN)
    first = list(video(ann, looped(clip("VP9"), 4), START))
    larger = clip("VP9", 640, 360, MAGENTA)
    second = video(ann, looped(larger, 8), START + 4_000, sequence=first[-1].sequence + 1, picture=300)
    small = list(video(eve, looped(clip("H264", 480, 270, BLUE), 2), START + 16_000))
    large = looped(clip("H264", 640, 360, BLUE), 2)

    def mute(info_id: str, at: float) -> tuple[float, Callable[[], None]]:
        return START + at, lambda: recording.track_muted(info_id, True, START + at)

    await one.play(
        first,
        second,
        video(bob, looped(green, 12), START),
        small,
        video(eve, large, START + 18_000, sequence=small[-1].sequence + 1),
        video(vic, looped(clip("VP8", colour=YELLOW), 4), START + 20_000),
        sound(microphone("ann"), 24, START),
        events=[
            (START, lambda: recording.speaker("ann")),
            (START + 5_900, lambda: recording.speaker("bob")),
            mute(ann.id, 12_000),
            mute(bob.id, 12_000),
            (START + 15_900, lambda: recording.speaker("eve")),
            (START + 19_900, lambda: recording.speaker("vic")),
            mute(eve.id, 20_000),
        ],
    )
    await one.finish(START + 24_000, convert=True)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("chromium", marks=pytest.mark.skipif(not browsers.CHROMIUM, reason="Chromium is not installed")),
        pytest.param("firefox", marks=pytest.mark.skipif(not browsers.FIREFOX, reason="Firefox is not installed")),
    ],
)
@pytest.mark.timeout(180)
async def test_the_replay_plays_through_and_seeks(root: Path, name: str) -> None:
    assert HLS.is_file(), "hls.js is missing: run npm ci in web/"
    await record(root)
    wanted = [(3.0, RED), (5.0, MAGENTA), (7.0, GREEN), (13.5, (9, 9, 9)), (17.0, BLUE), (19.0, BLUE), (22.0, YELLOW)]
    open_page: Open = getattr(browsers, name)
    with browsers.serve(root / "rec1", HLS) as url:
        async with open_page(url) as page:
            await page.run("v.play()")
            await page.run("void (v.playbackRate = 2)")
            async with asyncio.timeout(120):
                while not (state := await page.run("end()"))["ended"]:
                    pass
            assert state["duration"] == pytest.approx(24.0, abs=0.1)
            assert state["errors"] == []
            for _, colour in wanted:
                assert any(near(one, colour) for one in state["shown"]), f"{colour} not shown"
            for time, colour in [*reversed(wanted), wanted[2], wanted[0]]:
                state = await page.run(f"seek({time})")
                assert state["time"] == pytest.approx(time, abs=0.2)
                # The picture before may stand a moment longer where the machine is busy.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(20):
                        while not near(state["colour"] or [999] * 3, colour):
                            await asyncio.sleep(0.1)
                            state = await page.run("state()")
                assert near(state["colour"] or [999] * 3, colour), f"at {time} s: {state}"
            assert state["errors"] == []
