"""The inputs that are kept: for each target a file of base64 lines, the shortest first.

`recorded` has what browsers sent, `found` what fuzzing has found since; fuzzers work in a folder of files instead.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from pathlib import Path

HOME = Path(__file__).parent
KINDS = ("recorded", "found")
MOST_BYTES = 1_500_000
"""Of all the files together."""


def path(kind: str, name: str) -> Path:
    return HOME / kind / f"{name}.b64"


def read(name: str, kinds: Iterable[str] = KINDS) -> list[bytes]:
    """All inputs of a target, none where there is no file."""
    files = [path(kind, name) for kind in kinds]
    return [base64.b64decode(line) for file in files if file.is_file() for line in file.read_text().split("\n") if line]


def write(kind: str, name: str, inputs: Iterable[bytes]) -> None:
    kept = sorted({data for data in inputs if data}, key=lambda data: (len(data), data))
    lines = [base64.b64encode(data).decode() for data in kept]
    path(kind, name).parent.mkdir(exist_ok=True)
    path(kind, name).write_text("".join(f"{line}\n" for line in lines))


def unpack(inputs: Iterable[bytes], folder: Path) -> Path:
    """As files, which is what libFuzzer reads."""
    folder.mkdir(parents=True, exist_ok=True)
    for data in inputs:
        (folder / hashlib.sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)
    return folder


def size() -> int:
    return sum(file.stat().st_size for kind in KINDS for file in (HOME / kind).glob("*.b64"))
