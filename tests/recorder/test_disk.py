"""A disk that stands still: media goes on, memory stays bounded, what was refused is said, what was kept plays."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from kit import START, clip, decode_errors, looped, meeting, microphone, sound, track, video

from recorder import journal, writer
from recorder.sealing import keys


class Stuck:
    """Every write of the recorder's thread waits until the disk is back: as a hung NFS mount or a dying disk does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.back, self.waiting = threading.Event(), threading.Event()
        self.back.set()
        for module, name in ((journal.os, "write"), (journal.os, "pwrite"), (journal.os, "fdatasync")):
            monkeypatch.setattr(module, name, self._slow(getattr(os, name)))

    def _slow(self, real: Callable[..., object]) -> Callable[..., object]:
        def wait(*arguments: object) -> object:
            if threading.current_thread().name == "recorder" and not self.back.is_set():
                self.waiting.set()
                self.back.wait()
            return real(*arguments)

        return wait


@pytest.mark.parametrize("sealed", [False, True])
async def test_a_disk_that_stands_still_never_holds_media_up(
    root: Path, monkeypatch: pytest.MonkeyPatch, sealed: bool
) -> None:
    monkeypatch.setattr(writer, "QUEUE_BYTES", 120_000)
    keys.use(root, (bytes(32),) if sealed else ())
    disk = Stuck(monkeypatch)
    one = await meeting(root)
    ann = track("ann")
    one.recording.participant("ann", "Ann")
    for info in (ann, microphone("ann")):
        one.recording.track_opened(info, START)
    packets = sorted(
        [*video(ann, looped(clip("VP9"), 12), START), *sound(microphone("ann"), 12, START)], key=lambda p: p.room_ms
    )
    third = len(packets) // 3
    for packet in packets[:third]:
        one.recording.packets([packet])
    async with asyncio.timeout(10):
        while one.recording.backlog:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    disk.back.clear()
    longest, most = 0.0, 0
    for number, packet in enumerate(packets[third : 2 * third]):
        began = time.thread_time()
        one.recording.packets([packet])
        longest = max(longest, time.thread_time() - began)
        most = max(most, one.recording.backlog)
        if number == 20:
            assert await asyncio.to_thread(disk.waiting.wait, 10)
    assert longest < 0.05, "whoever hands packets over waits for nothing"
    assert 60_000 < most <= 120_000, "what waits is bounded"
    refused = one.recording._writer.refused
    assert refused > 0 and one.asked, "what was refused is counted, and a key frame is asked for"
    disk.back.set()
    async with asyncio.timeout(10):
        while one.recording.backlog:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    for packet in packets[2 * third :]:
        one.recording.packets([packet])
        if one.recording.backlog > 60_000:
            await asyncio.sleep(0.05)
    manifest = await one.finish(START + 12_000)
    assert (manifest.state, manifest.duration) == ("complete", 12_000)
    assert manifest.problem == f"The disk was too slow: {refused} packets were left out."
    if not sealed:
        assert decode_errors(root / "rec1" / "master.m3u8") == ""
    assert not one.failures
    keys.use(root, ())
