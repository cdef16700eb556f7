"""What lies where in a finished recording (`index.json`): never served, read by export, conversion and clips."""

from __future__ import annotations

import functools
from pathlib import Path

import msgspec

from recorder.manifest import Struct
from recorder.parts import Group, MediaFileInfo
from recorder.sealing import files

INDEX = "index.json"


class IndexedTrack(Struct, kw_only=True, frozen=True):
    """A video track's files and groups."""

    index: int
    files: list[MediaFileInfo]
    groups: list[Group]


class Trim(msgspec.Struct, frozen=True, array_like=True):
    """A frame whose duration was changed in its file so that a shot ends where it must: to undo before another edit.

    `offset` is that of the four bytes, `duration` what was there.
    """

    name: str
    offset: int
    duration: int


class Index(Struct, kw_only=True, frozen=True):
    """`origin` is the recording's start in room time. `channels` are the mixes of what was interpreted, by language."""

    origin: float
    mix: MediaFileInfo
    tracks: list[IndexedTrack]
    channels: dict[str, MediaFileInfo] = msgspec.field(default_factory=dict)
    trims: list[Trim] = msgspec.field(default_factory=list)


def load_index(folder: Path) -> Index:
    return msgspec.json.decode(files.read_bytes(folder / INDEX), type=Index)


@functools.lru_cache(maxsize=8)
def _loaded(folder: Path, changed: int) -> Index:
    return load_index(folder)


def known_index(folder: Path) -> Index:
    """`load_index`, kept in memory until the file changes: for what is asked with every byte range."""
    return _loaded(folder, (folder / INDEX).stat().st_mtime_ns)


def save_index(folder: Path, index: Index) -> None:
    files.write_bytes(folder / INDEX, msgspec.json.encode(index))
