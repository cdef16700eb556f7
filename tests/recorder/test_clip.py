"""A passage shared without copying: what its playlists show, and which bytes may be read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import webvtt
from kit import BLUE, START, clip, decode_errors, looped, meeting, microphone, sound, track, video

from recorder.clip import captions, may_read, playlist_of
from recorder.clip import clip as clipped
from recorder.manifest import Passage
from recorder.service import Cue


async def recorded(root: Path) -> None:
    """Ann 0-10 s, Bob 10-20 s, a word and a chat line every two seconds."""
    one = await meeting(root)
    ann, bob = track("ann"), track("bob")
    for info in (ann, bob, microphone("ann")):
        one.recording.track_opened(info, START)
    for person in ("ann", "bob", "eve"):
        one.recording.participant(person, person.title())

    def said(at: float) -> None:
        who = "ann" if at < 10_000 else "bob"
        one.recording.cue(
            Cue(segment=f"s{at}", revision=1, participant=who, source="en", language="en", start=START + at,
                end=START + at + 900, text=f"At {at:.0f} <ms>")
        )  # fmt: skip
        one.recording.chat(who, who.title(), f"chat {at:.0f}", START + at)

    await one.play(
        video(ann, looped(clip("VP9"), 20), START),
        video(bob, looped(clip("VP9", 640, 360, BLUE), 20), START),
        sound(microphone("ann"), 20, START),
        events=[
            (START, lambda: one.recording.speaker("ann")),
            (START + 9_950, lambda: one.recording.speaker("bob")),
            *((START + at, lambda at=at: said(at)) for at in range(0, 20_000, 2_000)),
        ],
    )
    await one.finish(START + 20_000)


async def test_a_clip_shows_its_passage_on_the_recordings_own_time(root: Path) -> None:
    from recorder.service import load

    await recorded(root)
    folder, passage = root / "rec1", Passage(start=5_000, end=12_500)
    seen = clipped(load(root, "rec1"), passage)
    assert [line.text for line in seen.chat] == ["chat 6000", "chat 8000", "chat 10000", "chat 12000"]
    assert [line.start for line in seen.transcript] == [6_000, 8_000, 10_000, 12_000]
    assert [person.id for person in seen.people] == ["ann", "bob"]
    assert seen.passage == passage and seen.tracks == [] and seen.duration == 12_500
    assert "mix.mp4" not in seen.files and "audio-002.mp4" not in seen.files
    text = captions(seen, "en")
    shown = webvtt.from_string(text)
    assert [caption.start for caption in shown] == ["00:00:06.000", "00:00:08.000", "00:00:10.000", "00:00:12.000"]
    for name in ("video.m3u8", "audio.m3u8"):
        lines = playlist_of(folder, name, passage).text
        before, shown_s = 0.0, 0.0
        for gap, length in re.findall(r"(#EXT-X-GAP\n)?#EXTINF:([\d.]+),", lines):
            before, shown_s = (before + float(length), shown_s) if gap else (before, shown_s + float(length))
        assert before <= 5 < before + 4.1 and 12.5 <= before + shown_s < 16.6, name
    (folder / "cut.m3u8").write_text(
        re.sub(r"#EXT-X-GAP\n.*\n.*\n", "", playlist_of(folder, "video.m3u8", passage).text)
    )
    assert decode_errors(folder / "cut.m3u8") == ""


async def test_only_the_bytes_of_the_passage_may_be_read(root: Path) -> None:
    await recorded(root)
    folder, passage = root / "rec1", Passage(start=5_000, end=7_000)
    text = (folder / "video.m3u8").read_text()
    segments = [(int(size), int(start), name) for size, start, name in re.findall(r"RANGE:(\d+)@(\d+)\n(\S+)", text)]
    open_to = [(start, size) for size, start, name in segments if may_read(folder, name, start, start + size, passage)]
    assert 1 <= len(open_to) <= 2 < len(segments)
    start, size = open_to[0]
    name = segments[0][2]
    assert may_read(folder, name, 0, 600, passage)
    assert may_read(folder, name, start + 5, start + 6, passage)
    assert not may_read(folder, name, start - 1, start + size, passage)
    assert not may_read(folder, name, start, start + sum(size for _, size in open_to) + 1, passage)
    assert not may_read(folder, name, 0, 10**9, passage)
    assert not may_read(folder, "video-001-0.mp4", 0, 10, passage), "Bob is not in the clip"
    assert not may_read(folder, "audio-002.mp4", 0, 10, passage)
    assert not may_read(folder, "../rec1/mix.mp4", 0, 10, passage)


@pytest.mark.parametrize("passage", [Passage(start=0, end=1), Passage(start=19_999, end=99_999)])
async def test_a_clip_at_either_end_has_something_to_show(root: Path, passage: Passage) -> None:
    await recorded(root)
    for name in ("video.m3u8", "audio.m3u8"):
        found = playlist_of(root / "rec1", name, passage)
        assert len(found.allowed) == 1 and found.text.endswith("#EXT-X-ENDLIST\n")
