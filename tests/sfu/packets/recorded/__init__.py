"""The first packets of streams as browsers sent them in November 2026: Chromium 156 and Firefox ESR 153.

A line is: sequence, timestamp, marker, size of the payload, its first bytes, the dependency descriptor ("-": not
negotiated).
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Line(NamedTuple):
    sequence: int
    timestamp: int
    marker: bool
    payload: bytes
    dependency: bytes


def recorded(name: str) -> list[Line]:
    lines = []
    for text in (Path(__file__).parent / f"{name}.txt").read_text().splitlines():
        sequence, timestamp, marker, size, head, dependency = text.split()
        payload = bytes.fromhex(head)
        payload += bytes(int(size) - len(payload))
        described = b"" if dependency == "-" else bytes.fromhex(dependency)
        lines.append(Line(int(sequence), int(timestamp), marker == "1", payload, described))
    return lines
