"""Three hours of meeting, recorded faster than real time by a whole server, then sought through in Chromium."""

from __future__ import annotations

import asyncio
import heapq
import random
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from playwright.async_api import Page, async_playwright

from benchmarks._synthetic import SetClock, audio_packets, camera, microphone, opus_clip, video_packets, vp9_clip
from benchmarks.figures import percentile
from benchmarks.harness.browsers import CHROMIUM, CHROMIUM_FLAGS
from community.models import RecordingRow
from recorder.service import Cue, Recording
from recorder.writer import PARTS_SYNC_S
from sfu.taps import TapPacket
from signaling.server import Server
from signaling.settings import Settings

PEOPLE = ("ann", "bob")
TURN_S = 20
TALK_S = 12
"""Of each turn somebody talks so long; then nothing is sent, as with DTX."""
SEEKS = 60

SEEK = """async (target) => {
  const video = document.querySelector('video'), input = document.querySelector('[data-testid=replay-seek]');
  const canvas = document.createElement('canvas').getContext('2d');
  const there = () => !video.seeking && video.readyState >= 2 && Math.abs(video.currentTime - target) < 0.5;
  const began = performance.now();
  const shown = new Promise((resolve) => {
    const look = () => {
      if (!there()) return setTimeout(look, 4);
      canvas.drawImage(video, 0, 0, 16, 9);
      canvas.getImageData(0, 0, 1, 1);
      resolve(performance.now() - began);
    };
    look();
  });
  input.value = target;
  input.dispatchEvent(new Event('input', { bubbles: true }));
  return Promise.race([shown, new Promise((_, no) => setTimeout(() => no(new Error(
    `no picture: wanted ${target}, at ${video.currentTime}, state ${video.readyState}`)), 20000))]);
}"""


def _voices(seconds: float) -> Iterator[TapPacket]:
    clip = opus_clip(2)
    for turn in range(int(seconds / TURN_S)):
        person = PEOPLE[turn % len(PEOPLE)]
        at = turn * TURN_S * 1000.0
        for packet in audio_packets(f"{person}-microphone", clip, 0.0, TALK_S):
            yield _moved(packet, at, turn)


def _moved(packet: TapPacket, at: float, turn: int) -> TapPacket:
    return TapPacket(
        packet.track,
        packet.sequence + turn * 10_000,
        packet.timestamp + round(at * 48),
        packet.room_ms + at,
        packet.media_ms + at,
        packet.marker,
        packet.keyframe,
        packet.lost,
        packet.payload,
    )


async def _record(recording: Recording, clock: SetClock, seconds: float) -> float:
    """Feeds it; returns the milliseconds from stop to replay."""
    clips = [vp9_clip(320, 180, colour, 8, 15) for colour in ((200, 0, 0), (0, 0, 200))]
    for person in PEOPLE:
        recording.participant(person, person.title())
        for info in (camera(person), microphone(person)):
            recording.track_opened(info, 0.0)
    pictures = [
        video_packets(f"{person}-camera", clip, n * 130.0, seconds)
        for n, (person, clip) in enumerate(zip(PEOPLE, clips, strict=True))
    ]
    batch: list[TapPacket] = []
    turn = -1
    for packet in heapq.merge(_voices(seconds), *pictures, key=lambda packet: packet.room_ms):
        clock.time = max(clock.time, packet.room_ms)
        if clock.time >= (turn + 1) * TURN_S * 1000:
            turn += 1
            person = PEOPLE[turn % len(PEOPLE)]
            recording.speaker(person)
            for part in range(4):
                start = turn * TURN_S * 1000.0 + part * 3000
                for language in ("en", "pt"):
                    recording.cue(
                        Cue(segment=f"{turn}-{part}", revision=1, participant=person, source="en", language=language,
                            start=start, end=start + 2_800, text=f"Take {turn} drops twice a day, then come back.")
                    )  # fmt: skip
        batch.append(packet)
        if len(batch) >= 500:
            recording.packets(batch)
            batch = []
            while recording.backlog > 4_000_000:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    recording.packets(batch)
    while recording.backlog:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    clock.time = seconds * 1000
    await asyncio.sleep(2 * PARTS_SYNC_S)  # in real time nearly all of it would have been synced long ago
    stopped = time.monotonic()
    manifest = await recording.finish()
    ready = (time.monotonic() - stopped) * 1000
    if manifest.state != "complete" or manifest.problem or abs(manifest.duration - seconds * 1000) > 2_000:
        raise RuntimeError(f"the recording is not whole: {manifest.state}, {manifest.duration} ms, {manifest.problem}")
    return ready


async def _seek(page: Page, seconds: float) -> list[float]:
    chance = random.Random(3)
    took = []
    for number in range(SEEKS + 5):
        one: float = await page.evaluate(SEEK, chance.randrange(0, int(seconds) - 10))
        if number >= 5:  # the first ones start decoders
            took.append(one)
    return took


async def _measure(hours: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="consilium-long-") as folder:
        quiet = {"media": {"host": "127.0.0.1", "port": 0}, "captions": {"enabled": False}}
        server = Server(msgspec.convert({"port": 0, "data_dir": folder, **quiet}, Settings))
        await server.start()
        try:
            clock, started = SetClock(), datetime.now(UTC)
            recording = await server.recorder.begin(
                "long", room="r", title="Long", started_by="Ann", purpose="", started_at=started, clock=clock,
                request_keyframe=lambda _: None, on_failure=lambda _: None,
            )  # fmt: skip
            ready = await _record(recording, clock, hours * 3600)
            row = RecordingRow(id="long", room_id="r", started_at=started, state="recording", title="Long",
                               purpose="", started_by="Ann")  # fmt: skip
            await server.store.recordings.create(row)
            await server.store.recordings.ended("long", "ready")
            await server.store.shares.create("long", audience="public", label="", password=None, start=0.0, clip=None,
                                             sites=[], member=None, lifetime=None)  # fmt: skip
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(CHROMIUM_FLAGS))
                page = await browser.new_page(locale="en-US", viewport={"width": 1280, "height": 800})
                await page.goto(f"http://127.0.0.1:{server.port}/")  # the browser itself has started then
                opened = time.monotonic()
                await page.goto(f"http://127.0.0.1:{server.port}/replay/long")
                await page.wait_for_function("() => document.querySelector('video')?.readyState >= 2")
                opened = (time.monotonic() - opened) * 1000
                took = await _seek(page, hours * 3600)
                await browser.close()
        finally:
            await server.stop()
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    seeks = {"p50": round(percentile(took, 50)), "p95": round(percentile(took, 95)), "max": round(max(took))}
    return {"ready_ms": round(ready), "page_ms": round(opened), "seek_ms": seeks, "mb": round(size / 1e6)}


def long_meeting(hours: float = 3.0) -> dict[str, Any]:
    """Milliseconds from stop to replay, until the page shows a picture, and from seeking to the new picture."""
    return asyncio.run(_measure(hours))
