"""The model folder: which models are there, installing them, and checking that their bytes are right.

A model is a folder of its name holding the catalogue's files and a `verified.json` that says which bytes were hashed
(size and modification time of each file), so that a start only hashes what has changed since. Files are written
beside their place, flushed to disk and renamed: a crash leaves either the whole file or none. Nothing here runs in
the media path, and nothing goes to the network unless a person asks for a model that is not embedded (`pull`).
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Literal

import msgspec

from captioning.catalogue import CATALOGUE, EMBEDDED, Model, ModelFile, PackagePart, find

State = Literal["installed", "missing", "corrupt"]
Progress = Callable[[str, int, int], None]
"""Called with (model/file, bytes so far, bytes in all)."""

CHUNK = 1 << 20
MARK = "verified.json"
TIMEOUT = 30.0
"""Seconds a source may be silent before a download gives up."""


class ModelError(Exception):
    """A model cannot be had or used; the text says which, why, and what to do."""


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One line of `consilium models list`."""

    name: str
    title: str
    licence: str
    size: int
    embedded: bool
    state: State
    problem: str | None = None


def default_folder() -> Path:
    """``CONSILIUM_MODELS``, else the user's data folder (XDG Base Directory Specification)."""
    if named := os.environ.get("CONSILIUM_MODELS"):
        return Path(named)
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "consilium" / "models"


def list_models(folder: Path | None = None, catalogue: tuple[Model, ...] = CATALOGUE) -> list[ModelStatus]:
    """Every model of the catalogue and whether it is installed, by size only (`verify` hashes)."""
    return [_status(model, folder or default_folder()) for model in catalogue]


def installed(folder: Path, catalogue: tuple[Model, ...] = CATALOGUE) -> list[Model]:
    """The models whose files are all there with the right sizes."""
    return [model for model in catalogue if _problem(model, folder)[0] == "installed"]


def verify(
    folder: Path | None = None, names: Iterable[str] = (), catalogue: tuple[Model, ...] = CATALOGUE
) -> list[ModelStatus]:
    """Hash every file of the named models, or of all that are there. Raises ModelError for an unknown name."""
    folder = folder or default_folder()
    chosen = [_known(name, catalogue) for name in names] or [m for m in catalogue if (folder / m.name).exists()]
    statuses = []
    for model in chosen:
        status = _status(model, folder)
        if status.state == "installed":
            try:
                check(model, folder, trust_mark=False)
            except ModelError as error:
                status = replace(status, state="corrupt", problem=str(error))
        statuses.append(status)
    return statuses


def pull(
    names: Iterable[str],
    folder: Path | None = None,
    progress: Progress | None = None,
    catalogue: tuple[Model, ...] = CATALOGUE,
    mirror: str = "",
) -> list[Path]:
    """Install the named models and return their folders. A broken download goes on where it stopped. `mirror` is a
    folder or an address that has ``MODEL/FILE``; what comes from there is held against the catalogue like anything.

    Raises ModelError: unknown name, source unreachable, bytes that do not match the catalogue, disk full.
    """
    folder = folder or default_folder()
    models = [_known(name, catalogue) for name in names]
    return [install(model, folder, progress, mirror) for model in models]


def wanted(
    names: Iterable[str], pairs: Iterable[str], languages: Iterable[str], catalogue: tuple[Model, ...] = CATALOGUE
) -> list[str]:
    """Names of models: those named, one for each pair (``en-pt``), and both ways between English and each language.
    Raises ModelError that says what there is."""
    ways = {model.pair: model.name for model in catalogue if model.pair is not None}
    asked = []
    for pair in pairs:
        source, _, target = pair.strip().lower().partition("-")
        asked.append((source, target))
    for language in filter(None, (tag.strip().lower() for tag in languages)):
        if language != "en":
            asked += [("en", language), (language, "en")]
    missing = [f"{source}-{target}" for source, target in asked if (source, target) not in ways]
    if missing:
        known = ", ".join(sorted(f"{source}-{target}" for source, target in ways))
        raise ModelError(f"the catalogue has no translation model for {', '.join(missing)}; it has {known}")
    return list(dict.fromkeys([*names, *(ways[pair] for pair in asked)]))


