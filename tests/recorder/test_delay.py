# ruff: noqa: ASYNC110
"""A live programme some seconds later than it happens, and what is cut from it before it goes out."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.edits import load_edits
from recorder.fmp4 import Sample, fragment
from recorder.live.aac import Aac
from recorder.live.delay import Delay, News
from recorder.live.playlist import media_playlist
from recorder.live.segmenter import Part, Piece, Segment, Segmenter
from recorder.live.stillness import SILENT
from recorder.live.stream import Rendition, Stream
from recorder.manifest import Passage
from recorder.parts import MediaFileInfo
from recorder.playlist import dark_frame
from tests.recorder.kit import GREEN, START, clip, decode_errors, looped, meeting, microphone, sound, video
from tests.recorder.kit import track as camera
from tests.recorder.test_left_out import said
from tests.recorder.test_live import EPOCH, rules


def files() -> dict[str, MediaFileInfo]:
    config, _ = dark_frame()
    picture = MediaFileInfo("video-0.mp4", 10, config.name, config.codec, 320, 180, config.record)
    return {"v": picture, "a": MediaFileInfo("mix.mp4", 10, "OPUS", "opus", 0, 0, bytes(11))}


def programme(lengths: list[tuple[int, bool]]) -> list[News]:
    """What a writer tells of frames of these lengths, key or not; each carries a mark, and its time in it."""
    found: list[News] = []
    for letter, file in files().items():
        segmenter = Segmenter(lambda one, letter=letter: found.append((letter, one)))  # type: ignore[misc]
        at = offset = 0
        for length, key in lengths:
            scale = 48 if letter == "a" else 1
            data = fragment(1, [Sample(at * scale, length * scale, key, b"SECRET%08d" % at)])
            segmenter.add(Piece(file, offset, data, at, at + length, key or letter == "a"))
            at, offset = at + length, offset + len(data)
        segmenter.close()
    return sorted(found, key=lambda news: news[1].end)


@given(
    lengths=st.lists(st.tuples(st.integers(1, 1_200), st.booleans()), min_size=1, max_size=120),
    seconds=st.floats(0.5, 30),
    cuts=st.lists(st.integers(0, 60_000), max_size=3),
)
def test_of_what_was_cut_no_byte_leaves_and_the_timeline_has_no_hole(
    lengths: list[tuple[int, bool]], seconds: float, cuts: list[int]
) -> None:
    delay = Delay(seconds)
    renditions = {letter: Rendition(letter, letter) for letter in "va"}
    out: list[News] = []
    left: list[tuple[int, int]] = []
    waiting = sorted(cuts)

    def release(now: float) -> None:
        for letter, one in delay.due(now):
            out.append((letter, one))
            renditions[letter].take(one)

    for letter, one in programme(lengths):
        while waiting and waiting[0] <= one.end:
            at = waiting.pop(0)
            release(at / 1000)
            gone = {letter: renditions[letter].end for letter in "va"}
            since = delay.cut(at)
            assert since == (min(gone.values()) if any(gone.values()) else 0)
            left.append((max(gone.values()), at))
        release(one.end / 1000)
        delay.put(letter, one, one.end / 1000)
        assert all(news.end / 1000 <= one.end / 1000 - seconds + 0.001 for _, news in out[-3:])
    while delay.next is not None:
        release(delay.next)

    for letter, rendition in renditions.items():
        _, segments = rules(media_playlist(rendition.entries, rendition.unfinished, epoch=EPOCH, ended=True))
        assert sum(length for _, length in segments) == pytest.approx(sum(one for one, _ in lengths) / 1000, abs=0.1)
        times = [(one.start, one.end) for one in rendition.entries]
        assert all(a[1] == b[0] for a, b in itertools.pairwise(times))
        for number in range(len(rendition.entries)):
            body = rendition.segment(number)
            assert body is not None
            data = next(n.data for k, n in out if k == letter and isinstance(n, Segment) and n.number == number)
            parts = [n.data for k, n in out if k == letter and isinstance(n, Part) and n.number == number]
            assert not parts or b"".join(parts) == data
            for said_at in (int(data[i + 6 : i + 14]) for i in range(len(data)) if data[i : i + 6] == b"SECRET"):
                assert not any(since <= said_at < until for since, until in left), (letter, said_at, left)


def test_without_a_cut_everything_comes_as_it_was_only_later() -> None:
    delay, news = Delay(5), programme([(33, n % 60 == 0) for n in range(300)])
    for letter, one in news:
        delay.put(letter, one, one.end / 1000)
    assert delay.next == news[0][1].end / 1000 + 5
    assert delay.due(news[0][1].end / 1000 + 4.9) == []
    assert delay.due(100) == news and delay.next is None


def test_silence_is_silent(tmp_path: Path) -> None:
    heard: list[bytes] = []
    aac = Aac(tmp_path, 0, lambda file, offset, data, start, end: heard.append(data))
    aac.add(0, np.zeros(48_000, np.int16))
    specific = aac._encoder.extradata
    aac.close()
    for codec, layout, size in (("libopus", "mono", 960), ("aac", "mono", 1024)):
        decoder = av.CodecContext.create(codec, "r")
        decoder.sample_rate, decoder.layout = 48_000, layout  # type: ignore[attr-defined]
        if codec == "aac":
            decoder.extradata = specific
        for _ in range(5):
            for frame in decoder.decode(av.Packet(SILENT["AAC" if codec == "aac" else "OPUS"])):
                assert abs(frame.to_ndarray().astype(float)).max() == 0 and frame.samples == size  # type: ignore[union-attr]


def green(frame: av.VideoFrame) -> float:
    return float(frame.to_ndarray(format="rgb24")[10, 10, 1])


def _held(stream: Stream) -> list[News]:
    assert stream._delay is not None
    return [(one.letter, one.news) for one in stream._delay._held]


async def test_a_delayed_broadcast_is_cut_and_so_is_its_replay(tmp_path: Path) -> None:
    """On the meeting's clock the delay is over at once or not at all: real time is shorter than it."""
    one = await meeting(tmp_path)
    recording = one.recording
    recording.participant("ann", "Ann")
    recording.track_opened(camera("ann"), START)
    recording.track_opened(microphone("ann"), START)
    recording.speaker("ann")
    stream = recording.air(delay=600)

    def go_out() -> None:
        assert stream._delay is not None
        stream._publish(stream._delay.due(1e12))

    seen = list(video(camera("ann"), looped(clip("VP9", colour=GREEN), 20), START))
    heard = list(sound(microphone("ann"), 20, START))

    async def play(since: int, until: int) -> None:
        await one.play(*([p for p in all if since <= p.room_ms - START < until] for all in (seen, heard)))

    await play(0, 5_000)
    async with asyncio.timeout(10):
        while {letter for letter, news in _held(stream) if news.end > 3_500} != {"v", "a"}:
            await asyncio.sleep(0.01)  # the writer has a thread of its own
    assert not stream.started
    go_out()
    await play(5_000, 10_000)
    recording.cue(said("heard", "ann", START + 1_000))
    recording.cue(said("withdrawn", "ann", START + 7_000))
    one.clock.time = START + 10_000
    recording.hold(True)
    for at in range(10_000, 14_000, 100):
        one.clock.time = START + at
        while recording.backlog:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.02)
    one.clock.time = START + 14_000
    recording.hold(False)
    await play(14_000, 20_000)
    manifest = await one.finish(START + 20_000)
    await asyncio.sleep(0)
    go_out()
    ((since, until),) = recording.pauses
    assert 3_000 < since <= 5_000 and until == 14_000
    (gone,) = manifest.withdrawn
    assert (gone.start, gone.end) == (since, 10_000) and manifest.pauses == [Passage(start=10_000, end=14_000)]
    cuts = load_edits(tmp_path, "rec1").cuts
    assert cuts[0].start == since and any(cut.start <= since and cut.end >= 10_000 for cut in cuts)

    # What viewers got: green, dark from the cut to the end of the pause, green; the same of the voice.
    for rendition in stream.renditions:
        path, felt = tmp_path / f"{rendition.letter}.mp4", list[tuple[float, float]]()
        for init, entries in itertools.groupby(enumerate(rendition.entries), key=lambda one: one[1].map):
            assert init is not None
            data = rendition.init(int(init[6:-4])) or b""
            for number, _ in entries:
                body = rendition.segment(number)
                assert body is not None
                data += await stream.read(body)
            path.write_bytes(data)
            assert decode_errors(path) == ""
            with av.open(str(path)) as media:
                for frame in media.decode(media.streams[0]):
                    is_sound = isinstance(frame, av.AudioFrame)
                    felt.append((frame.time * 1000, float(abs(frame.to_ndarray()).max() if is_sound else green(frame))))
        still = 0.01 if rendition.letter == "a" else 60
        assert max(size for time, size in felt if since + 600 < time < 12_900) < still
        for begin, end in ((1_000, since - 600), (14_600, 19_000)):
            assert min(size for time, size in felt if begin < time < end) > still
