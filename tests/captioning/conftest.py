"""Models are installed once per machine into a temporary folder that outlives the run; hashing them costs seconds."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from captioning import models


@pytest.fixture(scope="session")
def model_folder() -> Path:
    """The embedded models, installed and verified."""
    folder = Path(tempfile.gettempdir()) / f"consilium-test-models-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    models.install_embedded(folder)
    return folder
