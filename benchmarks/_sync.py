"""Voice against lips over hours: a publisher whose clocks drift, through RTCP timing and the recorder's timelines."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator

from recorder.parts import AudioClock, Timeline
from sfu.timing import PublisherTiming

AUDIO, VIDEO = 48_000, 90_000
REPORT_S = 5.0
"""Browsers send a sender report about so often."""
CHECK_AFTER_S = 15.0
"""Before the first reports nobody can know."""


def _delay(chance: random.Random) -> float:
    """Seconds on the way: 20 ms, jitter, now and then a queue."""
    return 0.02 + chance.expovariate(1 / 0.008) + (chance.uniform(0.05, 0.25) if chance.random() < 0.002 else 0.0)


def _events(seconds: float, chance: random.Random, pauses: bool) -> Iterator[tuple[float, str]]:
    """What is captured when: voice each 20 ms (in pauses nothing: DTX), 15 pictures a second, reports."""
    voice: list[tuple[float, str]] = []
    at = 0.0
    while at < seconds:
        talk, pause = (chance.uniform(2, 40), chance.uniform(0.2, 4)) if pauses else (seconds, 0.0)
        voice += [(at + n * 0.02, "a") for n in range(int(talk / 0.02))]
        at += talk + pause
    pictures = ((n / 15, "v") for n in range(int(seconds * 15)))
    reports = ((n * REPORT_S + 1, "r") for n in range(int(seconds / REPORT_S)))
    return heapq.merge(voice, pictures, reports)


def _drifted(seconds: float, ppm: float, slow_video: float, pauses: bool) -> float:
    chance = random.Random(5)
    origin = 1_000.0
    publisher = PublisherTiming(origin)
    audio, video = publisher.track(AUDIO), publisher.track(VIDEO)
    voice, pictures = AudioClock(0.0), Timeline(0.0)
    arrived = {"a": 0.0, "v": 0.0}
    heard: float | None = None
    worst = 0.0
    for at, kind in _events(seconds, chance, pauses):
        # The sound card counts `ppm` too fast; the publisher's NTP clock, which times pictures, half of that too slow.
        ntp = 3.9e9 + at * (1 - ppm / 2e6)
        a, v = 11_000 + round(at * AUDIO * (1 + ppm / 1e6)), 77_000 + round(at * VIDEO * (1 - ppm / 2e6))
        if kind == "r":
            for track, stamp in ((audio, a), (video, v)):
                track.report(ntp, stamp, origin + at + _delay(chance))
            continue
        late = slow_video if kind == "v" else 0.0
        arrived[kind] = arrival = max(arrived[kind], origin + at + late + _delay(chance))
        room_ms = (arrival - origin) * 1000
        if kind == "a":
            heard = voice.place(a, audio.media_ms(a, arrival), room_ms) / 48 - at * 1000
        elif heard is not None:
            seen = pictures.place(video.media_ms(v, arrival), room_ms) - at * 1000
            if at > CHECK_AFTER_S:
                worst = max(worst, abs(heard - seen))
    return worst


def av_sync_ms(hours: float = 3.0, ppm: float = 100.0) -> dict[str, float]:
    """The greatest distance between voice and picture in the files, in ms, with pictures 120 ms slower on the way: in
    a conversation, and where the sound never stops."""
    return {
        name: round(max(_drifted(hours * 3600, sign * ppm, 0.12, pauses) for sign in (1, -1)), 1)
        for name, pauses in (("conversation", True), ("never_silent", False))
    }
