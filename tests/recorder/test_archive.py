"""Archives: what goes out comes in whole elsewhere; what was tampered with does not come in at all."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
import webvtt
from kit import RED, START, clip, decode_errors, looped, meeting, microphone, sound, track, video

from recorder import archive
from recorder.archive import ArchiveError
from recorder.edits import Edits, load_edits, save_edits
from recorder.manifest import Passage, RecordingNotFound
from recorder.service import Cue, Recorder, load
from recorder.written import Rendered, Renderings, load_renderings, save_renderings

Entries = dict[str, bytes]
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "archive.schema.json").read_text())


@pytest.fixture(scope="module")
async def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ann in VP9 and Bob in VP8, four seconds."""
    root = tmp_path_factory.mktemp("packed")
    one = await meeting(root)
    for person, codec in (("ann", "VP9"), ("bob", "VP8")):
        one.recording.participant(person, person.title())
        one.recording.track_opened(track(person, codec), START)
    one.recording.track_opened(microphone("ann"), START)
    one.recording.speaker("ann")
    for language, text in (("en", "Take it."), ("pt", "Tome.")):
        one.recording.cue(
            Cue(segment="1", revision=1, participant="ann", source="en", language=language,
                start=START + 500, end=START + 1500, text=text)
        )  # fmt: skip
    one.recording.chat("ann", "Ann", "Take five.", START + 700)
    await one.play(
        video(track("ann"), looped(clip("VP9", colour=RED), 4), START),
        video(track("bob", "VP8"), looped(clip("VP8", colour=RED), 4), START),
        sound(microphone("ann"), 4, START),
    )
    await one.finish(START + 4000)
    target = root / "out.zip"
    archive.write(root, "rec1", target)
    return target


