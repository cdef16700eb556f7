"""Compiles our two small C programs with the machine's compiler, once, into a cache folder."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

SOURCES = Path(__file__).parent.parent
FLAGS = ("-O3", "-march=native", "-Wall", "-Wextra", "-pthread")


class CannotBuild(Exception):
    """There is no compiler, or no libcrypto; the text says which, for the report."""


def compiled(source: str, *, shared: bool = False) -> Path:
    """The program (or shared library) made of `source`, a path under `benchmarks/`. Raises `CannotBuild`."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        raise CannotBuild("no C compiler (cc) is installed")
    path = SOURCES / source
    headers = [header.read_bytes() for header in sorted((SOURCES / "load").glob("*.h"))]
    parts = [path.read_bytes(), *headers, platform.node().encode(), repr(FLAGS).encode()]
    name = f"{path.stem}-{hashlib.sha256(b''.join(parts)).hexdigest()[:16]}{'.so' if shared else ''}"
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "consilium-benchmarks"
    target = folder / name
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        made = Path(scratch) / name
        command = [compiler, *FLAGS, *(("-fPIC", "-shared") if shared else ()), "-o", str(made), str(path)]
        # The library itself by name: its development package need not be there.
        for library in ("-l:libcrypto.so.3", "-lcrypto"):
            done = subprocess.run([*command, library], capture_output=True, text=True, timeout=120)
            if done.returncode == 0:
                made.rename(target)
                return target
    raise CannotBuild(f"{compiler} cannot build {source}: {done.stderr.strip()[-300:]}")
