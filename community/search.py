"""Full text over what was said in recordings, in every language: SQLite's FTS5, PostgreSQL's own.

A line is indexed as folded words (no case, no accents, scripts without spaces a character at a time), so that both
databases find the same things. The lines of a recording have consecutive ids: answers come newest recording first, a
recording is skipped or counted by its range of ids, and nobody's search has to look at what they may not see. The words
of a deleted recording leave the index files too (`tidy`).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sqlite3
import unicodedata
from bisect import bisect_right
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from sqlalchemy import func, insert, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession

from community.database import Database
from community.models import RecordingRow, SearchLine, SearchSpan

MOST_CHARACTERS, MOST_WORDS = 200, 12
SHORTEST_BEGINNING = 3
MOST_ENDINGS = 50
"""Words that a beginning stands for. Not FTS5's own prefix search: it gathers every line of every such word, for each
statement anew, which took 80 ms of a thousand hours where words themselves take 1."""
_PIECE = re.compile(r'"([^"]*)"|(\S+)')
_WORD = re.compile(r"[^\W_]+")
# Scripts written without spaces: Thai, Lao, Myanmar, Khmer, kana, Han.
_ALONE = re.compile("([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff])")


def fold(text: str) -> str:
    """The words of a text as they are indexed, with one space between them."""
    if text.isascii():
        text = text.lower()
    else:
        decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
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


def _goes_on(query: str, phrases: list[list[str]]) -> bool:
    """Whether the last word may be the beginning of one: it is bare, long enough, and still being written."""
    return len(phrases[-1]) == 1 and len(phrases[-1][0]) >= SHORTEST_BEGINNING and query[-1:] not in ('"', " ")


def _fts5(phrases: list[list[str]], endings: Sequence[str]) -> str:
    last = " OR ".join(f'"{word}"' for word in endings) if endings else f'"{" ".join(phrases[-1])}"'
    return " AND ".join([*(f'"{" ".join(words)}"' for words in phrases[:-1]), f"({last})"])


def _tsquery(phrases: list[list[str]], goes_on: bool) -> str:
    query = " & ".join("(" + " <-> ".join(f"'{word}'" for word in words) + ")" for words in phrases)
    return f"{query[:-1]}:*)" if goes_on else query


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


_Span = tuple[int, int, str]
_Steps = Generator[tuple[str, dict[str, Any]], list[Any], Page]


class _Dialect:
    """`insert` indexes the words of a line; `rows` are those that match, `key` is a line's id in them."""

    insert: str
    key: str
    rows: str


class _Sqlite(_Dialect):
    insert = "INSERT INTO search_words(rowid, words) VALUES (:id, :words)"
    key = "rowid"
    rows = "search_words WHERE search_words MATCH :match"


class _Postgres(_Dialect):
    insert = "UPDATE search_lines SET words = to_tsvector('simple', :words) WHERE id = :id"
    key = "id"
    rows = "search_lines WHERE words @@ to_tsquery('simple', :match)"


class Search:
    """The index in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sqlite = database.url.startswith("sqlite")
        self._path = make_url(database.url).database or ""
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
            await session.execute(text((_Sqlite if self._sqlite else _Postgres).insert), words)

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
        query = query[:MOST_CHARACTERS]
        phrases = pieces(query)
        if not phrases:
            return Page([], None)
        seen = select(SearchSpan.first, SearchSpan.last, SearchSpan.recording_id).order_by(SearchSpan.first)
        seen = seen.join(RecordingRow, RecordingRow.id == SearchSpan.recording_id).where(RecordingRow.state == "ready")
        if member is not None:
            seen = seen.where(RecordingRow.member_id == member)
        async with self._database.begin() as session:
            spans = [(first, last, recording) for first, last, recording in (await session.execute(seen)).all()]
            if not self._sqlite:
                steps = _page(_Postgres, _tsquery(phrases, _goes_on(query, phrases)), spans, before, most, lines)
                return await _run(session, steps)
        return await asyncio.to_thread(self._in_file, query, phrases, spans, before, most, lines)

    def _in_file(
        self,
        query: str,
        phrases: list[list[str]],
        spans: Sequence[_Span],
        before: int | None,
        most: int,
        lines: int,
    ) -> Page:
        """Dozens of small statements: on a connection of their own they take a tenth of the time."""
        with contextlib.closing(sqlite3.connect(f"file:{quote(self._path)}?mode=ro", uri=True)) as connection:
            endings = _endings(connection, phrases[-1][0]) if _goes_on(query, phrases) else ()
            steps = _page(_Sqlite, _fts5(phrases, endings), spans, before, most, lines)
            rows: list[Any] | None = None
            while True:
                try:
                    rows = connection.execute(*(next(steps) if rows is None else steps.send(rows))).fetchall()
                except StopIteration as done:
                    page: Page = done.value
                    return page


def _page(
    dialect: type[_Dialect], match: str, spans: Sequence[_Span], before: int | None, most: int, lines: int
) -> _Steps:
    """The search itself: yields statements with their parameters, is sent their rows, returns a Page."""
    key, rows = dialect.key, dialect.rows
    firsts = [first for first, _, _ in spans]
    top = before if before is not None else spans[-1][1] if spans else 0
    found: list[Found] = []
    while spans and len(found) < most:
        newest = yield (
            f"SELECT {key} FROM {rows} AND {key} >= :low AND {key} < :top ORDER BY {key} DESC LIMIT 1",
            {"match": match, "low": firsts[0], "top": top},
        )
        if not newest:
            return Page(found, None)
        at = bisect_right(firsts, newest[0][0]) - 1
        first, last, recording = spans[at]
        if newest[0][0] >= last:  # of a recording that is not theirs: on to the next that is
            top = last
            continue
        within = {"match": match, "low": first, "top": last}
        there = f"FROM {rows} AND {key} >= :low AND {key} < :top"
        ids = yield f"SELECT {key} {there} ORDER BY {key} LIMIT {lines:d}", within
        count = yield f"SELECT count(*) {there}", within
        numbers = ", ".join(str(int(number)) for (number,) in ids)
        said = yield f"SELECT start, language, name, text FROM search_lines WHERE id IN ({numbers}) ORDER BY id", {}
        found.append(Found(recording, [Said(*line) for line in said], count[0][0]))
        top = first
    return Page(found, top if found and top > firsts[0] else None)


async def _run(session: AsyncSession, steps: _Steps) -> Page:
    rows: list[Any] | None = None
    while True:
        try:
            statement, values = next(steps) if rows is None else steps.send(rows)
        except StopIteration as done:
            page: Page = done.value
            return page
        rows = list((await session.execute(text(statement), values)).all())


def _endings(connection: sqlite3.Connection, beginning: str) -> list[str]:
    """Words in the index that begin so, itself first."""
    known = "SELECT term FROM search_words_known WHERE term >= ? AND term < ? LIMIT ?"
    return [term for (term,) in connection.execute(known, (beginning, beginning + chr(0x10FFFF), MOST_ENDINGS))]


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
