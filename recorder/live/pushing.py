"""A live programme pushed to another platform by RTMP: what goes out when, and the thread that feeds it.

What viewers get goes out, after the delay and without what was cut: news of a `Stream` in, packets out. H.264 and
AAC go as they are; where the picture is in another codec a dark one stands in, for it is never transcoded. A platform
that is slow or away loses its own packets and nobody else's.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from recorder.fmp4 import read_fragments
from recorder.live.darkness import DARK
from recorder.live.destination import Destination
from recorder.live.line import STALLED_S, Line, LineError
from recorder.live.segmenter import Part, Segment
from recorder.live.sender import HEAD, RATES, Beginning, encode_beginning
from recorder.parts import MediaFileInfo
from recorder.playlist import FILLER

Reason = Literal["unreachable", "private", "closed", "slow"]
MOST_BYTES = 8 * 1024 * 1024
"""Waiting for one platform: half a minute at two Mbit/s. More is thrown away up to the next key frame."""
FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0
"""Seconds before it is tried again: doubled each time."""
STEADY_MS = 10_000
"""A connection that carried so much was a good one: the next wait is the first again."""
DARK_EVERY = 500


@dataclass(frozen=True, slots=True)
class Packet:
    """One tag: `time` and `duration` in ms of the programme, or for sound in samples at 48 kHz."""

    video: bool
    time: int
    duration: int
    key: bool
    data: bytes


def annex_b(sample: bytes) -> bytes:
    """A sample of length-prefixed NAL units with start codes instead (ITU-T H.264, annex B). Raises ValueError."""
    out, at = [], 0
    while at < len(sample):
        size = int.from_bytes(sample[at : at + 4], "big")
        if at + 4 + size > len(sample):
            raise ValueError("a NAL unit is cut short")
        out += [b"\0\0\0\1", sample[at + 4 : at + 4 + size]]
        at += 4 + size
    return b"".join(out)


class Course:
    """What becomes of the programme's news on the way out. Pure; packets come out by stream in order of time."""

    def __init__(self, dark: bytes) -> None:
        """`dark`: a key frame that stands in, as annex B has it."""
        self._dark = dark
        self._last = -1
        self._dark_at = -DARK_EVERY
        self._begun = self._keyed = False
        """Whether a picture went out since the last cut, and whether the next of a camera can follow it."""
        self.codec: str | None = None
        """That of the picture, where it cannot be sent; None where it can."""
        self.sound: MediaFileInfo | None = None
        """What the sound's decoder needs, once there is some."""

    def skip(self) -> None:
        """What went before was lost: on with the next key frame."""
        self._begun = self._keyed = False

    def take(self, letter: str, news: Part | Segment) -> Iterator[Packet]:
        """`letter` as in `recorder.live.delay.News`. A segment whose parts came already is nothing new."""
        if letter not in ("v", "b") or (isinstance(news, Segment) and news.parts):
            return
        if letter == "b":
            self.sound = news.file
            if self._begun:
                yield from (Packet(False, *rest) for rest in _samples(news.data))
            return
        dark = news.file.name.startswith(FILLER)
        unfit = not dark and news.file.codec_name != "H264"
        self.codec = news.file.codec_name if unfit else None
        for time, duration, key, data in _samples(news.data):
            if dark or unfit:
                yield from self._stand_in(time, duration, dark)
            elif (key or self._keyed) and time > self._last:
                try:
                    sample = annex_b(data)
                except ValueError:  # nobody else is to notice
                    self._keyed = False
                    continue
                self._begun, self._keyed, self._last = True, True, time
                self._dark_at = -DARK_EVERY
                yield Packet(True, time, duration, key, sample)

    def _stand_in(self, time: int, duration: int, each: bool) -> Iterator[Packet]:
        if time <= self._last or not (each or time - self._dark_at >= DARK_EVERY):
            return
        self._last = self._dark_at = time
        self._begun, self._keyed = True, False
        yield Packet(True, time, max(duration, DARK_EVERY), True, self._dark)


def _samples(data: bytes) -> Iterator[tuple[int, int, bool, bytes]]:
    for one in read_fragments(data):
        time, at = one.time, one.data_offset
        for duration, size, flags in one.samples:
            yield time, duration, not flags & 0x10000, data[at : at + size]
            time, at = time + duration, at + size


class Backoff:
    """How long to wait before the next try. Pure."""

    def __init__(self) -> None:
        self._next = FIRST_WAIT

    def failed(self, carried_ms: int) -> float:
        """Seconds, after a connection that carried so much."""
        if carried_ms >= STEADY_MS:
            self._next = FIRST_WAIT
        wait, self._next = self._next, min(LONGEST_WAIT, self._next * 2)
        return wait


@dataclass(frozen=True, slots=True)
class Told:
    """How a push fares; `codec` is that of the picture, where a dark one stands in for it."""

    state: Literal["connecting", "live", "failed"]
    reason: Reason | None = None
    codec: str | None = None


