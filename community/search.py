"""Full text over what was said in recordings, in every language: SQLite's FTS5, PostgreSQL's own.

A line is indexed as folded words (no case, no accents, scripts without spaces a character at a time), so that both
databases find the same things. The lines of a recording have consecutive ids: answers come newest recording first, a
recording is skipped or counted by its range of ids, and nobody's search has to look at what they may not see. The words
of a deleted recording leave the index files too (`tidy`).
"""

from __future__ import annotations

import asyncio
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from community.database import Database
from community.models import RecordingRow, SearchLine, SearchSpan

MOST_CHARACTERS, MOST_WORDS = 200, 12
_PIECE = re.compile(r'"([^"]*)"|(\S+)')
_WORD = re.compile(r"[^\W_]+")
# Scripts written without spaces: Thai, Lao, Myanmar, Khmer, kana, Han.
_ALONE = re.compile("([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff])")


def fold(text: str) -> str:
    """The words of a text as they are indexed, with one space between them."""
    if text.isascii():
        text = text.lower()
    else:
        decomposed = unicodedata.normalize("NFKD", text.casefold())
        text = "".join(c for c in decomposed if not unicodedata.combining(c) and unicodedata.category(c)[0] != "M")
        text = _ALONE.sub(r" \1 ", text)
    return " ".join(_WORD.findall(text))


def pieces(query: str) -> list[list[str]]:
    """A query as phrases of folded words, all of which must be found; the last word may go on."""
    found: list[list[str]] = []
    left = MOST_WORDS
    for match in _PIECE.finditer(query[:MOST_CHARACTERS]):
        words = fold(match[1] or match[2] or "").split()[:left]
        left -= len(words)
        if words:
            found.append(words)
    return found


def _fts5(phrases: list[list[str]]) -> str:
    return " AND ".join(f'"{" ".join(words)}"' for words in phrases) + "*"


def _tsquery(phrases: list[list[str]]) -> str:
    return " & ".join("(" + " <-> ".join(f"'{word}'" for word in words) + ")" for words in phrases)[:-1] + ":*)"


@dataclass(frozen=True)
class Said:
    """A line: `start` in ms of its recording, `name` of who said it."""

    start: float
    language: str
    name: str
    text: str


@dataclass(frozen=True)
class Found:
    """Lines of one recording: the first few in order of time, and how many there are."""

    recording: str
    lines: list[Said]
    count: int


@dataclass(frozen=True)
class Page:
    """Recordings in which something was found, newest first; `more` asks for those after them (None: that is all)."""

    found: list[Found]
    more: int | None


