"""``python -m fuzz [TARGET ...] --seconds N``: every target of both languages for so long, beginning with what is kept.

Inputs that break something are left in ``build/fuzz/found``, and the exit status is then 1. With ``--keep`` the corpus
is made anew: the fewest inputs that reach all that was reached.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from fuzz import corpus, minimise
from fuzz.targets import LONGEST, NATIVE, TARGETS, USUAL

BUILD = Path("build/fuzz")
FOUND = BUILD / "found"
CRATE = "fuzz/native"
MOST_OF_ONE = 200_000
"""Bytes kept for one target, the shortest inputs first: a whole plane has more ways than a corpus should hold."""


def built() -> bool:
    """Builds the native targets; False, and a word about it, where cargo-fuzz is missing."""
    if shutil.which("cargo-fuzz") is None:
        print("cargo-fuzz is not installed (cargo install cargo-fuzz): the native targets are left out")
        return False
    # Coverage of stable Rust needs no more than this word; no code here is unsafe, so there is no use for a sanitiser.
    environment = os.environ | {"RUSTC_BOOTSTRAP": "1", "CARGO_TARGET_DIR": str(BUILD.resolve())}
    command = ["cargo", "fuzz", "build", "--fuzz-dir", CRATE, "-s", "none"]
    subprocess.run(command, env=environment, check=True)
    return True


def native(name: str) -> list[str]:
    return [str(next(BUILD.glob(f"*/release/{name}")))]


def python(name: str) -> list[str]:
    return [sys.executable, "-m", "fuzz.child", name]


def run(command: list[str], label: str, *arguments: str) -> bool:
    """True where nothing was found; libFuzzer's last lines say how much was tried."""
    done = subprocess.run([*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    text = done.stdout.decode(errors="replace").splitlines()
    sums = next((line for line in reversed(text) if line.startswith("Done ")), "")
    coverage = next((line for line in reversed(text) if " cov: " in line), "")
    print(f"{label}: {sums or coverage}" if done.returncode == 0 else "\n".join([f"{label} FAILED", *text[-40:]]))
    return done.returncode == 0


def fuzz(name: str, command: list[str], label: str, seconds: int) -> bool:
    work = corpus.unpack(corpus.read(name), BUILD / "corpus" / name)
    FOUND.mkdir(parents=True, exist_ok=True)
    limits = [f"-max_total_time={seconds}", f"-max_len={LONGEST.get(name, USUAL)}", "-timeout=20", "-rss_limit_mb=2048"]
    return run(command, label, *limits, f"-artifact_prefix={FOUND}/{name}-", "-print_final_stats=0", str(work))


def keep(name: str, rust: bool) -> None:
    """Makes the corpus of a target anew from the working folder."""
    work = corpus.unpack(corpus.read(name), BUILD / "corpus" / name)
    longest = LONGEST.get(name, USUAL)
    inputs = {file.read_bytes() for file in work.iterdir() if 0 < file.stat().st_size <= longest}
    kept = minimise.fewest(TARGETS[name], inputs)
    if rust and name in NATIVE:
        merged = BUILD / "merged" / name
        shutil.rmtree(merged, ignore_errors=True)
        merged.mkdir(parents=True)
        if not run(native(name), f"{name}: merge", "-merge=1", f"-max_len={longest}", str(merged), str(work)):
            raise SystemExit(1)
        kept += sorted((file.read_bytes() for file in merged.iterdir()), key=len)
    recorded, room, found = set(corpus.read(name, ["recorded"])), MOST_OF_ONE, []
    for data in dict.fromkeys(kept):
        room -= len(data)
        if room > 0 and data not in recorded:
            found.append(data)
    corpus.write("found", name, found)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], help="all of them where none is named")
    parser.add_argument("--seconds", type=int, default=10, help="for each target and language")
    parser.add_argument("--keep", action="store_true", help="write the corpus anew")
    chosen = parser.parse_args()
    names = chosen.targets or list(TARGETS)
    rust = built() if any(name in NATIVE for name in names) else False
    sound = True
    for name in names:
        commands = {"Python": python(name)} | ({"native": native(name)} if rust and name in NATIVE else {})
        if chosen.seconds:
            for language, command in commands.items():
                sound &= fuzz(name, command, f"{name} ({language})", chosen.seconds)
        if chosen.keep and sound:
            keep(name, rust)
    print(f"corpus: {corpus.size()} bytes of at most {corpus.MOST_BYTES}")
    return 0 if sound and corpus.size() <= corpus.MOST_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