class Push:
    """To one platform. `put`, `finish` and `close` may be called by any thread and never block; `tell` is called by its
    own."""

    def __init__(self, destination: Destination, private: bool, tell: Callable[[Told], None]) -> None:
        """`private`: also to addresses of private networks."""
        self._destination, self._private = destination, private
        self._tell = tell
        self._course = Course(DARK)
        self._changed = threading.Condition()
        self._waiting: deque[Packet] = deque()
        self._bytes = 0
        self._slow = False
        self._finished = self._closed = False
        self._line: Line | None = None
        self._told: Told | None = None
        self._thread = threading.Thread(target=self._run, name="push", daemon=True)
        self._thread.start()

    def put(self, letter: str, news: Part | Segment) -> None:
        """What viewers can get from now on."""
        with self._changed:
            for packet in self._course.take(letter, news):
                self._waiting.append(packet)
                self._bytes += len(packet.data)
            if self._bytes > MOST_BYTES:
                self._drop()
                self._slow = True
            self._changed.notify()

    def _drop(self) -> None:
        self._waiting.clear()
        self._bytes = 0
        self._course.skip()

    def finish(self) -> None:
        """Nothing more comes: what waits is sent, then it ends."""
        with self._changed:
            self._finished = True
            self._changed.notify()

    def close(self) -> None:
        """It ends at once."""
        with self._changed:
            self._closed = self._finished = True
            self._drop()
            line = self._line
            self._changed.notify()
        if line is not None:
            line.close()

    def join(self, seconds: float) -> bool:
        """Waits for its end; whether it came."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    # --- its own thread ---

    def _run(self) -> None:
        backoff = Backoff()
        while True:
            carried, reason = self._once()
            with self._changed:
                if self._finished and (self._closed or reason is None):
                    return
                if self._finished:  # it failed, and there is nothing left to come that would be worth another try
                    self._say(Told("failed", reason))
                    return
                self._say(Told("failed", reason))
                self._drop()
                self._changed.wait_for(lambda: self._finished, backoff.failed(carried))
                self._drop()
                if self._finished:
                    return

    def _once(self) -> tuple[int, Reason | None]:
        """One connection from its beginning to its end: ms that it carried, and why it ended too soon."""
        first = self._next(peek=True)
        if first is None:
            return 0, None
        self._say(Told("connecting"))
        begin = last = first.time
        try:
            line = Line.open(self._destination, self._private)
        except LineError as error:
            return 0, error.reason
        with self._changed:
            self._line = line
            self._slow = False
            if self._closed:
                line.close()
        try:
            with line, _sender(line, self._course.sound) as sender:
                last = self._feed(sender, begin)
                assert sender.stdin is not None
                sender.stdin.close()
                if sender.wait(STALLED_S):
                    return last - begin, "closed"
        except (OSError, subprocess.TimeoutExpired):
            return last - begin, "closed"
        finally:
            with self._changed:
                self._line = None
        return last - begin, None

    def _feed(self, sender: subprocess.Popen[bytes], begin: int) -> int:
        """All that there is. Returns the time of the last picture. Raises OSError."""
        assert sender.stdin is not None and sender.stdout is not None
        os.set_blocking(sender.stdout.fileno(), False)
        last, sent = begin, 0
        while (packet := self._next()) is not None:
            time = packet.time - begin * RATES[packet.video] // 1000
            if time < 0:
                continue
            sender.stdin.write(HEAD.pack(packet.video, time, packet.duration, packet.key, len(packet.data)))
            sender.stdin.write(packet.data)
            sender.stdin.flush()
            sent += len(sender.stdout.read() or b"")
            if packet.video:
                last = packet.time
            if sent > 1:  # the first waits for sound: the second was taken by somebody
                self._say(Told("live", "slow" if self._slow else None, self._course.codec))
        return last

    def _next(self, peek: bool = False) -> Packet | None:
        """Waits for it. None at the end. With `peek` it stays, and is a picture that sound has come for."""
        with self._changed:
            while True:
                if peek:
                    while self._waiting and not self._waiting[0].video:
                        self._bytes -= len(self._waiting.popleft().data)
                if self._waiting and (not peek or self._course.sound is not None):
                    if peek:
                        return self._waiting[0]
                    packet = self._waiting.popleft()
                    self._bytes -= len(packet.data)
                    return packet
                if self._finished:
                    return None
                self._changed.wait()

    def _say(self, told: Told) -> None:
        if told != self._told and not self._closed:
            self._told = told
            self._tell(told)


@contextlib.contextmanager
def _sender(line: Line, sound: MediaFileInfo | None) -> Iterator[subprocess.Popen[bytes]]:
    assert sound is not None
    command = [sys.executable, "-m", "recorder.live.sender"]
    sender = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert sender.stdin is not None and sender.stdout is not None
    try:
        sender.stdin.write(encode_beginning(Beginning(line.url, sound)))
        yield sender
    finally:
        sender.kill()
        sender.wait()
        sender.stdout.close()
        with contextlib.suppress(OSError):
            sender.stdin.close()
