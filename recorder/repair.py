"""What a crash left, finished: files are cut at the last whole fragment and the rest comes from the journals."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from pathlib import Path

from recorder import events
from recorder.conclude import State, conclude
from recorder.events import AnyEvent, read_log
from recorder.journal import JournalFile, packed, room_time, unpack
from recorder.live.aac import Aac
from recorder.manifest import MANIFEST, Manifest
from recorder.parts import MediaFileInfo, captured
from recorder.pipeline import MIX, AudioTrack, Pipeline, VideoTrack
from recorder.writer import journal_path
from sfu.taps import TapPacket

Item = TapPacket | AnyEvent


def needs_repair(folder: Path) -> bool:
    return (folder / "journal" / "events").is_file() and not (folder / MANIFEST).exists()


def repair(folder: Path) -> Manifest | None:
    """Finishes a recording; None when not even its beginning was written. Can be repeated. Raises OSError."""
    log = read_log(folder)
    if not log or not isinstance(log[0], events.Began):
        return None
    origin = log[0].at
    journal = JournalFile(folder / "journal" / "events")
    added: list[AnyEvent] = []

    def append(event: AnyEvent) -> None:
        added.append(event)
        journal.append([events.encode(event)])

    (folder / Aac.NAME).unlink(missing_ok=True)
    files: dict[int, dict[str, MediaFileInfo]] = {}
    for event in log:
        if isinstance(event, events.Filed):
            files.setdefault(event.index, {})[event.file.name] = event.file
    channels = [info for index in sorted(files, reverse=True) if index < MIX for info in files[index].values()]
    pipeline = Pipeline(folder, origin, append, next(iter(files.get(MIX, {}).values()), None), channels)
    mixed = pipeline.mixed / 48
    floor = pipeline.mixer.position / 48
    ends: dict[int, float] = {}
    streams: list[Iterator[tuple[float, int, Item]]] = [
        ((event.at, -1, event) for event in log if isinstance(event, events.Muted | events.Closed | events.Interpreted))
    ]
    for event in log:
        if isinstance(event, events.Opened) and event.index not in pipeline.tracks:
            track = pipeline.open(event)
            resume = track.parts.resume(list(files.get(event.index, {}).values()))
            if isinstance(track, VideoTrack):
                track.timeline.last = resume - 1
            since = origin + (min(resume, mixed) - 100 if isinstance(track, AudioTrack) else resume - 1)
            streams.append(_tail(folder, event, since, ends))
    spoken = origin
    for at, index, item in heapq.merge(*streams, key=lambda entry: entry[0]):
        if isinstance(item, TapPacket):
            pipeline.packet(index, item)
        elif isinstance(item, events.Muted):
            pipeline.mute(item)
        elif isinstance(item, events.Closed):
            pipeline.close(item)
        elif isinstance(item, events.Interpreted):
            pipeline.happened(item)
        if at - spoken > 500:
            spoken = at
            pipeline.advance(at)
    last = log[-1]
    state: State = "repaired"
    problem = None
    if isinstance(last, events.Ended):
        state = "complete"
    elif isinstance(last, events.Failed):
        state, problem = "failed", last.reason
    clean = state != "repaired"
    end = last.at if clean else max(origin + floor, *ends.values(), *(event.at for event in log))
    pipeline.finish(end)
    journal.close()
    for index in pipeline.tracks:
        if journal_path(folder, index).exists():
            JournalFile(journal_path(folder, index)).close()  # a sealed one has its end from now on
    return conclude(folder, pipeline, [*log, *added], pipeline.duration, state, problem)


def _tail(
    folder: Path, opened: events.Opened, since: float, ends: dict[int, float]
) -> Iterator[tuple[float, int, TapPacket]]:
    """A track's packets captured at or after `since` (room time); notes in `ends` when its last packet arrived."""
    for body in packed(journal_path(folder, opened.index)):
        room_ms, media_ms = room_time(body)
        ends[opened.index] = max(ends.get(opened.index, 0.0), room_ms)
        if captured(media_ms, room_ms) >= since:
            yield room_ms, opened.index, unpack(opened.track, body)
