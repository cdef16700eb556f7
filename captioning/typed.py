"""Captions that a person types instead of the machine: lines that grow and are then final. Pure.

A line belongs to whoever spoke it, and says who wrote it (`Caption.written_by`). Each captioner has one open line: a
new one ends it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count

from captioning.caption import Caption
from captioning.segment import Segments


@dataclass(frozen=True, slots=True)
class _Line:
    key: str
    segment: str
    participant: str
    language: str
    start: float
    channel: str | None
    text: str = ""


class Typed:
    """The lines of one room. Revisions are counted by its `Segments`."""

    def __init__(self, segments: Segments) -> None:
        self._segments = segments
        self._open: dict[str, _Line] = {}
        self._numbers = count()

    def speaker(self, by: str, key: str) -> str | None:
        """Whose the captioner's open line is, if this one is open: it stays theirs whoever speaks meanwhile."""
        line = self._open.get(by)
        return line.participant if line is not None and line.key == key else None

    def write(
        self,
        key: str,
        by: str,
        participant: str,
        language: str,
        text: str,
        final: bool,
        now: float,
        channel: str | None = None,
    ) -> list[Caption]:
        """The captioner's line as it stands now; nothing may be left of it. `now` in ms of room time; `channel`: what
        the participant interprets into."""
        line = self._open.get(by)
        changed = [] if line is None or line.key == key else self.finish(by, now)
        if line is None or line.key != key:
            line = _Line(key, f"typed~{next(self._numbers)}", participant, language, now, channel)
        words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        # What is still being typed may change wholly; a translation must not be made of it.
        caption = self._revise(line, by, words if final else "", "" if final else words, final, now)
        if final:
            self._open.pop(by, None)
        else:
            self._open[by] = replace(line, text=words)
        return changed if caption is None else [*changed, caption]

    def finish(self, by: str, now: float) -> list[Caption]:
        """The captioner goes, or begins another line: what they had typed stands."""
        line = self._open.pop(by, None)
        caption = None if line is None else self._revise(line, by, line.text, "", True, now)
        return [] if caption is None else [caption]

    def _revise(self, line: _Line, by: str, stable: str, tail: str, final: bool, now: float) -> Caption | None:
        return self._segments.revise(
            segment=line.segment,
            participant=line.participant,
            track="",
            source=line.language,
            language=line.language,
            start=line.start,
            end=now,
            stable=stable,
            tail=tail,
            final=final,
            written_by=by,
            channel=line.channel,
        )