def unzip(path: Path) -> Entries:
    with zipfile.ZipFile(path) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def pack(path: Path, entries: Entries, listed: bool = True) -> Path:
    """With `listed`, archive.json tells the truth about what is there."""
    entries = dict(entries)
    if listed:
        told = json.loads(entries["archive.json"])
        told["files"] = [
            {"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in entries.items() if name != "archive.json"
        ]  # fmt: skip
        entries["archive.json"] = json.dumps(told).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in entries.items():
            made.writestr(name, data)
    return path


async def test_an_archive_comes_in_on_another_server_and_plays(packed: Path, tmp_path: Path) -> None:
    entries = unzip(packed)
    definitions = {"$defs": SCHEMA["$defs"]}
    jsonschema.validate(json.loads(entries["recording.json"]), definitions | {"$ref": "#/$defs/Manifest"})
    jsonschema.validate(json.loads(entries["archive.json"]), definitions | {"$ref": "#/$defs/Listing"})
    assert entries["transcripts/pt.txt"].decode().count("Tome.") == 1
    captions = [name for name in entries if name.endswith(".vtt")]
    assert sorted(captions) == ["captions.en.vtt", "captions.pt.vtt"]
    for name in captions:
        [shown] = webvtt.from_string(entries[name].decode())
        assert (shown.start, shown.voice) == ("00:00:00.500", "Ann")
    tracks = [name for name in entries if name.endswith(".mp4")]
    assert {"mix.mp4", "audio-002.mp4", "video-000-0.mp4"} <= set(tracks)
    for name in tracks:
        (tmp_path / name).write_bytes(entries[name])
        assert decode_errors(tmp_path / name) == "", f"{name} is a file of its own"
    recorder = Recorder(tmp_path / "there")
    await recorder.start()
    taken = await recorder.take_in(packed, "new1")
    before = load(packed.parent, "rec1")
    there = load(recorder.root, "new1")
    assert there == taken and there.id == "new1"
    assert (there.transcript, there.tracks, there.duration) == (before.transcript, before.tracks, before.duration)
    assert not decode_errors(recorder.root / "new1" / there.master)
    for name in there.files:
        assert (recorder.root / "new1" / name).read_bytes() == entries[name]
    assert sorted(path.name for path in (recorder.root / "new1" / "journal").iterdir()) == ["001", "events"]
    await archive.export(recorder.root, "new1", tmp_path / "again.zip", lambda part: None)
    assert set(unzip(tmp_path / "again.zip")) == set(entries)


async def test_edits_come_along_and_cannot_lie(packed: Path, tmp_path: Path) -> None:
    edits = Edits(revision=2, cuts=[Passage(start=1_000, end=1_500)], names={"bob": "Dr. Bob"})
    save_edits(packed.parent, "rec1", edits)
    archive.write(packed.parent, "rec1", tmp_path / "edited.zip")
    recorder = Recorder(tmp_path / "there")
    await recorder.start()
    await recorder.take_in(tmp_path / "edited.zip", "new1")
    assert load_edits(recorder.root, "new1") == edits
    entries = unzip(tmp_path / "edited.zip")
    entries["edits.json"] = b'{"cuts": [{"start": 5, "end": 1}]}'
    with pytest.raises(ArchiveError, match="cut"):
        await recorder.take_in(pack(tmp_path / "lie.zip", entries), "new2")
    with pytest.raises(RecordingNotFound):
        load(recorder.root, "new2")


async def test_what_was_written_comes_along_in_the_languages_that_were_made(packed: Path, tmp_path: Path) -> None:
    made = Renderings(made={"pt": [Rendered(of="Take five.", source="en", text="Tome cinco.", guard=["dose"])]})
    save_renderings(packed.parent, "rec1", made)
    archive.write(packed.parent, "rec1", tmp_path / "read.zip")
    (packed.parent / "rec1" / "renderings.json").unlink()
    entries = unzip(tmp_path / "read.zip")
    assert "[?] Tome cinco." in entries["transcripts/pt.txt"].decode()
    assert "Take five." in entries["transcripts/en.txt"].decode()
    recorder = Recorder(tmp_path / "there")
    await recorder.start()
    await recorder.take_in(tmp_path / "read.zip", "new1")
    assert load_renderings(recorder.root, "new1") == made
    more = {"of": "Never written.", "source": "en", "text": "Nunca."}
    entries["renderings.json"] = json.dumps({"made": {"pt": [more]}}).encode()
    await recorder.take_in(pack(tmp_path / "more.zip", entries), "new2")
    assert load_renderings(recorder.root, "new2").made == {"pt": []}
    entries["renderings.json"] = json.dumps({"made": {f"x{n}": [] for n in range(99)}}).encode()
    with pytest.raises(ArchiveError, match="languages"):
        await recorder.take_in(pack(tmp_path / "lie.zip", entries), "new3")


def edit(name: str, change: Callable[[dict[str, object]], object]) -> Callable[[Entries], object]:
    def run(entries: Entries) -> None:
        told = json.loads(entries[name])
        change(told)
        entries[name] = json.dumps(told).encode()

    return run


def rename(old: str, new: str) -> Callable[[Entries], object]:
    return lambda entries: entries.update({new: entries.pop(old)})


PAGE = edit("recording.json", lambda m: m["files"].update({"evil.html": "text/html"}))
HOSTILE: dict[str, Callable[[Entries], object]] = {
    "up and out": lambda e: e.update({"../evil.mp4": b"x"}),
    "absolute": lambda e: e.update({"/etc/passwd": b"x"}),
    "backslash": lambda e: e.update({"..\\evil": b"x"}),
    "deep": lambda e: e.update({"journal/../../evil": b"x"}),
    "transcripts out": lambda e: e.update({"transcripts/journal/000": b"x"}),
    "a page": lambda e: (e.update({"evil.html": b"<script>"}), PAGE(e)),
    "a type": edit("recording.json", lambda m: m["files"].update({"mix.mp4": "text/html"})),
    "a file missing": lambda e: e.pop("mix.mp4"),
    "no manifest": lambda e: e.pop("recording.json"),
    "no index": lambda e: e.pop("index.json"),
    "master elsewhere": edit("recording.json", lambda m: m.update(master="nothing.m3u8")),
    "track elsewhere": edit("recording.json", lambda m: m["tracks"][0].update(files=["../x"])),
    "endless": edit("recording.json", lambda m: m.update(duration=1e300)),
    "a long title": edit("recording.json", lambda m: m.update(title="x" * 201)),
    "a later version": edit("recording.json", lambda m: m.update(version=9)),
    "another format": edit("archive.json", lambda m: m.update(format="zip")),
    "index outside": edit("index.json", lambda m: m["tracks"][0]["groups"][0].__setitem__(2, 10**9)),
    "index before": edit("index.json", lambda m: m["tracks"][0]["groups"][0].__setitem__(1, -5)),
    "a playlist outside": lambda e: e.update({"video.m3u8": e["video.m3u8"] + b"\n#EXTINF:1,\nhttps://evil.example/x.mp4\n"}),
    "a map outside": lambda e: e.update({"video.m3u8": e["video.m3u8"] + b'\n#EXT-X-MAP:URI="//evil.example/x"\n'}),
    "deep JSON": lambda e: e.update({"recording.json": b"[" * 200_000}),
    "a bomb": lambda e: e.update({"mix.mp4": bytes(30_000_000)}),
}  # fmt: skip


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
async def test_hostile_archives_leave_nothing(
    packed: Path, tmp_path: Path, change: Callable[[Entries], object]
) -> None:
    entries = unzip(packed)
    change(entries)
    path = pack(tmp_path / "hostile.zip", entries)
    recorder = Recorder(tmp_path / "there")
    await recorder.start()
    with pytest.raises(ArchiveError):
        await recorder.take_in(path, "new1")
    assert not list(recorder.root.iterdir()) and not list(tmp_path.glob("*evil*"))


async def test_what_differs_from_the_list_is_refused(packed: Path, tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "there")
    await recorder.start()
    entries = unzip(packed)
    entries["mix.mp4"] = bytes(len(entries["mix.mp4"]))
    with pytest.raises(ArchiveError, match="SHA-256"):
        await recorder.take_in(pack(tmp_path / "sum.zip", entries, listed=False), "new1")
    data = bytearray(packed.read_bytes())
    data[len(data) // 3] ^= 0xFF
    (tmp_path / "torn.zip").write_bytes(data)
    with pytest.raises(ArchiveError):
        await recorder.take_in(tmp_path / "torn.zip", "new1")
    for junk in (b"", b"PK", b"x" * 1000, packed.read_bytes()[:-30]):
        (tmp_path / "junk.zip").write_bytes(junk)
        with pytest.raises(ArchiveError):
            await recorder.take_in(tmp_path / "junk.zip", "new1")
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as made:
        info = zipfile.ZipInfo("mix.mp4")
        info.external_attr = 0o120777 << 16
        made.writestr(info, "/etc/passwd")
    with pytest.raises(ArchiveError, match="plain file"):
        await recorder.take_in(tmp_path / "link.zip", "new1")
    with pytest.raises(ArchiveError, match="bytes"):
        archive.unpack(packed, tmp_path, "new1", 1000)
    twice = io.BytesIO()
    with zipfile.ZipFile(twice, "w") as made, pytest.warns(UserWarning, match="Duplicate"):
        made.writestr("mix.mp4", b"a")
        made.writestr("mix.mp4", b"b")
    (tmp_path / "twice.zip").write_bytes(twice.getvalue())
    with pytest.raises(ArchiveError, match="twice"):
        await recorder.take_in(tmp_path / "twice.zip", "new1")
    assert not list(recorder.root.iterdir())
