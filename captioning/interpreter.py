"""Says what was recognised, or corrected, in the languages that are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from captioning.glossary import Glossary
from captioning.language import base
from captioning.messages import Retranslate, Retranslated, ToServer, Translation
from captioning.stream import Utterance
from captioning.translate import Translator


class Interpreter:
    """Used by the recognising thread only."""

    def __init__(self, translator: Translator, send: Callable[[ToServer], None]) -> None:
        self._translator = translator
        self._send = send

    @property
    def counters(self) -> dict[str, int]:
        return self._translator.counters

    def wants_english(self, language: str, readers: Sequence[str]) -> bool:
        """Whether the recogniser should translate to English itself, for these readers."""
        return self._translator.wants_english(language, map(base, readers))

    def interim(
        self, stream: str, utterance: Utterance, source: str, text: str, readers: Sequence[str], end_ms: float
    ) -> None:
        """The stable words of an open utterance."""
        if text:
            self._translator.ahead(text, source, map(base, readers))
        for reader in readers:
            route = self._translator.route(source, base(reader))
            if route is None or route.english_first or not text:
                continue
            result = self._translator.translate(text, route)
            if result is not None:
                utterance.translated.add(reader)
                start, engine = utterance.start_ms, route.engine
                said = stream, utterance.number, start, end_ms, source, reader, result.text, False, engine, route.pivot
                self._send(Translation(*said))

    def final(
        self,
        stream: str,
        utterance: Utterance,
        source: str,
        text: str,
        english: str | None,
        readers: Sequence[str],
        glossary: Glossary,
    ) -> None:
        """The last word on an utterance; an empty translation takes back what was shown."""
        if text:
            self._translator.ahead(text, source, map(base, readers), english)
        for reader in readers:
            target = base(reader)
            route = self._translator.route(source, target)
            if route is None:
                continue
            result = None
            if text:
                wanted = glossary.wanted(text, source, target)
                result = self._translator.translate(text, route, english, spoken=source, read=target, wanted=wanted)
            if result is None and reader not in utterance.translated:
                continue
            utterance.translated.add(reader)
            translated, doubts = (result.text, list(result.doubts)) if result is not None else ("", [])
            times = utterance.start_ms, utterance.end_ms
            how = route.engine, route.pivot
            self._send(Translation(stream, utterance.number, *times, source, reader, translated, True, *how, doubts))

    def corrected(self, job: Retranslate, glossary: Glossary) -> None:
        """What a person wrote."""
        source = base(job.source)
        self._translator.ahead(job.text, source, map(base, job.readers))
        for reader in job.readers:
            target = base(reader)
            route = self._translator.route(source, target)
            if route is None:
                continue
            wanted = glossary.wanted(job.text, source, target)
            result = self._translator.translate(job.text, route, None, spoken=source, read=target, wanted=wanted)
            if result is not None:
                said = reader, result.text, route.engine, route.pivot, list(result.doubts)
                self._send(Retranslated(job.room, job.segment, job.correction, *said))