def install_embedded(folder: Path) -> None:
    """Put the models that came with our dependencies into the folder, unless they are there. No network."""
    for name in EMBEDDED:
        install(_known(name, CATALOGUE), folder)


def install(model: Model, folder: Path, progress: Progress | None = None, mirror: str = "") -> Path:
    """Make sure that the model is in the folder with the right bytes; return its folder. Raises ModelError."""
    place = folder / model.name
    try:
        place.mkdir(parents=True, exist_ok=True)
        for file in model.files:
            if not _sized(place / file.name, file) or not _matches(place, file):
                _obtain(model, file, place, progress, mirror)
        _write_mark(place, model)
    except OSError as error:
        raise ModelError(f"model {model.name}: cannot write to {place}: {error.strerror or error}") from error
    return place


def check(model: Model, folder: Path, trust_mark: bool = True) -> Path:
    """The model's folder, after making sure of its bytes; those hashed before and untouched since are trusted.

    Raises ModelError."""
    state, problem = _problem(model, folder)
    if state != "installed":
        raise ModelError(problem or state)
    place = folder / model.name
    for file in model.files:
        if not _matches(place, file, trust_mark):
            raise ModelError(
                f"model {model.name}: {place / file.name} is corrupt (its SHA-256 is not the catalogue's); "
                f"delete it and run: consilium models pull {model.name}"
            )
    with contextlib.suppress(OSError):  # a read-only model folder is fine: the next start hashes again
        _write_mark(place, model)
    return place


def _known(name: str, catalogue: tuple[Model, ...]) -> Model:
    model = find(name, catalogue)
    if model is None:
        raise ModelError(f"unknown model {name!r}; known: {', '.join(m.name for m in catalogue)}")
    return model


def _status(model: Model, folder: Path) -> ModelStatus:
    state, problem = _problem(model, folder)
    return ModelStatus(model.name, model.title, model.licence, model.size, model.embedded, state, problem)


def _problem(model: Model, folder: Path) -> tuple[State, str | None]:
    place = folder / model.name
    for file in model.files:
        path = place / file.name
        if not path.is_file():
            return "missing", f"model {model.name} is missing: no {path}; run: consilium models pull {model.name}"
        if not _sized(path, file):
            return "corrupt", (
                f"model {model.name} is corrupt: {path} has {path.stat().st_size} bytes instead of {file.size}; "
                f"run: consilium models pull {model.name}"
            )
    return "installed", None


def _sized(path: Path, file: ModelFile) -> bool:
    return path.is_file() and path.stat().st_size == file.size


class _Seen(msgspec.Struct):
    """What a file looked like when its hash was found right."""

    sha256: str
    size: int
    modified: int


def _read_mark(place: Path) -> dict[str, _Seen]:
    try:
        return msgspec.json.decode((place / MARK).read_bytes(), type=dict[str, _Seen])
    except (OSError, msgspec.DecodeError):
        return {}


def _write_mark(place: Path, model: Model) -> None:
    mark = {}
    for file in model.files:
        stat = (place / file.name).stat()
        mark[file.name] = _Seen(file.sha256, stat.st_size, stat.st_mtime_ns)
    if mark != _read_mark(place):
        with _written_whole(place / MARK) as out:
            out.write(msgspec.json.encode(mark))


def _matches(place: Path, file: ModelFile, trust_mark: bool = True) -> bool:
    path = place / file.name
    stat = path.stat()
    seen = _read_mark(place).get(file.name) if trust_mark else None
    if seen == _Seen(file.sha256, stat.st_size, stat.st_mtime_ns):
        return True
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest() == file.sha256


