"""What of a recording is in the bucket: `upload.json` here, and `stored.json` in the bucket once everything is."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import msgspec

from recorder.manifest import Struct, write_atomically

LEDGER, STORED = "upload.json", "stored.json"
_writing = threading.Lock()


class Part(msgspec.Struct, frozen=True, array_like=True):
    """A part that the bucket has: its tag there, and the sum of the bytes that went."""

    tag: str
    sum: str


class Upload(Struct, kw_only=True, frozen=True):
    """One file. `upload` is that of parts under way; `done` when the object is that file of `size` bytes, as it was
    changed at `changed` (ns)."""

    upload: str | None = None
    parts: list[Part] = msgspec.field(default_factory=list)
    done: bool = False
    size: int = 0
    changed: int = 0


class Ledger(Struct, kw_only=True, frozen=True):
    """By name. `stored` when the bucket has everything, `at` (s since 1970) since when."""

    files: dict[str, Upload] = msgspec.field(default_factory=dict)
    stored: bool = False
    at: float = 0.0


class Stored(Struct, kw_only=True, frozen=True):
    """The bucket's own listing, written last: `files` has every object's length in bytes."""

    version: int
    files: dict[str, int]


def load_ledger(folder: Path) -> Ledger:
    """An empty one where there is none. What cannot be read counts as none: everything goes again."""
    try:
        return msgspec.json.decode((folder / LEDGER).read_bytes(), type=Ledger)
    except (FileNotFoundError, msgspec.DecodeError):
        return Ledger()


def save_ledger(folder: Path, ledger: Ledger) -> None:
    """Raises OSError."""
    write_atomically(folder / LEDGER, msgspec.json.encode(ledger))


def note(folder: Path, name: str, upload: Upload) -> None:
    """Writes one file's entry down; from any thread. Raises OSError."""
    with _writing:
        ledger = load_ledger(folder)
        save_ledger(folder, msgspec.structs.replace(ledger, files=ledger.files | {name: upload}))


def settle(folder: Path, stored: bool) -> None:
    """Whether the bucket has everything, from now on. Raises OSError."""
    with _writing:
        save_ledger(folder, msgspec.structs.replace(load_ledger(folder), stored=stored, at=time.time()))


def media(name: str) -> bool:
    """Whether a file is large: left in the bucket and read from there. The rest is small and wanted often."""
    return name.endswith(".mp4") or (name.startswith("journal/") and name != "journal/events")
