"""A process that records until it is killed, and what was lost."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import os
import subprocess
import sys
from pathlib import Path

from benchmarks._synthetic import (
    RunningClock,
    audio_packets,
    begin,
    camera,
    microphone,
    opus_clip,
    video_packets,
    vp9_clip,
)
from recorder.sealing import keys
from recorder.service import Cue

KEY = bytes(32)
"""The server key of sealed recordings here."""


async def record_until_killed(root: Path, name: str) -> None:
    """Records one person in real time; prints when each packet arrived (ms from the first) once it is handed over."""
    video, audio = vp9_clip(320, 180, (200, 0, 0), 4, 15, 2), opus_clip(2)
    clock = RunningClock()
    recording = await begin(root, name, clock)
    start = clock.now()
    recording.participant("ann", "Ann")
    recording.speaker("ann")
    end = start + 900
    recording.cue(
        Cue(segment="s", revision=1, participant="ann", source="en", language="en", start=start, end=end, text="Hello.")
    )
    for info in (camera("ann"), microphone("ann")):
        recording.track_opened(info, start)
    streams = (video_packets("ann-camera", video, start, 60), audio_packets("ann-microphone", audio, start, 60))
    for packet in heapq.merge(*streams, key=lambda packet: packet.room_ms):
        wait = packet.room_ms - clock.now()
        if wait > 0:
            await asyncio.sleep(wait / 1000)
        recording.packets([packet])
        print(packet.room_ms - start, flush=True)


def kill_while_recording(root: Path, name: str, after_ms: float, sealed: bool = False) -> float:
    """Starts a recording process, kills it with SIGKILL; returns when its last packet arrived, in ms. `sealed`: with
    encryption on, under `KEY`."""
    command = [sys.executable, "-m", "benchmarks._kills", str(root), name, *["sealed"][: int(sealed)]]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join((str(Path(__file__).parents[1]), *filter(None, sys.path)))
    }
    last = 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as child:
        assert child.stdout
        for line in child.stdout:
            last = float(line)
            if last >= after_ms:
                break
        child.kill()
        for line in child.stdout:
            if line.endswith("\n"):
                with contextlib.suppress(ValueError):
                    last = float(line)
    return last


if __name__ == "__main__":
    if sys.argv[3:] == ["sealed"]:
        keys.use(Path(sys.argv[1]), (KEY,))
    asyncio.run(record_until_killed(Path(sys.argv[1]), sys.argv[2]))
