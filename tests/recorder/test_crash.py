"""What is left after a crash: of the process at any instant, and of the files at any byte."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
from pathlib import Path

import jsonschema
import pytest
import webvtt
from kit import START, clip, decode_errors, looped, meeting, microphone, sound, track, video

from benchmarks._kills import kill_while_recording
from recorder.service import Recorder, export, load


@pytest.mark.parametrize("seconds", [0.4, 2.3])
async def test_kill_9_loses_less_than_a_second(root: Path, seconds: float) -> None:
    root.mkdir()
    last = await asyncio.to_thread(kill_while_recording, root, "rec1", seconds * 1000 + random.uniform(0, 300))
    recorder = Recorder(root)
    assert await recorder.start() == ["rec1"]
    manifest = load(root, "rec1")
    assert manifest.state == "repaired"
    assert last - manifest.duration < 1000
    assert [line.texts for line in manifest.transcript] == [{"en": "Hello."}]
    assert manifest.people[0].name == "Ann"
    assert decode_errors(root / "rec1" / "master.m3u8") == ""
    schema = json.loads((Path(__file__).parents[2] / "docs" / "archive.schema.json").read_text())
    told = json.loads((root / "rec1" / "recording.json").read_text())
    jsonschema.validate(told, {"$defs": schema["$defs"], "$ref": "#/$defs/Manifest"})
    [shown] = webvtt.read(root / "rec1" / "captions.en.vtt")
    assert shown.text == "Hello."
    assert decode_errors(await export(root, "rec1", "mkv", root / "out.mkv")) == ""
    (root / "out.mkv").unlink()
    assert await recorder.start() == []


async def crashed(root: Path) -> Path:
    """A recording of 6 s whose writer never finished."""
    one = await meeting(root)
    ann = track("ann")
    one.recording.participant("ann", "Ann")
    one.recording.track_opened(ann, START)
    one.recording.track_opened(microphone("ann"), START)
    await one.play(video(ann, looped(clip("VP9"), 6), START), sound(microphone("ann"), 6, START))
    writer = one.recording._writer
    writer._stop.set()
    writer._thread.join()
    writer._take_all()
    writer.pipeline.advance(START + 6_000)
    return root / "rec1"


async def test_files_torn_anywhere_are_made_whole_from_the_journals(root: Path, tmp_path: Path) -> None:
    """Media files are cut at random bytes, or gone: the journals have it all."""
    left = await crashed(root)
    generator = random.Random(5)
    for attempt in range(6):
        again = tmp_path / f"again-{attempt}"
        shutil.copytree(left, again / "rec1")
        for path in (again / "rec1").glob("*.mp4"):
            if generator.random() < 0.2:
                path.unlink()
            else:
                os.truncate(path, generator.randrange(path.stat().st_size + 1))
        assert await Recorder(again).start() == ["rec1"]
        manifest = load(again, "rec1")
        assert manifest.duration == pytest.approx(6_000, abs=60)
        assert sum(track.dropped for track in manifest.tracks) == 0
        assert decode_errors(again / "rec1" / "master.m3u8") == ""


async def test_journals_torn_anywhere_give_the_time_before(root: Path, tmp_path: Path) -> None:
    left = await crashed(root)
    generator = random.Random(6)
    for attempt in range(4):
        again = tmp_path / f"again-{attempt}"
        shutil.copytree(left, again / "rec1")
        for path in (again / "rec1").glob("*.mp4"):
            path.unlink()
        for path in (again / "rec1" / "journal").iterdir():
            if path.name != "events":
                os.truncate(path, generator.randrange(path.stat().st_size + 1))
        assert await Recorder(again).start() == ["rec1"]
        assert decode_errors(again / "rec1" / "master.m3u8") == ""


async def test_repair_goes_on_from_what_is_there_and_changes_none_of_it(root: Path) -> None:
    left = await crashed(root)
    before = (left / "video-000-0.mp4").read_bytes()
    assert await Recorder(root).start() == ["rec1"]
    after = (left / "video-000-0.mp4").read_bytes()
    kept = len(before) * 2 // 3
    assert after[:kept] == before[:kept]


async def test_a_crash_while_finishing_is_finished_at_the_next_start(root: Path) -> None:
    one = await meeting(root)
    one.recording.track_opened(track("ann"), START)
    await one.play(video(track("ann"), clip("VP9"), START))
    one.recording._writer.stop(START + 4_000)
    assert await Recorder(root).start() == ["rec1"]
    manifest = load(root, "rec1")
    assert (manifest.state, manifest.duration) == ("complete", 4_000)


async def test_a_recording_beyond_repair_does_not_stop_the_others(root: Path) -> None:
    left = await crashed(root)
    for name in ("empty", "noise"):
        (root / name / "journal").mkdir(parents=True)
        (root / name / "journal" / "events").write_bytes(b"" if name == "empty" else os.urandom(500))
    (root / "stray-file").write_text("?")
    assert await Recorder(root).start() == [left.name]
