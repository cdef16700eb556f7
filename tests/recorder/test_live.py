"""A recording as live HLS: what the playlists promise, and what ffmpeg makes of it."""

from __future__ import annotations

import asyncio
import itertools
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.fmp4 import read_fragments
from recorder.live.playlist import Entry, PartEntry, media_playlist
from recorder.live.segmenter import PART_MS, TARGET_MS, Part, Piece, Segment, Segmenter
from recorder.live.stream import Rendition, Stream
from recorder.parts import MediaFileInfo
from recorder.playlist import dark_frame
from tests.recorder.kit import BLUE, GREEN, RED, START, clip, decode_errors, looped, meeting, microphone, sound, video
from tests.recorder.kit import track as camera

EPOCH = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def rules(text: str, *, delta: bool = False) -> tuple[int, list[tuple[str, float]]]:
    """Holds a live playlist to the rules of rfc8216bis; the count of skipped segments, and the segments listed."""
    lines = text.splitlines()
    assert lines[0] == "#EXTM3U" and text.endswith("\n")
    tags = [line.partition(":")[0] for line in lines if line.startswith("#EXT")]
    for once in ("#EXT-X-VERSION", "#EXT-X-TARGETDURATION", "#EXT-X-PART-INF", "#EXT-X-SERVER-CONTROL"):
        assert tags.count(once) == 1
    assert tags.count("#EXT-X-MEDIA-SEQUENCE") == 1
    target = int(re.search(r"TARGETDURATION:(\d+)", text)[1])  # type: ignore[index]
    part_target = float(re.search(r"PART-TARGET=([\d.]+)", text)[1])  # type: ignore[index]
    control = dict(one.split("=") for one in re.search(r"SERVER-CONTROL:(.*)", text)[1].split(","))  # type: ignore[index]
    assert control["CAN-BLOCK-RELOAD"] == "YES"
    assert float(control["PART-HOLD-BACK"]) >= 3 * part_target  # at least twice, better three times (4.4.3.8)
    assert float(control["HOLD-BACK"]) >= 3 * target and float(control["CAN-SKIP-UNTIL"]) >= 6 * target
    skipped = int(m[1]) if (m := re.search(r"SKIPPED-SEGMENTS=(\d+)", text)) else 0
    assert delta or not skipped
    segments: list[tuple[str, float]] = []
    parts: list[float] = []
    dated = mapped = False
    for line in lines:
        if line.startswith("#EXT-X-PART:"):
            found = re.fullmatch(r'#EXT-X-PART:DURATION=([\d.]+),URI="[^"]+"(,INDEPENDENT=YES)?', line)
            assert found and float(found[1]) <= part_target and dated and mapped
            parts.append(float(found[1]))
        elif line.startswith("#EXT-X-PROGRAM-DATE-TIME"):
            dated = True
        elif line.startswith("#EXT-X-MAP"):
            mapped = True
        elif line.startswith("#EXTINF"):
            length = float(line[8:].rstrip(","))
            assert round(length) <= target
            if parts:  # the parts are the segment
                assert sum(parts) == pytest.approx(length, abs=0.01)
            segments.append(("", length))
        elif not line.startswith("#"):
            assert segments and dated and mapped
            segments[-1] = (line, segments[-1][1])
            parts, dated = [], False
    if "#EXT-X-ENDLIST" in tags:
        assert tags[-1] == "#EXT-X-ENDLIST" and "#EXT-X-PRELOAD-HINT" not in tags
    return skipped, segments


@given(
    lengths=st.lists(st.tuples(st.integers(1, 1500), st.booleans(), st.booleans()), min_size=1, max_size=300),
    skip=st.booleans(),
)
def test_whatever_the_frames_the_playlist_keeps_the_rules(lengths: list[tuple[int, bool, bool]], skip: bool) -> None:
    """Frames of any length, key or not, of two files in any turn."""
    config, _ = dark_frame()
    files = [MediaFileInfo(f"video-{n}.mp4", 10, config.name, config.codec, 320, 180, config.record) for n in (0, 1)]
    rendition, out = Rendition("v", "video.m3u8"), []
    segmenter = Segmenter(out.append)
    at, offsets = 0, [0, 0]
    before: list[tuple[str, float]] = []
    for length, key, second in lengths:
        data = bytes(100)
        segmenter.add(Piece(files[second], offsets[second], data, at, at + length, key))
        offsets[second] += len(data)
        at += length
        for one in out:
            rendition.take(one)
        out.clear()
        text = media_playlist(
            rendition.entries, rendition.unfinished, epoch=EPOCH, ended=False, hint="v0.0.m4s", skip=skip
        )
        skipped, segments = rules(text, delta=skip)
        # What was said of a segment is never taken back, and numbers go on.
        assert skipped + len(segments) == len(rendition.entries)
        assert all(uri == f"v{skipped + n}.m4s" for n, (uri, _) in enumerate(segments))
        if not skip:
            assert segments[: len(before)] == before
            before = segments
    segmenter.close()
    for one in out:
        rendition.take(one)
    _, segments = rules(media_playlist(rendition.entries, None, epoch=EPOCH, ended=True))
    assert sum(length for _, length in segments) == pytest.approx(at / 1000, abs=0.01 * len(segments))


