# ruff: noqa: ASYNC221
"""Exports through ffprobe and a decode of the whole file."""

from __future__ import annotations

import json
import re
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from kit import GREEN, RED, START, Meeting, clip, decode_errors, looped, meeting, microphone, sound, track, video

from recorder.clip import missing
from recorder.edits import Correction, Edits, save_edits
from recorder.manifest import Passage, load
from recorder.service import Cue, ExportError, RecordingNotFound, export

SUBTITLES = {"mkv": "subrip", "mp4": "mov_text", "webm": "webvtt"}


def probe(path: Path) -> dict[str, Any]:
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_streams", "-show_format", "-show_chapters", str(path)]
    found: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=30).stdout)
    return found


def streams(found: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [stream for stream in found["streams"] if stream["codec_type"] == kind]


async def record(root: Path, ann: str, bob: str | None, convert: bool = False) -> Meeting:
    """Ann 0-8 s and Bob 0-8 s, Bob speaks from 4 s; words in two languages; 10 s in all."""
    one = await meeting(root)
    recording = one.recording
    people = [("ann", ann, clip(ann, colour=RED))] + ([("bob", bob, clip(bob, 480, 270, GREEN))] if bob else [])
    for person, codec, _ in people:
        recording.participant(person, person.title())
        recording.track_opened(track(person, codec), START)
    recording.track_opened(microphone("ann"), START)

    def said(language: str, text: str, at: float) -> None:
        recording.cue(
            Cue(segment=f"s{at}", revision=1, participant="ann", source="en", language=language, start=START + at,
                end=START + at + 1500, text=text, doubtful=[1, 4] if language == "en" else [])
        )  # fmt: skip

    for at in (1_000, 2_000, 5_000):
        said("en", "Take <5> mg & rest.", at)
        said("pt", "Tome <5> mg e descanse.", at)
    await one.play(
        *(video(track(person, codec), looped(frames, 8), START) for person, codec, frames in people),
        sound(microphone("ann"), 9, START),
        events=[
            (START, lambda: recording.speaker("ann")),
            (START + 4_000, lambda: recording.speaker("bob")),
            (START + 4_600, lambda: recording.chat("ann", "Ann", "Which dose?", START + 4_500)),
            (START + 7_000, lambda: recording.agenda("Case 8", START + 7_000)),
            (START + 7_500, lambda: recording.agenda("Case 9", START + 7_000)),
        ],
    )
    await one.finish(START + 10_000, convert)
    return one


@pytest.mark.parametrize("format", ["mkv", "mp4", "webm"])
async def test_every_language_is_a_subtitle_stream_and_everything_decodes(
    root: Path, tmp_path: Path, format: str
) -> None:
    await record(root, "VP9", "VP9")
    path = await export(root, "rec1", format, tmp_path / f"out.{format}")  # type: ignore[arg-type]
    found = probe(path)
    assert found["format"]["tags"]["title"] == "Case 7"
    assert float(found["format"]["duration"]) == pytest.approx(10.0, abs=0.1)
    assert [(s["codec_name"], s["tags"]["language"]) for s in streams(found, "subtitle")] == [
        (SUBTITLES[format], "eng"),
        (SUBTITLES[format], "por"),
    ]
    assert [s["codec_name"] for s in streams(found, "video")] == ["vp9"]
    assert [s["codec_name"] for s in streams(found, "audio")] == ["opus"]
    assert decode_errors(path, "-map", "0:v", "-map", "0:a") == ""
    text = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", str(path), "-map", "0:s:1", "-f", "srt", "-"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert text.count("descanse") == 3 and "00:00:05,000 -->" in text and "<u>" not in text
    marked = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", str(path), "-map", "0:s:0", "-f", "srt", "-"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    marked = re.sub("</?font[^>]*>", "", marked)
    assert marked.count("<u>") == 6 and marked.count("<u>rest.</u>") == 3, "doubtful words are marked in every format"
    assert list(tmp_path.glob("*.part")) == []
    told = [(float(one["start_time"]), one["tags"]["title"]) for one in found["chapters"]]
    assert told == ([] if format == "webm" else [(0.0, "Case 7"), (7.0, "Case 9")])


@pytest.mark.parametrize("format", ["mkv", "mp4", "webm"])
async def test_what_is_cut_out_is_in_no_stream_and_the_times_close_over_it(
    root: Path, tmp_path: Path, format: str
) -> None:
    await record(root, "VP9", "VP9")
    cuts, folder = (Passage(start=1_900, end=2_100),), root / "rec1"
    segment = next(line.segment for line in load(root, "rec1").transcript if line.start == 5_000)
    words = [Correction(segment=segment, language="pt", text="Tome e descanse bem.")]
    save_edits(root, "rec1", Edits(cuts=list(cuts), names={"ann": "Dr. Lee"}, words=words))
    gone = missing(folder, cuts)
    length = gone[0].end - gone[0].start
    path = await export(root, "rec1", format, tmp_path / f"out.{format}")  # type: ignore[arg-type]
    found = probe(path)
    assert float(found["format"]["duration"]) == pytest.approx((10_000 - length) / 1000, abs=0.1)
    assert decode_errors(path, "-map", "0:v", "-map", "0:a") == ""
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-map", "0:s:1", "-f", "srt", "-"]
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    assert text.count("-->") == 1 and "Tome e descanse bem." in text, "two lines have words in the cut"
    assert format == "webm" or "Dr. Lee: " in text
    assert f"00:00:0{(5_000 - length) / 1000:.3f}".replace(".", ",") in text
    packets = ["ffprobe", "-v", "error", "-of", "csv=p=0", "-show_entries", "packet=pts_time", str(path)]
    for stream in ("v:0", "a:0"):
        shown = subprocess.run([*packets, "-select_streams", stream], capture_output=True, text=True, check=True).stdout
        times = sorted(float(line.split(",")[0]) for line in shown.split() if line[0].isdigit())
        assert max(b - a for a, b in pairwise(times)) < 2.1, "no hole is left"


async def test_the_picture_changes_when_the_speaker_does(root: Path, tmp_path: Path) -> None:
    await record(root, "VP9", "VP9")
    path = await export(root, "rec1", "mkv", tmp_path / "out.mkv")

    def colour(second: float) -> int:
        """Index of the strongest of red, green and blue in the upper left."""
        command = [
            "ffmpeg",
            "-v",
            "error",
            "-ss",
            str(second),
            "-i",
            str(path),
            "-frames:v",
            "1",
            "-vf",
            "crop=4:4:4:4,scale=1:1",
        ]
        raw = subprocess.run(
            [*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, check=True
        ).stdout
        return max(range(3), key=lambda index: raw[index])

    assert [colour(1.5), colour(5.5)] == [0, 1]


async def test_h264_of_two_sizes_is_one_stream_in_mp4(root: Path, tmp_path: Path) -> None:
    await record(root, "H264", "H264")
    path = await export(root, "rec1", "mp4", tmp_path / "out.mp4")
    assert [s["codec_name"] for s in streams(probe(path), "video")] == ["h264"]
    assert decode_errors(path) == ""
    with pytest.raises(ExportError, match="H264"):
        await export(root, "rec1", "webm", tmp_path / "out.webm")
    assert list(tmp_path.glob("out.webm*")) == []


async def test_av1_exports(root: Path, tmp_path: Path) -> None:
    await record(root, "AV1", None)
    path = await export(root, "rec1", "mp4", tmp_path / "out.mp4")
    assert [s["codec_name"] for s in streams(probe(path), "video")] == ["av1"]
    assert decode_errors(path) == ""


@pytest.mark.parametrize("format", ["mkv", "webm"])
async def test_vp8_comes_from_its_journal(root: Path, tmp_path: Path, format: str) -> None:
    await record(root, "VP8", "VP8")
    path = await export(root, "rec1", format, tmp_path / f"out.{format}")  # type: ignore[arg-type]
    found = probe(path)
    assert [s["codec_name"] for s in streams(found, "video")] == ["vp8"]
    assert decode_errors(path) == ""
    with pytest.raises(ExportError, match="VP8"):
        await export(root, "rec1", "mp4", tmp_path / "out.mp4")


async def test_different_codecs_become_a_stream_each(root: Path, tmp_path: Path) -> None:
    await record(root, "VP9", "VP8")
    path = await export(root, "rec1", "mkv", tmp_path / "out.mkv")
    found = streams(probe(path), "video")
    assert {(s["codec_name"], s["tags"]["title"]) for s in found} == {("vp9", "Ann"), ("vp8", "Bob")}
    assert decode_errors(path, "-map", "0:v") == ""
    path = await export(root, "rec1", "mp4", tmp_path / "out.mp4")
    assert [s["codec_name"] for s in streams(probe(path), "video")] == ["vp9"]


async def test_vp8_that_is_converted_joins_the_programme(root: Path, tmp_path: Path) -> None:
    await record(root, "VP9", "VP8", convert=True)
    for format in ("mkv", "mp4"):
        path = await export(root, "rec1", format, tmp_path / f"out.{format}")  # type: ignore[arg-type]
        assert [s["codec_name"] for s in streams(probe(path), "video")] == ["vp9"]
        assert decode_errors(path) == ""


async def test_a_meeting_without_video_exports_with_a_dark_picture(root: Path, tmp_path: Path) -> None:
    one = await meeting(root)
    one.recording.track_opened(microphone("ann"), START)
    await one.play(sound(microphone("ann"), 5, START))
    await one.finish(START + 5_000)
    for format in ("mkv", "mp4", "webm"):
        path = await export(root, "rec1", format, tmp_path / f"out.{format}")  # type: ignore[arg-type]
        assert len(streams(probe(path), "video")) == len(streams(probe(path), "audio")) == 1
        assert decode_errors(path) == ""


async def test_what_cannot_be_exported_says_so(root: Path, tmp_path: Path) -> None:
    with pytest.raises(RecordingNotFound):
        await export(root, "missing", "mkv", tmp_path / "out.mkv")
    await record(root, "VP9", None)
    with pytest.raises(ExportError, match="avi"):
        await export(root, "rec1", "avi", tmp_path / "out.avi")  # type: ignore[arg-type]
    with pytest.raises(OSError):
        await export(root, "rec1", "mkv", tmp_path / "missing" / "out.mkv")
