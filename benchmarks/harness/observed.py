"""The real server with a window into it: `python -m benchmarks.harness.observed serve ...` is `python -m signaling
serve ...`, plus a thread that tells what the process holds to whoever connects to the Unix socket named by
``OBSERVED_SOCKET``: one JSON object, then the end."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import socket
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from signaling.cli import main

VARIABLE = "OBSERVED_SOCKET"


def held() -> dict[str, Any]:
    """Unfinished tasks by name of their coroutine, threads, open descriptors by kind, and objects of ours by class."""
    gc.collect()
    tasks: Counter[str] = Counter()
    ours: Counter[str] = Counter()
    for thing in gc.get_objects():
        kind = type(thing)
        if str(kind.__module__).partition(".")[0] in ("sfu", "signaling", "captioning", "recorder"):
            ours[f"{kind.__module__}.{kind.__qualname__}"] += 1
        elif isinstance(thing, asyncio.Task) and not thing.done():
            tasks[getattr(thing.get_coro(), "__qualname__", "?")] += 1
    descriptors: Counter[str] = Counter()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            descriptors[str(entry.readlink()).partition(":")[0].partition("/")[0] or "file"] += 1
        except OSError:
            continue
    return {
        "tasks": dict(tasks),
        "threads": threading.active_count(),
        "descriptors": dict(descriptors),
        "objects": dict(ours),
    }


def _answer(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(json.dumps(held()).encode())


if __name__ == "__main__":
    window = socket.socket(socket.AF_UNIX)
    window.bind(os.environ[VARIABLE])
    window.listen(1)
    threading.Thread(target=_answer, args=(window,), daemon=True, name="observed").start()
    main()
