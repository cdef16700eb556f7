"""Where chapters begin."""

from __future__ import annotations

import itertools

from recorder.chapters import APART_MS, MOST_TURNS, chapters, turns
from recorder.manifest import ChatLine, Person, Question, Speech, Track

ANN, BOB = Person(id="a", name="Ann"), Person(id="b", name="Bob")


def spoke(participant: str, start: float, end: float) -> Speech:
    return Speech(participant=participant, start=start * 1000, end=end * 1000)


def wrote(text: str, at: float) -> ChatLine:
    return ChatLine(participant="b", name="Bob", text=text, at=at * 1000)


def shared(start: float, end: float) -> Track:
    return Track(
        index=0, participant="b", kind="video", source="screen", codec="VP9", opened=start * 1000, closed=end * 1000,
        dropped=0, files=[],
    )  # fmt: skip


def test_an_interruption_does_not_end_a_turn_and_a_short_word_begins_none() -> None:
    found = turns([spoke("a", 0, 15), spoke("b", 15, 18), spoke("a", 18, 40), spoke("b", 50, 80), spoke("a", 100, 130)])
    assert [(one.participant, one.start, one.end) for one in found] == [
        ("a", 0, 40_000),
        ("b", 50_000, 80_000),
        ("a", 100_000, 130_000),
    ]


def test_speakers_screens_and_questions_begin_chapters_in_order_and_apart() -> None:
    found = chapters(
        [spoke("a", 0, 60), spoke("b", 62, 120), spoke("a", 130, 180)],
        [shared(65, 110), shared(150, 150.5)],
        [wrote("Which dose?", 30), wrote("thanks", 50), wrote("¿Y los niños？ ", 132), wrote("Πόσα;", 160)],
        [ANN, BOB],
        180_000,
    )
    assert [(one.kind, one.start, one.name, one.text) for one in found] == [
        ("speaker", 0, "Ann", ""),
        ("question", 30_000, "Bob", "Which dose?"),
        ("screen", 65_000, "Bob", ""),
        ("question", 132_000, "Bob", "¿Y los niños？"),
        ("question", 160_000, "Bob", "Πόσα;"),
    ]


def test_a_question_that_is_answered_begins_a_chapter_whoever_asked() -> None:
    asked = [
        Question(name="Eva", text="Which dose?", at=32_000, votes=3),
        Question(name=None, text="How long?", at=90_000, votes=1),
    ]
    found = chapters([], [], [wrote("Which dose?", 30)], [ANN, BOB], 180_000, asked)
    assert [(one.kind, one.start, one.name, one.text) for one in found] == [
        ("question", 32_000, "Eva", "Which dose?"),
        ("question", 90_000, "", "How long?"),
    ]


def test_every_item_of_the_agenda_begins_a_chapter_but_those_that_were_passed_over() -> None:
    agenda = [(0.0, "Welcome"), (60_000.0, "Case 1"), (61_000.0, "Case 2"), (65_000.0, "Case 3"), (180_000.0, "Late")]
    found = chapters([spoke("a", 3, 58), spoke("b", 80, 120)], [], [], [ANN, BOB], 180_000, (), agenda)
    assert [(one.kind, one.start, one.text) for one in found] == [
        ("agenda", 0, "Welcome"),
        ("agenda", 61_000, "Case 2"),
        ("agenda", 65_000, "Case 3"),
        ("speaker", 80_000, ""),
    ]


def test_a_long_panel_keeps_its_longest_turns() -> None:
    speeches = [spoke("ab"[n % 2], n * 40, n * 40 + 21 + n % 10) for n in range(200)]
    found = chapters(speeches, [], [], [ANN, BOB], 1e9)
    assert 10 < len(found) <= MOST_TURNS
    starts = [one.start for one in found]
    assert all(after - before >= APART_MS for before, after in itertools.pairwise(starts))
