"""Each test of storage runs twice: on a SQLite file, and on a real PostgreSQL server started for the run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from community.store import Store
from tests.postgres import database, postgres

__all__ = ["postgres"]


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'deep' / 'c.db'}"
    return await database(request.getfixturevalue("postgres"))


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    """A store on an empty database with its schema made."""
    opened = Store(url)
    await opened.open()
    yield opened
    await opened.close()
