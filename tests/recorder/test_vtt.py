"""Captions and transcript from final cues."""

from __future__ import annotations

import io
from itertools import pairwise

import webvtt
from hypothesis import given
from hypothesis import strategies as st

from recorder.service import Cue
from recorder.vtt import LINE, MAX_MS, Shown, captions, document, flatten, latest, transcript, wrap

NAMES = {"ann": "Ann", "eve": "<i>Eve --> & co</i>"}


def cue(
    text: str,
    start: float = 0,
    end: float = 2_000,
    *,
    segment: str = "s",
    revision: int = 1,
    language: str = "en",
    person: str = "ann",
) -> Cue:
    return Cue(
        segment=segment,
        revision=revision,
        participant=person,
        source="en",
        language=language,
        start=start,
        end=end,
        text=text,
    )


def test_the_last_revision_counts_in_whatever_order() -> None:
    cues = [cue("second", revision=2), cue("first", revision=1), cue("segundo", revision=1, language="pt")]
    assert {(one.language, one.text) for one in latest(cues)} == {("en", "second"), ("pt", "segundo")}


def test_a_segment_revised_to_nothing_is_gone() -> None:
    assert latest([cue("noise"), cue(" ", revision=2)]) == []


def test_a_language_that_is_no_language_never_becomes_a_file_name() -> None:
    assert latest([cue("x", language="../../etc"), cue("x", language=""), cue("x", language="e" * 40)]) == []


def test_a_long_segment_becomes_readable_captions() -> None:
    text = " ".join(["patient"] * 60)
    shown = captions([cue(text, 1_000, 31_000)], NAMES, 0, 60_000)["en"]
    assert shown[0].start == 1_000 and shown[-1].end <= 31_000 and len(shown) > 4
    for one in shown:
        assert one.end - one.start <= MAX_MS
        assert len(one.text.split("\n")) <= 2 and all(len(line) <= LINE for line in one.text.split("\n"))
    assert " ".join(one.text.replace("\n", " ") for one in shown) == text


def test_words_from_before_the_recording_are_left_out_and_times_are_its_own() -> None:
    cues = latest(
        [
            cue("before", 0, 900, segment="a"),
            cue("within", 1_500, 2_500, segment="b"),
            cue("after", 99_000, 99_500, segment="c"),
        ]
    )
    assert [(one.start, one.text) for one in captions(cues, NAMES, 1_000, 10_000)["en"]] == [(500, "within")]
    assert [line.texts["en"] for line in transcript(cues, NAMES, 1_000, 10_000)] == ["within"]


def test_names_and_text_are_escaped() -> None:
    shown = captions(latest([cue("a --> b\n\n<script>&", person="eve")]), NAMES, 0, 9_000)["en"]
    text = document(shown, "en")
    assert text.count("-->") == 1 and "<script>" not in text and "<i>" not in text
    [caption] = webvtt.from_buffer(io.StringIO(text))
    assert caption.start == "00:00:00.000"


@given(
    st.lists(
        st.tuples(st.text(max_size=300), st.text(max_size=30), st.integers(-5_000, 50_000), st.integers(-100, 30_000)),
        max_size=8,
    )
)
def test_any_words_make_a_valid_file_in_order(entries: list[tuple[str, str, int, int]]) -> None:
    cues = [
        cue(text, start, start + length, segment=str(n), person=str(n))
        for n, (text, _, start, length) in enumerate(entries)
    ]
    names = {str(number): name for number, (_, name, _, _) in enumerate(entries)}
    for language, shown in captions(latest(cues), names, 0, 40_000).items():
        parsed = webvtt.from_buffer(io.StringIO(document(shown, language)))
        assert len(parsed) == len(shown)
        assert [one.start for one in shown] == sorted(one.start for one in shown)
        assert all(0 <= one.start < one.end for one in shown)
        flat = flatten(shown)
        assert all(a.end <= b.start for a, b in pairwise(flat))


@given(st.text())
def test_wrapping_keeps_every_character_but_spaces(text: str) -> None:
    lines = wrap(text)
    assert "".join(lines).replace(" ", "") == "".join(text.split()) and all(0 < len(line) <= LINE for line in lines)


def test_overlapping_captions_are_told_apart_when_flattened() -> None:
    both = flatten([Shown(0, 3_000, "Ann", "one"), Shown(0, 2_000, "Bob", "two"), Shown(2_500, 4_000, "Ann", "three")])
    assert [(one.start, one.end, one.text) for one in both] == [
        (0, 2_500, "Ann: one\nBob: two"),
        (2_500, 4_000, "three"),
    ]


def test_a_translation_that_may_be_wrong_is_marked_and_has_its_original_beside_it() -> None:
    said = cue("Give 5 mg --> now.", 0, 3_000)
    wrong = Cue(
        segment="s", revision=1, participant="ann", source="en", language="pt", start=0, end=3_000, text="Dê 50 mg já.",
        guard=["dose"],
    )  # fmt: skip
    shown = captions([said, wrong], NAMES, 0, 10_000)
    assert shown["en"][0].note == "" and shown["pt"][0].text == "[?] Dê 50 mg já."
    text = document(shown["pt"], "pt")
    assert "NOTE check (dose); en: Give 5 mg --&gt; now." in text
    assert [c.text for c in webvtt.from_buffer(io.StringIO(text))] == ["[?] Dê 50 mg já."]
    (line,) = transcript([said, wrong], NAMES, 0, 10_000)
    assert line.guard == {"pt": ["dose"]} and line.texts["pt"] == "Dê 50 mg já."
