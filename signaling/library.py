"""What becomes of recordings once they are made: found by their words, kept as long as is wanted, deleted wholly."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
import structlog

from community.models import RecordingRow
from community.search import Said
from community.store import Store
from recorder import clip
from recorder import edits as editing
from recorder import service as recorder
from recorder import wordings as wording
from recorder import written as writing
from recorder.clip import Limits
from recorder.edits import Edits, Rendering
from recorder.manifest import Line, Passage, folder
from recorder.wordings import Wordings
from recorder.written import Rendered, Renderings
from signaling.captions import terms_for
from signaling.exports import Exports
from signaling.retranslation import Retranslation, Translate
from signaling.written import Writing, texts

log = structlog.get_logger("library")

EVERY_S = 3600.0
T = TypeVar("T")


def lines(manifest: recorder.Manifest, renderings: Renderings | None = None) -> list[Said]:
    """A recording as it is indexed: its title, every line in every language, and what was written, in those it was
    made in too."""
    said = [Said(0.0, "", "", f"{manifest.title} {manifest.purpose}".strip())]
    said += [
        Said(line.start, language, line.name[:80], text)
        for line in manifest.transcript
        for language, text in line.texts.items()
    ]
    sources = {one.text: one.source for one in texts(manifest)}
    made = {tag: {one.of: one.text for one in there} for tag, there in (renderings or Renderings()).made.items()}
    for one in writing.written(manifest):
        said.append(Said(one.at, sources.get(one.text, ""), one.name[:80], one.text))
        said += [Said(one.at, tag, one.name[:80], there[one.text]) for tag, there in made.items() if one.text in there]
    return said


def seen(root: Path, recording: str, passage: Passage | None = None) -> Seen:
    """Blocking. Raises RecordingNotFound, ValueError, OSError."""
    edits = editing.load_edits(root, recording)
    limits = Limits(passage, tuple(edits.cuts))
    manifest = editing.edited(recorder.load(root, recording), edits)
    if limits:
        manifest = clip.clip(manifest, limits, clip.missing(folder(root, recording), limits.cuts))
    return Seen(manifest, limits, bool(edits))


@dataclass(frozen=True, slots=True)
class Seen:
    """A recording as it is shown: `manifest` edited and with what `limits` leave of it. `edited`: there are edits."""

    manifest: recorder.Manifest
    limits: Limits
    edited: bool


class Stale(Exception):
    """Somebody else has saved edits since."""


class Library:
    """Runs beside the meetings."""

    def __init__(
        self,
        store: Store,
        recordings: recorder.Recorder,
        exports: Exports,
        question_days: int,
        translate: Translate | None = None,
        deleted: Callable[[str], None] = lambda recording: None,
    ) -> None:
        self._deleted = deleted
        self._question_days = question_days
        self._store = store
        self._recordings = recordings
        self._exports = exports
        self._task: asyncio.Task[None] | None = None
        self._editing = asyncio.Lock()
        self._retranslation = (
            Retranslation(self, translate, partial(terms_for, store)) if translate is not None else None
        )
        self.writing = Writing(self, translate, partial(terms_for, store)) if translate is not None else None
        """Translates what was written, where anything can."""

    def start(self) -> None:
        """Looks after what was left undone, then every hour."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """What is left is done after the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._retranslation is not None:
            await self._retranslation.stop()
        if self.writing is not None:
            await self.writing.stop()

    async def _run(self) -> None:
        while True:
            try:
                await self.sweep(datetime.now(UTC))
            except Exception:
                log.exception("the library could not be looked after")
            await asyncio.sleep(EVERY_S)

    async def sweep(self, now: datetime) -> None:
        """Indexes what is not, deletes what has been kept long enough or was being deleted; questions too."""
        await self._store.questions.forget(self._question_days)
        await self._store.polls.forget(self._question_days)
        for row in await self._store.recordings.overdue(now):
            doomed = row.state == "deleting"
            try:
                await self.delete(row, "server", "recording-delete" if doomed else "recording-expire")
            except OSError as error:  # it stays doomed: nobody can open it, and the next time goes on
                log.warning("a recording could not be deleted yet", recording=row.id, error=str(error))
        for recording in await self._store.search.missing():
            try:
                await self.index((await self.seen(recording)).manifest)
            except OSError as error:
                log.warning("a recording could not be read to be indexed", recording=recording, error=str(error))
            except (recorder.RecordingNotFound, ValueError):
                await self._store.search.put(recording, [])
                log.warning("a recording cannot be indexed", recording=recording)

    @property
    def shelf(self) -> recorder.Shelf:
        """Where recordings are."""
        return self._recordings.shelf

    async def _here(self, recording: str, read: Callable[[Path, str], T]) -> T:
        """What `read` makes of the small files, which are fetched first where they are not here."""

        def work() -> T:
            self.shelf.words(recording)
            return read(self._recordings.root, recording)

        return await asyncio.to_thread(work)

    async def manifest(self, recording: str) -> recorder.Manifest:
        """Raises RecordingNotFound, OSError while the bucket is away."""
        return await self._here(recording, recorder.load)

    async def edits(self, recording: str) -> Edits:
        """Raises RecordingNotFound, OSError."""
        return await self._here(recording, editing.load_edits)

    async def limits(self, recording: str, passage: Passage | None = None) -> Limits:
        """What may be seen of it, of a passage if it is one. Raises RecordingNotFound."""
        return Limits(passage, tuple((await self.edits(recording)).cuts))

    async def seen(self, recording: str, passage: Passage | None = None) -> Seen:
        """The recording as it is shown. Raises RecordingNotFound, OSError."""
        return await self._here(recording, lambda root, one: seen(root, one, passage))

    async def edit(self, recording: str, edits: Edits) -> Edits:
        """Replaces its edits; what is found, and files to download, follow. Raises RecordingNotFound, `EditError`, and
        `Stale` unless `edits.revision` is that of the edits there are."""
        async with self._editing:
            manifest = await self.manifest(recording)
            before = await self.edits(recording)
            if before.revision != edits.revision:
                raise Stale
            edits = msgspec.structs.replace(edits, translations=before.translations, title=before.title)
            checked = await asyncio.to_thread(editing.checked, edits, manifest)
            saved = msgspec.structs.replace(checked, revision=edits.revision + 1)
            await self._save(recording, saved)
        if self._retranslation is not None:
            self._retranslation.begin(recording)
        return saved

    async def rename(self, recording: str, title: str) -> str:
        """Gives it another title, which the replay, files to download, cards and what is found have from now on; what
        it was recorded as stays in its manifest. Gives the title as it is kept. Raises RecordingNotFound, `EditError`,
        OSError."""
        async with self._editing:
            manifest, edits = await self.manifest(recording), await self.edits(recording)
            edits = msgspec.structs.replace(edits, title=title)
            checked = await asyncio.to_thread(editing.checked, edits, manifest)
            await self._save(recording, checked)
            named = checked.title or manifest.title
            await self._store.recordings.rename(recording, named)
            return named

    async def add_translations(self, recording: str, revision: int, made: list[Rendering]) -> None:
        """Of lines that were put right; nothing happens where the edits are of another `revision` by now."""
        async with self._editing:
            edits = await self.edits(recording)
            if edits.revision == revision:
                more = msgspec.structs.replace(edits, translations=[*edits.translations, *made])
                manifest = await self.manifest(recording)
                await self._save(recording, await asyncio.to_thread(editing.checked, more, manifest))

    async def renderings(self, recording: str) -> Renderings:
        """What was written in it, in the languages that were made. Raises RecordingNotFound, OSError."""
        return await self._here(recording, writing.load_renderings)

    async def add_renderings(self, recording: str, language: str, made: list[Rendered]) -> None:
        """Of what was written in it. Raises RecordingNotFound, OSError."""
        async with self._editing:
            known = writing.with_more(await self.renderings(recording), language, made)
            await asyncio.to_thread(writing.save_renderings, self._recordings.root, recording, known)
            self.shelf.changed(recording)
            await self._exports.forget(recording)
            await self.index((await self.seen(recording)).manifest)

    async def _save(self, recording: str, edits: Edits) -> None:
        await asyncio.to_thread(editing.save_edits, self._recordings.root, recording, edits)
        self.shelf.changed(recording)
        await self._exports.forget(recording)
        await self.index((await self.seen(recording)).manifest)

    async def wordings(self, recording: str) -> Wordings:
        """The versions of its words. Raises RecordingNotFound."""
        return await self._here(recording, wording.load_wordings)

    async def reword(self, recording: str, model: str, lines: Sequence[Line]) -> None:
        """A new version of its words, which counts from now on. Raises RecordingNotFound, OSError."""
        async with self._editing:
            known = await self.wordings(recording)
            await self._count(recording, wording.with_another(known, model, datetime.now(UTC), lines))

    async def choose(self, recording: str, version: int) -> None:
        """Another version of its words counts. Raises RecordingNotFound, OSError, KeyError."""
        async with self._editing:
            known = await self.wordings(recording)
            if version != known.current:
                await self._count(recording, msgspec.structs.replace(known, current=version))

    async def _count(self, recording: str, chosen: Wordings) -> None:
        """People's corrections are of one version, and go and come back with it."""
        root, edits = self._recordings.root, await self.edits(recording)
        await asyncio.to_thread(wording.choose, root, recording, chosen, edits.words)
        version = chosen.version(chosen.current)
        assert version is not None
        if edits.words or version.words:
            edits = msgspec.structs.replace(edits, words=version.words, revision=edits.revision + 1)
            await asyncio.to_thread(editing.save_edits, root, recording, edits)
            if self._retranslation is not None:
                self._retranslation.begin(recording)
        self.shelf.changed(recording)
        await self._exports.forget(recording)
        await self.index((await self.seen(recording)).manifest)

    async def index(self, manifest: recorder.Manifest) -> None:
        """What was said in it is found from now on."""
        said = await asyncio.to_thread(lines, manifest, await self.renderings(manifest.id))
        await self._store.search.put(manifest.id, said)

    async def delete(self, row: RecordingRow, actor: str, act: str = "recording-delete") -> None:
        """Media, journals, captions, exports, words, links and shares. Raises OSError; then the next sweep goes on."""
        await self._store.recordings.doom(row.id)
        if self.writing is not None:
            await self.writing.forget(row.id)
        await self._exports.forget(row.id)
        try:
            await self._recordings.delete(row.id)
        except recorder.RecordingNotFound:
            log.info("the files of a deleted recording were gone already", recording=row.id)
        self._deleted(row.id)
        await self._store.recordings.delete(row.id)
        await self._store.audit.write(act, actor, room=row.room_id, subject=row.id)
        await self._store.search.tidy()
