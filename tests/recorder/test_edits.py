"""Instructions over an untouched recording: what is believed of them, and what they do."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.clip import without
from recorder.edits import (
    Correction,
    EditError,
    Edits,
    Rendering,
    checked,
    edited,
    load_edits,
    save_edits,
    untranslated,
)
from recorder.manifest import ChatLine, Line, Manifest, Passage, Person, RecordingNotFound


def line(segment: str, who: str, start: float, **texts: str) -> Line:
    return Line(
        segment=segment, participant=who, name=who.title(), source="en", start=start, end=start + 900, texts=texts,
        guard={"pt": ["numbers"]} if "pt" in texts else {}, doubtful=[0],
    )  # fmt: skip


RECORDED = Manifest(
    version=1, id="rec1", room="demo", title="Ward round", purpose="", started_by="Host",
    started_at=datetime(2026, 1, 1, tzinfo=UTC), duration=60_000, state="complete", problem=None,
    people=[Person(id="ann", name="Ann"), Person(id="bob", name="Bob")], tracks=[], languages=["en", "pt"],
    captions={},
    transcript=[line("1", "ann", 1_000, en="Give fifty", pt="Dê cinquenta"), line("2", "bob", 3_000, en="Yes")],
    chat=[ChatLine(participant="bob", name="Bob", text="hello", at=2_000)],
    speakers=[], master="master.m3u8", files={}, bytes=0,
)  # fmt: skip


def cut(start: float, end: float) -> Passage:
    return Passage(start=start, end=end)


def word(segment: str, language: str, text: str) -> Correction:
    return Correction(segment=segment, language=language, text=text)


def test_instructions_are_put_in_order_and_what_changes_nothing_is_dropped() -> None:
    edits = Edits(
        revision=3,
        cuts=[cut(9_000, 12_000), cut(0, 2_000), cut(1_000, 3_000), cut(3_000, 4_000)],
        names={"ann": "  Dr.  Ann Lee ", "bob": "Bob"},
        words=[word("2", "en", "Yes"), word("1", "en", "Give fifteen"), word("1", "en", "Give  fifteen mg")],
    )
    made = checked(edits, RECORDED)
    assert made == Edits(
        revision=3,
        cuts=[cut(0, 4_000), cut(9_000, 12_000)],
        names={"ann": "Dr. Ann Lee"},
        words=[word("1", "en", "Give fifteen mg")],
    )


@pytest.mark.parametrize(
    "edits",
    [
        Edits(cuts=[cut(5, 5)]),
        Edits(cuts=[cut(-1, 5)]),
        Edits(cuts=[cut(0, 60_001)]),
        Edits(cuts=[cut(float("nan"), 5)]),
        Edits(cuts=[cut(0, 30_000), cut(30_000, 59_500)]),
        Edits(cuts=[cut(n, n + 1) for n in range(0, 1_000, 4)]),
        Edits(names={"eve": "Eve"}),
        Edits(names={"ann": "   "}),
        Edits(names={"ann": "x" * 81}),
        Edits(words=[word("3", "en", "no such line")]),
        Edits(words=[word("2", "pt", "no such language")]),
        Edits(words=[word("2", "en", "x" * 2_001)]),
    ],
)
def test_instructions_that_cannot_be_followed_are_refused(edits: Edits) -> None:
    with pytest.raises(EditError):
        checked(edits, RECORDED)


def test_a_corrected_original_loses_the_translations_that_are_not() -> None:
    made = edited(RECORDED, Edits(names={"ann": "Dr. Lee"}, words=[word("1", "en", "Give fifteen")]))
    assert [one.name for one in made.people] == ["Dr. Lee", "Bob"]
    assert made.transcript[0].texts == {"en": "Give fifteen"} and made.transcript[0].guard == {}
    assert made.transcript[0].name == "Dr. Lee" and made.transcript[0].doubtful == []
    both = edited(RECORDED, Edits(words=[word("1", "en", "Give fifteen"), word("1", "pt", "Dê quinze")]))
    assert both.transcript[0].texts == {"en": "Give fifteen", "pt": "Dê quinze"}
    only = edited(RECORDED, Edits(words=[word("1", "pt", "Dê 50")]))
    assert only.transcript[0].texts == {"en": "Give fifty", "pt": "Dê 50"} and only.transcript[0].doubtful == [0]


def test_a_line_with_no_words_left_is_gone() -> None:
    made = edited(RECORDED, Edits(words=[word("2", "en", "")]))
    assert [one.segment for one in made.transcript] == ["1"]
    assert edited(RECORDED, Edits()) == RECORDED


def test_edits_are_kept_beside_the_recording(tmp_path: Path) -> None:
    (tmp_path / "rec1").mkdir()
    assert load_edits(tmp_path, "rec1") == Edits() and not Edits(revision=5)
    edits = Edits(revision=1, cuts=[cut(0, 1_000)])
    save_edits(tmp_path, "rec1", edits)
    assert load_edits(tmp_path, "rec1") == edits
    (tmp_path / "rec1" / "edits.json").write_text("{")
    with pytest.raises(ValueError):
        load_edits(tmp_path, "rec1")  # rather nothing than what was cut out
    with pytest.raises(RecordingNotFound):
        load_edits(tmp_path, "../rec1")


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(1, 30)), max_size=8))
def test_what_is_left_and_what_is_missing_make_the_whole(parts: list[tuple[int, int]]) -> None:
    taken = {second for start, length in parts for second in range(start, min(100, start + length))}
    cuts = [cut(start * 1000, min(100, start + length) * 1000) for start, length in parts]
    manifest = Manifest(**{f: getattr(RECORDED, f) for f in RECORDED.__struct_fields__} | {"duration": 100_000})
    if len(taken) > 98:
        with pytest.raises(EditError):
            checked(Edits(cuts=cuts), manifest)
        return
    made = checked(Edits(cuts=cuts), manifest).cuts
    left = without(Passage(start=0, end=100_000), made)
    assert {s for one in left for s in range(int(one.start) // 1000, int(one.end) // 1000)} == set(range(100)) - taken
    assert all(a.end < b.start for a, b in pairwise(made))


def test_lines_that_were_put_right_are_translated_anew_and_only_as_long_as_they_say_so() -> None:
    right = Edits(words=[word("1", "en", "Give fifteen")])
    (missing,) = untranslated(RECORDED, right)
    assert (missing.segment, missing.source, missing.text, missing.languages) == ("1", "en", "Give fifteen", ["pt"])
    one = Rendering(segment="1", language="pt", of="Give fifteen", text="Dê quinze", guard=["number"])
    with_it = checked(msgspec.structs.replace(right, translations=[one]), RECORDED)
    assert untranslated(RECORDED, with_it) == []
    line = edited(RECORDED, with_it).transcript[0]
    assert line.texts == {"en": "Give fifteen", "pt": "Dê quinze"} and line.guard == {"pt": ["number"]}
    # A person's words come before the machine's, and what is of other words is not kept.
    both = msgspec.structs.replace(with_it, words=[*right.words, word("1", "pt", "Dê 15")])
    assert edited(RECORDED, both).transcript[0].texts["pt"] == "Dê 15"
    assert "number" not in str(edited(RECORDED, both).transcript[0].guard)
    for other in (
        msgspec.structs.replace(with_it, words=[word("1", "en", "Give sixteen")]),
        msgspec.structs.replace(with_it, words=[]),
        msgspec.structs.replace(right, translations=[msgspec.structs.replace(one, segment="9")]),
        msgspec.structs.replace(right, translations=[msgspec.structs.replace(one, language="en")]),
        msgspec.structs.replace(right, translations=[msgspec.structs.replace(one, language="de")]),
        msgspec.structs.replace(right, translations=[msgspec.structs.replace(one, text="x" * 2_001)]),
    ):
        assert checked(other, RECORDED).translations == []
