"""The recorder's façade: begin, feed as a tap, finish; what a crash left is repaired at the next start.

Event-loop side only; files belong to the writer thread (`recorder.writer`).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import math
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from recorder import archive, events
from recorder.archive import ArchiveError
from recorder.conclude import State, conclude
from recorder.export import ExportError, export
from recorder.keyframes import LIVE_EVERY_MS, KeyframeWish
from recorder.live.stream import News, Stream
from recorder.manifest import (
    ChatLine,
    Cue,
    Line,
    Manifest,
    MediaFile,
    Person,
    RecordingNotFound,
    Speech,
    Track,
    folder,
    load,
    media_file,
)
from recorder.preparation import Preparations
from recorder.publish import PENDING
from recorder.repair import needs_repair, repair
from recorder.sealing import keys
from recorder.storage.shelf import Shelf
from recorder.writer import RESERVE_BYTES, Item, Writer
from sfu.taps import RoomClock, TapPacket, TrackInfo

__all__ = [
    "ArchiveError",
    "ChatLine",
    "Cue",
    "ExportError",
    "Line",
    "Manifest",
    "MediaFile",
    "Person",
    "Preparations",
    "Recorder",
    "Recording",
    "RecordingNotFound",
    "Shelf",
    "Speech",
    "Stream",
    "Track",
    "export",
    "load",
    "media_file",
]

MAX_TRACKS = 4096
MIN_FREE_BYTES = 64 * 1024 * 1024
TAKING_IN = ".taking-in-"
"""What a folder is called while an archive is unpacked into it; never a recording's name."""

log = logging.getLogger(__name__)


