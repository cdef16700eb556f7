"""A recording as one zip: to keep, to read in any language, to take in on another server. See docs/archive.md.

What comes in is hostile until proven: names, sizes, sums and types are checked against the archive's own list before
anything is believed, and nothing is written but plain files of known kinds in one new folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import re
import stat
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from recorder import child, journal, transcripts
from recorder.edits import EDITS, EditError, Edits, checked
from recorder.index import INDEX, load_index
from recorder.manifest import MANIFEST, VERSION, Manifest, Struct, content_type, load, save
from recorder.manifest import folder as folder_of
from recorder.sealing import files, keys
from recorder.written import LONGEST, MOST_LANGUAGES, MOST_TEXTS, WRITTEN, Renderings, load_renderings, written

LISTING = "archive.json"
EXTRAS = "transcripts/"
"""For readers only: made from the manifest, and not taken in."""
TIMEOUT_S = 3600
MOST_FILES = 20_000
MOST_LISTING = 16 * 1024 * 1024
MOST_MANIFEST = 256 * 1024 * 1024
MOST_TIMES = 250
"""A packed file may grow so much: captions and playlists pack well, a bomb packs better."""
LONGER = 4
"""Times that a translation may be longer than the longest text."""
_CHUNK = 1 << 20
_NAME = re.compile(r"(journal/)?[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_URI = re.compile(r'URI="([^"]*)"')


class ArchiveError(ValueError):
    """The file is no archive of ours, or lies; the message says where."""


class Entry(Struct, kw_only=True, frozen=True):
    """A file of the archive: its length in bytes and the SHA-256 of its content, in hexadecimal."""

    name: str
    bytes: int
    sha256: str


class Listing(Struct, kw_only=True, frozen=True):
    """`archive.json`: what is in the archive. `files` has every other file, once."""

    format: Literal["consilium-recording"]
    version: Literal[1]
    recording: str
    files: list[Entry]


# --- out --------------------------------------------------------------------------------------------


async def export(root: Path, recording: str, destination: Path, tell: Callable[[float], None]) -> None:
    """`write` in a process of its own. Raises RecordingNotFound, OSError."""
    load(root, recording)
    arguments = str(root), recording, str(destination)
    secret = keys.hand_over(folder_of(root, recording))
    status, words = await child.run(
        "recorder.archive", *arguments, tell=tell, limit_s=TIMEOUT_S, secret=secret, makes=destination
    )
    if status != 0:
        raise OSError(f"the archive failed: {words or status}")


def write(root: Path, recording: str, destination: Path, tell: Callable[[float], None] = lambda part: None) -> None:
    """The archive of a finished recording, blocking. Media is stored, words are packed. Raises RecordingNotFound."""
    folder, manifest = folder_of(root, recording), load(root, recording)
    names = [MANIFEST, INDEX, *sorted(manifest.files)]
    names += [f"journal/{path.name}" for path in sorted((folder / "journal").glob("*"))]
    names += [name for name in (EDITS, WRITTEN) if (folder / name).exists()]
    renderings = load_renderings(root, recording)
    total = sum(files.size_of(folder / name) for name in names) or 1
    temporary = child.unfinished(destination)
    entries: list[Entry] = []
    done = 0
    try:
        with (
            files.made(temporary, keys.key_of(folder), destination.name) as made,
            zipfile.ZipFile(made, "w", allowZip64=True) as archive,
        ):
            for name in names:
                entries.append(_put(archive, name, _chunks(folder / name)))
                done += entries[-1].bytes
                tell(min(1.0, done / total))
            for language in manifest.languages:
                for kind, write_words in (("txt", transcripts.write_txt), ("srt", transcripts.write_srt)):
                    data = write_words(manifest, language, renderings)
                    name = f"{EXTRAS}{language}.{kind}"
                    archive.writestr(name, data, zipfile.ZIP_DEFLATED)
                    entries.append(Entry(name=name, bytes=len(data), sha256=hashlib.sha256(data).hexdigest()))
            listing = Listing(format="consilium-recording", version=1, recording=recording, files=entries)
            archive.writestr(LISTING, msgspec.json.format(msgspec.json.encode(listing)), zipfile.ZIP_DEFLATED)
        temporary.replace(destination)
    finally:
        temporary.unlink(missing_ok=True)


def _chunks(path: Path) -> Iterator[bytes]:
    if path.parent.name == "journal":
        yield from journal.plain(path)
        return
    with files.opened(path) as source:
        while data := source.read(_CHUNK):
            yield data


def _put(archive: zipfile.ZipFile, name: str, chunks: Iterator[bytes]) -> Entry:
    info = zipfile.ZipInfo(name)
    media = name.endswith(".mp4") or name.startswith("journal/")
    info.compress_type = zipfile.ZIP_STORED if media else zipfile.ZIP_DEFLATED
    info.external_attr = 0o600 << 16
    size, digest = 0, hashlib.sha256()
    with archive.open(info, "w", force_zip64=True) as target:
        for data in chunks:
            target.write(data)
            digest.update(data)
            size += len(data)
    return Entry(name=name, bytes=size, sha256=digest.hexdigest())


# --- in ---------------------------------------------------------------------------------------------


def unpack(path: Path, folder: Path, recording: str, most_bytes: int) -> Manifest:
    """Takes an archive in as `recording`, into the empty `folder`; blocking. The manifest is written last.

    Raises ArchiveError for anything that is not exactly as it should be, OSError. What was written then stays.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _unpack(archive, folder, recording, most_bytes)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise ArchiveError(f"not a zip that can be read: {error}") from None
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ArchiveError(f"not as the format says: {error}") from None


