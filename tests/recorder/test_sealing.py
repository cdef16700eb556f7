"""Encryption at rest: what is read is what was written, or an error; from any byte to any other, after any crash."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit import BLUE, START, clip, decode_errors, looped, meeting, microphone, sound, track, video

from recorder import archive, repair
from recorder.manifest import content_type
from recorder.sealing import blocks, files, keys
from recorder.sealing.blocks import Reader, SealBroken, SealedFile, plain_size
from recorder.service import Recorder, export, load
from recorder.tracks import stored_tracks
from tests.recorder.test_crash import crashed

KEY = bytes(range(32))
RING = (bytes(reversed(range(32))),)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 100 bytes, so that small files have many."""
    monkeypatch.setattr(blocks, "SIZE", 100)
    monkeypatch.setattr(blocks, "STRIDE", 100 + blocks.EXTRA)


def reader(data: bytes, key: bytes = KEY, name: str = "a", torn: bool = False) -> Reader:
    return Reader(lambda start, end: data[start:end], len(data), key, name, torn)


def sealed(data: bytes, name: str = "a") -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        file = SealedFile(os.open(path, os.O_RDWR | os.O_CREAT), KEY, name, new=True)
        file.append(data)
        file.close()
        return path.read_bytes()


steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.binary(max_size=350)),
        st.tuples(st.just("patch"), st.tuples(st.floats(0, 1), st.binary(max_size=150))),
        st.tuples(st.just("truncate"), st.floats(0, 1)),
        st.tuples(st.just("sync"), st.none()),
        st.tuples(st.just("reopen"), st.none()),
    ),
    max_size=12,
)


