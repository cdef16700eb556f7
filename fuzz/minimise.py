"""The fewest inputs of a Python target that take every way which all of them take: by steps from line to line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

Step = tuple[str, int, int]
"""File, a line, and the line after it."""

WATCHED = ("/sfu/", "/recorder/", "/captioning/", "/signaling/", "/fuzz/")


def steps(target: Callable[[bytes], None], data: bytes) -> set[Step]:
    """Every step that an input takes, within our own code."""
    taken: set[Step] = set()

    def called(frame: FrameType, event: str, argument: Any) -> Any:
        name = frame.f_code.co_filename
        if not any(part in name for part in WATCHED):
            return None
        before = 0

        def line(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal before
            if event == "line":
                taken.add((name, before, frame.f_lineno))
                before = frame.f_lineno
            return line

        return line

    sys.settrace(called)
    try:
        target(data)
    finally:
        sys.settrace(None)
    return taken


def fewest(target: Callable[[bytes], None], inputs: Iterable[bytes]) -> list[bytes]:
    """Greedy, the shortest first."""
    known: set[Step] = set()
    kept: list[bytes] = []
    for data in sorted(set(inputs), key=lambda data: (len(data), data)):
        taken = steps(target, data)
        if not taken <= known:
            known |= taken
            kept.append(data)
    return kept
