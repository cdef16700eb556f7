"""Writes `captioning/firefox.json`: every Firefox Translations model of one commit, pinned by digest.

``python -m captioning.pins REPOSITORY [COMMIT] > captioning/firefox.json``, where REPOSITORY is a clone of
mozilla/firefox-translations-models, bare or not; its large files are not needed. Sizes and digests of the packed files
are read from their Git LFS pointers (https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md), those of the unpacked
model from `metadata.json`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

VARIANTS = ("base-memory", "tiny", "base")
_POINTER = re.compile(rb"version https://git-lfs[^\n]*\noid sha256:([0-9a-f]{64})\nsize (\d+)\n")
_NAMES = (("model.", "model.bin"), ("lex.", "lex.bin"), ("vocab.", "vocab.spm"))
_NAMES_APART = (("srcvocab.", "source.spm"), ("trgvocab.", "target.spm"))


def installed_name(remote: str) -> str | None:
    """What a packed file is called once it is unpacked here; None for what the engine does not use."""
    return next((name for start, name in (*_NAMES, *_NAMES_APART) if remote.startswith(start)), None)


def pin(repository: Path, commit: str) -> dict[str, Any]:
    """The content of the data file. Raises ValueError for a repository that is not laid out as expected."""

    def git(*arguments: str) -> bytes:
        return subprocess.run(["git", "-C", str(repository), *arguments], capture_output=True, check=True).stdout

    commit = git("rev-parse", commit).decode().strip()
    folders: dict[tuple[str, str], list[str]] = {}
    for path in git("ls-tree", "-r", "--name-only", commit, "models/").decode().splitlines():
        match path.split("/"):
            case [_, variant, pair, file] if variant in VARIANTS:
                folders.setdefault((variant, pair), []).append(file)
    models = []
    for (variant, pair), files in sorted(folders.items(), key=lambda item: (item[0][1], VARIANTS.index(item[0][0]))):
        folder = f"models/{variant}/{pair}"
        about = json.loads(git("show", f"{commit}:{folder}/metadata.json"))
        packed = {}
        for file in files:
            if (name := installed_name(file)) is not None:
                pointer = _POINTER.fullmatch(git("show", f"{commit}:{folder}/{file}"))
                if pointer is None:
                    raise ValueError(f"{folder}/{file} is not a Git LFS pointer")
                packed[name] = [file, int(pointer[2]), pointer[1].decode()]
        if not packed.keys() >= {"model.bin", "lex.bin"} or len(packed) not in (3, 4):
            raise ValueError(f"{folder} has {', '.join(files)}")
        models.append(
            {
                "pair": [
                    about[side].split("-")[0].replace("nb", "no") for side in ("sourceLanguage", "targetLanguage")
                ],
                "variant": variant,
                "folder": folder,
                "unpacked": [about["byteSize"], about["hash"]],
                "files": packed,
                "bleu": about["flores"]["bleu"],
                "comet": about["flores"]["comet"],
            }
        )
    return {"commit": commit, "models": models}


def main() -> None:
    found = pin(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "HEAD")
    lines = ",\n".join(json.dumps(model) for model in found["models"])
    print(f'{{"commit": "{found["commit"]}", "models": [\n{lines}\n]}}')


if __name__ == "__main__":
    main()
