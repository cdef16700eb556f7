"""An interpreter's voice is not of the floor while they interpret: not in the mix, and the manifest says when."""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from kit import START, decode_errors, meeting, microphone, sound

from recorder import repair
from recorder.export import export
from recorder.manifest import Interpretation

ANN, INA = 300.0, 900.0


def tones(path: Path) -> dict[float, list[float]]:
    """How loud each of the two tones is in every half second of the mix."""
    with av.open(str(path)) as mix:
        heard = np.concatenate([frame.to_ndarray().ravel() for frame in mix.decode(audio=0)])
    return {
        tone: [
            float(np.abs(np.fft.rfft(part * np.hanning(len(part))))[round(tone / 2) - 2 : round(tone / 2) + 3].max())
            for part in heard[: len(heard) // 24_000 * 24_000].reshape(-1, 24_000)
        ]
        for tone in (ANN, INA)
    }


async def test_what_is_interpreted_is_not_in_the_mix_of_the_floor(tmp_path: Path) -> None:
    one = await meeting(tmp_path)
    recording = one.recording
    for person in ("ann", "ina"):
        recording.participant(person, person.title())
        recording.track_opened(microphone(person), START)
    await one.play(
        sound(microphone("ann"), 9, START, ANN),
        sound(microphone("ina"), 9, START, INA),
        events=[
            (START + 2000, lambda: recording.interpret("ina", "es")),
            (START + 2500, lambda: recording.interpret("ina", "es")),
            (START + 4000, lambda: recording.interpret("ina", "pt")),
            (START + 5000, lambda: recording.leave_out("ina", True)),
            (START + 5500, lambda: recording.leave_out("ina", False)),
            (START + 7000, lambda: recording.interpret("ina", None)),
        ],
    )
    while recording.backlog:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    copy = shutil.copytree(tmp_path / "rec1", tmp_path / "torn" / "rec1")
    manifest = await one.finish(START + 9000)
    assert manifest.channels == [
        Interpretation(language="es", participant="ina", start=2000, end=4000),
        Interpretation(language="pt", participant="ina", start=4000, end=5000),
        Interpretation(language="pt", participant="ina", start=5500, end=7000),
    ]
    for folder in (tmp_path / "rec1", copy):
        if folder is copy:  # and after a crash
            repaired = repair.repair(copy)
            assert repaired is not None and repaired.channels == manifest.channels
        found = tones(folder / "mix.mp4")
        loud = max(found[INA])
        floor = [part > loud / 3 for part in found[INA]]
        assert floor[1:3] == [True, True] and not any(floor[5:13]) and floor[15:17] == [True, True]
        assert min(found[ANN][1:13]) > max(found[ANN]) / 3, "she is heard all the time"
        spanish, portuguese = tones(folder / "mix-es.mp4"), tones(folder / "mix-pt.mp4")
        for heard, spoken in ((spanish, (4, 8)), (portuguese, (8, 10))):
            assert [part > loud / 3 for part in heard[INA]][1:9] == [
                at < 4 or spoken[0] <= at < spoken[1] for at in range(1, 9)
            ], "with the floor until she interprets, then in her channel only"
            beneath = heard[ANN][spoken[0] + 1 : spoken[1]]
            assert all(0.1 < part / max(heard[ANN]) < 0.25 for part in beneath), "quieter, by 16 dB"
            assert min(heard[ANN][15:17]) > max(heard[ANN]) / 2, "and as it was again"
        master = (folder / "master.m3u8").read_text()
        assert 'NAME="Español",LANGUAGE="es",DEFAULT=NO' in master and 'URI="audio.pt.m3u8"' in master
        assert {"audio.es.m3u8", "mix-es.mp4", "mix-pt.mp4"} <= set(manifest.files)
        lengths = re.findall(r"EXTINF:([\d.]+)", (folder / "audio.es.m3u8").read_text())
        assert sum(map(float, lengths)) == pytest.approx(9, abs=0.05)
        assert decode_errors(folder / "master.m3u8", "-map", "0:a") == ""
    for kind in ("mkv", "mp4", "webm"):
        kept = await export(tmp_path, "rec1", kind, tmp_path / f"kept.{kind}")
        with av.open(str(kept)) as opened:
            sounds = opened.streams.audio
            assert [one.metadata.get("language", "und") for one in sounds] == ["und", "spa", "por"], kind
            default = [bool(one.disposition & av.stream.Disposition.default) for one in sounds]
            assert default == [True, False, False], kind
            heard = {packet.stream.index for packet in opened.demux(sounds) if packet.size}
            assert heard == {one.index for one in sounds}, kind
    with av.open(str(tmp_path / "rec1" / manifest.tracks[1].files[0])) as own:
        assert own.duration == pytest.approx(5_000_000, abs=100_000), "their own track has it all"
