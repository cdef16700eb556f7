"""How long the server takes to answer: on an empty data folder (`cold_s`) and again on the same one (`warm_s`)."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.figures import spread
from benchmarks.harness.server import ServerProcess

COLD_ROUNDS = 3
WARM_ROUNDS = 5


async def _start(server: ServerProcess) -> tuple[float, float]:
    """Seconds until /healthz answers and the links are printed, and until captions are ready."""
    began = time.monotonic()
    await server.start(timeout=120)
    answering = time.monotonic() - began
    async with aiohttp.ClientSession() as http, asyncio.timeout(180):
        while True:
            async with http.get(f"{server.url}/api/captions/status") as answer:
                status = await answer.json()
            if status["state"] == "ready":
                break
            if status["state"] == "failed":
                raise RuntimeError(f"captions failed: {status}")
            await asyncio.sleep(0.05)
    captions = time.monotonic() - began
    await server.stop()
    return answering, captions


async def _measure() -> dict[str, Any]:
    cold: list[tuple[float, float]] = []
    warm: list[tuple[float, float]] = []
    for round_number in range(COLD_ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            server = ServerProcess(Path(folder))
            cold.append(await _start(server))
            print(f"cold {round_number + 1}: {cold[-1][0]:.2f} s, captions {cold[-1][1]:.2f} s", file=sys.stderr)
            if round_number == COLD_ROUNDS - 1:
                for _ in range(WARM_ROUNDS):
                    warm.append(await _start(server))
                    print(f"warm: {warm[-1][0]:.2f} s, captions {warm[-1][1]:.2f} s", file=sys.stderr)
    return {
        "cold_s": spread([answering for answering, _ in cold]),
        "warm_s": spread([answering for answering, _ in warm]),
        "cold_captions_ready_s": spread([captions for _, captions in cold]),
        "warm_captions_ready_s": spread([captions for _, captions in warm]),
        "rounds": {"cold": COLD_ROUNDS, "warm": WARM_ROUNDS},
        "measured": "wall clock from process start to /healthz answering 200 with links printed; packages installed, "
        "page cache warm",
    }


def run() -> dict[str, Any]:
    return asyncio.run(_measure())
