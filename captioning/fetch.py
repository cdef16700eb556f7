"""Getting one file of a model: out of installed packages, over HTTP(S), or from a folder; unpacked and verified.

A file is written beside its place, flushed to disk and renamed: a crash leaves either the whole file or none. What was
downloaded of a broken file is kept, so that the next try asks only for the rest.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import importlib.util
import os
import tempfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from captioning.catalogue import Model, ModelFile, PackagePart

Progress = Callable[[str, int, int], None]
"""Called with (model/file, bytes so far, bytes in all)."""

CHUNK = 1 << 20
TIMEOUT = 30.0
"""Seconds a source may be silent before a download gives up."""
LARGEST_UNPACKED = 64 << 20
"""Bytes that may come out of a packed file whose unpacked size is not known: vocabularies and word lists."""


class ModelError(Exception):
    """A model cannot be had or used; the text says which, why, and what to do."""


def obtain(model: Model, file: ModelFile, place: Path, progress: Progress | None, mirror: str) -> str:
    """Put the file into `place`; returns its SHA-256. `mirror` is an address or folder that stands for the model's own
    source. Raises ModelError, OSError."""
    if file.parts:
        return _join(model, file, place / file.name)
    wanted = _Wanted.of(model, file, mirror)
    if mirror and not _is_address(mirror):
        source = Path(mirror).expanduser() / wanted.path
        _check_there(model, source, wanted)
        return _unpack(model, file, source, place) if file.packed else _copy(model, source, wanted, place / file.name)
    partial = place / f"{Path(wanted.path).name if file.packed else file.name}.part"
    _download(model, wanted, partial, progress)
    if not file.packed:
        partial.chmod(0o644)
        put(partial, place / file.name)
        return wanted.sha256
    try:
        return _unpack(model, file, partial, place)
    finally:
        partial.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a source must give: `path` is below a mirror, `url` whole."""

    label: str
    path: str
    url: str
    size: int
    sha256: str

    @classmethod
    def of(cls, model: Model, file: ModelFile, mirror: str) -> _Wanted:
        path = file.packed.path if file.packed else f"{model.name}/{file.name}"
        url = f"{mirror.rstrip('/')}/{path}" if _is_address(mirror) else file.url or ""
        size, sha256 = (file.packed.size, file.packed.sha256) if file.packed else (file.size, file.sha256)
        if size is None or sha256 is None:
            raise ModelError(f"model {model.name}: the catalogue does not say what {file.name} is")
        return cls(f"{model.name}/{file.name}", path, url, size, sha256)


