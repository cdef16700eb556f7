"""Glossaries: read from files, heard rightly where the recogniser was unsure, kept in translation."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning import imports
from captioning.glossary import Correction, Glossary, Term, Wanted, holds, likeness, sound
from captioning.imports import GlossaryError, parse

TERMS = [
    Term("metformin", "en", "drug", ["met for men"], {"pt": "metformina"}),
    Term("enoxaparin", "en", "drug", [], {"pt": "enoxaparina"}),
    Term("Clexane", "en", "drug"),
    Term("acute bronchitis", "en", "term", [], {"pt": "bronquite aguda"}),
    Term("bronchitis", "en", "term", [], {"pt": "bronquite"}),
]


def test_an_unsure_word_that_sounds_like_a_term_becomes_it_and_what_was_heard_is_known() -> None:
    words = ["She", "takes", "met", "forming,", "twice", "a", "day."]
    sure = [0.99, 0.98, 0.4, 0.5, 0.9, 0.9, 0.9]
    result, corrections = Glossary(TERMS).correct(words, sure, "en")
    assert " ".join(result) == "She takes metformin, twice a day."
    assert corrections == [Correction(2, 2, "met forming,", "metformin,")]


def test_what_the_recogniser_was_sure_of_is_left_alone() -> None:
    words = ["The", "met", "forming", "crowd"]
    assert Glossary(TERMS).correct(words, [0.95] * 4, "en") == (words, [])
    said = ["Give", "metformin", "and", "Metformins."]
    assert Glossary(TERMS).correct(said, [0.1] * 4, "en") == (said, []), "it is there already"
    assert Glossary(TERMS).correct(words, [0.1] * 4, "pt")[1] == [], "another language"
    assert Glossary(TERMS).correct(words, [0.1], "en")[1] == [], "without probabilities nothing is touched"


def test_a_way_to_say_it_is_taken_unless_it_was_clear() -> None:
    words = ["Start", "met", "for", "men."]
    assert Glossary(TERMS).correct(words, [0.9, 0.8, 0.8, 0.8], "en")[0] == ["Start", "metformin."]
    assert Glossary(TERMS).correct(words, [0.95] * 4, "en")[1] == []


def test_two_terms_that_are_as_likely_leave_it_as_it_was() -> None:
    glossary = Glossary([Term("prednisone", "en", "drug"), Term("prednisolone", "en", "drug")])
    assert glossary.correct(["prednisilone"], [0.2], "en")[0] in (["prednisolone"], ["prednisilone"])
    near = Glossary([Term("clotiapine", "en", "drug"), Term("clotiapime", "en", "drug")])
    assert near.correct(["clotiapipe"], [0.2], "en")[1] == []


def test_only_terms_that_something_sounds_like_are_told_to_the_recogniser() -> None:
    many = [Term(f"xylo{i:04}zumab", "en") for i in range(2_000)]
    glossary = Glossary([*TERMS, *many])
    assert glossary.hotwords("she took an ox a parin and went home", "en") == ["enoxaparin"]
    assert glossary.hotwords("nothing of the kind", "en") == []
    long = " ".join(term.term for term in many[:40])
    assert sum(map(len, glossary.hotwords(long, "en"))) <= 160


def test_terms_are_found_in_a_text_and_in_its_translation() -> None:
    glossary = Glossary(TERMS)
    found = glossary.wanted("Acute bronchitis; stop Clexane.", "en", "pt")
    assert found == [
        Wanted("Acute bronchitis", "bronquite aguda", "term"),
        Wanted("Clexane", "Clexane", "drug"),
    ]
    assert holds("Bronquites agudas", found[0]) and not holds("bronquite crônica", found[0])
    assert holds("a enoxaparina", Wanted("enoxaparin", "enoxaparina", "drug"))
    assert glossary.wanted("Acute bronchitis", "pt", "en") == []


def test_sounds() -> None:
    assert sound("metformin") == sound("medphormin")
    assert likeness("heparin", "hep a rin") == 1.0
    assert likeness("heparin", "yesterday") < 0.4


WIDE = "term,language,kind,aliases,pt-BR,es\nheparin,en,drug,hep a rin|heparine,heparina,heparina\nfever,,,,febre,\n"
TICO = "id,sourceLang,targetLang,sourceString,targetString\n1,en,pt_XX,fever,febre\n2,en,pt_XX,fever,pirexia\n"
TBX = """<?xml version="1.0"?><!DOCTYPE martif SYSTEM "TBXcoreStructV02.dtd">
<martif type="TBX"><text><body><termEntry id="1">
<langSet xml:lang="en"><tig><term>heparin</term></tig><tig><term>heparine</term></tig></langSet>
<langSet xml:lang="pt-BR"><ntig><termGrp><term>heparina</term></termGrp></ntig></langSet>
</termEntry></body></text></martif>"""


def test_files_of_the_known_kinds_are_read() -> None:
    heparin, fever = parse(WIDE.encode())
    assert heparin == Term("heparin", "en", "drug", ["hep a rin", "heparine"], {"pt": "heparina", "es": "heparina"})
    assert fever == Term("fever", "en", "term", [], {"pt": "febre"})
    assert parse(b"\xef\xbb\xbf" + WIDE.replace(",", ";").encode())[0].term == "heparin", "as spreadsheets write it"
    assert parse(TICO.encode()) == [Term("fever", "en", "term", [], {"pt": "febre"})]
    english, portuguese = parse(TBX.encode())
    assert english == Term("heparin", "en", "term", ["heparine"], {"pt": "heparina"})
    assert portuguese == Term("heparina", "pt", "term", [], {"en": "heparin"})


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "must name a column"),
        (b"\xff\xfe", "not UTF-8"),
        (b"a,b\n1,2\n", "must name a column"),
        (b"term\n\n", "no terms"),
        (b"term,language\nx,!!\n", "line 2"),
        (b"term\n" + b"x" * 200 + b"\n", "line 2"),
        (b"term,kind\nx,verb\n", "line 2"),
        (b"term\n" + b"x\n" * 5_001, "more than"),
        (b"x" * (imports.LARGEST + 1), "larger"),
        (b"<martif><term>", "no TBX"),
        (b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', "entities"),
    ],
)
def test_bad_files_are_refused_with_a_reason(data: bytes, says: str) -> None:
    with pytest.raises(GlossaryError, match=says):
        parse(data)


@given(st.binary(max_size=300))
def test_no_bytes_can_break_the_reader(data: bytes) -> None:
    with contextlib.suppress(GlossaryError):
        assert parse(data)
