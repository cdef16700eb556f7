"""Placeholder until the next edit."""

from pathlib import Path


async def export(root: Path, recording: str, format: str, destination: Path) -> Path:
    raise NotImplementedError
