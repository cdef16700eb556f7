"""An interpreters' channel in a live programme: a rendition of its own that is the mix until somebody interprets."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from recorder.live.stream import Stream
from signaling.live import _NAME
from tests.recorder.kit import START, decode_errors, meeting, microphone, sound
from tests.recorder.test_interpreted import ANN, INA, tones
from tests.recorder.test_live import _all, rules


@pytest.mark.parametrize("delay", [0.0, 0.3])
async def test_a_channel_is_a_rendition_of_the_live_programme(tmp_path: Path, delay: float) -> None:
    one = await meeting(tmp_path)
    recording = one.recording
    for person in ("ann", "ina"):
        recording.participant(person, person.title())
        recording.track_opened(microphone(person), START)
    streams: list[Stream] = []
    await one.play(
        sound(microphone("ann"), 15, START, ANN),
        sound(microphone("ina"), 15, START, INA),
        events=[
            (START + 1000, lambda: recording.interpret("ina", "pt")),
            (START + 1310, lambda: recording.interpret("ina", None)),
            (START + 2000, lambda: streams.append(recording.air(delay=delay))),
            (START + 7130, lambda: recording.interpret("ina", "es")),
            (START + 11_000, lambda: recording.interpret("ina", None)),
        ],
    )
    while recording.backlog:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    await one.finish(START + 15_000)
    (stream,) = streams
    async with asyncio.timeout(10):
        await stream.until(stream.audio, 10_000)
    assert list(stream.channels) == ["pt", "es"]
    times = [(entry.start, entry.end) for entry in stream.audio.entries]
    for channel in stream.channels.values():
        assert [(entry.start, entry.end) for entry in channel.entries] == times, "as long as the mix, cut where it is"
        assert all(a.end == b.start for a, b in pairwise(channel.entries))
        rules(stream.playlist(channel, False).decode())
        for entry in channel.entries:
            assert _NAME.fullmatch(entry.uri) and entry.map and _NAME.fullmatch(entry.map)
    spanish = stream.channels["es"].entries
    assert spanish[0].uri == "a0.m4s" and spanish[-1].uri == f"c-es-{len(spanish) - 1}.m4s", "the mix, then its own"
    master = await _all(stream, tmp_path / "out")
    assert 'NAME="Español",LANGUAGE="es",DEFAULT=NO,AUTOSELECT=NO,URI="audio.es.m3u8"' in master.read_text()
    assert decode_errors(tmp_path / "out" / "audio.es.m3u8") == ""
    heard, floor = tones(tmp_path / "out" / "audio.es.m3u8"), tones(tmp_path / "out" / "audio.m3u8")
    loud = max(floor[ANN])
    assert max(floor[INA][11:17]) < loud / 10, "the floor does not have her"
    assert min(heard[INA][12:17]) > loud / 2 and max(heard[ANN][12:17]) < loud / 4, "her channel has, over the floor"
    assert min(heard[ANN][1:9]) > loud / 2 and min(heard[ANN][20:24]) > loud / 2, "before and after it is the floor"
