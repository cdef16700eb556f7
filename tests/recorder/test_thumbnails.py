"""The seek bar's pictures: which are chosen, what the file says, and that what cannot be decoded is dark."""

from __future__ import annotations

import io
from itertools import pairwise

import av
import numpy as np

from benchmarks._synthetic import vp9_clip
from recorder.bitstream import vp9_config
from recorder.clip import Limits, cut
from recorder.fmp4 import Sample, fragment, init_segment
from recorder.manifest import Passage
from recorder.thumbnails import COLUMNS, MOST, SHEET, index, sheet, stills


def playlist(segments: int, seconds: int = 4) -> str:
    lines = ["#EXTM3U", f"#EXT-X-TARGETDURATION:{seconds}", '#EXT-X-MAP:URI="video-0.mp4",BYTERANGE="700@0"']
    for number in range(segments):
        lines += [f"#EXTINF:{seconds}.000,", f"#EXT-X-BYTERANGE:1000@{700 + number * 1000}", "video-0.mp4"]
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""])


def test_long_recordings_get_no_more_pictures_than_a_few_sheets() -> None:
    for segments in (1, 10, 2700, 9000):
        chosen = stills(playlist(segments))
        assert len(chosen) == min(len(chosen), MOST) and len(chosen) >= min(segments, MOST * 2 // 3)
        assert chosen[0].start == 0 and chosen[-1].end == segments * 4000
        assert all(one.end == other.start for one, other in pairwise(chosen))
    assert stills("#EXTM3U\n") == []


def test_of_what_is_cut_out_there_is_no_picture() -> None:
    limits = Limits(None, (Passage(start=9_000, end=15_000),))
    chosen = stills(cut(playlist(10), limits).text)
    assert [one.start for one in chosen] == [0, 4_000, 16_000, 20_000, 24_000, 28_000, 32_000, 36_000]
    assert not {one.offset for one in chosen} & {2_700, 3_700}
    text = index(chosen)
    assert "00:00:04.000 --> 00:00:16.000\n0.jpg#xywh=160,0,160,90" in text
    assert "00:00:24.000 --> 00:00:28.000\n0.jpg#xywh=640,0,160,90" in text
    assert f"\n{len(stills(playlist(60))) // SHEET}.jpg#xywh=" in index(stills(playlist(60)))


def test_a_sheet_has_each_picture_at_its_place() -> None:
    parts = []
    for colour in ((200, 0, 0), (0, 0, 200)):
        data = vp9_clip(320, 180, colour, 1, 15, 1)[0][2]
        config = vp9_config(data)
        assert config
        parts.append(init_segment(config) + fragment(1, [Sample(0, 66, True, data)]) + b"\0\0\1\0moof torn")
    made = sheet([parts[0], b"no picture", parts[1], *[parts[0]] * COLUMNS])
    with av.open(io.BytesIO(made), "r", format="image2pipe") as opened:
        seen = next(opened.decode(video=0)).to_ndarray(format="rgb24")
    assert seen.shape == (180, 800, 3)

    def at(column: int, row: int) -> list[bool]:
        return [int(one) > 120 for one in np.asarray(seen)[row * 90 + 20, column * 160 + 80]]

    assert [at(0, 0), at(1, 0), at(2, 0), at(2, 1), at(3, 1)] == [
        [True, False, False],
        [False, False, False],
        [False, False, True],
        [True, False, False],
        [False, False, False],
    ]