def _unpack(archive: zipfile.ZipFile, folder: Path, recording: str, most_bytes: int) -> Manifest:
    infos = archive.infolist()
    if len(infos) > MOST_FILES:
        raise ArchiveError(f"more than {MOST_FILES} files")
    packed = {info.filename: info for info in infos}
    if len(packed) != len(infos):
        raise ArchiveError("a name is there twice")
    for info in infos:
        _check(info)
    listing = msgspec.json.decode(_read(archive, packed, LISTING, MOST_LISTING), type=Listing)
    entries = {entry.name: entry for entry in listing.files}
    if len(entries) != len(listing.files) or set(entries) != set(packed) - {LISTING}:
        raise ArchiveError("archive.json does not list the files that are there")
    if any(packed[name].file_size != entry.bytes for name, entry in entries.items()):
        raise ArchiveError("a file's length is not the one that is listed")
    if sum(entry.bytes for entry in listing.files) > most_bytes:
        raise ArchiveError(f"more than {most_bytes} bytes")
    manifest = msgspec.json.decode(_read(archive, packed, MANIFEST, MOST_MANIFEST), type=Manifest)
    wanted = _believable(manifest, set(entries))
    (folder / "journal").mkdir(mode=0o700, exist_ok=True)
    for name in sorted(wanted | {MANIFEST}):
        target = None if name == MANIFEST else folder / name
        if _copy(archive, packed[name], target) != entries[name].sha256:
            raise ArchiveError(f"{name} is not what was packed: its SHA-256 is another")
    _check_index(folder, manifest)
    for name in manifest.files:
        if name.endswith(".m3u8"):
            _check_playlist(files.read_bytes(folder / name).decode(), manifest)
    taken = msgspec.structs.replace(manifest, id=recording, kept=[], shared=False)
    if EDITS in entries:
        # Before the manifest, which opens the recording: what is cut out must not be seen for a moment.
        _take_edits(_read(archive, packed, EDITS, MOST_LISTING), entries[EDITS], folder, taken)
    if WRITTEN in entries:
        _take_renderings(_read(archive, packed, WRITTEN, MOST_LISTING), entries[WRITTEN], folder, taken)
    save(folder, taken)
    return taken


def _take_edits(data: bytes, entry: Entry, folder: Path, manifest: Manifest) -> None:
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise ArchiveError(f"{EDITS} is not what was packed: its SHA-256 is another")
    try:
        edits = checked(msgspec.json.decode(data, type=Edits), manifest)
    except EditError as error:
        raise ArchiveError(f"{EDITS}: {error}") from None
    files.write_bytes(folder / EDITS, msgspec.json.encode(edits))


def _take_renderings(data: bytes, entry: Entry, folder: Path, manifest: Manifest) -> None:
    """Only of what was written in the recording."""
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise ArchiveError(f"{WRITTEN} is not what was packed: its SHA-256 is another")
    made = msgspec.json.decode(data, type=Renderings).made
    if len(made) > MOST_LANGUAGES or any(len(tag) > 35 or len(found) > MOST_TEXTS for tag, found in made.items()):
        raise ArchiveError(f"{WRITTEN}: more than {MOST_LANGUAGES} languages or {MOST_TEXTS} texts")
    there = {one.text for one in written(manifest)}
    kept = {
        tag: [one for one in found if one.of in there and len(one.text) <= LONGEST * LONGER]
        for tag, found in made.items()
    }
    files.write_bytes(folder / WRITTEN, msgspec.json.encode(Renderings(made=kept)))


