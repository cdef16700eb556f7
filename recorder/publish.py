"""From an index to a replay: the edit and the playlists; again whenever more of the pictures can be played."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from recorder import playlist
from recorder.index import Index, IndexedTrack, load_index, save_index
from recorder.manifest import Manifest, Speech, Track, content_type, load, save, write_atomically
from recorder.mix import mixed
from recorder.parts import Group
from recorder.playlist import TrackIndex
from recorder.programme import Shot, Source, Span, changes, edit
from recorder.sealing import files

PENDING = "pending"
"""Marks a folder whose recording has tracks to convert; holds how often that was tried."""


def mark(folder: Path, attempts: int) -> None:
    """Raises OSError."""
    write_atomically(folder / PENDING, str(attempts).encode())


def attempts(folder: Path) -> int | None:
    """How often conversion was tried; None when nothing waits for it."""
    try:
        return int((folder / PENDING).read_bytes() or 0)
    except (OSError, ValueError):
        return None


def shots_of(index: Index, tracks: Sequence[Track], speakers: Sequence[Speech], duration: int) -> list[Shot]:
    """The edit of all that can be played."""
    told = {track.index: track for track in tracks}
    sources = [
        Source(
            one.index,
            told[one.index].participant,
            told[one.index].source == "screen",
            [Span(group.start, group.end) for group in one.groups],
        )
        for one in index.tracks
    ]
    return edit(sources, changes(speakers), duration)


def publish(
    folder: Path,
    index: Index,
    mix: Sequence[Group],
    tracks: Sequence[Track],
    speakers: Sequence[Speech],
    duration: int,
    channels: Mapping[str, Sequence[Group]],
) -> list[str]:
    """Writes the index and the playlists; returns the names that the playlists lead to. Raises OSError."""
    playlist.restore(folder, index.trims)
    shots = shots_of(index, tracks, speakers, duration)
    indices = {one.index: TrackIndex(one.files, one.groups) for one in index.tracks}
    others = {language: TrackIndex([index.channels[language]], groups) for language, groups in channels.items()}
    names, trims = playlist.write(folder, indices, shots, TrackIndex([index.mix], mix), others)
    save_index(folder, msgspec.structs.replace(index, trims=trims))
    return names


def converted(root: Path, recording: str, made: IndexedTrack) -> Manifest:
    """A pending track can be played now: the recording with it. Raises OSError, RecordingNotFound."""
    folder, manifest = root / recording, load(root, recording)
    index = load_index(folder)
    index = msgspec.structs.replace(index, tracks=[*(one for one in index.tracks if one.index != made.index), made])
    names = [file.name for file in made.files]
    tracks = [
        msgspec.structs.replace(track, files=names) if track.index == made.index else track for track in manifest.tracks
    ]
    channels = {language: mixed(folder, info) for language, info in index.channels.items()}
    led = publish(folder, index, mixed(folder, index.mix), tracks, manifest.speakers, int(manifest.duration), channels)
    served = manifest.files | {name: content_type(name) for name in [*names, *led]}
    manifest = msgspec.structs.replace(
        manifest,
        tracks=tracks,
        files=served,
        bytes=sum(files.size_of(folder / name) for name in served),
        pending=[one for one in manifest.pending if one != made.index],
    )
    save(folder, manifest)
    return manifest