class Recording:
    """A running recording; a tap (`sfu.taps.Tap`). All methods belong to the event loop and none blocks."""

    def __init__(
        self,
        path: Path,
        writer: Writer,
        clock: RoomClock,
        request_keyframe: Callable[[str], None],
        finished: Callable[[str], object],
    ) -> None:
        self._path = path
        self._writer = writer
        self._clock = clock
        self._request_keyframe = request_keyframe
        self._finished = finished
        self._present: dict[str, TrackInfo] = {}
        """Every track that is in the room, also of those who are left out."""
        self._muted: set[str] = set()
        self._left_out: set[str] = set()
        self._unheard: set[str] = set()
        self._speaker: str | None = None
        self._tracks: dict[str, tuple[int, TrackInfo]] = {}
        self._wishes: dict[str, KeyframeWish] = {}
        self._opened = 0
        self._stream: Stream | None = None
        self._manifest: asyncio.Task[Manifest] | None = None

    @property
    def origin(self) -> float:
        """The room time at which it began."""
        return self._writer.pipeline.origin

    @property
    def problem(self) -> str | None:
        """Why recording stopped early, or None."""
        return self._writer.problem

    @property
    def backlog(self) -> int:
        """Bytes of media waiting to be written: how far the disk lags."""
        return self._writer.backlog

    # --- the tap ---

    def track_opened(self, track: TrackInfo, room_ms: float) -> None:
        self._present[track.id] = track
        if track.participant not in self._left_out:
            self._open(track, room_ms)

    def _open(self, track: TrackInfo, room_ms: float) -> None:
        if track.id in self._tracks or self._opened >= MAX_TRACKS:
            return
        index, self._opened = self._opened, self._opened + 1
        self._tracks[track.id] = (index, track)
        self._put(
            events.Opened(
                at=room_ms,
                index=index,
                track=track.id,
                participant=track.participant,
                kind=track.kind,
                source=track.source,
                codec=track.codec,
            )
        )
        if track.kind == "video":
            self._wishes[track.id] = KeyframeWish()
            if self._stream is not None:
                self._wishes[track.id].every = LIVE_EVERY_MS
            self._wish(track.id)

    def packets(self, packets: Sequence[TapPacket]) -> None:
        if self._manifest:
            return
        items: list[Item] = []
        for packet in packets:
            known = self._tracks.get(packet.track)
            if known is None or not math.isfinite(packet.room_ms):
                continue
            items.append((known[0], packet))
            wish = self._wishes.get(packet.track)
            if wish and wish.seen(packet, packet.room_ms):
                self._request_keyframe(packet.track)
        if items and not self._writer.put(items):
            for track in self._wishes:
                self._wish(track)

    def track_muted(self, track: str, muted: bool, room_ms: float) -> None:
        (self._muted.add if muted else self._muted.discard)(track)
        if known := self._tracks.get(track):
            self._put(events.Muted(at=room_ms, index=known[0], muted=muted))
            self._picture_changed(track)

    def track_closed(self, track: str, room_ms: float) -> None:
        self._present.pop(track, None)
        self._muted.discard(track)
        self._close(track, room_ms)

    def _close(self, track: str, room_ms: float) -> None:
        if known := self._tracks.pop(track, None):
            self._put(events.Closed(at=room_ms, index=known[0]))
            self._picture_changed(track)
            self._wishes.pop(track, None)

    # --- what else is kept ---

    def leave_out(self, participant: str, left_out: bool) -> None:
        """From now on nothing of somebody is written: no sound, picture, word, line or name; or is again.

        To be told before `participant` and before their tracks; what was written until now stays.
        """
        if left_out == (participant in self._left_out):
            return
        now = self._clock.now()
        tracks = [track for track in self._present.values() if track.participant == participant]
        if left_out:
            self._left_out.add(participant)
            for track in tracks:
                self._close(track.id, now)
            if self._speaker == participant:
                self._put(events.Spoke(at=now, participant=None))
            return
        self._left_out.discard(participant)
        self._put(events.Unheard(at=now, participant=participant, on=participant in self._unheard))
        for track in tracks:
            self._open(track, now)
            if track.id in self._muted:
                self.track_muted(track.id, True, now)
        if self._speaker == participant:
            self.speaker(participant)

    def participant(self, participant: str, name: str) -> None:
        """Somebody is there, or has a new name."""
        if participant in self._left_out:
            return
        self._put(events.Named(at=self._clock.now(), participant=participant, name=name))

    def unheard(self, participant: str, on: bool) -> None:
        """Somebody does not want a machine to hear them, or their name beside their words; or does again."""
        if on == (participant in self._unheard):
            return
        (self._unheard.add if on else self._unheard.discard)(participant)
        if participant not in self._left_out:
            self._put(events.Unheard(at=self._clock.now(), participant=participant, on=on))

    def speaker(self, participant: str | None) -> None:
        """The active speaker now; asks their video for a key frame to cut on."""
        self._speaker = participant
        if participant in self._left_out:
            participant = None
        self._put(events.Spoke(at=self._clock.now(), participant=participant))
        self._wish_of(participant)

    def _wish_of(self, participant: str | None) -> None:
        for track, (_, info) in self._tracks.items():
            if info.participant == participant and info.kind == "video":
                self._wish(track)

    def spotlight(self, participant: str | None) -> None:
        """Who is to be shown live whoever speaks; None: nobody."""
        self._put(events.Spotlit(at=self._clock.now(), participant=participant))
        self._wish_of(participant)

    def air(self, aac: bool = False) -> Stream:
        """From now on it is a live programme too, with `aac` for players that take no Opus. Again: the same one. Raises
        RuntimeError once it is finished."""
        if self._stream is not None:
            return self._stream
        if self._manifest is not None:
            raise RuntimeError("the recording is finished")
        now, loop = self._clock.now(), asyncio.get_running_loop()
        stream = Stream(self._path, datetime.now(UTC) - timedelta(milliseconds=now - self.origin), aac)

        def tell(news: list[News]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has closed
                loop.call_soon_threadsafe(stream.take, news)

        self._stream, self._writer.on_news = stream, tell
        self._put(events.Aired(at=now, on=True, aac=aac))
        for track, wish in self._wishes.items():
            wish.every = LIVE_EVERY_MS
            self._wish(track)
        return stream

    def cue(self, cue: Cue, whose: str | None = None) -> None:
        """Final words in one language; a later revision replaces an earlier one. `whose` they are, where the cue does
        not say."""
        if (whose or cue.participant) in self._left_out:
            return
        self._put(events.Said(at=self._clock.now(), cue=cue))

    def chat(self, participant: str, name: str, text: str, at: float) -> None:
        """A public chat line, `at` in room time."""
        if participant in self._left_out:
            return
        self._put(events.Wrote(at=at, participant=participant, name=name, text=text))

    def question(
        self,
        question: str,
        name: str | None,
        text: str,
        votes: int,
        shown: bool,
        answer: str | None,
        answered_by: str | None,
        live_at: float | None,
    ) -> None:
        """A question that is answered, or its new state; `live_at` in room time. `shown` false takes it back."""
        self._put(
            events.Asked(
                at=self._clock.now(), question=question, name=name, text=text, votes=votes, shown=shown, answer=answer,
                answered_by=answered_by, live_at=live_at,
            )
        )  # fmt: skip

    async def finish(self) -> Manifest:
        """Stops and returns the manifest; the replay is ready then. Again: the same manifest. Raises OSError."""
        if self._manifest is None:
            self._manifest = asyncio.create_task(asyncio.to_thread(self._finish, self._clock.now()))
            self._manifest.add_done_callback(self._ended)
        return await asyncio.shield(self._manifest)

    def _ended(self, _: asyncio.Task[Manifest]) -> None:
        if self._stream is not None:
            self._stream.finish()
        self._finished(self._path.name)

    def _finish(self, now: float) -> Manifest:
        writer = self._writer
        duration, happened = writer.stop(now)
        problem = writer.problem
        if problem is None and writer.refused:
            problem = f"The disk was too slow: {writer.refused} packets were left out."
        state: State = "failed" if writer.problem else "complete"
        return conclude(self._path, writer.pipeline, happened, duration, state, problem)

    def _put(self, event: events.AnyEvent) -> None:
        if self._manifest is None:
            self._writer.put([event])

    def _wish(self, track: str) -> None:
        if self._manifest is None and self._wishes[track].wish(self._clock.now()):
            self._request_keyframe(track)

    def _picture_changed(self, track: str) -> None:
        """A picture came or went: whichever comes instead should start at once."""
        if track in self._wishes:
            for other in self._wishes:
                self._wish(other)


class Recorder:
    """All recordings under one folder, one subfolder each."""

    def __init__(self, root: Path, shelf: Shelf | None = None) -> None:
        """`shelf`: where recordings go and are read from; this disk alone without one."""
        self.root = root
        self.shelf = shelf or Shelf(root)
        self.preparations = Preparations(root, self.shelf.changed)
        self._running: dict[str, Recording] = {}
        self._away: dict[str, Callable[[bool], None]] = {}

    async def start(self) -> list[str]:
        """Repairs what a crash left; returns the ids repaired. One that cannot be repaired is logged and left alone."""
        await asyncio.to_thread(self.root.mkdir, parents=True, exist_ok=True)
        for left in self.root.glob(f"{TAKING_IN}*"):
            await asyncio.to_thread(shutil.rmtree, left, ignore_errors=True)
        repaired: list[str] = []
        for path in await asyncio.to_thread(lambda: sorted(self.root.iterdir())):
            if path.name in self._running:
                continue
            try:
                if needs_repair(path) and await asyncio.to_thread(repair, path) is not None:
                    repaired.append(path.name)
            except Exception:
                log.exception("recording %s could not be repaired", path.name)
            if (path / PENDING).exists():
                self.preparations.add(path.name)
        loop = asyncio.get_running_loop()

        def away(is_away: bool) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has closed
                loop.call_soon_threadsafe(self._tell_away, is_away)

        await asyncio.to_thread(self.shelf.start, away)
        return repaired

    def _tell_away(self, is_away: bool) -> None:
        for tell in list(self._away.values()):
            tell(is_away)

    async def stop(self) -> None:
        """Finishes what is running; what is being converted goes on at the next start."""
        for recording in list(self._running.values()):
            with contextlib.suppress(OSError):
                await recording.finish()
        await self.preparations.stop()
        await asyncio.to_thread(self.shelf.stop)

    def _finished(self, recording: str) -> None:
        self._running.pop(recording, None)
        self._away.pop(recording, None)
        self.preparations.add(recording)
        self.shelf.changed(recording)

    async def begin(
        self,
        recording: str,
        *,
        room: str,
        title: str,
        started_by: str,
        purpose: str,
        started_at: datetime,
        clock: RoomClock,
        request_keyframe: Callable[[str], None],
        on_failure: Callable[[str], None],
        on_low: Callable[[bool], None] = lambda low: None,
        on_away: Callable[[bool], None] = lambda away: None,
    ) -> Recording:
        """Starts one. Then give it to `SfuRoom.add_tap`.

        Called on the event loop: `on_failure`, at most once; `on_low`, with True when the disk will not do much longer,
        with False when it will again; `on_away` the same of the bucket that it is to go to.

        Raises OSError (ENOSPC when there is too little room to begin, EEXIST for an id that is taken) and
        RecordingNotFound for an id that cannot be a folder's name.
        """
        path = folder(self.root, recording)
        loop = asyncio.get_running_loop()
        began = events.Began(
            at=clock.now(),
            recording=recording,
            room=room,
            title=title,
            purpose=purpose,
            started_by=started_by,
            started_at=started_at,
        )

        def failed(reason: str) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has closed
                loop.call_soon_threadsafe(on_failure, reason)

        def low(is_low: bool) -> None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(on_low, is_low)

        def create() -> Writer:
            self.root.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(self.root).free < MIN_FREE_BYTES + RESERVE_BYTES:
                raise OSError(errno.ENOSPC, "too little disk space left to begin a recording")
            path.mkdir(mode=0o700)
            keys.create(path, recording)
            return Writer(path, began, clock.now, failed, low, MIN_FREE_BYTES)

        writer = await asyncio.to_thread(create)
        running = Recording(path, writer, clock, request_keyframe, self._finished)
        self._running[recording] = running
        self._away[recording] = on_away
        self.shelf.begun(recording)
        if self.shelf.standing().away:
            loop.call_soon(on_away, True)
        return running

    async def take_in(self, file: Path, recording: str) -> Manifest:
        """An archive (`recorder.archive`) as this recording. Raises ArchiveError, OSError; then nothing stays."""
        path = folder(self.root, recording)
        new = self.root / f"{TAKING_IN}{recording}"

        def take() -> Manifest:
            free = shutil.disk_usage(self.root).free - MIN_FREE_BYTES - RESERVE_BYTES
            new.mkdir(mode=0o700, parents=True)
            try:
                keys.create(new, recording)
                manifest = archive.unpack(file, new, recording, max(0, free))
                new.rename(path)
            except BaseException:
                shutil.rmtree(new, ignore_errors=True)
                raise
            return manifest

        manifest = await asyncio.to_thread(take)
        self.shelf.changed(recording)
        return manifest

    async def delete(self, recording: str) -> None:
        """Removes a finished recording and everything of it. Raises RecordingNotFound, OSError."""
        await self.preparations.forget(recording)
        await asyncio.to_thread(self.shelf.delete, folder(self.root, recording).name)
