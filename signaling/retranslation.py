"""Lines of a replay that their owner put right, made again in the languages that they were there in.

After each change of the edits, by a caption worker, with the glossary as the room has it now, while the owner goes on.
A newer change begins anew with what is
still missing then; without a worker those languages stay away, as they do when a worker cannot say it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import structlog

from captioning.glossary import Glossary, Term
from captioning.language import base
from captioning.messages import Retranslated
from recorder.edits import Rendering, untranslated

if TYPE_CHECKING:
    from signaling.library import Library

log = structlog.get_logger("library")

Translate = Callable[[str, str, Sequence[str], Sequence[Term]], Awaitable[list[Retranslated]]]
"""`captioning.service.CaptionService.translate`."""
TermsFor = Callable[[str], Awaitable[list[Term]]]
"""The glossary of a room."""


class Retranslation:
    """Of all recordings, one task each at a time."""

    def __init__(self, library: Library, translate: Translate, terms_for: TermsFor) -> None:
        self._library = library
        self._translate = translate
        self._terms_for = terms_for
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def begin(self, recording: str) -> None:
        """The edits have changed; what is being made for older ones is not waited for."""
        if (task := self._tasks.pop(recording, None)) is not None:
            task.cancel()
        task = asyncio.get_running_loop().create_task(self._render(recording), name="retranslation")
        self._tasks[recording] = task
        task.add_done_callback(lambda done: self._done(recording, done))

    async def stop(self) -> None:
        """What is not made yet is not made."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _done(self, recording: str, task: asyncio.Task[None]) -> None:
        if self._tasks.get(recording) is task:
            del self._tasks[recording]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("corrected lines were not translated", recording=recording, problem=str(error))

    async def _render(self, recording: str) -> None:
        manifest, edits = await self._library.manifest(recording), await self._library.edits(recording)
        lines = await asyncio.to_thread(untranslated, manifest, edits)
        glossary = Glossary(await self._terms_for(manifest.room) if lines else ())
        made = []
        for line in lines:
            terms = glossary.within(line.text, base(line.source))
            for said in await self._translate(line.source, line.text, line.languages, terms):
                doubts = [str(doubt) for doubt in said.guard]
                made.append(
                    Rendering(segment=line.segment, language=said.language, of=line.text, text=said.text, guard=doubts)
                )
        if made:
            await self._library.add_translations(recording, edits.revision, made)