class Search:
    """The index in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sqlite = database.url.startswith("sqlite")
        self._writing = asyncio.Lock()

    async def put(self, recording: str, lines: Iterable[Said]) -> None:
        """Indexes a recording anew."""
        said = [line for line in lines if fold(line.text)]
        async with self._writing, self._database.begin() as session:
            await forget(session, recording)
            first = (await session.execute(select(func.coalesce(func.max(SearchSpan.last), 0)))).scalar_one() + 1
            session.add(SearchSpan(recording_id=recording, first=first, last=first + len(said)))
            await session.flush()
            if not said:
                return
            rows = [
                {"id": number, "recording_id": recording, "start": line.start, "language": line.language,
                 "name": line.name, "text": line.text}
                for number, line in enumerate(said, first)
            ]  # fmt: skip
            await session.execute(insert(SearchLine), rows)
            words = [{"id": row["id"], "words": fold(str(row["text"]))} for row in rows]
            await session.execute(text(_INSERT[self._sqlite]), words)

    async def missing(self) -> list[str]:
        """Recordings that are ready and not indexed."""
        query = (
            select(RecordingRow.id)
            .outerjoin(SearchSpan, SearchSpan.recording_id == RecordingRow.id)
            .where(RecordingRow.state == "ready", SearchSpan.recording_id.is_(None))
        )
        async with self._database.begin() as session:
            return list((await session.execute(query)).scalars())

    async def tidy(self) -> None:
        """Rewrites index files until no word is left in them that belongs to nothing (SQLite; small steps)."""
        if not self._sqlite:
            return  # VACUUM does it
        pages = -200
        while True:
            async with self._writing, self._database.begin() as session:
                before = (await session.execute(text("SELECT total_changes()"))).scalar_one()
                await session.execute(
                    text("INSERT INTO search_words(search_words, rank) VALUES('merge', :pages)"), {"pages": pages}
                )
                if (await session.execute(text("SELECT total_changes()"))).scalar_one() - before < 2:
                    return
            pages = 200
            await asyncio.sleep(0.01)

    async def find(
        self, query: str, member: str | None, before: int | None = None, most: int = 20, lines: int = 3
    ) -> Page:
        """What `member` may see (None: everything) and has all the words; up to `lines` lines of `most` recordings."""
        phrases = pieces(query)
        if not phrases:
            return Page([], None)
        seen = select(SearchSpan.first, SearchSpan.last, SearchSpan.recording_id).order_by(SearchSpan.first)
        seen = seen.join(RecordingRow, RecordingRow.id == SearchSpan.recording_id).where(RecordingRow.state == "ready")
        if member is not None:
            seen = seen.where(RecordingRow.member_id == member)
        async with self._database.begin() as session:
            spans = [(first, last, recording) for first, last, recording in (await session.execute(seen)).all()]
            match = _fts5(phrases) if self._sqlite else _tsquery(phrases)
            return await self._page(session, match, spans, before, most, lines)

    async def _page(
        self,
        session: AsyncSession,
        match: str,
        spans: Sequence[tuple[int, int, str]],
        before: int | None,
        most: int,
        lines: int,
    ) -> Page:
        firsts = [first for first, _, _ in spans]
        top = before if before is not None else spans[-1][1] if spans else 0
        found: list[Found] = []
        key, rows = _ROWS[self._sqlite]
        while spans and len(found) < most:
            newest = text(f"SELECT {key} FROM {rows} AND {key} >= :low AND {key} < :top ORDER BY {key} DESC LIMIT 1")
            row = (await session.execute(newest, {"match": match, "low": firsts[0], "top": top})).scalar_one_or_none()
            if row is None:
                return Page(found, None)
            at = bisect_right(firsts, row) - 1
            first, last, recording = spans[at]
            if row >= last:  # of a recording that is not theirs: on to the next that is
                top = last
                continue
            within = {"match": match, "low": first, "top": last}
            there = text(f"SELECT {key} FROM {rows} AND {key} >= :low AND {key} < :top ORDER BY {key} LIMIT :lines")
            ids = (await session.execute(there, within | {"lines": lines})).scalars().all()
            total = text(f"SELECT count(*) FROM {rows} AND {key} >= :low AND {key} < :top")
            count = (await session.execute(total, within)).scalar_one()
            said = await session.execute(select(SearchLine).where(SearchLine.id.in_(ids)).order_by(SearchLine.id))
            found.append(
                Found(recording, [Said(one.start, one.language, one.name, one.text) for one in said.scalars()], count)
            )
            top = first
        return Page(found, top if found and top > (firsts[0] if firsts else 0) else None)


_INSERT = {
    True: "INSERT INTO search_words(rowid, words) VALUES (:id, :words)",
    False: "UPDATE search_lines SET words = to_tsvector('simple', :words) WHERE id = :id",
}
_ROWS = {
    True: ("rowid", "search_words WHERE search_words MATCH :match"),
    False: ("id", "search_lines WHERE words @@ to_tsquery('simple', :match)"),
}


async def forget(session: AsyncSession, recording: str) -> None:
    """Takes a recording out of the index, in the caller's transaction."""
    lines = (await session.execute(select(SearchLine).where(SearchLine.recording_id == recording))).scalars().all()
    if lines and session.get_bind().dialect.name == "sqlite":
        # The index keeps no text of its own: it must be told which words go.
        gone = [{"id": line.id, "words": fold(line.text)} for line in lines]
        await session.execute(
            text("INSERT INTO search_words(search_words, rowid, words) VALUES('delete', :id, :words)"), gone
        )
    for table in (SearchLine, SearchSpan):
        await session.execute(table.__table__.delete().where(table.recording_id == recording))  # type: ignore[attr-defined]
