"""What was written in a recording, in the language of whoever reads along: made when it is first asked for, once a
language, by the captions' own workers with their guard, and kept beside the recording for everybody.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from captioning.glossary import Glossary
from captioning.language import base
from captioning.written import language_of
from recorder.manifest import Manifest
from recorder.written import LONGEST, MOST_TEXTS, Rendered, Renderings, written
from signaling.retranslation import TermsFor, Translate

if TYPE_CHECKING:
    from signaling.library import Library

log = structlog.get_logger("library")

AT_ONCE = 50
"""Translations between two times that the file is written; a reader sees them come."""
WAITING = 30
"""Recordings and languages that may wait; they are made one after the other."""
REMEMBERED = 200


class Busy(Exception):
    """Too many wait already."""


@dataclass(frozen=True, slots=True)
class Text:
    """What is to be translated, and the language that it is in."""

    text: str
    source: str


def texts(manifest: Manifest) -> list[Text]:
    """Each text once, where its language is told by itself or by what its writer speaks in the recording. Pure."""
    spoken: dict[str, Counter[str]] = {}
    for line in manifest.transcript:
        spoken.setdefault(line.participant, Counter())[line.source] += 1
    found: dict[str, Text] = {}
    for one in written(manifest):
        if one.text in found or not 1 < len(one.text) <= LONGEST:
            continue
        likely = [tag for tag, _ in spoken.get(one.participant, Counter()).most_common()]
        if (source := language_of(one.text, likely)) is not None:
            found[one.text] = Text(one.text, source)
        if len(found) >= MOST_TEXTS:
            break
    return list(found.values())


def unmade(manifest: Manifest, known: Renderings, language: str) -> list[Text]:
    """What there is to translate yet for who reads `language`. Pure."""
    there = {one.of for one in known.made.get(language, [])}
    return [one for one in texts(manifest) if one.text not in there and base(one.source) != base(language)]


class Writing:
    """Of all recordings; one is translated at a time, since whoever speaks now waits meanwhile."""

    def __init__(self, library: Library, translate: Translate, terms_for: TermsFor) -> None:
        self._library = library
        self._translate = translate
        self._terms_for = terms_for
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._turn = asyncio.Lock()
        self._without: OrderedDict[tuple[str, str], list[str]] = OrderedDict()

    def making(self, recording: str, language: str) -> bool:
        """Whether more may come."""
        return (recording, language) in self._tasks

    def without(self, recording: str, language: str) -> list[str]:
        """Languages that nothing was translated from when it was last tried."""
        return self._without.get((recording, language), [])

    async def begin(self, recording: str, language: str) -> None:
        """Makes what is not there yet, while the caller goes on. Raises Busy, RecordingNotFound, OSError."""
        key = recording, language
        if key in self._tasks:
            return
        manifest, known = (await self._library.seen(recording)).manifest, await self._library.renderings(recording)
        todo = await asyncio.to_thread(unmade, manifest, known, language)
        if not todo:
            self._without.pop(key, None)
        elif key not in self._tasks:
            if len(self._tasks) >= WAITING:
                raise Busy
            task = asyncio.get_running_loop().create_task(self._make(manifest.room, key, todo), name="written")
            self._tasks[key] = task
            task.add_done_callback(lambda done: self._done(key, done))

    async def made(self, recording: str, language: str) -> None:
        """Returns when what was begun is there, or cannot be made."""
        if (task := self._tasks.get((recording, language))) is not None:
            await asyncio.gather(task, return_exceptions=True)

    async def forget(self, recording: str) -> None:
        """It is being deleted."""
        await self._end(task for (one, _), task in self._tasks.items() if one == recording)

    async def stop(self) -> None:
        """What is not made yet is made when it is next asked for."""
        await self._end(self._tasks.values())

    async def _end(self, tasks: Iterable[asyncio.Task[None]]) -> None:
        doomed = list(tasks)
        for task in doomed:
            task.cancel()
        await asyncio.gather(*doomed, return_exceptions=True)

    def _done(self, key: tuple[str, str], task: asyncio.Task[None]) -> None:
        self._tasks.pop(key, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("what was written was not translated", recording=key[0], problem=str(error))

    async def _make(self, room: str, key: tuple[str, str], todo: list[Text]) -> None:
        recording, language = key
        async with self._turn:
            glossary = Glossary(await self._terms_for(room))
            without: set[str] = set()
            made: list[Rendered] = []
            for one in todo:
                if one.source in without:
                    continue
                terms = glossary.within(one.text, base(one.source))
                said = await self._translate(one.source, one.text, [language], terms)
                if not said:
                    without.add(one.source)
                for this in said:
                    doubts = [str(doubt) for doubt in this.guard]
                    made.append(
                        Rendered(of=one.text, source=one.source, text=this.text, pivot=this.pivot, guard=doubts)
                    )
                if len(made) >= AT_ONCE:
                    await self._library.add_renderings(recording, language, made)
                    made = []
            if made:
                await self._library.add_renderings(recording, language, made)
        self._without[key] = sorted(without)
        if len(self._without) > REMEMBERED:
            self._without.popitem(last=False)
