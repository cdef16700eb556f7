"""A server with one recording in it, made faster than real time, and its owner's session."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from benchmarks._kills import kill_while_recording
from benchmarks._synthetic import SetClock, audio_packets, camera, microphone, opus_clip, video_packets, vp9_clip
from community.models import RecordingRow
from recorder.service import Cue
from recorder.written import Rendered
from sfu.taps import TrackInfo
from signaling.server import Server
from signaling.settings import Settings

RED, BLUE, GREEN = (200, 0, 0), (0, 0, 200), (0, 200, 0)
SECONDS = 75
PASSWORD = "a long password"
DOUBTED = 41
"""The second of the line whose words were not heard clearly and whose translation may be wrong."""


@dataclass
class Recorded:
    """The server's address, the recording's id and the cookie of the administrator, whose it is."""

    server: Server
    url: str
    id: str
    session: str


async def record(server: Server) -> None:
    """Ann (red) speaks 0-30 s, Bob (blue) 30-75 s and shows a green screen 50-60 s. Ann writes a question at 20 s.

    Bob interprets into Spanish 35-45 s."""
    store, recorder = server.store, server.recorder
    about = {"room": "demo", "title": "Ward round", "purpose": "Teaching", "started_by": "Ann"}
    clock, started = SetClock(), datetime(2026, 3, 4, 9, 30, tzinfo=UTC)
    running = await recorder.begin(
        "rec1", clock=clock, request_keyframe=lambda _: None, on_failure=lambda _: None, started_at=started, **about
    )
    screen = TrackInfo("bob-screen", "bob", "video", "screen", camera("bob").codec)
    happen = []
    for person in ("ann", "bob"):
        running.participant(person, person.title())
        for info in (camera(person), microphone(person)):
            running.track_opened(info, 0.0)
    red, blue, green = (vp9_clip(320, 180, colour, 4, 15, 2) for colour in (RED, BLUE, GREEN))
    streams = [
        video_packets("ann-camera", red, 0, SECONDS),
        video_packets("bob-camera", blue, 0, SECONDS),
        video_packets("bob-screen", green, 50_000, 10),
        audio_packets("ann-microphone", opus_clip(2), 0, SECONDS),
    ]
    happen += [(0.0, lambda: running.speaker("ann")), (30_000.0, lambda: running.speaker("bob"))]
    happen += [(50_000.0, lambda: running.track_opened(screen, 50_000.0))]
    happen += [(60_500.0, lambda: running.track_closed(screen.id, 60_500.0))]
    happen += [(20_100.0, lambda: running.chat("ann", "Ann", "Which dose for a child?", 20_000.0))]
    asked = lambda: running.question("q1", "Eve", "Before food?", 3, True, "Yes, <b>before</b>.", "Bob", 40_000.0)  # noqa: E731
    happen += [(42_000.0, asked)]
    happen += [(35_000.0, lambda: running.interpret("bob", "es")), (45_000.0, lambda: running.interpret("bob", None))]
    happen.sort(key=lambda entry: entry[0])
    for packet in heapq.merge(*streams, key=lambda packet: packet.room_ms):
        while happen and happen[0][0] <= packet.room_ms:
            clock.time, run = happen.pop(0)
            run()
        clock.time = max(clock.time, packet.room_ms)
        running.packets([packet])
    for second in range(1, SECONDS - 5, 5):
        who = "ann" if second < 30 else "bob"
        for language, text in (
            ("en", f"Sentence {second}: take five tablets."),
            ("pt", f"Frase {second}: tome cinco comprimidos."),
        ):
            doubts: dict[str, Any] = {}
            if second == DOUBTED:
                heard = {"doubtful": [3], "heard": "Sentence: take find tablets."}
                doubts = heard if language == "en" else {"guard": ["dose"]}
            running.cue(
                Cue(segment=str(second), revision=1, participant=who, source="en", language=language,
                    start=second * 1000.0, end=second * 1000.0 + 3_000, text=text, **doubts)
            )  # fmt: skip
    clock.time = SECONDS * 1000.0
    manifest = await running.finish()
    row = RecordingRow(id="rec1", room_id="demo", started_at=started, state="recording", title=about["title"],
                       purpose=about["purpose"], started_by=about["started_by"])  # fmt: skip
    await store.recordings.create(row)
    await store.recordings.ended("rec1", "ready")
    await server.library.index(manifest)
    doubted = Rendered(of="Before food?", source="en", text="Antes da comida?", guard=["negation"])
    await server.library.add_renderings("rec1", "pt", [doubted])


async def crash(server: Server, name: str) -> None:
    """Three seconds of Ann, as a server that is gone left them."""
    root = server.settings.recordings_dir
    root.mkdir(parents=True)
    await asyncio.to_thread(kill_while_recording, root, name, 3_000)
    await server.store.open()
    row = RecordingRow(id=name, room_id="demo", started_at=datetime.now(UTC), state="recording", title="Cut short",
                       purpose="", started_by="Ann")  # fmt: skip
    await server.store.recordings.create(row)
    await server.store.close()


@asynccontextmanager
async def serve(folder: Path, killed: str | None = None) -> AsyncIterator[Recorded]:
    """With `killed` there is also a recording of this name whose process was killed: the start repairs it."""
    values = {
        "port": 0,
        "data_dir": str(folder),
        "media": {"host": "127.0.0.1", "port": 0},
        "captions": {"enabled": False},
    }
    server = Server(msgspec.convert(values, Settings))
    if killed:
        await crash(server, killed)
    await server.start()
    try:
        await record(server)
        members = server.store.members
        member = await members.first_administrator("ana@example.org", "Ana", PASSWORD)
        yield Recorded(server, f"http://127.0.0.1:{server.port}", "rec1", await members.log_in(member.id))
    finally:
        await server.stop()
