"""Who does not want to be recorded is not: nothing of them is written from that moment on."""

from __future__ import annotations

from pathlib import Path

import av
from kit import GREEN, RED, START, clip, looped, meeting, microphone, sound, track, video

from recorder import playlist
from recorder.clip import Limits, widened
from recorder.edits import load_edits
from recorder.manifest import Passage
from recorder.service import Cue


def said(segment: str, person: str, at: float) -> Cue:
    return Cue(segment=segment, revision=1, participant=person, source="en", language="en",
               start=at, end=at + 1000, text=f"{person} {segment}")  # fmt: skip


async def test_somebody_left_out_from_the_start_leaves_no_trace(tmp_path: Path) -> None:
    one = await meeting(tmp_path)
    recording = one.recording
    recording.leave_out("bob", True)
    for person in ("ann", "bob"):
        recording.participant(person, person.title())
        recording.track_opened(track(person), START)
        recording.track_opened(microphone(person), START)
    await one.play(
        video(track("ann"), looped(clip("VP9", colour=RED), 3), START),
        video(track("bob"), looped(clip("VP9", colour=GREEN), 3), START),
        sound(microphone("bob"), 3, START),
        events=[
            (START + 100, lambda: recording.speaker("bob")),
            (START + 200, lambda: recording.cue(said("s", "bob", START + 100))),
            (START + 300, lambda: recording.chat("bob", "Bob", "secret", START + 300)),
        ],
    )
    manifest = await one.finish(START + 3000)
    assert [person.id for person in manifest.people] == ["ann"]
    assert {track.participant for track in manifest.tracks} == {"ann"}
    assert not manifest.chat and not manifest.transcript and not manifest.speakers
    assert {asked for asked in one.asked} == {"ann-camera"}
    for path in (tmp_path / "rec1").rglob("*"):
        if path.is_file():
            assert b"secret" not in path.read_bytes() and b"bob" not in path.read_bytes()
    with av.open(str(tmp_path / "rec1" / "mix.mp4")) as mix:
        assert max(abs(frame.to_ndarray()).max() for frame in mix.decode(audio=0)) < 0.01


async def test_a_refusal_ends_their_tracks_and_an_agreement_begins_new_ones(tmp_path: Path) -> None:
    one = await meeting(tmp_path)
    recording = one.recording
    recording.participant("bob", "Bob")
    recording.track_opened(track("bob"), START)
    recording.track_opened(microphone("bob"), START)
    recording.speaker("bob")

    def again() -> None:
        recording.leave_out("bob", False)
        recording.participant("bob", "Bob")

    await one.play(
        video(track("bob"), looped(clip("VP9", colour=GREEN), 9), START),
        sound(microphone("bob"), 9, START),
        events=[
            (START + 1000, lambda: recording.cue(said("before", "bob", START + 100))),
            (START + 3000, lambda: recording.leave_out("bob", True)),
            (START + 4000, lambda: recording.cue(said("between", "bob", START + 3100))),
            (START + 6000, again),
            (START + 8000, lambda: recording.cue(said("after", "bob", START + 7000))),
        ],
    )
    manifest = await one.finish(START + 9000)
    times = sorted((t.kind, round(t.opened), round(t.closed)) for t in manifest.tracks)
    assert times == [("audio", 0, 3000), ("audio", 6000, 9000), ("video", 0, 3000), ("video", 6000, 9000)]
    assert [line.texts["en"] for line in manifest.transcript] == ["bob before", "bob after"]
    assert [(s.start, s.end) for s in manifest.speakers] == [(0, 3000), (6000, 9000)]
    with av.open(str(tmp_path / "rec1" / "mix.mp4")) as mix:
        loud = [(frame.time, abs(frame.to_ndarray()).max()) for frame in mix.decode(audio=0)]
    assert max(size for time, size in loud if 3.1 < time < 5.9) < 0.01
    assert min(size for time, size in loud if 6.2 < time < 8.8) > 0.05


async def test_a_pause_is_silence_and_darkness_and_is_cut_out_of_the_replay(tmp_path: Path) -> None:
    one = await meeting(tmp_path)
    recording = one.recording
    recording.participant("ann", "Ann")
    recording.track_opened(track("ann"), START)
    recording.track_opened(microphone("ann"), START)
    recording.speaker("ann")
    await one.play(
        video(track("ann"), looped(clip("VP9", colour=GREEN), 25), START),
        sound(microphone("ann"), 25, START),
        events=[
            (START + 5_000, lambda: recording.hold(True)),
            (START + 5_500, lambda: recording.cue(said("before", "ann", START + 4_200))),
            (START + 8_000, lambda: recording.chat("ann", "Ann", "secret", START + 8_000)),
            (START + 14_000, lambda: recording.hold(False)),
            (START + 15_000, lambda: recording.cue(said("into", "ann", START + 4_800))),
            (START + 15_001, lambda: recording.cue(said("within", "ann", START + 9_000))),
            (START + 24_000, lambda: recording.cue(said("after", "ann", START + 20_000))),
        ],
    )
    manifest = await one.finish(START + 25_000)
    assert manifest.pauses == [Passage(start=5_000, end=14_000)]
    assert sorted((t.kind, round(t.opened), round(t.closed)) for t in manifest.tracks) == [
        ("audio", 0, 5_000), ("audio", 14_000, 25_000), ("video", 0, 5_000), ("video", 14_000, 25_000),
    ]  # fmt: skip
    assert [line.texts["en"] for line in manifest.transcript] == ["ann before", "ann after"]
    assert not manifest.chat and [(s.start, s.end) for s in manifest.speakers] == [(0, 5_000), (14_000, 25_000)]
    (cut,) = load_edits(tmp_path, "rec1").cuts
    assert 5_000 <= cut.start < 9_000 + 1 and 10_000 - 1 < cut.end <= 14_000
    limits = Limits(cuts=(cut,))
    assert limits.shows(0, 5_000) and limits.shows(14_000, 25_000) and not limits.shows(8_500, 9_000)
    texts = [(tmp_path / "rec1" / name).read_text() for name in (playlist.VIDEO, playlist.AUDIO)]
    assert widened(texts, [cut])[0].start >= 5_000 - 1 and widened(texts, [cut])[0].end <= 14_000 + 1
    with av.open(str(tmp_path / "rec1" / "mix.mp4")) as mix:
        loud = [(frame.time, abs(frame.to_ndarray()).max()) for frame in mix.decode(audio=0)]
    assert max(size for time, size in loud if 5.1 < time < 13.9) < 0.01
