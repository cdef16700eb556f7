# ruff: noqa: ASYNC110
"""Recordings in a bucket: up while they run, read by range, fetched for work, kept here while it is away, deleted."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kit import BLUE, START, clip, looped, meeting, microphone, sound, track, video

from recorder.manifest import RecordingNotFound
from recorder.sealing import files, keys
from recorder.service import Recorder, export, load
from recorder.storage import remote, uploads
from recorder.storage.ledger import load_ledger
from recorder.storage.remote import BucketShelf
from recorder.storage.uploads import Uploads
from tests.moto_server import S3

PART = 24 * 1024


@pytest.fixture(scope="module")
def server() -> Iterator[S3]:
    one = S3()
    yield one
    one.away()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MARGIN", 1024)
    monkeypatch.setattr(uploads, "AGAIN_S", 0.05)
    monkeypatch.setattr(uploads, "LONGEST_S", 0.2)


def shelf_on(server: S3, root: Path, keep_s: float = 3600, **more: bool) -> BucketShelf:
    bucket = server.open()
    return BucketShelf(root, bucket, Uploads(root, bucket, part=PART, look_s=0.05), keep_s, **more)


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.02)


async def recorded(root: Path, shelf: BucketShelf, name: str, between: Callable[[], object] = lambda: True) -> Recorder:
    """Two people for six seconds, the second with a key frame that ends the first one's shot; waits for `between`
    before it ends."""
    one = await meeting(root, name, shelf)
    ann, ben = track("ann"), track("ben")
    one.recording.participant("ann", "Ann")
    for info in (ann, ben, microphone("ann")):
        one.recording.track_opened(info, START)
    one.recording.speaker("ann")
    await one.play(
        video(ann, looped(clip("VP9", key_every_s=4), 6), START),
        video(ben, looped(clip("VP9", colour=BLUE), 6), START),
        sound(microphone("ann"), 6, START),
        events=[(START + 3_300, lambda: one.recording.speaker("ben"))],
    )
    await until(between)
    await one.finish(START + 6_000)
    return one.recorder


async def test_a_recording_goes_up_while_it_runs_and_is_read_from_there(server: S3, root: Path, tmp_path: Path) -> None:
    shelf, path = shelf_on(server, root), root / "going"
    recorder = await recorded(root, shelf, "going", lambda: any(one.parts for one in load_ledger(path).files.values()))
    await until(lambda: load_ledger(path).stored)
    here = {name: (path / name).read_bytes() for name in load(root, "going").files}
    there = server.objects()
    for name, data in here.items():
        assert there[f"here/going/{name}"] == data, name
    assert {f"here/going/{name}" for name in ("recording.json", "index.json", "journal/events", "stored.json")} <= set(
        there
    )

    # Another machine with nothing but the bucket.
    other = shelf_on(server, tmp_path / "other", sign=True)
    other.root.mkdir()
    source = other.source("going", "mix.mp4")
    assert source and source.path is None and source.size == len(here["mix.mp4"])
    assert source.read(100, 900) == here["mix.mp4"][100:900]
    assert source.link and source.link(60).startswith(server.endpoint)
    words = other.source("going", "master.m3u8")
    assert words and words.path and words.path.read_bytes() == here["master.m3u8"]
    assert other.source("going", "index.json") is None and other.source("going", "../going/mix.mp4") is None
    with other.whole("going"):
        made = await export(other.root, "going", "mkv", tmp_path / "going.mkv")
        shown = await asyncio.to_thread(
            subprocess.run,
            ["ffprobe", "-v", "error", "-show_entries", "format=duration", str(made)],
            capture_output=True,
        )
        assert b"duration=6." in shown.stdout and shown.stderr == b""
    with pytest.raises(RecordingNotFound):
        other.words("nowhere")

    shelf.delete("going")
    assert not path.exists() and not [key for key in server.objects() if "going" in key]
    assert server.left() == 0, "older versions and unfinished uploads go too"
    with pytest.raises(RecordingNotFound):
        shelf.delete("going")
    await recorder.stop()


async def test_sealed_media_leaves_this_disk_and_comes_back_for_work(
    server: S3, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "SWEEP_S", 0.0)
    keys.use(root, (bytes(32),))
    shelf = shelf_on(server, root, keep_s=0, sign=True)
    recorder = await recorded(root, shelf, "leaves")
    await until(lambda: not list((root / "leaves").glob("*.mp4")))
    assert (root / "leaves" / "recording.json").is_file()
    source = shelf.source("leaves", "mix.mp4")
    assert source is not None and source.path is None and source.link is None, "what is sealed nobody else can give"
    there = server.objects()
    assert not [key for key, data in there.items() if "leaves/" in key and (b"moof" in data or b"EXTM3U" in data)]
    with shelf.whole("leaves"):
        here = files.read_bytes(root / "leaves" / "mix.mp4")
        assert len(here) == source.size and source.read(70, 900) == here[70:900] and b"moof" in here
        await asyncio.sleep(0.3)
        assert (root / "leaves" / "mix.mp4").is_file(), "not while somebody works on it"
    await until(lambda: not list((root / "leaves").glob("*.mp4")))
    await recorder.delete("leaves")
    assert not [key for key in server.objects() if "leaves/" in key]
    await recorder.stop()
    keys.use(root, ())


async def test_while_the_bucket_is_away_all_stays_here_and_goes_later(server: S3, root: Path) -> None:
    shelf, told = shelf_on(server, root), []
    server.away()
    try:
        one = await meeting(root, "waits", shelf, told.append)
        one.recording.track_opened(track("ann"), START)
        await one.play(video(track("ann"), looped(clip("VP9"), 6), START))
        await until(lambda: told == [True])
        manifest = await one.finish(START + 6_000)
        assert manifest.state == "complete" and manifest.problem is None
        await until(lambda: shelf.standing().waiting > 0)
        assert shelf.standing().away and shelf.standing().failures and (root / "waits" / "mix.mp4").is_file()
    finally:
        server.back()
    await until(lambda: load_ledger(root / "waits").stored)
    assert told == [True, False] or told == [True]  # the recording was over by then
    server.away()
    try:
        with pytest.raises(OSError, match="away"):
            shelf.delete("waits")
        assert not (root / "waits").exists()
    finally:
        server.back()
    shelf.delete("waits")
    assert not [key for key in server.objects() if "waits" in key]
    await one.recorder.stop()


async def test_a_crash_goes_on_with_the_part_under_way(server: S3, root: Path, tmp_path: Path) -> None:
    quiet = tmp_path / "quiet"
    await (await recorded(quiet, shelf_on(server, quiet), "crash")).stop()
    shutil.copytree(quiet / "crash", root / "again")
    for made in (root / "again").glob("upload.json"):
        made.unlink()
    sent: list[tuple[str, int]] = []

    def watched(fail_after: int) -> BucketShelf:
        shelf, bucket = shelf_on(server, root), server.open()
        part = bucket.part

        def counted(key: str, upload: str, number: int, data: bytes) -> str:
            if len(sent) >= fail_after:
                raise SystemExit  # as if the process were gone
            sent.append((key, number))
            return part(key, upload, number, data)

        bucket.part = counted  # type: ignore[method-assign]
        shelf._uploads._bucket = bucket
        return shelf

    first = watched(3)
    with pytest.raises(SystemExit):
        first._uploads._finish("again", root / "again")
    whole = Recorder(root, watched(10_000))
    await whole.start()
    await until(lambda: load_ledger(root / "again").stored)
    assert len(sent) == len(set(sent)), "nothing went twice"
    assert server.objects()["here/again/video-000-0.mp4"] == (root / "again" / "video-000-0.mp4").read_bytes()
    await whole.stop()
