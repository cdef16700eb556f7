"""Writes what is generated from definitions: docs/protocol.md and its schema, docs/configuration.md, the TypeScript.

``python -m signaling.schema`` writes the files, ``--check`` only says which have drifted (exit status 1).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec

from recorder import archive
from recorder.manifest import Manifest
from signaling import protocol, reference, settings, typescript

ROOT = Path(__file__).resolve().parent.parent


def rendered() -> dict[Path, str]:
    """Every generated file with its text."""
    return {
        ROOT / "web/src/client/protocol.ts": typescript.render(protocol),
        ROOT / "docs/protocol.md": reference.protocol_page(protocol),
        ROOT / "docs/configuration.md": reference.configuration_page(settings),
        ROOT / "docs/archive.schema.json": archive_schema(),
        ROOT / "docs/protocol.schema.json": json.dumps(reference.protocol_schema(protocol), indent=1) + "\n",
    }


def archive_schema() -> str:
    """Of the JSON files in a recording's archive (docs/archive.md)."""
    _, parts = msgspec.json.schema_components([Manifest, archive.Listing], ref_template="#/$defs/{name}")
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": parts}
    return json.dumps(schema, indent=1) + "\n"


def drifted() -> list[Path]:
    """The files whose text is not what the definitions say."""
    return [path for path, text in rendered().items() if not path.is_file() or path.read_text("utf-8") != text]


def main(arguments: list[str]) -> int:
    """Writes or checks; returns the exit status."""
    stale = drifted()
    if "--check" in arguments:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is out of date: run python -m signaling.schema")
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rendered()[path], "utf-8")
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
