"""The build of the native plane, where there is no Rust and where there is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def run(root: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(root / "hatch_build.py")],
        env=os.environ | environment, capture_output=True, text=True, timeout=110,
    )  # fmt: skip


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Only what the build of the extension looks at."""
    shutil.copy(ROOT / "hatch_build.py", tmp_path)
    shutil.copytree(ROOT / "sfu" / "plane" / "native", tmp_path / "sfu" / "plane" / "native")
    return tmp_path


def test_without_cargo_the_python_plane_serves(checkout: Path) -> None:
    nothing = {"PATH": "/nonexistent", "HOME": "/nonexistent"}
    done = run(checkout, **nothing)
    assert done.returncode == 0
    assert "The Python media plane will serve" in done.stderr and "cargo" in done.stderr
    refused = run(checkout, CONSILIUM_NATIVE="require", **nothing)
    assert refused.returncode != 0 and "was not built" in refused.stderr


def test_an_extension_stays_while_it_is_newer_than_its_sources(checkout: Path) -> None:
    nothing = {"PATH": "/nonexistent", "HOME": "/nonexistent"}
    extension = checkout / "sfu" / "plane" / "_native.abi3.so"
    extension.write_bytes(b"built elsewhere")
    assert run(checkout, CONSILIUM_NATIVE="require", **nothing).returncode == 0
    assert extension.read_bytes() == b"built elsewhere"
    source = checkout / "sfu" / "plane" / "native" / "src" / "lib.rs"
    os.utime(extension, (source.stat().st_mtime - 10,) * 2)
    os.utime(source)
    assert run(checkout, **nothing).returncode == 0
    assert not extension.exists(), "it would not fit the rest of the package any more"


@pytest.mark.skipif(shutil.which("cargo") is None, reason="Rust is not installed")
def test_a_second_build_has_nothing_to_do() -> None:
    assert run(ROOT).returncode == 0
    extension = ROOT / "sfu" / "plane" / "_native.abi3.so"
    before = extension.stat().st_ino
    assert run(ROOT).returncode == 0
    assert extension.stat().st_ino == before