def _is_address(mirror: str) -> bool:
    return mirror.startswith(("http://", "https://"))


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """A file that appears under its name only when all of it is on disk."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        temporary.chmod(0o644)
        put(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def put(temporary: Path, path: Path) -> None:
    """Rename, and flush the folder."""
    temporary.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


# --- from a folder ---------------------------------------------------------------------------------


def _check_there(model: Model, source: Path, wanted: _Wanted) -> None:
    if not source.is_file():
        raise ModelError(f"model {model.name}: there is no {source}; nothing is fetched while a folder is the mirror")
    size = source.stat().st_size
    if size != wanted.size:
        pointer = " (a Git LFS pointer: run `git lfs pull` there)" if size < 200 else ""
        raise ModelError(f"model {model.name}: {source} has {size} bytes instead of {wanted.size}{pointer}")
    with source.open("rb") as content:
        if hashlib.file_digest(content, "sha256").hexdigest() != wanted.sha256:
            raise ModelError(f"model {model.name}: {source} has not the catalogue's SHA-256; nothing was installed")


def _copy(model: Model, source: Path, wanted: _Wanted, path: Path) -> str:
    digest = hashlib.sha256()
    with written_whole(path) as out, source.open("rb") as content:
        while chunk := content.read(CHUNK):
            digest.update(chunk)
            out.write(chunk)
        if digest.hexdigest() != wanted.sha256:
            raise ModelError(f"model {model.name}: {source} changed while it was read; nothing was installed")
    return wanted.sha256


def _unpack(model: Model, file: ModelFile, source: Path, place: Path) -> str:
    """What is in a packed file whose own digest was found right."""
    most = LARGEST_UNPACKED if file.size is None else file.size
    digest, size = hashlib.sha256(), 0
    with written_whole(place / file.name) as out:
        try:
            with gzip.open(source) as content:
                while chunk := content.read(CHUNK):
                    size += len(chunk)
                    if size > most:
                        break
                    digest.update(chunk)
                    out.write(chunk)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ModelError(f"model {model.name}: {source.name} cannot be unpacked: {error}") from error
        if size > most:
            raise ModelError(
                f"model {model.name}: {source.name} unpacks to more than {most} bytes; nothing was installed"
            )
        found = digest.hexdigest()
        if file.size not in (None, size) or file.sha256 not in (None, found):
            raise ModelError(f"model {model.name}: what {source.name} unpacks to is not what the catalogue says")
    return found


# --- from packages ---------------------------------------------------------------------------------


def _join(model: Model, file: ModelFile, path: Path) -> str:
    digest = hashlib.sha256()
    with written_whole(path) as out:
        for part in file.parts:
            with _in_package(model, part).open("rb") as content:
                while chunk := content.read(CHUNK):
                    digest.update(chunk)
                    out.write(chunk)
        if digest.hexdigest() != file.sha256:
            packages = ", ".join(sorted({part.package for part in file.parts}))
            raise ModelError(
                f"model {model.name}: {file.name} from {packages} has the wrong SHA-256; reinstall the package"
            )
    return digest.hexdigest()


def _in_package(model: Model, part: PackagePart) -> Path:
    found = importlib.util.find_spec(part.package)  # found, not imported: some of these load native code
    root = Path(found.origin).parent if found and found.origin else None
    if root is None or not (root / part.path).is_file():
        name = part.package.replace("_", "-")
        raise ModelError(
            f"model {model.name}: {part.path} of the Python package {name} is not there; run: pip install {name}"
        )
    return root / part.path


# --- over HTTP -------------------------------------------------------------------------------------


def _download(model: Model, wanted: _Wanted, partial: Path, progress: Progress | None) -> None:
    """Fetch into a `.part` file that outlives a failure."""
    have = partial.stat().st_size if partial.exists() else 0
    if have > wanted.size:
        partial.unlink()
        have = 0
    if have < wanted.size:
        _fetch_rest(model, wanted, partial, have, progress)
    with partial.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    if digest != wanted.sha256:
        partial.unlink()
        raise ModelError(
            f"model {model.name}: {wanted.url} has SHA-256 {digest}, the catalogue says {wanted.sha256}; "
            "nothing was installed"
        )


def _fetch_rest(model: Model, wanted: _Wanted, partial: Path, have: int, progress: Progress | None) -> None:
    if not _is_address(wanted.url):
        raise ModelError(f"model {model.name}: {wanted.url} is not an HTTP address")
    request = urllib.request.Request(wanted.url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer, partial.open("ab") as out:
            if answer.status != 206 and have:  # the source does not resume: start again
                out.truncate(0)
                have = 0
            while have <= wanted.size and (chunk := answer.read(CHUNK)):
                out.write(chunk)
                have += len(chunk)
                if progress is not None:
                    progress(wanted.label, have, wanted.size)
            out.flush()
            os.fsync(out.fileno())
    except urllib.error.HTTPError as error:
        raise ModelError(f"model {model.name}: {wanted.url} answered {error.code} {error.reason}") from error
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error
        raise ModelError(
            f"model {model.name}: cannot reach {wanted.url} ({reason}). This needs internet access, or a mirror that "
            f"has {wanted.path}"
        ) from error
    if have != wanted.size:
        if have > wanted.size:
            partial.unlink()
        raise ModelError(
            f"model {model.name}: {wanted.url} gave {have} bytes instead of {wanted.size}; "
            "run the command again to go on from there"
        )
