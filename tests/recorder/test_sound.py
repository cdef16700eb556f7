"""The live mix: every voice in its place, one packet for each 20 ms, as close behind the clock as packets allow."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks._synthetic import audio_packets, microphone, opus_clip
from recorder.live.sound import LAG, Sound
from recorder.mix import FRAME, Voice
from sfu.taps import TapPacket


def feed(sound: Sound, voices: list[list[TapPacket]], late: float = 0.0) -> list[tuple[int, bytes]]:
    """Packets come when they say, `late` ms after that; the clock goes by 10 ms."""
    waiting = sorted((p for voice in voices for p in voice), key=lambda p: p.room_ms)
    made, now = [], 0.0
    while waiting:
        now += 10
        while waiting and waiting[0].room_ms + late <= now:
            sound.packet(waiting.pop(0))
        made += sound.advance(now)
    return made


def level(packets: list[bytes]) -> float:
    voice = Voice()
    return float(np.sqrt(np.mean(np.concatenate([voice.decode(p) for p in packets])[FRAME:] ** 2)))


def test_two_voices_are_one_stream_without_a_gap() -> None:
    voices = [list(audio_packets(name, opus_clip(2), 0.0, 2)) for name in ("a", "b")]
    both = feed(Sound(0.0), voices)
    one = feed(Sound(0.0), voices[:1])
    positions = [position for position, _ in both]
    assert positions == list(range(0, FRAME * len(both), FRAME)) and len(both) >= 90
    assert level([p for _, p in both]) == pytest.approx(2 * level([p for _, p in one]), rel=0.25)


def test_late_packets_make_it_wait_longer_and_are_heard_then() -> None:
    voice = list(audio_packets("a", opus_clip(4), 0.0, 4))
    sound = Sound(0.0)
    feed(sound, [voice], late=90)
    assert LAG < sound.lag <= 160
    assert 0 < sound.late < 10
    feed(sound, [list(audio_packets("a", opus_clip(9), 4_200.0, 9))])
    assert sound.lag < 90, "and comes nearer again"


def test_after_a_standstill_it_goes_on_with_what_is_now() -> None:
    sound = Sound(0.0)
    assert len(sound.advance(500.0)) == 23
    made = sound.advance(60_000.0)
    assert len(made) == 1 and made[0][0] / 48 > 59_900
    assert sound.due(60_000.0) <= 20


def test_a_talker_who_comes_back_is_heard_again() -> None:
    sound = Sound(0.0)
    feed(sound, [list(audio_packets("a", opus_clip(1), 0.0, 1))])
    sound.closed("a")
    sound.closed("nobody")
    made = feed(sound, [list(audio_packets("a", opus_clip(1), 1_200.0, 1))])
    assert level([packet for _, packet in made]) > 0.01


def test_garbage_is_silence() -> None:
    sound = Sound(0.0)
    info = microphone("a")
    sound.packet(TapPacket(info.id, 1, 0, 0.0, 0.0, False, True, 0, b"\xff" * 5))
    assert len(sound.advance(100.0)) == 3
