"""The thread of a live mix: a tap puts voices in, packets for viewers come out. Media never waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence

from recorder.live.sound import FRAME_MS, Sound
from sfu.taps import RoomClock, TapPacket, TrackInfo

QUEUE = 5_000
"""Packets that may wait: seconds of a hundred voices. What comes beyond is left out."""

log = logging.getLogger(__name__)

Send = Callable[[Sequence[tuple[int, bytes]]], None]


class Loudspeaker:
    """A tap (`sfu.taps.Tap`), on the event loop; `send` is called there too, with positions and Opus packets.

    `heard` says of a track whether it is to be heard: it is asked for each batch of packets.
    """

    def __init__(self, clock: RoomClock, heard: Callable[[TrackInfo], bool], send: Send) -> None:
        self._clock = clock
        self._heard = heard
        self._send = send
        self._tracks: dict[str, TrackInfo] = {}
        self._queue: deque[TapPacket | str] = deque()
        self._stop = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="live mix", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread; nothing more is sent once the event loop has had its turn."""
        self._stop.set()

    # --- the tap ---

    def track_opened(self, track: TrackInfo, room_ms: float) -> None:
        if track.kind == "audio":
            self._tracks[track.id] = track

    def packets(self, packets: Sequence[TapPacket]) -> None:
        if len(self._queue) >= QUEUE:
            return
        for packet in packets:
            track = self._tracks.get(packet.track)
            if track is not None and self._heard(track):
                self._queue.append(packet)

    def track_muted(self, track: str, muted: bool, room_ms: float) -> None:
        """Muted tracks bring no packets."""

    def track_closed(self, track: str, room_ms: float) -> None:
        if self._tracks.pop(track, None) is not None:
            self._queue.append(track)

    # --- the thread ---

    def _run(self) -> None:
        sound = Sound(self._clock.now())
        # On time to the millisecond: players wait the longer for packets the less even they come.
        while not self._stop.wait(min(max(sound.due(self._clock.now()), 1.0), FRAME_MS) / 1000):
            try:
                while self._queue:
                    item = self._queue.popleft()
                    if isinstance(item, str):
                        sound.closed(item)
                    else:
                        sound.packet(item)
                made = sound.advance(self._clock.now())
            except Exception:  # a thread that dies would leave viewers without sound, and nobody would know why
                log.exception("the live mix failed")
                sound = Sound(self._clock.now())
                continue
            if made:
                with contextlib.suppress(RuntimeError):  # the loop has closed
                    self._loop.call_soon_threadsafe(self._sent, made)

    def _sent(self, made: Sequence[tuple[int, bytes]]) -> None:
        if not self._stop.is_set():
            self._send(made)
