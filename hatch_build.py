"""Builds the native media plane (`sfu/plane/native`) as a part of the package's own build.

With cargo the extension goes into `sfu/plane`, and into the wheel, whose tag then names the platform. Without cargo, or
where it fails, everything else is built and installed all the same: the Python plane serves. With
``CONSILIUM_NATIVE=require`` that is an error, with ``CONSILIUM_NATIVE=off`` nothing is built.

``python hatch_build.py`` builds the extension alone, which takes a moment where nothing has changed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

EXTENSION = "sfu/plane/_native.abi3.so"
CRATE = "sfu/plane/native"
TARGET = "build/native"


def build(root: Path) -> bool:
    """Whether the extension is there now and fits the sources. Raises RuntimeError where it must be and is not."""
    wish = os.environ.get("CONSILIUM_NATIVE", "auto")
    reason = "CONSILIUM_NATIVE=off" if wish == "off" else _build(root)
    if reason is None:
        return True
    extension = root / EXTENSION
    if wish != "off" and extension.is_file() and extension.stat().st_mtime >= _changed(root):
        return True  # built before from these sources
    if wish == "require":
        raise RuntimeError(f"the native media plane was not built: {reason}")
    extension.unlink(missing_ok=True)
    print(f"The Python media plane will serve, the native one was not built: {reason}", file=sys.stderr)
    return False


def _build(root: Path) -> str | None:
    """The reason why there is no extension."""
    cargo = shutil.which("cargo") or shutil.which("cargo", path=str(Path.home() / ".cargo" / "bin"))
    if not sys.platform.startswith("linux"):
        return "it is for Linux"
    if cargo is None:
        return "Rust (cargo) is not installed"
    target = root / TARGET
    command = [cargo, "build", "--locked", "--release", "--quiet", "--manifest-path", str(root / CRATE / "Cargo.toml")]
    environment = os.environ | {"CARGO_TARGET_DIR": str(target), "PYO3_NO_PYTHON": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        return done.stderr.strip()[-2000:] or f"cargo ended with {done.returncode}"
    made, extension = target / "release" / "lib_native.so", root / EXTENSION
    if not extension.is_file() or extension.read_bytes() != made.read_bytes():
        fresh = extension.with_suffix(".new")
        shutil.copyfile(made, fresh)
        fresh.replace(extension)  # a server that runs keeps the one that it has loaded
    else:
        extension.touch()
    return None


def _changed(root: Path) -> float:
    """When the newest of the sources was written."""
    sources = [path for path in (root / CRATE).rglob("*") if path.suffix in (".rs", ".toml", ".lock")]
    return max(path.stat().st_mtime for path in sources)


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # `python hatch_build.py` needs no hatchling
    pass
else:

    class NativePlane(BuildHookInterface):  # type: ignore[type-arg]
        """See the module text."""

        PLUGIN_NAME = "custom"

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:
            if self.target_name != "wheel" or not build(Path(self.root)):
                return
            platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data["pure_python"] = False
            build_data["tag"] = f"cp311-abi3-{platform}"
            build_data["artifacts"].append(EXTENSION)


if __name__ == "__main__":
    build(Path(__file__).parent)
