"""The captions of one room as receivers know them: revisions counted, the newest kept for those who join late."""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from captioning.caption import Caption
from captioning.guard import Doubt


class Outdated(ValueError):
    """The caption is not the one that was corrected: it changed meanwhile, or is not final yet."""


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
        written_by: str | None = None,
        channel: str | None = None,
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
            written_by=written_by,
            channel=channel,
        )
        languages[language] = caption
        while len(self._newest) > self._kept:
            self._newest.popitem(last=False)
        return caption

    def original(self, segment: str) -> Caption | None:
        """The newest original of a segment."""
        captions = self._newest.get(segment, {}).values()
        originals = [caption for caption in captions if caption.engine is None]
        return max(originals, key=lambda one: bool(one.stable or one.tail), default=None)

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
            channel=caption.channel,
        )

    def correct(self, segment: str, revision: int, text: str, by: str) -> list[Caption]:
        """A person writes a final original anew: the new original, then its translations, taken back: they are of other
        words. `revision` is what they saw. Raises KeyError for a segment that is not kept, Outdated otherwise."""
        languages = self._newest.get(segment, {})
        last = self.original(segment)
        if last is None:
            raise KeyError(segment)
        if not last.final or last.revision != revision:
            raise Outdated(segment)
        heard = last.heard if last.heard is not None else f"{last.stable} {last.tail}".strip()
        changed = [
            msgspec.structs.replace(
                last,
                revision=revision + 1,
                stable=text,
                tail="",
                heard=None if heard == text else heard,
                doubtful=[],
                confidence=None,
                corrected_by=by,
            )
        ]
        for other in languages.values():
            if other.engine is not None:
                changed.append(
                    msgspec.structs.replace(
                        other, revision=other.revision + 1, stable="", tail="", final=True, guard=[]
                    )
                )
        for caption in changed:
            languages[caption.language] = caption
        return changed

    def retranslate(
        self, segment: str, language: str, text: str, engine: str, pivot: str | None, guard: list[Doubt]
    ) -> Caption | None:
        """A corrected original's translation; None where the segment is no longer kept."""
        languages, original = self._newest.get(segment, {}), self.original(segment)
        if original is None or language == original.language:
            return None
        last = languages.get(language)
        languages[language] = caption = msgspec.structs.replace(
            original,
            revision=0 if last is None else last.revision + 1,
            language=language,
            stable=text,
            engine=engine,
            pivot=pivot,
            guard=guard,
            heard=None,
        )
        return caption

    def others(self, segment: str, language: str) -> list[Caption]:
        """Originals of the segment in another language than this, still open: the language was heard differently."""
        captions = self._newest.get(segment, {}).values()
        return [c for c in captions if c.engine is None and c.language != language and not c.final]

    def snapshot(self) -> list[Caption]:
        """The newest of every segment and language that has words, oldest first."""
        return [c for languages in self._newest.values() for c in languages.values() if c.stable or c.tail]
