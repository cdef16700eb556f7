"""The database: one engine, one session factory, the schema brought up to date at start."""

from __future__ import annotations

import asyncio
import importlib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

HEAD = "0003"
"""The newest migration; tests/community checks that it is what the scripts say."""


def _pragmas(connection: Any, _: object) -> None:
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        "busy_timeout=5000",
        "secure_delete=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _current(path: Path) -> bool:
    """Whether a SQLite file is already at HEAD, found without importing Alembic (that costs a third of a second)."""
    if not path.is_file():
        return False
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]
        finally:
            connection.close()
    except sqlite3.Error:
        return False


def _upgrade(url: str) -> None:
    """Runs the migrations (in a thread: Alembic's own runner starts an event loop)."""
    command = importlib.import_module("alembic.command")
    config = importlib.import_module("alembic.config").Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    command.upgrade(config, "head")


class Database:
    """`url` is an SQLAlchemy async URL (``sqlite+aiosqlite:///…``, ``postgresql+asyncpg://…``)."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine: AsyncEngine = create_async_engine(url, pool_pre_ping=not url.startswith("sqlite"))
        if url.startswith("sqlite"):
            event.listen(self.engine.sync_engine, "connect", _pragmas)
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)

    async def open(self) -> None:
        """Brings the schema up to date; creates a SQLite file and its folder where there is none."""
        name = make_url(self.url).database
        if self.url.startswith("sqlite") and name:
            path = Path(name)
            if await asyncio.to_thread(_current, path):
                return
            path.parent.mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(_upgrade, self.url)

    async def close(self) -> None:
        """Closes every connection."""
        await self.engine.dispose()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncSession]:
        """A session in a transaction: committed on leaving, rolled back on an exception."""
        async with self._sessions() as session, session.begin():
            yield session
