"""A real PostgreSQL server for the tests that need one, and empty databases in it."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest


def _programs() -> Path | None:
    """Where Debian or the path has initdb and postgres; the newest version."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    there = shutil.which("initdb")
    return Path(there).parent if there else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a fresh server's `postgres` database; it listens on 127.0.0.1 only."""
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    # Not in pytest's own folder: it shuts that to all but itself, each time that a run begins.
    folder = Path(tempfile.mkdtemp(prefix="consilium-postgres-"))
    # The server refuses to run as root.
    user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
    if user:
        shutil.chown(folder, "postgres", "postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = folder / "data"
    quick = ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]
    subprocess.run(
        [programs / "initdb", "-D", data, "-U", "tests", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"],
        check=True, stdout=subprocess.DEVNULL, cwd=folder, **user,
    )  # fmt: skip
    # -w: returns when the server accepts connections.
    options = ["-h", "127.0.0.1", "-p", str(port), "-k", str(folder), *quick]
    control = [programs / "pg_ctl", "-D", data, "-w", "-t", "60"]
    subprocess.run(
        [*control, "-l", folder / "log", "-o", " ".join(options), "start"],
        check=True, stdout=subprocess.DEVNULL, cwd=folder, **user,
    )  # fmt: skip
    yield f"postgresql://tests@127.0.0.1:{port}"
    subprocess.run([*control, "-m", "immediate", "stop"], check=True, stdout=subprocess.DEVNULL, cwd=folder, **user)
    shutil.rmtree(folder)


async def database(server: str) -> str:
    """Makes an empty database; its address as `database.url` takes it."""
    name = f"c{secrets.token_hex(8)}"
    connection = await asyncpg.connect(f"{server}/postgres")
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    return f"{server}/{name}"
