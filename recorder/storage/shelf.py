"""The shelf that recordings are on: how the server reads and deletes them, wherever they are.

`Shelf` is this disk alone. `remote.BucketShelf` puts a bucket behind it. Methods block, unless they say otherwise.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from recorder.manifest import RecordingNotFound, folder, media_file
from recorder.sealing import files, keys


@dataclass(frozen=True, slots=True)
class Source:
    """A file that may be served: `size` in bytes, and how to `read` its bytes [start, end), blocking (OSError).

    `path` is set where it lies on this disk as it is served; `link` gives an address of the bucket that has it, for so
    many seconds.
    """

    content_type: str
    size: int
    read: Callable[[int, int], bytes]
    path: Path | None = None
    link: Callable[[int], str] | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How the bucket is: `waiting` bytes of finished recordings have yet to go there."""

    away: bool = False
    waiting: int = 0
    uploaded: int = 0
    failures: int = 0


class Shelf:
    """Recordings on this disk."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def origin(self) -> str:
        """Where browsers may be sent for media, as ``https://host``; empty: nowhere else."""
        return ""

    def start(self, on_away: Callable[[bool], None]) -> None:
        """Once. `on_away` is told, from any thread, when the bucket cannot be reached and when it can again."""

    def stop(self) -> None:
        """The server stops; what is not done is done after the next start."""

    def begun(self, recording: str) -> None:
        """It is being recorded: what is written may be taken already. Does not block."""

    def changed(self, recording: str) -> None:
        """It is finished, or some of its files are new. Does not block."""

    def words(self, recording: str) -> None:
        """Sees to it that the small files are here: manifest, playlists, captions. Raises OSError."""

    @contextlib.contextmanager
    def whole(self, recording: str) -> Iterator[None]:
        """All files are here for as long as this is open. Raises OSError."""
        yield

    def source(self, recording: str, name: str) -> Source | None:
        """The file if the manifest lists it under exactly this name, else None. Raises OSError."""
        file = media_file(self.root, recording, name)
        if file is None:
            return None
        return Source(
            file.content_type,
            file.size,
            lambda start, end: files.read_range(file.path, start, end),
            None if file.sealed else file.path,
        )

    def delete(self, recording: str) -> None:
        """Everything of it, wherever it is. Raises RecordingNotFound, OSError; then try again."""
        path = folder(self.root, recording)
        if not path.is_dir():
            raise RecordingNotFound(recording)
        keys.shred(path)
        shutil.rmtree(path)

    def standing(self) -> Standing:
        """For whoever watches over it. Does not block."""
        return Standing()
