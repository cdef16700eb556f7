"""The mix: places, limits, and what does not belong."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from kit import opus_clip

from recorder.live.aac import Aac
from recorder.mix import FRAME, RATE, Mixer, Voice, limit
from recorder.parts import AudioClock, Timeline, scan


@given(st.lists(st.floats(-8, 8, width=32), min_size=1, max_size=50))
def test_the_limiter_never_passes_full_scale_and_leaves_quiet_sound_alone(values: list[float]) -> None:
    samples = np.array(values, np.float32)
    out = limit(samples)
    assert np.all(np.abs(out) <= 1.0)
    quiet = np.abs(samples) <= 0.8
    assert np.array_equal(out[quiet], samples[quiet])


def test_late_and_far_off_packets_are_left_out_and_the_file_is_continuous(tmp_path: Path) -> None:
    mixer = Mixer(tmp_path)
    mixer.advance(48_000)
    sound = np.ones(FRAME, np.float32)
    mixer.add(0, sound)
    mixer.add(10**9, sound)
    mixer.add(-(10**9), sound)
    assert mixer.late == 3
    mixer.add(47_500, sound)
    mixer.finish(100_000)
    found = scan(tmp_path / "mix.mp4", mixer.info)
    assert [one.time for one in found] == [0, 48_000, 96_000]
    assert found[-1].time + found[-1].duration == 100_800


def test_a_packet_that_does_not_decode_is_silence_and_the_next_is_heard() -> None:
    voice = Voice()
    assert len(voice.decode(b"\xff" * 40)) == 0 and voice.failed == 1
    assert len(voice.decode(opus_clip(2)[0])) == FRAME


@given(st.lists(st.tuples(st.floats(), st.floats(0, 1e9)), max_size=30))
def test_video_times_always_go_forward_whatever_the_sender_claims(times: list[tuple[float, float]]) -> None:
    timeline = Timeline(0)
    placed = [timeline.place(media, room) for media, room in times]
    assert placed == sorted(set(placed)) and all(time >= 0 for time in placed)


def test_audio_follows_the_senders_clock_until_it_drifts_away() -> None:
    clock = AudioClock(1_000)
    assert clock.place(500, 1_000, 1_020) == 0
    assert clock.place(500 + 960, 1_023, 1_043) == 960
    assert clock.place(500 + 1920, 3_000, 3_020) == 2_000 * 48


def test_aac_says_the_same_at_the_same_time(tmp_path: Path) -> None:
    told: list[tuple[bytes, int, int]] = []
    aac = Aac(tmp_path, 48_000, lambda info, offset, data, start, end: told.append((data, start, end)))
    wave = (np.sin(np.arange(4 * RATE) * 2 * np.pi * 440 / RATE) * 12_000).astype(np.int16)
    wave[: 2 * RATE] = 0  # a second that is not broadcast, a second of silence, then a tone
    for position in range(0, len(wave), FRAME):
        aac.add(position, wave[position : position + FRAME])
    head = (tmp_path / Aac.NAME).read_bytes()
    aac.close()
    assert not (tmp_path / Aac.NAME).exists()
    assert all(end - start <= 500 for _, start, end in told)
    assert [start for _, start, _ in told[1:]] == [end for _, _, end in told[:-1]] and told[0][1] == 1_000
    with av.open(io.BytesIO(head)) as container:
        assert container.streams[0].codec_context.name == "aac"
        loud = [(float(f.pts or 0) / RATE, float(np.abs(f.to_ndarray()).max())) for f in container.decode(audio=0)]
    assert 1.96 < next(at for at, level in loud if level > 0.2) < 2.03
