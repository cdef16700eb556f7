"""Packed models from a real HTTP server laid out as their makers' repository is: the embedded en-pt model, packed."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from aiohttp import web

from captioning import fetch, models, pins
from captioning.catalogue import CATALOGUE, EMBEDDED, FIREFOX, Model, ModelFile, Packed, find
from captioning.models import ModelError
from captioning.pairs import Pairs, load_pair

FOLDER = "models/tiny/enpt"
REMOTE = {
    "model.bin": "model.enpt.intgemm.alphas.bin.gz",
    "vocab.spm": "vocab.enpt.spm.gz",
    "lex.bin": "lex.50.50.enpt.s2t.bin.gz",
}


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Path:
    """A folder as a clone of the makers' repository is."""
    root = tmp_path_factory.mktemp("repository")
    (root / FOLDER).mkdir(parents=True)
    for name, remote in REMOTE.items():
        content = (model_folder / "firefox-en-pt" / name).read_bytes()
        (root / FOLDER / remote).write_bytes(gzip.compress(content, compresslevel=1))
    return root


@dataclass
class Mirror:
    """Serves a folder, ranges and all; can cut answers short and change what it gives."""

    root: Path
    url: str = ""
    cut: int | None = None
    instead: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        self.asked.append((path.rsplit("/", 1)[1], request.headers.get("Range")))
        if path in self.instead:
            return web.Response(body=self.instead[path])
        if self.cut is None:
            return web.FileResponse(self.root / path)
        body = (self.root / path).read_bytes()
        response = web.StreamResponse()
        response.content_length = len(body)
        await response.prepare(request)
        await response.write(body[: self.cut])
        assert request.transport is not None
        request.transport.close()
        return response


