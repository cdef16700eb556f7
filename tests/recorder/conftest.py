"""Real media for the recorder's tests: encoded once with PyAV, packetised as browsers do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A recorder's folder."""
    return tmp_path / "recordings"
