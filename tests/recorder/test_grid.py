"""Everybody side by side: what is told, and which bytes may be read for it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from recorder.clip import Limits
from recorder.grid import grid, may_read, shown, track_playlist
from recorder.index import Index, IndexedTrack
from recorder.manifest import Manifest, Passage, Person, Track
from recorder.parts import Group, MediaFileInfo

CAMERA = IndexedTrack(
    index=1,
    files=[
        MediaFileInfo("video-1-0.mp4", 700, "VP9", "vp09.00.10.08", 320, 180, b""),
        MediaFileInfo("video-1-1.mp4", 800, "VP9", "vp09.00.10.08", 640, 360, b""),
    ],
    groups=[
        Group(0, 700, 100, 1_000, 5_000),
        Group(0, 800, 100, 5_000, 9_000),
        Group(1, 800, 100, 30_000, 34_000),
        Group(1, 900, 100, 34_000, 38_000),
    ],
)
INDEX = Index(origin=0.0, mix=MediaFileInfo("mix.mp4", 500, "OPUS", "opus", 0, 0, b""), tracks=[CAMERA])


def track(index: int, who: str, kind: Literal["audio", "video"], source: str, opened: float, closed: float) -> Track:
    return Track(
        index=index, participant=who, kind=kind, source=source, codec="", opened=opened, closed=closed, dropped=0,
        files=[],
    )  # fmt: skip


MANIFEST = Manifest(
    version=1, id="rec1", room="demo", title="", purpose="", started_by="", duration=60_000,
    started_at=datetime(2026, 1, 1, tzinfo=UTC), state="complete", problem=None, languages=[], captions={},
    people=[Person(id="ann", name="Ann"), Person(id="bob", name="Bob")], transcript=[], chat=[], speakers=[],
    tracks=[
        track(0, "ann", "audio", "microphone", 0, 60_000), track(1, "ann", "video", "camera", 0, 60_000),
        track(2, "bob", "audio", "microphone", 10_000, 20_000), track(3, "bob", "audio", "microphone", 40_000, 60_000),
    ], master="master.m3u8", files={}, bytes=0,
)  # fmt: skip


def passage(start: float, end: float) -> Passage:
    return Passage(start=start, end=end)


def test_who_was_there_when_and_where_a_camera_was_off() -> None:
    ann, bob = grid(MANIFEST, INDEX, Limits()).seats
    assert (ann.name, ann.present) == ("Ann", [passage(0, 60_000)])
    assert ann.pictures[0].spans == [passage(1_000, 9_000), passage(30_000, 38_000)]
    assert (bob.present, bob.pictures) == ([passage(10_000, 20_000), passage(40_000, 60_000)], [])
    lines = track_playlist(CAMERA, Limits()).splitlines()
    lengths = [float(line[8:-1]) for line in lines if line.startswith("#EXTINF")]
    assert sum(lengths) == 38 and max(lengths) <= 4
    assert [line for line in lines if line.startswith("#EXT-X-MAP")] == [
        '#EXT-X-MAP:URI="../media/video-1-0.mp4",BYTERANGE="700@0"',
        '#EXT-X-MAP:URI="../media/video-1-1.mp4",BYTERANGE="800@0"',
    ]


def test_of_somebody_who_was_there_only_in_what_was_cut_out_nothing_is_told() -> None:
    cut = (passage(9_500, 21_000), passage(40_000, 60_000))
    assert [seat.id for seat in grid(MANIFEST, INDEX, Limits(None, cut), cut).seats] == ["ann"]


def test_of_a_passage_nobody_gets_more_than_its_programme() -> None:
    assert may_read(INDEX, "video-1-0.mp4", 700, 800, Limits())
    assert not may_read(INDEX, "video-1-0.mp4", 700, 800, Limits(passage(0, 60_000)))


@given(
    st.lists(st.tuples(st.integers(0, 40_000), st.integers(1, 9_000)), max_size=4),
    st.integers(0, 1000), st.integers(1, 300), st.sampled_from([0, 1]),
)  # fmt: skip
def test_no_byte_of_a_cut_may_be_read_and_no_playlist_leads_to_one(
    cuts: list[tuple[int, int]], offset: int, size: int, file: int
) -> None:
    limits = Limits(None, tuple(passage(start, start + length) for start, length in sorted(cuts)))
    hidden = [one for one in CAMERA.groups if not limits.shows(one.start, one.end) and one.file == file]
    if may_read(INDEX, CAMERA.files[file].name, offset, offset + size, limits):
        assert all(offset + size <= one.offset or offset >= one.offset + one.size for one in hidden)
    seen = shown(CAMERA, limits)
    text = track_playlist(CAMERA, limits)
    assert text.count("#EXT-X-BYTERANGE") == len(seen)
    assert all(f"#EXT-X-BYTERANGE:{one.size}@{one.offset}" in text for one in seen)
