"""Long work in a process of its own that is ended before it is done."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from recorder import child

WORK = """
import sys, time
open(sys.argv[1], "wb").write(b"half of somebody's recording")
print(0.5, flush=True)
time.sleep(600)
"""


async def test_who_is_cancelled_leaves_nothing_of_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow_work.py").write_text(WORK)
    monkeypatch.syspath_prepend(tmp_path)
    makes, half = tmp_path / "made.mkv", asyncio.Event()
    growing = child.unfinished(makes)
    running = asyncio.create_task(
        child.run("slow_work", str(growing), tell=lambda part: half.set(), limit_s=600, makes=makes)
    )
    async with asyncio.timeout(60):
        await half.wait()
    assert growing.is_file()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not growing.exists() and not makes.exists()
