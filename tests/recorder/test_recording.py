# ruff: noqa: ASYNC110, ASYNC221
"""Recordings from begin to replay, with real media through the real writer."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import av
import numpy as np
import pytest
import webvtt
from kit import BLUE, GREEN, RED, START, Clock, clip, decode_errors, looped, meeting, microphone, sound, track, video

from recorder import parts
from recorder.playlist import dark_frame
from recorder.service import Cue, Recorder, RecordingNotFound, load, media_file
from recorder.space import Space


def cue(segment: str, person: str, start: float, end: float, language: str, text: str, revision: int = 1) -> Cue:
    return Cue(
        segment=segment,
        revision=revision,
        participant=person,
        source="en",
        language=language,
        start=start,
        end=end,
        text=text,
    )


async def two_people(root: Path, name: str = "rec1"):  # type: ignore[no-untyped-def]
    """Ann for 12 s, Bob for 8 s; Ann speaks first, Bob from 5 s on; then silence to 16 s."""
    one = await meeting(root, name)
    recording = one.recording
    ann, bob = track("ann"), track("bob")
    for person in ("ann", "bob"):
        recording.participant(person, person.title())
        recording.track_opened(track(person), START)
        recording.track_opened(microphone(person), START)
    await one.play(
        video(ann, looped(clip("VP9", colour=RED), 12), START),
        video(bob, looped(clip("VP9", 640, 360, colour=GREEN), 8), START),
        sound(microphone("ann"), 12, START),
        sound(microphone("bob"), 8, START, 660.0),
        events=[
            (START, lambda: recording.speaker("ann")),
            (START + 5000, lambda: recording.speaker("bob")),
            (
                START + 5100,
                lambda: recording.cue(cue("s1", "ann", START + 1000, START + 3000, "en", "Take 5 mg & rest.")),
            ),
            (
                START + 5100,
                lambda: recording.cue(cue("s1", "ann", START + 1000, START + 3000, "pt", "Tome 5 mg e descanse.")),
            ),
            (START + 6000, lambda: recording.chat("bob", "Bob", "<hello>", START + 5900)),
        ],
    )
    return one


async def test_a_recording_is_a_replay_as_soon_as_it_is_finished(root: Path) -> None:
    one = await two_people(root)
    manifest = await one.finish(START + 16_000)
    assert manifest == load(root, "rec1")
    assert (manifest.state, manifest.problem, manifest.duration) == ("complete", None, 16_000)
    assert [person.name for person in manifest.people] == ["Ann", "Bob"]
    assert [(speech.participant, speech.start, speech.end) for speech in manifest.speakers] == [
        ("ann", 0, 5_000),
        ("bob", 5_000, 16_000),
    ]
    assert manifest.chat[0].text == "<hello>" and manifest.chat[0].at == 5_900
    assert manifest.languages == ["en", "pt"]
    assert manifest.transcript[0].texts == {"en": "Take 5 mg & rest.", "pt": "Tome 5 mg e descanse."}
    assert all(track.dropped == 0 for track in manifest.tracks)
    assert decode_errors(root / "rec1" / "master.m3u8") == ""
    shown = webvtt.read(root / "rec1" / "captions.en.vtt")
    assert [(caption.start, caption.end, caption.text, caption.voice) for caption in shown] == [
        ("00:00:01.000", "00:00:03.000", "Take 5 mg &amp; rest.", "Ann")
    ]
    assert one.failures == [] and {"ann-camera", "bob-camera"} == set(one.asked)
    assert sorted(path.name for path in (root / "rec1" / "journal").iterdir()) == ["events"]


async def test_the_programme_shows_the_speaker_then_the_other_then_the_dark(root: Path) -> None:
    one = await two_people(root)
    await one.finish(START + 16_000)
    lines = (root / "rec1" / "video.m3u8").read_text().splitlines()
    shown = [line.split('"')[1] for line in lines if line.startswith("#EXT-X-MAP")]
    assert shown == ["video-000-0.mp4", "video-002-0.mp4", "video-000-0.mp4", "filler-0.mp4"]
    lengths = [float(line[8:-1]) for line in lines if line.startswith("#EXTINF")]
    assert sum(lengths) == pytest.approx(16.0)
    assert "#EXT-X-DISCONTINUITY" not in lines


async def test_the_byte_ranges_are_whole_fragments_that_touch_in_time(root: Path) -> None:
    one = await two_people(root)
    await one.finish(START + 16_000)
    clock = 0
    lines = (root / "rec1" / "video.m3u8").read_text().splitlines()
    for length, place, name in zip(lines, lines[1:], lines[2:], strict=False):
        if length.startswith("#EXTINF"):
            size, offset = map(int, place.removeprefix("#EXT-X-BYTERANGE:").split("@"))
            data = (root / "rec1" / name).read_bytes()[offset : offset + size]
            fragments = list(parts.read_fragments(data))
            assert sum(one.size for one in fragments) == size and fragments[0].key
            for one in fragments:
                assert one.time == clock
                clock += one.duration
    assert clock == 16_000


async def test_the_mix_is_continuous_and_holds_both_voices_where_they_spoke(root: Path) -> None:
    one = await two_people(root)
    await one.finish(START + 16_000)
    with av.open(str(root / "rec1" / "mix.mp4")) as opened:
        samples = np.concatenate([frame.to_ndarray()[0] for frame in opened.decode(audio=0)])
    assert len(samples) == pytest.approx(16 * 48_000, abs=1_000)
    if samples.dtype == np.int16:
        samples = samples / 32768

    def loudness(second: float, frequency: float) -> float:
        piece = samples[int(second * 48_000) :][:24_000]
        spectrum = np.abs(np.fft.rfft(piece)) / len(piece)
        return float(spectrum[round(frequency / 2)])

    assert loudness(4, 440) > 0.03 and loudness(4, 660) > 0.03
    assert loudness(10, 440) > 0.03 and loudness(10, 660) < 0.003
    assert loudness(14, 440) < 0.003


@pytest.mark.parametrize("codec", ["VP9", "H264", "AV1"])
async def test_a_codec_is_recorded_frame_for_frame(root: Path, codec: str) -> None:
    one = await meeting(root)
    source = clip(codec)
    one.recording.track_opened(track("ann", codec), START)
    await one.play(video(track("ann", codec), source, START))
    manifest = await one.finish(START + 4_000)
    [name] = manifest.tracks[0].files
    with av.open(str(root / "rec1" / name)) as opened:
        packets = [packet for packet in opened.demux(video=0) if packet.size]
    assert [packet.pts for packet in packets] == [at for at, _, _ in source]
    with av.open(str(root / "rec1" / name)) as opened:
        assert sum(1 for _ in opened.decode(video=0)) == len(source)
    assert decode_errors(root / "rec1" / "master.m3u8") == ""


async def test_a_new_size_begins_a_new_file_and_a_new_map(root: Path) -> None:
    one = await meeting(root)
    ann = track("ann")
    one.recording.track_opened(ann, START)
    small = list(video(ann, clip("VP9"), START))
    large = video(ann, clip("VP9", 640, 360), START + 4_000, sequence=small[-1].sequence + 1)
    await one.play(small, large)
    manifest = await one.finish(START + 8_000)
    assert manifest.tracks[0].files == ["video-000-0.mp4", "video-000-1.mp4"]
    assert (root / "rec1" / "video.m3u8").read_text().count("EXT-X-MAP") == 2
    assert decode_errors(root / "rec1" / "master.m3u8") == ""


async def test_camera_off_shows_the_dark_and_on_again_the_camera(root: Path) -> None:
    one = await meeting(root)
    ann = track("ann")
    one.recording.track_opened(ann, START)
    first = list(video(ann, clip("VP9"), START))
    second = video(ann, clip("VP9"), START + 9_000, sequence=first[-1].sequence + 1, picture=60)
    await one.play(
        first, second, events=[(START + 4_050, lambda: one.recording.track_muted(ann.id, True, START + 4_050))]
    )
    await one.finish(START + 13_000)
    lines = (root / "rec1" / "video.m3u8").read_text()
    assert [line.split('"')[1] for line in lines.splitlines() if "MAP" in line] == [
        "video-000-0.mp4",
        "filler-0.mp4",
        "video-000-0.mp4",
    ]
    assert decode_errors(root / "rec1" / "master.m3u8") == ""


async def test_loss_asks_for_a_key_frame_and_costs_only_the_gap(root: Path) -> None:
    one = await meeting(root)
    ann = track("ann")
    one.recording.track_opened(ann, START)
    packets = list(video(ann, clip("VP9"), START))
    gone = next(number for number, packet in enumerate(packets) if packet.media_ms > START + 700)
    after = packets[gone + 1]
    packets[gone + 1] = type(after)(
        after.track,
        after.sequence,
        after.timestamp,
        after.room_ms,
        after.media_ms,
        after.marker,
        after.keyframe,
        1,
        after.payload,
    )
    asked = len(one.asked)
    await one.play(packets[:gone] + packets[gone + 1 :])
    assert len(one.asked) > asked
    manifest = await one.finish(START + 4_000)
    assert 0 < manifest.tracks[0].dropped < 30
    assert decode_errors(root / "rec1" / "master.m3u8") == ""


async def test_hostile_times_and_payloads_leave_a_playable_recording(root: Path) -> None:
    one = await meeting(root)
    ann, eve = track("ann"), track("eve")
    for info in (ann, eve, microphone("eve")):
        one.recording.track_opened(info, START)
    rng = np.random.default_rng(1)
    bad = []
    for number in range(300):
        at = START + number * 13
        media = float(rng.choice([float("nan"), -1e300, 1e300, at]))
        payload = rng.bytes(int(rng.integers(0, 200)))
        for info in (eve, microphone("eve")):
            bad.append(
                type(next(sound(info, 1, 0)))(
                    info.id, number, int(rng.integers(-(2**40), 2**40)), at, media, True, True, 0, payload
                )
            )
    await one.play(video(ann, clip("VP9"), START), bad)
    manifest = await one.finish(START + 4_000)
    assert manifest.state == "complete" and one.failures == []
    assert decode_errors(root / "rec1" / "master.m3u8") == ""


async def test_vp8_is_kept_in_its_journal_and_the_programme_is_dark(root: Path) -> None:
    one = await meeting(root)
    ann = track("ann", "VP8")
    one.recording.track_opened(ann, START)
    await one.play(video(ann, clip("VP8"), START))
    manifest = await one.finish(START + 4_000)
    assert manifest.tracks[0].files == [] and manifest.tracks[0].codec == "VP8"
    assert manifest.pending == [0]
    assert (root / "rec1" / "journal" / "000").stat().st_size > 10_000
    assert decode_errors(root / "rec1" / "master.m3u8") == ""


async def test_an_empty_recording_plays(root: Path) -> None:
    one = await meeting(root)
    manifest = await one.finish(START)
    assert manifest.duration >= 100
    assert decode_errors(root / "rec1" / "master.m3u8") == ""


async def test_finish_twice_gives_the_same_manifest_and_late_packets_are_ignored(root: Path) -> None:
    one = await meeting(root)
    one.recording.track_opened(track("ann"), START)
    first = await one.finish(START + 1_000)
    one.recording.packets(list(video(track("ann"), clip("VP9"), START)))
    assert await one.finish(START + 9_000) is first


async def test_stopping_the_recorder_finishes_what_runs(root: Path) -> None:
    one = await two_people(root)
    one.clock.time = START + 12_000
    await one.recorder.stop()
    assert load(root, "rec1").state == "complete"


@pytest.mark.parametrize("name", ["../evil", "a/b", "", ".", "..", "x" * 65, "-dash", "rec1\n"])
async def test_ids_that_are_no_folder_names_are_refused(root: Path, name: str) -> None:
    clock = Clock()
    with pytest.raises(RecordingNotFound):
        await Recorder(root).begin(
            name, room="", title="", started_by="", purpose="", started_at=datetime.now(UTC), clock=clock,
            request_keyframe=print, on_failure=print,
        )  # fmt: skip
    with pytest.raises(RecordingNotFound):
        load(root, name)
    assert media_file(root, name, "master.m3u8") is None


async def test_a_taken_id_is_refused_and_the_first_goes_on(root: Path) -> None:
    one = await meeting(root)
    with pytest.raises(FileExistsError):
        await meeting(root)
    assert (await one.finish(START + 500)).state == "complete"


async def test_only_listed_files_are_served(root: Path) -> None:
    one = await two_people(root)
    manifest = await one.finish(START + 16_000)
    for name, kind in manifest.files.items():
        found = media_file(root, "rec1", name)
        assert found and found.content_type == kind and found.size == (root / "rec1" / name).stat().st_size
    for name in (
        "recording.json",
        "index.json",
        "journal/events",
        "../rec1/mix.mp4",
        "/etc/passwd",
        "",
        ".",
        "mix.mp4/",
        "MIX.MP4",
    ):
        assert media_file(root, "rec1", name) is None
    (root / "rec1" / "mix.mp4").unlink()
    (root / "rec1" / "mix.mp4").symlink_to("/etc/passwd")
    assert media_file(root, "rec1", "mix.mp4") is None


async def test_delete_leaves_nothing(root: Path) -> None:
    one = await two_people(root)
    await one.finish(START + 16_000)
    await Recorder(root).delete("rec1")
    assert list(root.iterdir()) == []
    with pytest.raises(RecordingNotFound):
        await Recorder(root).delete("rec1")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small file system")
async def test_a_full_disk_stops_the_recording_says_why_and_keeps_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recorder.service.MIN_FREE_BYTES", 0)
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(small)], check=False).returncode:
        pytest.skip("cannot mount a tmpfs here")
    try:
        one = await meeting(small / "recordings")
        ann = track("ann")
        one.recording.track_opened(ann, START)
        one.recording.participant("ann", "Ann")
        await one.play(
            video(ann, looped(clip("VP9", 640, 360, colour=BLUE), 120), START), sound(microphone("ann"), 0, START)
        )
        manifest = await one.finish(START + 120_000)
        assert manifest.state == "failed"
        assert one.failures == [manifest.problem] and "disk is full" in one.failures[0]
        assert manifest.people[0].name == "Ann" and manifest.tracks[0].files
        assert decode_errors(small / "recordings" / "rec1" / "master.m3u8") == ""
        assert await Recorder(small / "recordings").start() == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_disk_that_fills_is_low_in_time_and_fine_again_only_with_more() -> None:
    mib = 1 << 20
    space = Space(100 * mib)
    seen = [space.look(free * mib, 100.0 * n) for n, free in enumerate((2000, 1000, 340, 500, 700, 340, 99))]
    assert seen == ["fine", "fine", "low", "low", "fine", "low", "out"]
    quick = Space(0)
    verdicts = [quick.look((8000 - second * 20) * mib, second) for second in range(0, 60, 2)]
    assert verdicts[0] == "fine" and verdicts[-1] == "low", "at 20 MB/s it lasts six minutes"


async def test_a_disk_nearly_full_is_told_and_stops_the_recording_while_it_can_end_cleanly(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = 10 << 30
    monkeypatch.setattr("recorder.writer.LOOK_S", 0.02)
    told: list[bool] = []
    recorder, clock, failed = Recorder(root), Clock(), asyncio.Event()
    recording = await recorder.begin(
        "rec1", room="room", title="", started_by="", purpose="", started_at=datetime.now(UTC), clock=clock,
        request_keyframe=lambda track: None, on_failure=lambda reason: failed.set(), on_low=told.append,
    )  # fmt: skip
    real = shutil.disk_usage(root)
    monkeypatch.setattr("recorder.writer.shutil.disk_usage", lambda _: real._replace(free=free))
    recording.track_opened(track("ann"), START)
    recording.packets(list(video(track("ann"), clip("VP9"), START)))
    free = 200 << 20
    async with asyncio.timeout(10):
        while told != [True]:
            await asyncio.sleep(0.01)
        free = 10 << 20
        await failed.wait()
    clock.time = START + 60_000
    manifest = await recording.finish()
    assert manifest.state == "failed" and "disk is full" in str(manifest.problem)
    assert manifest.tracks[0].files and decode_errors(root / "rec1" / "master.m3u8") == ""


async def test_a_fault_of_ours_in_the_writer_is_told_and_what_was_written_is_kept(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await meeting(root)
    one.recording.track_opened(track("ann"), START)
    await one.play(list(video(track("ann"), clip("VP9"), START))[:-40])

    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(one.recording._writer.pipeline, "advance", broken)
    async with asyncio.timeout(10):
        while not one.failures:
            await asyncio.sleep(0.01)
    manifest = await one.finish(START + 4_000)
    assert (
        manifest.state == "failed"
        and one.failures == [manifest.problem]
        and "recorder had a problem" in one.failures[0]
    )
    assert decode_errors(root / "rec1" / "master.m3u8") == ""


async def test_a_disk_without_room_refuses_to_begin(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recorder.service.MIN_FREE_BYTES", 1 << 60)
    with pytest.raises(OSError) as caught:
        await meeting(root)
    assert caught.value.errno == errno.ENOSPC and list(root.iterdir()) == []


async def test_a_disk_error_is_told_once_and_what_was_written_is_kept(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = asyncio.Event()
    one = await meeting(root)
    append = one.failures.append
    one.failures_event = told  # type: ignore[attr-defined]
    one.recording.track_opened(track("ann"), START)
    packets = list(video(track("ann"), clip("VP9"), START))
    await one.play(packets[:-40])
    one.recording._writer._on_failure = lambda reason: (append(reason), told.set())  # type: ignore[assignment, func-returns-value]

    def broken(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("recorder.journal.os.fdatasync", broken)
        await one.play(packets[-40:])
        async with asyncio.timeout(10):
            while not told.is_set():
                await asyncio.sleep(0.01)
    manifest = await one.finish(START + 4_000)
    assert manifest.state == "failed" and one.failures == [manifest.problem]
    assert "Input/output error" in one.failures[0]
    assert decode_errors(root / "rec1" / "master.m3u8") == ""


def test_the_filler_is_a_small_dark_key_frame() -> None:
    config, data = dark_frame()
    assert config.codec.startswith("vp09.00") and len(data) < 400
    [picture] = av.CodecContext.create("vp9", "r").decode(av.Packet(data))
    assert picture.to_ndarray(format="gray").max() < 40
