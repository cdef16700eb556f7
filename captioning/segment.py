"""The captions of one room as receivers know them: revisions counted, the newest kept for those who join late."""

from __future__ import annotations

from collections import OrderedDict

from captioning.caption import Caption
from captioning.guard import Doubt

KEPT = 100
"""Finished segments kept for a late joiner."""


class Segments:
    """Makes every caption's revision one higher than the last of its (segment, language), and remembers the newest."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._newest: OrderedDict[str, dict[str, Caption]] = OrderedDict()

    def revise(
        self,
        *,
        segment: str,
        participant: str,
        track: str,
        source: str,
        language: str,
        start: float,
        end: float,
        stable: str,
        tail: str,
        final: bool,
        engine: str | None = None,
        pivot: str | None = None,
        confidence: float | None = None,
        guard: list[Doubt] | None = None,
        heard: str | None = None,
        doubtful: list[int] | None = None,
    ) -> Caption | None:
        """The next revision; None when it would say nothing new, or come after the final."""
        languages = self._newest.setdefault(segment, {})
        last = languages.get(language)
        if last is not None and last.final:
            return None
        if last is None and not stable and not tail:
            return None
        if last is not None and (last.stable, last.tail, last.source, last.final) == (stable, tail, source, final):
            return None
        caption = Caption(
            segment=segment,
            revision=0 if last is None else last.revision + 1,
            participant=participant,
            track=track,
            source=source,
            language=language,
            start=start,
            end=end,
            stable=stable,
            tail=tail,
            final=final,
            engine=engine,
            pivot=pivot,
            confidence=confidence,
            guard=guard or [],
            heard=heard,
            doubtful=doubtful or [],
        )
        languages[language] = caption
        while len(self._newest) > self._kept:
            self._newest.popitem(last=False)
        return caption

    def original(self, segment: str) -> Caption | None:
        """The newest original of a segment."""
        captions = self._newest.get(segment, {}).values()
        return next((caption for caption in captions if caption.engine is None), None)

    def retract(self, caption: Caption) -> Caption | None:
        """Take back a caption that is still open: a final with no words."""
        return self.revise(
            segment=caption.segment,
            participant=caption.participant,
            track=caption.track,
            source=caption.source,
            language=caption.language,
            start=caption.start,
            end=caption.end,
            stable="",
            tail="",
            final=True,
            engine=caption.engine,
            pivot=caption.pivot,
        )

    def others(self, segment: str, language: str) -> list[Caption]:
        """Originals of the segment in another language than this, still open: the language was heard differently."""
        captions = self._newest.get(segment, {}).values()
        return [c for c in captions if c.engine is None and c.language != language and not c.final]

    def snapshot(self) -> list[Caption]:
        """The newest of every segment and language that has words, oldest first."""
        return [c for languages in self._newest.values() for c in languages.values() if c.stable or c.tail]