def test_a_part_is_as_long_as_it_may_be() -> None:
    """At 30 pictures a second no part but a segment's last is shorter than 85 % of the target."""
    config, _ = dark_frame()
    file = MediaFileInfo("video-0.mp4", 10, config.name, config.codec, 320, 180, config.record)
    found: list[Part | Segment] = []
    segmenter = Segmenter(found.append)
    for n in range(600):
        start, end = n * 100 // 3, (n + 1) * 100 // 3
        segmenter.add(Piece(file, n * 50, bytes(50), start, end, n % 60 == 0))
    last = {one.number: one.index for one in found if isinstance(one, Part)}
    for one in found:
        if isinstance(one, Part) and one.index != last[one.number]:
            assert 0.85 * PART_MS <= one.end - one.start <= PART_MS
        if isinstance(one, Segment):
            assert one.end - one.start <= TARGET_MS and one.parts


def test_a_delta_update_leaves_out_what_is_old() -> None:
    entries = [
        Entry(f"v{n}.m4s", "v-init0.mp4", n * 2000, n * 2000 + 2000, (PartEntry(f"v{n}.0.m4s", 0, 500, True),))
        for n in range(50)
    ]
    text = media_playlist(entries, None, epoch=EPOCH, ended=False, skip=True)
    assert "#EXT-X-SKIP:SKIPPED-SEGMENTS=37\n" in text and "v36.m4s" not in text and "\nv37.m4s\n" in text
    assert len(text) < len(media_playlist(entries, None, epoch=EPOCH, ended=False)) / 2


async def _all(stream: Stream, folder: Path) -> Path:
    """The stream as files, to be read by programs that know nothing of us."""
    folder.mkdir()
    for one in stream.renditions:
        (folder / one.uri).write_bytes(stream.playlist(one, False))
        for number in range(len(one.files)):
            (folder / f"{one.letter}-init{number}.mp4").write_bytes(one.init(number) or b"")
        for number in range(len(one.entries)):
            body = one.segment(number)
            assert body
            (folder / f"{one.letter}{number}.m4s").write_bytes(await stream.read(body))
    (folder / "master.m3u8").write_bytes(stream.master())
    return folder / "master.m3u8"


async def test_a_programme_is_cut_live_and_read_by_ffmpeg(tmp_path: Path) -> None:
    """Ann, then Bob, then Ann's shared screen, then nobody; backstage before that is not in it."""
    one = await meeting(tmp_path)
    recording, clock = one.recording, one.clock
    ann, bob, screen = camera("ann"), camera("bob"), camera("ann", "VP9", "screen")
    heard = microphone("ann")
    for info in (ann, bob, heard):
        recording.track_opened(info, START)
    streams: list[Stream] = []
    events = [
        (START + 3_000, lambda: streams.append(recording.air())),
        (START + 8_000, lambda: recording.speaker("bob")),
        (START + 14_000, lambda: recording.track_opened(screen, clock.now())),
        (START + 20_000, lambda: recording.track_closed(screen.id, clock.now())),
        (START + 20_000, lambda: recording.track_muted(ann.id, True, clock.now())),
        (START + 20_010, lambda: recording.track_muted(bob.id, True, clock.now())),
    ]
    recording.speaker("ann")
    await one.play(
        video(ann, looped(clip("VP9", colour=RED), 20), START),
        video(bob, looped(clip("VP9", colour=GREEN, width=426, height=240), 20), START + 37),
        video(screen, looped(clip("VP9", colour=BLUE, width=640, height=360), 6), START + 14_000),
        sound(heard, 24, START),
        events=events,
    )
    # The writer's clock goes on while nobody shows a picture.
    for at in range(20_000, 24_100, 100):
        clock.time = START + at
        while recording.backlog:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    (stream,) = streams
    async with asyncio.timeout(10):
        assert await stream.until(stream.video, 6)
    live, _ = rules(stream.playlist(stream.video, False).decode()), rules(stream.playlist(stream.audio, False).decode())
    assert live[1] and not stream.ended
    body = stream.video.segment(0)
    assert body
    parts = [stream.video.part(0, n) for n in range(len(stream.video.entries[0].parts))]
    if parts:
        assert b"".join(part or b"" for part in parts) == await stream.read(body)
    for number in range(len(stream.video.entries) - 2):  # as they are read when memory has forgotten them
        body = stream.video.segment(number)
        if body is not None and body.offset >= 0:
            assert await stream.read(replace(body, data=None)) == await stream.read(body)
    await one.finish(START + 24_100)
    assert stream.ended
    rules(stream.playlist(stream.video, False).decode())

    # Without a hole, from the moment it went live to the end.
    entries = stream.video.entries
    assert all(a.end == b.start for a, b in itertools.pairwise(entries))
    assert 3_000 <= entries[0].start <= 5_100 and abs(entries[-1].end - 24_100) <= 800
    sounds = stream.audio.entries
    assert sounds[0].start == 3_000 and abs(sounds[-1].end - 24_100) <= 40
    time = entries[0].start
    for number in range(len(entries)):
        found = stream.video.segment(number)
        assert found
        data = await stream.read(found)
        for fragment in read_fragments(data):
            assert fragment.time == time
            time += fragment.duration

    master = await _all(stream, tmp_path / "out")
    assert decode_errors(master) == ""
    colours: list[tuple[float, str]] = []
    with av.open(str(tmp_path / "out" / "video.m3u8"), options={"allowed_extensions": "ALL"}) as opened:
        for frame in opened.decode(video=0):
            picture = frame.to_ndarray(format="rgb24")[2, 2].astype(int)
            name = next(
                (n for n, c in (("red", RED), ("green", GREEN), ("blue", BLUE)) if abs(picture - c).max() < 70), "dark"
            )
            if not colours or colours[-1][1] != name:
                colours.append((float(frame.time), name))
    assert [name for _, name in colours] == ["red", "green", "blue", "dark"]
    assert 8 <= colours[1][0] <= 12.1 and 14 <= colours[2][0] <= 14.1 and 20 <= colours[3][0] <= 21.6