@pytest.mark.usefixtures("small")
@settings(max_examples=120, deadline=None)
@given(steps, st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 3000)), max_size=5))
def test_a_sealed_file_is_a_file(script: list[tuple[str, object]], ranges: list[tuple[int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        model = bytearray()
        file = SealedFile(os.open(path, os.O_RDWR | os.O_CREAT), KEY, "a", new=True)
        for what, given_ in script:
            if what == "append":
                file.append(given_)  # type: ignore[arg-type]
                model += given_  # type: ignore[operator]
            elif what == "patch":
                share, data = given_  # type: ignore[misc]
                at = int(share * len(model))
                file.seek(at)
                file.write(data)
                model[at : at + len(data)] = data
            elif what == "truncate":
                size = int(given_ * len(model))  # type: ignore[operator]
                file.truncate(size)
                del model[size:]
            elif what == "sync":
                file.sync()
                here = path.read_bytes()
                found = reader(here, torn=True)
                assert found.read(0, len(here)) == model, "all that was synced is there, before it is closed"
            else:
                file.close()
                file = SealedFile(os.open(path, os.O_RDWR), KEY, "a", new=False)
        file.close()
        data = path.read_bytes()
        found = reader(data)
        assert found.size == plain_size(len(data)) == len(model)
        for start, end in ranges:
            assert found.read(start, end) == model[start:end]
        assert found.read(0, found.size) == model


@pytest.mark.usefixtures("small")
@settings(max_examples=150, deadline=None)
@given(st.binary(min_size=1, max_size=450), st.data())
def test_whatever_is_changed_is_noticed(plain: bytes, data: st.DataObject) -> None:
    whole = sealed(plain)
    broken = bytearray(whole)
    at = data.draw(st.integers(0, len(whole) - 1))
    broken[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SealBroken):
        reader(bytes(broken)).read(0, len(plain))
    with pytest.raises(SealBroken):
        reader(whole[: data.draw(st.integers(0, len(whole) - 1))]).read(0, len(plain))
    with pytest.raises(SealBroken):
        reader(whole + data.draw(st.binary(min_size=1, max_size=300))).read(0, len(plain) + 300)
    cut = whole[: data.draw(st.integers(blocks.HEAD, len(whole)))]
    torn = reader(cut, torn=True)
    assert plain.startswith(torn.read(0, torn.size)), "of a torn one, what is there is right"


@pytest.mark.usefixtures("small")
def test_blocks_do_not_change_places_or_files() -> None:
    whole = sealed(os.urandom(250))
    first, second = (slice(blocks.HEAD + n * blocks.STRIDE, blocks.HEAD + (n + 1) * blocks.STRIDE) for n in (0, 1))
    swapped = bytearray(whole)
    swapped[first], swapped[second] = whole[second], whole[first]
    for data, key, name in (
        (bytes(swapped), KEY, "a"), (whole, KEY, "b"), (whole, os.urandom(32), "a"),
        (whole[: blocks.HEAD] + sealed(os.urandom(250))[blocks.HEAD :], KEY, "a"),
    ):  # fmt: skip
        with pytest.raises(SealBroken):
            reader(data, key, name).read(0, 250)
    assert sealed(b"x") != sealed(b"x"), "no two are alike"


@pytest.fixture
def ring(root: Path) -> Iterator[Path]:
    """Recordings under `root` are sealed."""
    keys.use(root, RING)
    yield root
    keys.use(root, ())


def forget(root: Path) -> None:
    """As a new process knows nothing."""
    keys._known.clear()


async def test_a_sealed_recording_is_made_played_exported_and_taken_in(ring: Path, tmp_path: Path) -> None:
    one = await meeting(ring)
    ann, ben = track("ann"), track("ben", "VP8")
    one.recording.participant("ann", "Ann")
    for info in (ann, ben, microphone("ann")):
        one.recording.track_opened(info, START)
    one.recording.speaker("ann")
    one.recording.chat("ann", "Ann", "PLAINLY-WRITTEN", START + 10)
    await one.play(
        video(ann, looped(clip("VP9", key_every_s=4), 6), START),
        video(ben, looped(clip("VP8", colour=BLUE), 6), START),
        sound(microphone("ann"), 6, START),
        events=[(START + 3_300, lambda: one.recording.speaker("ben"))],
    )
    manifest = await one.finish(START + 6_000, convert=True)
    assert (manifest.state, manifest.pending) == ("complete", [])
    folder = ring / "rec1"
    for path in (*folder.iterdir(), *(folder / "journal").iterdir()):
        if path.is_file():
            data = path.read_bytes()
            assert b"PLAINLY" not in data and b"moof" not in data and b"EXTM3U" not in data, path.name
    forget(ring)
    assert load(ring, "rec1").chat[0].text == "PLAINLY-WRITTEN"

    # What is unsealed plays.
    plain = tmp_path / "plain"
    plain.mkdir()
    for name in manifest.files:
        (plain / name).write_bytes(files.read_bytes(folder / name))
    assert decode_errors(plain / "master.m3u8") == ""
    assert manifest.bytes == sum((plain / name).stat().st_size for name in manifest.files)

    # An export is sealed where it waits, and plain where a person asked for it.
    kept = await export(ring, "rec1", "mp4", tmp_path / "rec1.mp4")
    data = kept.read_bytes()
    assert b"moov" not in data
    (tmp_path / "open.mp4").write_bytes(reader(data, keys.key_of(folder) or b"", "rec1.mp4").read(0, len(data)))
    assert decode_errors(tmp_path / "open.mp4") == ""
    assert decode_errors(await export(ring, "rec1", "mkv", tmp_path / "direct.mkv", sealed=False)) == ""

    # The zip is plain for who takes it; another server seals it with a key of its own.
    packed = tmp_path / "rec1.zip"
    archive.write(ring, "rec1", packed)
    opened = tmp_path / "opened.zip"
    opened.write_bytes(reader(packed.read_bytes(), keys.key_of(folder) or b"", "rec1.zip").read(0, 1 << 40))
    there = tmp_path / "there"
    there.mkdir()
    keys.use(there, (os.urandom(32),))
    taken = await Recorder(there).take_in(opened, "rec2")
    forget(there)
    assert load(there, "rec2").duration == taken.duration == manifest.duration
    assert b"moof" not in (there / "rec2" / "mix.mp4").read_bytes()
    keys.use(there, ())

    # Under another server key nothing opens, nor with the key of another recording.
    keys.use(ring, (os.urandom(32),))
    with pytest.raises(SealBroken):
        load(ring, "rec1")
    keys.use(ring, (os.urandom(32), *RING))
    assert load(ring, "rec1").duration == manifest.duration, "an old key beside a new one opens it"
    shutil.copytree(folder, ring / "rec3")
    with pytest.raises(SealBroken):
        load(ring, "rec3")

    # A journal that lost its end, a file that lost its end.
    journal = folder / "journal" / "001"
    os.truncate(journal, journal.stat().st_size - 60)
    with pytest.raises(SealBroken):
        stored_tracks(folder, manifest)
    os.truncate(folder / "mix.mp4", (folder / "mix.mp4").stat().st_size - 1)
    with pytest.raises(SealBroken):
        files.read_range(folder / "mix.mp4", 0, 10)
    key = keys.key_of(folder)
    await one.recorder.delete("rec1")
    assert key and not folder.exists() and folder not in keys._known


async def test_a_sealed_recording_survives_a_crash(ring: Path, tmp_path: Path) -> None:
    left = await crashed(ring)
    forget(ring)
    for attempt, harm in enumerate(("none", "tail", "middle", "gone")):
        again = tmp_path / f"again-{attempt}"
        keys.use(again, RING)
        shutil.copytree(left, again / "rec1")
        for path in sorted((again / "rec1").glob("*.mp4")):
            size = path.stat().st_size
            if harm == "tail":
                os.truncate(path, max(0, size - 1000))
            elif harm == "middle":
                with path.open("r+b") as opened:
                    opened.seek(size // 2)
                    opened.write(bytes(200))
            elif harm == "gone":
                path.unlink()
        manifest = repair.repair(again / "rec1")
        assert manifest and manifest.state == "repaired" and manifest.duration == pytest.approx(6_000, abs=60), harm
        assert sum(one.dropped for one in manifest.tracks) == 0, harm
        plain = tmp_path / f"plain-{attempt}"
        plain.mkdir()
        for name in manifest.files:
            assert content_type(name)
            (plain / name).write_bytes(files.read_bytes(again / "rec1" / name))
        assert decode_errors(plain / "master.m3u8") == "", harm
        keys.use(again, ())


def test_server_keys_are_checked() -> None:
    good = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    assert keys.read_ring(f"{good}\n{good}\n") == (KEY, KEY)
    for bad in ("", "abc", good[:-4], "not base64!", good + "AAAA"):
        with pytest.raises(ValueError):
            keys.read_ring(bad)
