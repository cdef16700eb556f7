"""Glossaries: terms of the organisation and of rooms."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import delete, func, select

from community.database import Database
from community.models import GlossaryRow

ORGANISATION = ""
MOST = 5_000
"""Terms in one scope."""


@dataclass(frozen=True, slots=True)
class NewTerm:
    """A term to keep. `kind` is ``drug`` for names that must not be translated freely, else ``term``."""

    language: str
    term: str
    kind: str = "term"
    aliases: list[str] = field(default_factory=list)
    translations: dict[str, str] = field(default_factory=dict)


class GlossaryFull(Exception):
    """The scope would hold more than `MOST` terms."""


class Glossary:
    """Terms by scope: a room's id, or `ORGANISATION`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, scope: str, terms: Sequence[NewTerm]) -> tuple[int, int]:
        """Keeps all of them or none; a term known in its language gains aliases and translations, the new ones winning.

        Returns (new ones, changed ones). Raises GlossaryFull."""
        async with self._database.begin() as session:
            rows = (await session.execute(select(GlossaryRow).where(GlossaryRow.scope == scope))).scalars()
            known = {(row.language, row.term.casefold()): row for row in rows}
            before = len(known)
            changed = set()
            for new in terms:
                row = known.get((new.language, new.term.casefold()))
                if row is None:
                    row = GlossaryRow(
                        id=secrets.token_hex(8),
                        scope=scope,
                        language=new.language,
                        term=new.term,
                        kind=new.kind,
                        aliases=list(new.aliases),
                        translations=dict(new.translations),
                        created_at=datetime.now(UTC),
                    )
                    known[new.language, new.term.casefold()] = row
                    if len(known) > MOST:
                        raise GlossaryFull(f"a glossary holds {MOST} terms at most")
                    session.add(row)
                    continue
                aliases = list(dict.fromkeys([*row.aliases, *new.aliases]))
                translations = {**row.translations, **new.translations}
                kind = "drug" if "drug" in (row.kind, new.kind) else new.kind
                if (aliases, translations, kind) != (row.aliases, row.translations, row.kind):
                    row.aliases, row.translations, row.kind = aliases, translations, kind
                    changed.add(row.id)
            return len(known) - before, len(changed)

    async def write(self, scope: str, new: NewTerm, term: str | None = None) -> GlossaryRow:
        """Adds a term, or with the id of one writes that one anew.

        Raises GlossaryFull, KeyError for an id that is not there, ValueError where another one is this term already."""
        async with self._database.begin() as session:
            rows = list((await session.execute(select(GlossaryRow).where(GlossaryRow.scope == scope))).scalars())
            row = next((one for one in rows if one.id == term), None)
            if term is not None and row is None:
                raise KeyError(term)
            same = (new.language, new.term.casefold())
            if any((other.language, other.term.casefold()) == same for other in rows if other is not row):
                raise ValueError(new.term)
            if row is None:
                if len(rows) >= MOST:
                    raise GlossaryFull(f"a glossary holds {MOST} terms at most")
                row = GlossaryRow(id=secrets.token_hex(8), scope=scope, created_at=datetime.now(UTC))
                session.add(row)
            row.language, row.term, row.kind = new.language, new.term, new.kind
            row.aliases, row.translations = list(new.aliases), dict(new.translations)
        return row

    async def all(self, *scopes: str) -> list[GlossaryRow]:
        """The terms of these scopes, by term."""
        query = select(GlossaryRow).where(GlossaryRow.scope.in_(scopes)).order_by(GlossaryRow.term, GlossaryRow.id)
        async with self._database.begin() as session:
            return list((await session.execute(query)).scalars())

    async def count(self, scope: str) -> int:
        """How many terms the scope holds."""
        query = select(func.count()).select_from(GlossaryRow).where(GlossaryRow.scope == scope)
        async with self._database.begin() as session:
            return int((await session.execute(query)).scalar_one())

    async def delete(self, scope: str, term: str | None = None) -> int:
        """Deletes one term by its id, or the whole scope; returns how many are gone."""
        query = delete(GlossaryRow).where(GlossaryRow.scope == scope)
        if term is not None:
            query = query.where(GlossaryRow.id == term)
        async with self._database.begin() as session:
            return int((await session.execute(query)).rowcount)  # type: ignore[attr-defined]