@pytest.fixture
async def mirror(repository: Path) -> AsyncIterator[Mirror]:
    mirror = Mirror(repository)
    app = web.Application()
    app.router.add_get("/{path:.+}", mirror.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    mirror.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield mirror
    await runner.cleanup()


def entry(repository: Path, files: dict[str, str] = REMOTE, **unpacked: tuple[int | None, str | None]) -> Model:
    """A catalogue entry with the packed files as they lie there; of the unpacked ones only what is given is known."""
    found = []
    for name, remote in files.items():
        path = f"{FOLDER}/{remote}"
        packed = (repository / path).read_bytes()
        known = unpacked.get(name.split(".")[0], (None, None))
        found.append(
            ModelFile(
                name, *known, url=f"https://nowhere.invalid/{path}", packed=Packed(path, len(packed), digest(packed))
            )
        )
    return Model("far-en-pt", "translation", "en to pt", "MPL-2.0", tuple(found), ("en", "pt"), "tiny")


def known(model_folder: Path) -> tuple[int, str]:
    content = (model_folder / "firefox-en-pt" / "model.bin").read_bytes()
    return len(content), digest(content)


async def pull(
    model: Model, folder: Path, mirror: Mirror | Path, seen: list[tuple[str, int, int]] | None = None
) -> Path:
    where = mirror.url if isinstance(mirror, Mirror) else str(mirror)
    progress = None if seen is None else lambda *step: seen.append(step)
    (place,) = await asyncio.to_thread(models.pull, [model.name], folder, progress, (model,), where)
    return place


async def test_packed_files_are_fetched_unpacked_verified_and_translate(
    mirror: Mirror, repository: Path, model_folder: Path, tmp_path: Path
) -> None:
    model = entry(repository, model=known(model_folder))
    steps: list[tuple[str, int, int]] = []
    place = await pull(model, tmp_path, mirror, steps)
    assert {path.name for path in place.iterdir()} == {*REMOTE, models.MARK}
    for name in REMOTE:
        assert (place / name).read_bytes() == (model_folder / "firefox-en-pt" / name).read_bytes()
    assert steps[-1][1] == steps[-1][2] and any(name == "far-en-pt/model.bin" for name, _, _ in steps)
    assert "bom dia" in load_pair(place).translate_long("Good morning.").lower()
    assert [status.state for status in models.verify(tmp_path, [model.name], (model,))] == ["installed"]
    asked = len(mirror.asked)
    await pull(model, tmp_path, mirror)
    assert len(mirror.asked) == asked, "what is there is not asked for again"
    # What came out of a packed file is held against what came out of it then: no other bytes pass.
    vocabulary = bytearray((place / "vocab.spm").read_bytes())
    vocabulary[500] ^= 1
    (place / "vocab.spm").write_bytes(vocabulary)
    assert models.verify(tmp_path, [model.name], (model,))[0].state == "corrupt"
    await pull(model, tmp_path, mirror)
    assert models.verify(tmp_path, [model.name], (model,))[0].state == "installed"
    # Without the note of what came out of them nobody can know whether they are right: they are fetched again.
    (place / models.MARK).unlink()
    assert models.verify(tmp_path, [model.name], (model,))[0].state == "corrupt"
    await pull(model, tmp_path, mirror)
    assert models.verify(tmp_path, [model.name], (model,))[0].state == "installed"


async def test_two_vocabularies_are_taken_each_for_its_language(
    mirror: Mirror, repository: Path, model_folder: Path, tmp_path: Path
) -> None:
    files = {name: remote for name, remote in REMOTE.items() if name != "vocab.spm"}
    for name, remote in (("source.spm", "srcvocab.enpt.spm.gz"), ("target.spm", "trgvocab.enpt.spm.gz")):
        (repository / FOLDER / remote).write_bytes((repository / FOLDER / REMOTE["vocab.spm"]).read_bytes())
        files[name] = remote
    place = await pull(entry(repository, files), tmp_path, mirror)
    assert "bom dia" in load_pair(place).translate_long("Good morning.").lower()
    # With another language's words to write in, the same model writes other words.
    (place / "target.spm").write_bytes((model_folder / "firefox-pt-en" / "vocab.spm").read_bytes())
    assert "bom dia" not in load_pair(place).translate_long("Good morning.").lower()


async def test_a_packed_download_that_breaks_goes_on_and_leaves_nothing_half(
    mirror: Mirror, repository: Path, model_folder: Path, tmp_path: Path
) -> None:
    model = entry(repository, model=known(model_folder))
    mirror.cut = 300_000
    with pytest.raises(ModelError, match="300000 bytes instead of"):
        await pull(model, tmp_path, mirror)
    assert [path.name for path in (tmp_path / model.name).iterdir()] == [f"{REMOTE['model.bin']}.part"]
    mirror.cut = None
    await pull(model, tmp_path, mirror)
    assert (REMOTE["model.bin"], "bytes=300000-") in mirror.asked
    assert models.verify(tmp_path, [model.name], (model,))[0].state == "installed"


async def test_wrong_large_and_broken_packed_files_are_refused(
    mirror: Mirror, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{FOLDER}/{REMOTE['vocab.spm']}"
    right = (repository / path).read_bytes()
    model = entry(repository, {"vocab.spm": REMOTE["vocab.spm"]})
    (file,) = model.files

    def of(packed: bytes, size: int | None = None, sha256: str | None = None) -> Model:
        mirror.instead[path] = packed
        return replace(
            model, files=(replace(file, size=size, sha256=sha256, packed=Packed(path, len(packed), digest(packed))),)
        )

    async def refused(what: Model, why: str) -> None:
        with pytest.raises(ModelError, match=why):
            await pull(what, tmp_path, mirror)
        assert list((tmp_path / model.name).iterdir()) == [], "nothing is left"

    mirror.instead[path] = right[:-1] + bytes([right[-1] ^ 1])
    await refused(model, "the catalogue says")
    mirror.instead[path] = right + b"more"
    await refused(model, "instead of")
    await refused(of(b"this is no gzip file"), "cannot be unpacked")
    await refused(of(right[:-4000]), "cannot be unpacked")
    await refused(of(right, size=1000, sha256="00" * 32), "unpacks to more than 1000 bytes")
    await refused(of(right, size=len(gzip.decompress(right)), sha256="00" * 32), "not what the catalogue says")
    monkeypatch.setattr(fetch, "LARGEST_UNPACKED", 1 << 20)
    bomb = gzip.compress(bytes(200 << 20))
    assert len(bomb) < 300_000
    await refused(of(bomb), "unpacks to more than 1048576 bytes")
    mirror.instead.clear()
    await pull(model, tmp_path, mirror)


async def test_a_clone_of_the_makers_repository_is_a_mirror(repository: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    (clone / FOLDER).mkdir(parents=True)
    model = entry(repository)
    with pytest.raises(ModelError, match="there is no"):
        await pull(model, tmp_path / "m", clone)
    for remote in REMOTE.values():
        (clone / FOLDER / remote).write_bytes((repository / FOLDER / remote).read_bytes())
    pointer = clone / FOLDER / REMOTE["lex.bin"]
    content = pointer.read_bytes()
    pointer.write_text(
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest(content)}\nsize {len(content)}\n"
    )
    with pytest.raises(ModelError, match="Git LFS pointer"):
        await pull(model, tmp_path / "m", clone)
    pointer.write_bytes(content)
    place = await pull(model, tmp_path / "m", clone)
    assert "bom dia" in load_pair(place).translate_long("Good morning.").lower()
    assert {path.name for path in (clone / FOLDER).iterdir()} == set(REMOTE.values()), "the clone is left as it was"


def test_models_are_loaded_when_needed_the_best_first_and_let_go(
    repository: Path, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = replace(entry(repository, model=known(model_folder)), variant="base-memory")
    there = find("firefox-en-pt"), find("firefox-pt-en")
    catalogue = (here, *(model for model in there if model is not None))
    models.pull([here.name], tmp_path, catalogue=catalogue, mirror=str(repository))
    models.pull(["firefox-pt-en"], tmp_path)
    assert {pair: [m.name for m in found] for pair, found in models.pairs_installed(tmp_path, catalogue).items()} == {
        ("en", "pt"): ["far-en-pt"],
        ("pt", "en"): ["firefox-pt-en"],
    }
    models.pull(["firefox-en-pt"], tmp_path)
    ranked = models.pairs_installed(tmp_path, catalogue)[("en", "pt")]
    assert [model.name for model in ranked] == ["far-en-pt", "firefox-en-pt"], "base-memory before tiny"
    pairs = Pairs(tmp_path, loaded=1)
    assert set(pairs) == {("en", "pt"), ("pt", "en")} and len(pairs) == 2 and ("en", "fr") not in pairs
    first = pairs["en", "pt"]
    assert pairs["en", "pt"] is first
    assert "morning" in pairs["pt", "en"].translate_long("Bom dia.").lower()
    assert pairs["en", "pt"] is not first, "one at a time was asked for"


def test_the_catalogue_has_every_pair_of_its_makers_pinned() -> None:
    firefox = [model for model in CATALOGUE if model.variant and not model.embedded]
    assert len(firefox) == 137
    ways = {model.pair for model in firefox}
    wanted = ["ar", "zh", "es", "fr", "de", "it", "pt", "ru", "ja", "ko", "tr", "fa", "hi", "id"]
    assert {("en", tag) for tag in wanted} | {(tag, "en") for tag in wanted} <= ways
    assert ("vi", "en") in ways and ("no", "en") in ways
    for model in firefox:
        names = {file.name for file in model.files}
        assert names in ({"model.bin", "lex.bin", "vocab.spm"}, {"model.bin", "lex.bin", "source.spm", "target.spm"})
        for file in model.files:
            assert file.packed is not None and file.url is not None
            assert file.url.startswith(FIREFOX) and file.url.endswith(file.packed.path)
            assert len(bytes.fromhex(file.packed.sha256)) == 32 and 10_000 < file.packed.size < 60 << 20
            assert (file.sha256 is not None) == (file.name == "model.bin")
    apart = {model.pair for model in firefox if any(file.name == "source.spm" for file in model.files)}
    assert apart == {("en", "zh"), ("en", "ja"), ("en", "ko")}


def test_pairs_and_languages_choose_models_and_what_is_not_there_is_said() -> None:
    assert models.choose([], ["en-pt"]).names == ["firefox-en-pt"], "what comes with Consilium first"
    assert models.choose([], ["en-PT"], variant="base-memory").names == ["firefox-en-pt-base-memory"]
    assert models.choose([], ["en-de"]).names == ["firefox-en-de-base-memory"]
    assert models.choose([], ["en-tr"]).names == ["firefox-en-tr-tiny"], "where there is no other"
    assert models.choose([], [], [" zh-Hant", "en", "nb", ""]).names == [
        "firefox-en-zh-base-memory", "firefox-zh-en-base-memory", "firefox-no-en-tiny",
    ]  # fmt: skip
    assert models.choose(["whisper-base"], [], ["vi"]).without == [("en", "vi")]
    assert models.choose([], [], ["pt"]).names == list(EMBEDDED[1:])
    for asked in ({"languages": ["ur"]}, {"pairs": ["en-vi"]}, {"pairs": ["pt-es"]}, {"languages": ["xx"]}):
        with pytest.raises(ModelError, match=r"no translation model for .*; it has some to or from English for ar, az"):
            models.choose([], **asked)
    with pytest.raises(ModelError, match=r"\(base\) for en-fr"):
        models.choose([], ["en-fr"], variant="base")


def test_the_pins_are_made_from_a_repository(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "tiny" / "nben"
    folder.mkdir(parents=True)
    about = {"sourceLanguage": "nb", "targetLanguage": "en", "byteSize": 9, "hash": "ab" * 32}
    (folder / "metadata.json").write_text(json.dumps({**about, "flores": {"bleu": 1.5, "comet": None}}))
    names = ("lex.50.50.nben.s2t.bin.gz", "model.nben.intgemm.alphas.bin.gz", "vocab.nben.spm.gz", "qualityModel.gz")
    for number, name in enumerate(names):
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{number:064d}\nsize {number + 7}\n"
        (folder / name).write_text(pointer)

    def git(*arguments: str) -> None:
        who = ["-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", str(tmp_path), *who, *arguments], check=True, capture_output=True)

    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "models")
    (made,) = pins.pin(tmp_path, "HEAD")["models"]
    assert (made["pair"], made["variant"], made["unpacked"]) == (["no", "en"], "tiny", [9, "ab" * 32])
    assert made["files"]["vocab.spm"] == ["vocab.nben.spm.gz", 9, f"{2:064d}"] and len(made["files"]) == 3
    (folder / names[0]).write_text("the file itself")
    git("commit", "-qam", "no pointer")
    with pytest.raises(ValueError, match="not a Git LFS pointer"):
        pins.pin(tmp_path, "HEAD")
