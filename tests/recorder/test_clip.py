"""A passage shared without copying: what its playlists show, and which bytes may be read."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
import webvtt
from kit import BLUE, START, clip, decode_errors, looped, meeting, microphone, sound, track, video

from recorder.clip import Limits, Times, captions, may_read, missing, playlist_of, timed, without
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
    folder, passage = root / "rec1", Limits(Passage(start=5_000, end=12_500))
    seen = clipped(load(root, "rec1"), passage)
    assert [line.text for line in seen.chat] == ["chat 6000", "chat 8000", "chat 10000", "chat 12000"]
    assert [line.start for line in seen.transcript] == [6_000, 8_000, 10_000, 12_000]
    assert [person.id for person in seen.people] == ["ann", "bob"]
    assert seen.kept == [passage.passage] and seen.shared and seen.tracks == [] and seen.duration == 12_500
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
    folder, passage = root / "rec1", Limits(Passage(start=5_000, end=7_000))
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
        found = playlist_of(root / "rec1", name, Limits(passage))
        assert len(found.allowed) == 1 and found.text.endswith("#EXT-X-ENDLIST\n")


async def test_nobody_gets_what_is_cut_out_nor_the_segments_that_hold_any_of_it(root: Path) -> None:
    from recorder.service import load

    await recorded(root)
    folder, limits = root / "rec1", Limits(cuts=(Passage(start=6_800, end=7_900), Passage(start=13_100, end=13_200)))
    whole = load(root, "rec1")
    gone = missing(folder, limits.cuts)
    assert len(gone) == 2 and gone[0].start <= 6_800 and gone[0].end >= 7_900 and gone[1].end - gone[1].start >= 100
    seen = clipped(whole, limits, gone)
    assert [line.start for line in seen.transcript] == [0, 2_000, 4_000, *range(8_000, 20_000, 2_000)], (
        "a line that begins before a cut and ends in it could say what was cut out"
    )
    assert len(seen.chat) == 10, "none of them was written within a cut"
    assert seen.kept == without(Passage(start=0, end=20_000), gone) and not seen.shared
    for name in ("video.m3u8", "audio.m3u8"):
        text, shown, at = playlist_of(folder, name, limits).text, [], 0.0
        for gap, length in re.findall(r"(#EXT-X-GAP\n)?#EXTINF:([\d.]+),", text):
            shown += [] if gap else [(at, at + float(length) * 1000)]
            at += float(length) * 1000
        assert at == pytest.approx(20_000, abs=60), f"{name}: times are those of the recording"
        assert not any(limits.shows(start, end) is False for start, end in shown), name
        holes = [b[0] - a[1] for a, b in pairwise(shown) if b[0] > a[1] + 1]
        assert len(holes) == 2 and all(hole < 9_000 for hole in holes), name
    segments = re.findall(
        r"#EXTINF:([\d.]+),\n#EXT-X-BYTERANGE:(\d+)@(\d+)\n(\S+)", (folder / "audio.m3u8").read_text()
    )
    at = 0.0
    for length, size, start, name in segments:
        end = at + float(length) * 1000
        allowed = may_read(folder, name, int(start), int(start) + int(size), limits)
        assert allowed == limits.shows(at, end), (at, end)
        at = end
    assert not may_read(folder, "audio-002.mp4", 0, 10, limits), "nobody's own microphone"


async def test_times_close_over_what_is_missing() -> None:
    times = Times([Passage(start=0, end=5_000), Passage(start=8_000, end=10_000)])
    assert [times(at) for at in (0, 4_999, 5_000, 7_000, 8_000, 9_000, 12_000)] == [
        0,
        4_999,
        5_000,
        5_000,
        5_000,
        6_000,
        7_000,
    ]
    assert [times.within(at) for at in (0, 5_000, 7_999, 8_000, 10_000)] == [True, False, False, True, False]
    assert Times([])(123.5) == 123.5 and Times([]).within(99)


async def test_what_is_taken_away_is_on_the_time_of_what_is_kept(root: Path) -> None:
    from recorder.service import load

    await recorded(root)
    cuts = (Passage(start=6_500, end=8_700),)
    gone = missing(root / "rec1", cuts)
    seen = timed(clipped(load(root, "rec1"), Limits(cuts=cuts), gone))
    length = gone[0].end - gone[0].start
    assert seen.kept == [] and seen.duration == 20_000 - length
    assert seen.transcript[-1].start == 18_000 - length
    assert timed(seen) == seen
