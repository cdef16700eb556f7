"""Glossary terms."""

from __future__ import annotations

import pytest

from community import glossary
from community.glossary import ORGANISATION, GlossaryFull, NewTerm


async def test_terms_are_kept_by_scope_and_merged_when_they_come_again(store):
    first = NewTerm("en", "heparin", "drug", ["hep a rin"], {"pt": "heparina"})
    assert await store.glossary.put(ORGANISATION, [first, NewTerm("en", "fever")]) == (2, 0)
    assert await store.glossary.put("room", [NewTerm("en", "fever", translations={"pt": "febre"})]) == (1, 0)
    again = NewTerm("en", "Heparin", "term", ["heparine"], {"es": "heparina"})
    assert await store.glossary.put(ORGANISATION, [again, NewTerm("en", "fever")]) == (0, 1)
    heparin = next(row for row in await store.glossary.all(ORGANISATION) if row.term == "heparin")
    assert (heparin.kind, heparin.aliases) == ("drug", ["hep a rin", "heparine"])
    assert heparin.translations == {"pt": "heparina", "es": "heparina"}
    assert [row.scope for row in await store.glossary.all(ORGANISATION, "room")].count("room") == 1
    assert await store.glossary.delete("room", heparin.id) == 0, "a room cannot delete what is the organisation's"
    assert await store.glossary.delete(ORGANISATION, heparin.id) == 1
    assert await store.glossary.delete(ORGANISATION) == 1
    assert await store.glossary.count("room") == 1


async def test_a_glossary_that_would_grow_too_large_keeps_nothing_new(store, monkeypatch):
    monkeypatch.setattr(glossary, "MOST", 2)
    await store.glossary.put("room", [NewTerm("en", "one")])
    with pytest.raises(GlossaryFull):
        await store.glossary.put("room", [NewTerm("en", "two"), NewTerm("en", "three")])
    assert await store.glossary.count("room") == 1