def _check(info: zipfile.ZipInfo) -> None:
    mode = info.external_attr >> 16
    plain = info.filename.removeprefix(EXTRAS)
    if not _NAME.fullmatch(plain) or ".." in info.filename or (plain != info.filename and "/" in plain):
        raise ArchiveError(f"a name that cannot be ours: {info.filename[:80]!r}")
    if info.is_dir() or (stat.S_IFMT(mode) and not stat.S_ISREG(mode)):
        raise ArchiveError(f"not a plain file: {info.filename}")
    if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ArchiveError(f"packed or locked in a way that is not ours: {info.filename}")
    if info.file_size > max(_CHUNK, info.compress_size * MOST_TIMES):
        raise ArchiveError(f"packed too well to be believed: {info.filename}")


def _read(archive: zipfile.ZipFile, packed: dict[str, zipfile.ZipInfo], name: str, most: int) -> bytes:
    if name not in packed or packed[name].file_size > most:
        raise ArchiveError(f"there is no {name}, or it is too large")
    with archive.open(packed[name]) as source:
        data = source.read(most + 1)
    if len(data) > most:
        raise ArchiveError(f"{name} is larger than it says")
    return data


def _copy(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path | None) -> str:
    """Unpacks no more than was announced; returns the SHA-256. zipfile checks the CRC and ends at the length told."""
    digest = hashlib.sha256()
    with archive.open(info) as source:
        if target is None:
            while data := source.read(_CHUNK):
                digest.update(data)
            return digest.hexdigest()
        written = journal.Copy(target) if target.parent.name == "journal" else files.changed(target, new=True)
        with contextlib.closing(written) as opened:
            target.chmod(0o600)
            while data := source.read(_CHUNK):
                digest.update(data)
                opened.write(data)
    return digest.hexdigest()


def _believable(manifest: Manifest, there: set[str]) -> set[str]:
    """The files to take in. Raises ArchiveError."""
    if manifest.version != VERSION:
        raise ArchiveError(f"made by another version: {manifest.version}")
    names = set(manifest.files)
    if not names <= there or INDEX not in there or names & {MANIFEST, INDEX, LISTING, EDITS, WRITTEN}:
        raise ArchiveError("the manifest names files that are not there")
    for name, kind in manifest.files.items():
        if "/" in name or Path(name).suffix not in (".m3u8", ".mp4", ".vtt") or kind != content_type(name):
            raise ArchiveError(f"a file of a kind that is not served: {name[:80]!r}")
    played = {manifest.master, *manifest.captions.values(), *(f for track in manifest.tracks for f in track.files)}
    if not played <= names:
        raise ArchiveError("the manifest plays files that it does not list")
    journals = {f"journal/{track.index:03d}" for track in manifest.tracks} | {"journal/events"}
    if not math.isfinite(manifest.duration) or not 0 <= manifest.duration < 1e9:
        raise ArchiveError("a duration that cannot be")
    if len(manifest.title) > 200 or len(manifest.purpose) > 200 or len(manifest.started_by) > 80:
        raise ArchiveError("a title, purpose or name that is too long")
    return names | {INDEX} | (journals & there)


def _check_index(folder: Path, manifest: Manifest) -> None:
    index = load_index(folder)
    named = [index.mix, *index.channels.values(), *(file for track in index.tracks for file in track.files)]
    if any(file.name not in manifest.files or file.head < 0 for file in named):
        raise ArchiveError("the index names files that are not there")
    for track in index.tracks:
        for group in track.groups:
            if not 0 <= group.file < len(track.files) or group.offset < 0 or group.size < 0:
                raise ArchiveError("the index points outside its files")
            if group.offset + group.size > files.size_of(folder / track.files[group.file].name):
                raise ArchiveError("the index points outside its files")
    for trim in index.trims:
        if trim.name not in manifest.files or not 0 <= trim.offset <= files.size_of(folder / trim.name) - 4:
            raise ArchiveError("the index points outside its files")


def _check_playlist(text: str, manifest: Manifest) -> None:
    """A playlist that led elsewhere would send everybody who watches there."""
    for line in text.splitlines():
        named = _URI.findall(line) if line.startswith("#") else [line.strip()]
        if any(name and name not in manifest.files for name in named) or ("URI=" in line and not named):
            raise ArchiveError("a playlist leads out of the recording")


if __name__ == "__main__":
    with contextlib.suppress(OSError):
        os.nice(15)
    keys.take_over(folder_of(Path(sys.argv[1]), sys.argv[2]))
    write(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), lambda part: print(f"{part:.4f}", flush=True))
