"""The process of a transcription: ``python -m signaling.transcribing ROOT RECORDING JOB``.

What it is to do and what came of it are files of the recording's own folder, sealed where the recording is. The
progress, 0 to 1, is printed a line at a time; the recording's key comes on standard input.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import msgspec

from captioning import worker
from captioning.models import ModelError
from captioning.transcribe import Request, transcribe
from recorder.manifest import folder
from recorder.sealing import files, keys


def request_file(path: Path, job: str) -> Path:
    """In a recording's folder; what is called like this is never served, packed or kept elsewhere."""
    return path / f"words-{job}.request.new"


def answer_file(path: Path, job: str) -> Path:
    """In a recording's folder."""
    return path / f"words-{job}.answer.new"


def main(arguments: list[str]) -> int:
    root, recording, job = arguments
    path = folder(Path(root), recording)
    keys.take_over(path)
    request = msgspec.json.decode(files.read_bytes(request_file(path, job)), type=Request)
    with contextlib.suppress(OSError):
        os.nice(19)
    worker.stay_offline()
    try:
        engine, translator = worker.models_for(msgspec.convert(request.settings, worker.Settings))
    except ModelError as error:
        print(error, file=sys.stderr)
        return 2
    said = transcribe(
        engine,
        translator,
        request,
        lambda name: files.opened(path / name),
        lambda part: print(f"{part:.4f}", flush=True),
    )
    files.write_bytes(answer_file(path, job), msgspec.json.encode(said))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
