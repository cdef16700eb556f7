# ruff: noqa: ASYNC110
"""Tracks whose size changes, as simulcast makes them, and tracks that are converted after the end (VP8)."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from kit import BLUE, GREEN, START, clip, decode_errors, looped, meeting, track, video

from recorder.service import Recorder, export, load
from recorder.tracks import original, stored_tracks


async def test_vp8_becomes_vp9_with_the_same_times_after_the_next_start_too(root: Path) -> None:
    one = await meeting(root)
    ann, bob = track("ann", "VP8"), track("bob")
    one.recording.track_opened(ann, START)
    one.recording.track_opened(bob, START)
    frames = list(video(ann, looped(clip("VP8"), 4), START))
    larger = video(ann, looped(clip("VP8", 640, 360, GREEN), 4), START + 4_000, sequence=frames[-1].sequence + 1)
    muted = frames[-1].room_ms + 4_100
    await one.play(
        frames,
        larger,
        video(bob, looped(clip("VP9", colour=BLUE), 10), START),
        events=[
            (START, lambda: one.recording.speaker("bob")),
            (START + 2_100, lambda: one.recording.speaker("ann")),
            (muted, lambda: one.recording.track_muted(ann.id, True, muted)),
        ],
    )
    before = await one.finish(START + 12_000)
    assert before.pending == [0] and "video-000" not in (root / "rec1" / "video.m3u8").read_text()

    recorder = Recorder(root)
    assert await recorder.start() == []
    async with asyncio.timeout(30):
        while recorder.preparations.get("rec1"):
            await asyncio.sleep(0.05)
    await recorder.stop()
    manifest = load(root, "rec1")
    assert manifest.pending == [] and manifest.tracks[0].files == ["video-000-0.mp4", "video-000-1.mp4"]
    told = original(root / "rec1", manifest, 0)
    copy = next(one for one in stored_tracks(root / "rec1", manifest, copies=True) if one.index == 0)
    assert [frame.time for frame in copy.frames(0, 99_999)] == [frame.time for frame in told.frames(0, 99_999)]
    assert list(copy.spans) == list(told.spans)
    assert [config.width for _, config in copy.sources] == [320, 640]
    playlist = (root / "rec1" / "video.m3u8").read_text()
    assert "video-000-1.mp4" in playlist and "video-001-0.mp4" in playlist
    assert decode_errors(root / "rec1" / "master.m3u8") == ""
    assert set(manifest.files) >= {line for line in playlist.splitlines() if line and not line.startswith("#")}


async def test_what_cannot_be_converted_is_tried_three_times_and_stays_dark(root: Path) -> None:
    one = await meeting(root)
    ann = track("ann", "VP8")
    one.recording.track_opened(ann, START)
    await one.play(video(ann, clip("VP8"), START))
    await one.finish(START + 4_000)
    (root / "rec1" / "index.json").write_bytes(b"{")
    for _ in range(3):
        recorder = Recorder(root)
        await recorder.start()
        async with asyncio.timeout(30):
            while (preparation := recorder.preparations.get("rec1")) and preparation.state != "failed":
                await asyncio.sleep(0.05)
        await recorder.stop()
    recorder = Recorder(root)
    await recorder.start()
    assert recorder.preparations.get("rec1").state == "failed"  # type: ignore[union-attr]
    assert recorder.preparations._worker is None
    assert decode_errors(root / "rec1" / "master.m3u8") == ""


async def test_a_simulcast_track_changes_its_size_at_key_frames(root: Path) -> None:
    """One track, sizes as a browser's encodings come and go, H.264 parameter sets with them."""
    for codec in ("VP9", "H264"):
        one = await meeting(root, codec)
        ann = track("ann", codec)
        one.recording.track_opened(ann, START)
        streams, sequence = [], 100
        for number, (width, height) in enumerate(((320, 180), (640, 360), (480, 270), (320, 180), (640, 360))):
            frames = looped(clip(codec, width, height), 2)
            packets = list(video(ann, frames, START + number * 2_000, sequence=sequence, picture=100 * number))
            sequence = packets[-1].sequence + 1
            streams.append(packets)
        await one.play(*streams)
        manifest = await one.finish(START + 10_000)
        assert len(manifest.tracks[0].files) == 5 and manifest.tracks[0].dropped == 0
        playlist = (root / codec / "video.m3u8").read_text()
        assert playlist.count("#EXT-X-MAP") == 5
        assert sum(map(float, re.findall(r"#EXTINF:([\d.]+)", playlist))) == pytest.approx(10)
        assert decode_errors(root / codec / "master.m3u8") == ""
        if codec == "H264":
            path = await export(root, codec, "mkv", root / "out.mkv")
            assert decode_errors(path) == ""


async def test_sizes_that_change_all_the_time_do_not_make_files_without_end(root: Path) -> None:
    one = await meeting(root)
    ann = track("ann", "VP9")
    one.recording.track_opened(ann, START)
    keys = {size: clip("VP9", *size, seconds=1)[0][2] for size in ((320, 180), (322, 180))}
    frames = [(at * 40, True, keys[320 + at % 2 * 2, 180]) for at in range(250)]
    await one.play(video(ann, frames, START))
    manifest = await one.finish(START + 10_000)
    assert 20 < len(manifest.tracks[0].files) <= 40 and manifest.tracks[0].dropped > 100
    assert decode_errors(root / "rec1" / "master.m3u8") == ""
