"""A room's words: between the caption service, the people who speak and the people who read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from captioning.caption import Caption
from captioning.config import CaptionStatus
from captioning.glossary import Term
from captioning.language import base
from captioning.messages import Retranslated
from captioning.segment import Outdated
from community.glossary import ORGANISATION
from community.store import Store
from sfu.room import SfuRoom
from sfu.taps import RoomClock, Tap
from signaling.protocol import CaptionState
from signaling.refusal import Refusal
from signaling.unnamed import Unnamed


class RoomCaptions(Tap, Protocol):
    """`captioning.service.RoomCaptions`."""

    def set_spoken(self, participant: str, language: str | None) -> None: ...
    def set_channel(self, participant: str, language: str | None) -> None: ...
    def set_among(self, languages: Sequence[str]) -> None: ...
    def set_heard(self, participant: str, heard: bool) -> None: ...
    def set_readers(self, languages: frozenset[str]) -> None: ...
    def set_glossary(self, terms: Sequence[Term]) -> None: ...
    def correct(self, segment: str, revision: int, text: str, by: str) -> None: ...
    def write(self, line: str, by: str, participant: str, language: str, text: str, final: bool) -> None: ...
    def line_speaker(self, by: str, line: str) -> str | None: ...
    def finish_line(self, by: str) -> None: ...
    def translate(self, key: str, source: str, text: str, language: str) -> None: ...
    def snapshot(self) -> list[Caption]: ...

    on_text: Callable[[str, Retranslated], None] | None

    async def close(self) -> None: ...


class CaptionSource(Protocol):
    """`captioning.service.CaptionService`."""

    def status(self) -> CaptionStatus: ...
    def open_room(self, room: str, on_caption: Callable[[Caption], None], clock: RoomClock) -> RoomCaptions: ...


def caption_state(status: CaptionStatus, offered: Sequence[str] = ()) -> CaptionState:
    """As people see it: only languages that are `offered` (all without); the lag in steps of a second."""
    return CaptionState(
        state=status.state,
        spoken=list(status.spoken),
        read=[tag for tag in status.read if not offered or tag in offered],
        lag_ms=float(round(status.lag_ms, -3)),
        problem=status.problem,
    )


async def terms_for(store: Store, room: str) -> list[Term]:
    """The glossary of a room: its own terms, then its organisation's."""
    rows = await store.glossary.all(room, ORGANISATION)
    return [
        Term(
            row.term, row.language, "drug" if row.kind == "drug" else "term", list(row.aliases), dict(row.translations)
        )
        for row in sorted(rows, key=lambda row: row.scope == ORGANISATION)
    ]


class RoomWords:
    """Captions of one room; a tap of its media while it is open."""

    def __init__(
        self,
        room: str,
        source: CaptionSource,
        offered: Sequence[str],
        media: SfuRoom,
        on_caption: Callable[[Caption], None],
        on_text: Callable[[str, Retranslated], None],
    ) -> None:
        self._offered = offered
        self._source = source
        self._media = media
        self._captions = source.open_room(room, on_caption, media.clock)
        self._captions.on_text = on_text
        self._readers: frozenset[str] = frozenset()
        self.among: list[str] = []
        """The languages that are spoken here, as the room declares; empty: any."""
        self.unnamed = Unnamed()
        media.add_tap(self._captions, video=False)

    def state(self) -> CaptionState:
        """Whether words can be had now."""
        return caption_state(self._source.status(), self._offered)

    @property
    def shed(self) -> int:
        """Drafts that the server left out for want of time, since it started."""
        return self._source.status().counters.get("interims_shed", 0)

    def spoken(self, participant: str, language: str | None) -> None:
        """What somebody says they speak; None to detect."""
        self._captions.set_spoken(participant, language)

    def channel(self, participant: str, language: str | None) -> None:
        """What somebody interprets into from now on; None: they speak for themselves."""
        self._captions.set_channel(participant, language)

    def declare(self, languages: Sequence[str]) -> bool:
        """The languages that are spoken here; False: nothing changes. Raises Refusal for one that cannot be heard."""
        wanted = sorted({base(language) for language in languages})
        known = self._source.status().spoken
        if deaf := [language for language in wanted if known and language not in known]:
            raise Refusal("unavailable", f"this server does not recognise {', '.join(deaf)}")
        if wanted == self.among:
            return False
        self.restore(wanted)
        return True

    def restore(self, languages: Sequence[str]) -> None:
        """What was declared in an earlier meeting."""
        self.among = list(languages)
        self._captions.set_among(self.among)

    def heard(self, participant: str, heard: bool) -> None:
        """Whether somebody is captioned at all."""
        self._captions.set_heard(participant, heard)

    def left(self, participant: str) -> None:
        """Somebody is gone; what they declared goes too."""
        self._captions.set_channel(participant, None)
        self._captions.set_spoken(participant, None)
        self._captions.set_heard(participant, True)

    def readers(self, languages: Iterable[str]) -> None:
        """Languages somebody reads now."""
        wanted = frozenset(tag for tag in languages if not self._offered or tag in self._offered)
        if wanted != self._readers:
            self._readers = wanted
            self._captions.set_readers(wanted)

    def glossary(self, terms: Sequence[Term]) -> None:
        """The terms that apply here, the room's own first."""
        self._captions.set_glossary(terms)

    def correct(self, segment: str, revision: int, text: str, by: str) -> None:
        """A person writes a final anew. Raises Refusal."""
        words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        if not words:
            raise Refusal("malformed", "there are no words", segment)
        try:
            self._captions.correct(segment, revision, words, by)
        except KeyError:
            raise Refusal("not-found", "these words are not kept any more", segment) from None
        except Outdated:
            raise Refusal("conflict", "these words changed meanwhile, or are not final yet", segment) from None

    def write(self, line: str, by: str, participant: str, language: str, text: str, final: bool) -> None:
        """A person types what somebody says."""
        self._captions.write(line, by, participant, language, text, final)

    def line_speaker(self, by: str, line: str) -> str | None:
        """Whose this line of `by` is, while it is open."""
        return self._captions.line_speaker(by, line)

    def finish_line(self, by: str) -> None:
        """What `by` has typed stands as it is."""
        self._captions.finish_line(by)

    def translate(self, key: str, source: str, text: str, language: str) -> bool:
        """Something that was written; False where there is no way into this language now."""
        if base(language) not in map(base, self.state().read):
            return False
        self._captions.translate(key, source, text, language)
        return True

    def snapshot(self) -> list[Caption]:
        """For those who come late."""
        return [self.unnamed.shown(caption) for caption in self._captions.snapshot()]

    def unfinished(self) -> list[tuple[Caption, str]]:
        """What is not final yet, and whose it is."""
        return [
            (self.unnamed.shown(one), one.participant)
            for one in self._captions.snapshot()
            if not one.final and one.channel is None
        ]

    async def close(self) -> None:
        """Flushes the last words."""
        self._media.remove_tap(self._captions)
        await self._captions.close()
