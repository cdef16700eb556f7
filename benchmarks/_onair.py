"""A server whose demo room is on air with a made picture and tone: a process, so that its time can be told apart.

``python -m benchmarks._onair FOLDER``: prints the viewers' address and the host's code, then runs until its
standard input ends.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks._synthetic import audio_packets, camera, microphone, opus_clip, video_packets, vp9_clip
from recorder.service import Recording
from sfu.taps import RoomClock
from signaling import protocol
from signaling.people import Participant
from signaling.rights import permissions
from signaling.server import Server
from signaling.settings import Settings

STEP_S = 0.02
LONG_S = 3600


@dataclass
class Source:
    """What the stage sends, as the recorder's taps see it."""

    recording: Recording
    clock: RoomClock

    async def run(self) -> None:
        start = self.clock.now()
        voice, face = microphone("a"), camera("a")
        for info in (voice, face):
            self.recording.track_opened(info, start)
        self.recording.speaker("a")
        streams = [
            video_packets(face.id, vp9_clip(1280, 720, (40, 90, 120), 8, key_every_s=2), start, LONG_S),
            audio_packets(voice.id, opus_clip(2), start, LONG_S),
        ]
        waiting = [next(stream) for stream in streams]
        while True:
            await asyncio.sleep(STEP_S)
            now = self.clock.now()
            for number, stream in enumerate(streams):
                batch = []
                while waiting[number].room_ms <= now:
                    batch.append(waiting[number])
                    waiting[number] = next(stream)
                self.recording.packets(batch)


async def main(folder: Path) -> None:
    values = {
        "port": 0,
        "data_dir": str(folder),
        "media": {"host": "127.0.0.1", "port": 0},
        "captions": {"enabled": False},
        "broadcast": {"viewers": 10_000, "realtime_viewers": 10_000},
        "recordings": {"min_free_mb": 0},
        "log": {"level": "error"},
    }
    vp9_clip(1280, 720, (40, 90, 120), 8, key_every_s=2)
    server = Server(msgspec.convert(values, Settings))
    await server.start()
    code = str((await server.links()).host).rsplit("/", 1)[1]
    room = await server.hub._open("demo")
    host = Participant(
        id="a", name="Host", role="host", permissions=permissions("host"), jti="", visitor=None, member=None,
        resume="x", peer=None,
    )  # fmt: skip
    room.enter(host)
    await room.live.plan(protocol.PlanBroadcast(title="Benchmark"))
    await room.live.go_live(host, 0)
    room.questions.rules = protocol.QuestionRules(open=True, moderated=False, anonymous=True)
    running, state = room.recording.running, room.live.state
    assert running is not None and state is not None
    source = asyncio.create_task(Source(running, room.media.clock).run())
    print(f"{server.local_url}{state.link} {code}", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    source.cancel()
    await server.stop()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