@contextlib.contextmanager
def _written_whole(path: Path) -> Iterator[IO[bytes]]:
    """A file that appears under its name only when all of it is on disk."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        temporary.chmod(0o644)
        _put(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _put(temporary: Path, path: Path) -> None:
    temporary.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _obtain(model: Model, file: ModelFile, place: Path, progress: Progress | None, mirror: str) -> None:
    if file.parts:
        _join(model, file, place / file.name)
    elif file.url:
        if mirror.startswith(("http://", "https://")):
            file = replace(file, url=f"{mirror.rstrip('/')}/{model.name}/{file.name}")
        elif mirror:
            return _copy(model, file, Path(mirror).expanduser() / model.name / file.name, place / file.name)
        _download(model, file, place, progress)


def _copy(model: Model, file: ModelFile, source: Path, path: Path) -> None:
    if not source.is_file():
        raise ModelError(f"model {model.name}: there is no {source}; nothing is fetched while a folder is the mirror")
    digest = hashlib.sha256()
    with _written_whole(path) as out, source.open("rb") as content:
        while chunk := content.read(CHUNK):
            digest.update(chunk)
            out.write(chunk)
        if digest.hexdigest() != file.sha256:
            raise ModelError(f"model {model.name}: {source} has not the catalogue's SHA-256; nothing was installed")


def _join(model: Model, file: ModelFile, path: Path) -> None:
    digest = hashlib.sha256()
    with _written_whole(path) as out:
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


def _in_package(model: Model, part: PackagePart) -> Path:
    found = importlib.util.find_spec(part.package)  # found, not imported: some of these load native code
    root = Path(found.origin).parent if found and found.origin else None
    if root is None or not (root / part.path).is_file():
        name = part.package.replace("_", "-")
        raise ModelError(
            f"model {model.name}: {part.path} of the Python package {name} is not there; run: pip install {name}"
        )
    return root / part.path


def _download(model: Model, file: ModelFile, place: Path, progress: Progress | None) -> None:
    """Fetch into a `.part` file that outlives a failure, so that the next try asks only for the rest."""
    partial = place / f"{file.name}.part"
    have = partial.stat().st_size if partial.exists() else 0
    if have > file.size:
        partial.unlink()
        have = 0
    if have < file.size:
        _fetch_rest(model, file, partial, have, progress)
    with partial.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    if digest != file.sha256:
        partial.unlink()
        raise ModelError(
            f"model {model.name}: {file.url} has SHA-256 {digest}, the catalogue says {file.sha256}; "
            "nothing was installed"
        )
    partial.chmod(0o644)
    _put(partial, place / file.name)


def _fetch_rest(model: Model, file: ModelFile, partial: Path, have: int, progress: Progress | None) -> None:
    assert file.url is not None
    if not file.url.startswith(("http://", "https://")):
        raise ModelError(f"model {model.name}: {file.url} is not an HTTP address")
    request = urllib.request.Request(file.url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer, partial.open("ab") as out:
            if answer.status != 206 and have:  # the source does not resume: start again
                out.truncate(0)
                have = 0
            while have <= file.size and (chunk := answer.read(CHUNK)):
                out.write(chunk)
                have += len(chunk)
                if progress is not None:
                    progress(f"{model.name}/{file.name}", have, file.size)
            out.flush()
            os.fsync(out.fileno())
    except urllib.error.HTTPError as error:
        raise ModelError(f"model {model.name}: {file.url} answered {error.code} {error.reason}") from error
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error
        raise ModelError(
            f"model {model.name}: cannot reach {file.url} ({reason}). This needs internet access; "
            f"or put the file at {partial.parent / file.name} yourself"
        ) from error
    if have != file.size:
        if have > file.size:
            partial.unlink()
        raise ModelError(
            f"model {model.name}: {file.url} gave {have} bytes instead of {file.size}; "
            "run the command again to go on from there"
        )
