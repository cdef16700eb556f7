"""What a person gets who installs the wheel: everything to serve with, and nothing that needs Node."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STATIC = ROOT / "web" / "static"

pytestmark = pytest.mark.skipif(
    not (STATIC / "index.html").is_file(), reason="the pages are not built: run `make web` first"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        capture_output=True, text=True, timeout=110,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = folder.glob("*.whl")
    return made


def test_the_wheel_holds_pages_demo_migrations_and_types(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    built = {f"web/static/{p.relative_to(STATIC).as_posix()}" for p in STATIC.rglob("*") if p.is_file()}
    assert built <= names
    demo = {f"signaling/demo/assets/{guest}.{kind}" for guest in ("helen", "james", "ana") for kind in ("opus", "ivf")}
    assert {"signaling/demo/script.json", "sfu/py.typed", *demo} <= names
    migrations = {p.relative_to(ROOT).as_posix() for p in (ROOT / "community" / "migrations").rglob("*.py")}
    assert migrations and migrations <= names
    sources = {
        p.relative_to(ROOT).as_posix()
        for package in ("sfu", "signaling", "captioning", "recorder", "community")
        for p in (ROOT / package).rglob("*.py")
    }
    assert sources <= names


def test_the_wheel_holds_neither_sources_of_the_pages_nor_data(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            top = info.filename.split("/")[0]
            known = {"sfu", "signaling", "captioning", "recorder", "community", "benchmarks", "web"}
            assert top in known or top.endswith(".dist-info"), info.filename
            assert "node_modules" not in info.filename and "__pycache__" not in info.filename
            assert not info.filename.endswith((".svelte", ".db", ".log")), info.filename


def test_the_unpacked_wheel_serves_itself(wheel: Path, tmp_path: Path) -> None:
    """From the wheel alone, away from the checkout: the command, the pages and the demo are found."""
    unpacked = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    program = (
        "import signaling.cli, web; from signaling.demo.assets import script, sound, picture;"
        "from community.store import Store;"
        "assert (web.STATIC / 'index.html').is_file(), web.STATIC;"
        "assert all(sound(g.id).packets and picture(g.id).frames for g in script().guests);"
        "print(web.STATIC)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(unpacked)}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(unpacked)


def test_the_locks_pin_every_dependency_with_hashes_and_name_no_registry() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = {name.lower() for name in map(_name, project["dependencies"])}
    tools = {name.lower() for name in map(_name, project["optional-dependencies"]["dev"])}
    for file, needed in (("requirements.lock", wanted), ("requirements-dev.lock", wanted | tools)):
        text = (ROOT / file).read_text("utf-8")
        pins = text.replace("\\\n", " ").splitlines()
        pinned = {line.split("==")[0].split("[")[0].strip(): line for line in pins if "==" in line}
        assert needed <= pinned.keys(), f"{file} lacks {needed - pinned.keys()}: run make lock"
        assert all("--hash=sha256:" in line for line in pinned.values())
        assert "://" not in text and "index-url" not in text


def _name(requirement: str) -> str:
    for stop in "[=<>!~; ":
        requirement = requirement.split(stop)[0]
    return requirement
