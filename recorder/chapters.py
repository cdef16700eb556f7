"""Chapters: where somebody begins to speak at length, shares a screen, or asks a question in the chat, and where an
item of the agenda begins. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from recorder.manifest import Chapter, ChatLine, Person, Question, Speech, Track

TURN_MS = 20_000
"""Who speaks for less does not begin a chapter."""
PAUSE_MS = 8_000
"""Somebody who goes on after so short a pause or interruption goes on with the same turn."""
APART_MS = 10_000
SKIPPED_MS = 2_000
"""An item of the agenda that is left so soon was passed over."""
MOST_TURNS = 40
"""The longest turns count; a chapter for each word would help nobody."""
_QUESTION = ("?", "？", "؟")
_TEXT = 140


def turns(speakers: Sequence[Speech]) -> list[Speech]:
    """Who spoke at length: interruptions and pauses of up to `PAUSE_MS` do not end a turn. In order of time."""
    open_turns: dict[str, Speech] = {}
    done: list[Speech] = []
    for speech in speakers:
        known = open_turns.get(speech.participant)
        if known and speech.start - known.end <= PAUSE_MS:
            open_turns[speech.participant] = Speech(
                participant=speech.participant, start=known.start, end=max(known.end, speech.end)
            )
            continue
        if known:
            done.append(known)
        open_turns[speech.participant] = speech
    found = [turn for turn in [*done, *open_turns.values()] if turn.end - turn.start >= TURN_MS]
    longest = sorted(found, key=lambda turn: turn.start - turn.end)[:MOST_TURNS]
    return sorted(longest, key=lambda turn: turn.start)


def chapters(
    speakers: Sequence[Speech],
    tracks: Iterable[Track],
    chat: Iterable[ChatLine],
    people: Iterable[Person],
    duration: float,
    questions: Iterable[Question] = (),
    agenda: Sequence[tuple[float, str]] = (),
) -> list[Chapter]:
    """In order of time. Items of the `agenda` (when each began, in ms and in order; its words) have theirs; others are
    at least `APART_MS` apart: questions that were answered come before those in the chat, these before screens, screens
    before speakers."""
    names = {person.id: person.name for person in people}
    wanted = [
        Chapter(kind="question", start=one.at, participant="", name=one.name or "", text=_short(one.text))
        for one in questions
    ]
    wanted += [
        Chapter(kind="question", start=line.at, participant=line.participant, name=line.name, text=_short(line.text))
        for line in chat
        if line.text.strip().endswith(_QUESTION) or _greek(line.text.strip())
    ]
    wanted += [
        Chapter(kind="screen", start=track.opened, participant=track.participant, name=names.get(track.participant, ""))
        for track in tracks
        if track.source == "screen" and track.kind == "video" and track.closed - track.opened >= 1_000
    ]
    previous = None
    for turn in turns(speakers):
        if turn.participant != previous:
            name = names.get(turn.participant, "")
            wanted.append(Chapter(kind="speaker", start=turn.start, participant=turn.participant, name=name))
        previous = turn.participant
    left = [start for start, _ in agenda[1:]] + [math.inf]
    kept = [
        Chapter(kind="agenda", start=start, participant="", name="", text=_short(item))
        for (start, item), end in zip(agenda, left, strict=False)
        if start < duration and end - start >= SKIPPED_MS
    ]
    for chapter in wanted:
        if chapter.start < duration and all(abs(chapter.start - other.start) >= APART_MS for other in kept):
            kept.append(chapter)
    return sorted(kept, key=lambda chapter: chapter.start)


def _greek(text: str) -> bool:
    """The Greek question mark looks like a semicolon, and keyboards write it as one."""
    return text.endswith(";") and any("\u0370" <= character <= "\u03ff" for character in text)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _TEXT else text[: _TEXT - 1].rstrip() + "…"
