"""The database: one engine, one session factory, the schema brought up to date at start."""

from __future__ import annotations

import asyncio
import importlib
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

HEAD = "0012"
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


def _with_driver(url: str) -> str:
    """The one driver of each database that is asynchronous and installed, where the URL names none or another."""
    scheme, rest = url.split("://", 1) if "://" in url else (url, "")
    name = scheme.partition("+")[0]
    if name in ("postgresql", "postgres"):
        return f"postgresql+asyncpg://{rest}"
    return f"sqlite+aiosqlite://{rest}" if name == "sqlite" else url


class DatabaseUnavailable(OSError):
    """The database cannot be opened; the text says where it is and why, and holds no password."""


@contextmanager
def _explained(url: str) -> Iterator[None]:
    errors: list[type[Exception]] = [OSError, SQLAlchemyError]
    if url.startswith("postgresql"):
        errors.append(importlib.import_module("asyncpg").PostgresError)
    try:
        yield
    except tuple(errors) as error:
        said = str(getattr(error, "orig", None) or error).splitlines()
        reason = said[0] if said else type(error).__name__
        raise DatabaseUnavailable(f"the database {make_url(url).render_as_string()}: {reason}") from error


class Database:
    """`url` is an SQLAlchemy URL (``sqlite+aiosqlite:///…``, ``postgresql://…``)."""

    def __init__(self, url: str) -> None:
        self.url = url = _with_driver(url)
        self.engine: AsyncEngine = create_async_engine(url, pool_pre_ping=not url.startswith("sqlite"))
        if url.startswith("sqlite"):
            event.listen(self.engine.sync_engine, "connect", _pragmas)
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)

    async def open(self) -> None:
        """Brings the schema up to date; creates a SQLite file and its folder where there is none.

        Raises DatabaseUnavailable."""
        name, path = make_url(self.url).database, None
        if self.url.startswith("sqlite") and name:
            path = Path(name)
            if await asyncio.to_thread(_current, path):
                return
        with _explained(self.url):
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            await asyncio.to_thread(_upgrade, self.url)

    async def answers(self) -> str:
        """The database's name and version, asked over a connection. Raises DatabaseUnavailable."""
        sqlite = self.url.startswith("sqlite")
        with _explained(self.url):
            async with self.engine.connect() as connection:
                version = "sqlite_version()" if sqlite else "current_setting('server_version')"
                found = (await connection.execute(text(f"SELECT {version}"))).scalar_one()
        return f"{'SQLite' if sqlite else 'PostgreSQL'} {found}"

    async def close(self) -> None:
        """Closes every connection."""
        await self.engine.dispose()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncSession]:
        """A session in a transaction: committed on leaving, rolled back on an exception."""
        async with self._sessions() as session, session.begin():
            yield session
