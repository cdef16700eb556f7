"""A library of synthetic transcripts and what a search over it costs."""

from __future__ import annotations

import asyncio
import random
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from community.models import RecordingRow
from community.search import Said
from community.store import Store

LINE_S = 5.0
WORDS_A_LINE = 12
VOCABULARY = 30_000
_SYLLABLES = [c + v for c in "bcdfglmnprst" for v in ("a", "e", "i", "o", "u", "an", "er", "is")]


def vocabulary(chance: random.Random) -> list[str]:
    """Made-up words; their frequencies are Zipf's."""
    words: dict[str, None] = {}
    while len(words) < VOCABULARY:
        words["".join(chance.choices(_SYLLABLES, k=chance.randint(1, 4)))] = None
    return list(words)


async def _fill(store: Store, hours: int, words: list[str], chance: random.Random) -> int:
    weights = [1 / (rank + 1) for rank in range(len(words))]
    total = 0
    for number in range(hours):
        row = RecordingRow(
            id=f"r{number}",
            room_id="r",
            title=f"Meeting {number}",
            purpose="",
            started_by="x",
            member_id=None,
            started_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number),
            state="ready",
        )
        await store.recordings.create(row)
        count = int(3600 / LINE_S)
        lines = []
        for language in ("en", "pt"):
            drawn = chance.choices(words, weights, k=count * WORDS_A_LINE)
            lines += [
                Said(n * LINE_S * 1000, language, "Ann", " ".join(drawn[n * WORDS_A_LINE : (n + 1) * WORDS_A_LINE]))
                for n in range(count)
            ]
        await store.search.put(row.id, lines)
        total += len(lines)
    return total


async def _measure(hours: int) -> dict[str, Any]:
    chance = random.Random(11)
    words = vocabulary(chance)
    with tempfile.TemporaryDirectory(prefix="consilium-library-") as folder:
        store = Store(f"sqlite+aiosqlite:///{Path(folder) / 'library.db'}")
        await store.open()
        started = time.monotonic()
        lines = await _fill(store, hours, words, chance)
        filled = time.monotonic() - started
        queries = {
            "the commonest word": [words[0]],
            "common words": [f"{a} {b}" for a, b in zip(words[:8], words[8:16], strict=True)],
            "a common phrase": [f'"{words[n]} {words[n + 1]}"' for n in range(5)],
            "a rare phrase": [f'"{words[n]} {words[n + 900]}"' for n in range(5)],
            "rare words": [f"{words[n]} {words[n + 1]}" for n in range(3000, 3010)],
            "the beginning of a word": [words[n][:3] for n in range(20)],
            "nothing": ["nothingofthekind"],
        }
        took: dict[str, list[float]] = {}
        for kind, asked in queries.items():
            for query in asked * 3:
                started = time.monotonic()
                await store.search.find(query, None)
                took.setdefault(kind, []).append((time.monotonic() - started) * 1000)
        await store.close()
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
    every = sorted(one for times in took.values() for one in times)
    return {
        "p50": round(statistics.median(every), 1),
        "p95": round(every[int(len(every) * 0.95)], 1),
        "max": round(every[-1], 1),
        "by_kind_max": {kind: round(max(times), 1) for kind, times in took.items()},
        "hours": hours,
        "lines": lines,
        "index_mb": round(size / 1e6),
        "indexing_s_per_hour": round(filled / hours, 3),
    }


def search_ms(hours: int = 1000) -> dict[str, Any]:
    """Milliseconds of a search over `hours` of meetings in two languages, a line of twelve words every five seconds."""
    return asyncio.run(_measure(hours))
