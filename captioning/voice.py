"""A track as a worker hears it, and what the worker says of it as captions."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from captioning.caption import Caption
from captioning.messages import Translation, Words
from captioning.segment import Segments
from captioning.steady import Steady
from captioning.supervisor import Supervisor

OPEN_TRANSLATIONS = 500
"""Utterances times languages whose translation is not final yet."""


@dataclass(slots=True)
class Voice:
    """A track from when its owner wants captions until they do not: its stream names that. What somebody interprets is
    of a `channel`."""

    track: str
    participant: str
    supervisor: Supervisor
    channel: str | None = None
    closed: bool = False


class Said:
    """What workers said, made captions of one room's `segments`."""

    def __init__(self, segments: Segments) -> None:
        self._segments = segments
        self._steady: OrderedDict[tuple[str, int, str], Steady] = OrderedDict()

    def words(self, voice: Voice, words: Words) -> list[Caption | None]:
        """An original; one in another language, that it was heard as before, is taken back."""
        segment = f"{words.stream}.{words.utterance}"
        changed = [self._segments.retract(other) for other in self._segments.others(segment, words.language)]
        original = self._segments.revise(
            segment=segment,
            participant=voice.participant,
            track=voice.track,
            source=words.language,
            language=words.language,
            start=words.start,
            end=words.end,
            stable=words.stable,
            tail=words.tail,
            final=words.final,
            confidence=words.confidence,
            heard=words.heard,
            doubtful=words.doubtful,
            channel=voice.channel,
        )
        return [*changed, original]

    def translation(self, voice: Voice, said: Translation) -> Caption | None:
        """A translation; None where it says nothing new, or is of words that a person has corrected."""
        segment = f"{said.stream}.{said.utterance}"
        original = self._segments.original(segment)
        if original is not None and original.corrected_by is not None:
            return None
        shown: tuple[str, str] | None = (said.text, "")
        key = (said.stream, said.utterance, said.language)
        if said.final:
            self._steady.pop(key, None)
        else:
            shown = self._steady.setdefault(key, Steady()).show(said.text)
            if len(self._steady) > OPEN_TRANSLATIONS:
                self._steady.popitem(last=False)
        if shown is None:
            return None
        return self._segments.revise(
            segment=segment,
            participant=voice.participant,
            track=voice.track,
            source=said.source,
            language=said.language,
            start=said.start,
            end=said.end,
            stable=shown[0],
            tail=shown[1],
            final=said.final,
            engine=said.engine,
            pivot=said.pivot,
            guard=said.guard,
            channel=voice.channel,
        )
