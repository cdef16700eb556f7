"""Who is shown live: pictures as they come in, one programme without a hole out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from recorder.fmp4 import Sample, fragment, read_fragments
from recorder.live.director import BEGIN_MS, PATIENCE_MS, SCREEN_PATIENCE_MS, Director
from recorder.live.segmenter import Piece
from recorder.parts import MediaFileInfo
from recorder.playlist import FILLER, dark_frame
from recorder.programme import DWELL_MS, FREEZE_MS

FRAME = 40
ANN, BOB, SCREEN = 0, 1, 2


class Programme:
    """A director, its sources, and what it showed as (file, from, to), joined."""

    def __init__(self, begin: int = 0) -> None:
        self.pieces: list[Piece] = []
        self.director = Director(begin, self.pieces.append)
        for track, (who, screen) in enumerate((("ann", False), ("bob", False), ("ann", True))):
            self.director.opened(track, who, screen)

    def frame(self, track: int, start: int, key: bool = False, length: int = FRAME) -> None:
        config, picture = dark_frame()
        file = MediaFileInfo(f"video-{track}.mp4", 1, config.name, config.codec, 320, 180, config.record)
        data = fragment(1, [Sample(start, length, key, picture)])
        self.director.piece(track, Piece(file, 0, data, start, start + length, key))

    def run(self, track: int, start: int, end: int, key_every: int = 1_000) -> None:
        for at in range(start, end, FRAME):
            self.frame(track, at, (at - start) % key_every == 0)
            self.director.advance(at + FRAME)

    def shown(self) -> list[tuple[str, int, int]]:
        """Holds to it that there is no hole, and that the bytes say what is promised."""
        found: list[tuple[str, int, int]] = []
        for one in self.pieces:
            (inside,) = read_fragments(one.data)
            assert (inside.time, inside.time + inside.duration) == (one.start, one.end)
            if found:
                assert found[-1][2] == one.start
            if found and found[-1][0] == one.file.name:
                found[-1] = (found[-1][0], found[-1][1], one.end)
            else:
                assert one.key
                found.append((one.file.name, one.start, one.end))
        return found


def test_the_speaker_is_shown_from_their_next_key_frame_and_not_too_soon() -> None:
    one = Programme()
    one.frame(ANN, 0, key=True)
    one.director.speaker = "bob"
    one.frame(BOB, 10)  # no key frame
    one.frame(BOB, 500, key=True)  # too soon
    one.run(ANN, 40, 2_400)
    one.frame(BOB, 2_400, key=True)
    assert one.shown() == [("video-0.mp4", 0, 2_400), ("video-1.mp4", 2_400, 2_440)]
    assert one.director.shown == "bob" and DWELL_MS < 2_400


def test_a_screen_and_a_spotlight_come_at_once_and_a_spotlight_wins() -> None:
    one = Programme()
    one.director.speaker = "bob"
    one.frame(BOB, 0, key=True)
    one.frame(SCREEN, 40, key=True)
    one.frame(BOB, 80, key=True)
    one.director.spotlight = "bob"
    one.frame(BOB, 120, key=True)
    one.frame(SCREEN, 160, key=True)
    names = [name for name, _, _ in one.shown()]
    assert names == ["video-1.mp4", "video-2.mp4", "video-1.mp4"]


def test_a_late_key_frame_begins_where_the_last_picture_ended() -> None:
    one = Programme()
    one.run(ANN, 0, 3_000)
    one.director.speaker = "bob"
    for at in range(2_800, 3_200, FRAME):  # bob's network is slower than ann's
        one.frame(BOB, at, at == 2_800)
    assert [(name, start) for name, start, _ in one.shown()] == [("video-0.mp4", 0), ("video-1.mp4", 3_000)]
    assert one.shown()[-1][2] == 3_200  # and is in time again by itself


def test_nobody_has_a_picture() -> None:
    one = Programme()
    one.director.advance(BEGIN_MS - 1)
    assert one.pieces == []
    one.director.advance(BEGIN_MS + 1_000)
    assert [name for name, _, _ in one.shown()] == [f"{FILLER}live"] and one.shown()[0][1] == 0
    one.run(ANN, 3_000, 4_000)
    one.director.stopped(ANN)
    one.director.advance(4_000 + FREEZE_MS)
    assert one.shown()[-1] == ("video-0.mp4", one.shown()[1][1], 4_000)  # the last picture stays a while
    one.director.advance(4_000 + FREEZE_MS + 1_500)
    assert one.shown()[-1][0] == f"{FILLER}live"


def test_a_camera_that_falls_silent_is_gone_sooner_than_a_screen() -> None:
    one = Programme()
    one.run(ANN, 0, 1_000)
    one.director.advance(1_000 + PATIENCE_MS + 600)
    assert one.director.shown is None and one.shown()[-1][0] == f"{FILLER}live"
    other = Programme()
    other.run(SCREEN, 0, 1_000)
    other.director.advance(1_000 + PATIENCE_MS + 600)
    assert other.director.shown == "ann" and PATIENCE_MS + 600 < SCREEN_PATIENCE_MS


def test_what_was_before_it_went_live_is_not_shown() -> None:
    one = Programme(begin=5_000)
    one.run(ANN, 3_000, 6_000)
    assert one.shown()[0][1] >= 5_000


@given(
    st.lists(
        st.tuples(st.sampled_from([ANN, BOB, SCREEN]), st.integers(0, 6_000), st.booleans(), st.integers(1, 1_200)),
        max_size=120,
    )
)
def test_whatever_comes_there_is_no_hole(frames: list[tuple[int, int, bool, int]]) -> None:
    """Frames of three tracks in any order and of any length, with silences and people who stop."""
    one, last, now = Programme(), {ANN: 0, BOB: 0, SCREEN: 0}, 0
    for track, wait, key, length in frames:
        last[track] = max(last[track], now - 500) + (wait if wait > 5_000 else wait % 50)
        one.frame(track, last[track], key, length)
        last[track] += length
        now = max(now, last[track])
        one.director.advance(now)
        if wait % 17 == 0:
            one.director.stopped(track)
    one.shown()
