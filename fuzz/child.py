"""One Python target under atheris, in a process of its own: ``python -m fuzz.child TARGET`` and libFuzzer's arguments.

atheris rewrites byte code as modules are imported, so it comes before everything that is to be watched.
"""

from __future__ import annotations

import importlib
import sys

import atheris

WATCHED = ["sfu", "recorder", "captioning.imports", "captioning.glossary", "signaling.protocol", "signaling.whip"]


def main() -> None:
    name, *arguments = sys.argv[1:]
    with atheris.instrument_imports(include=WATCHED):
        targets = importlib.import_module("fuzz.targets")
    target = targets.TARGETS[name]

    def once(data: bytes) -> None:
        target(data)

    atheris.Setup([sys.argv[0], *arguments], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
