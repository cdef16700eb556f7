"""From closed parts and logged events to a recording that can be replayed: edit, playlists, captions, manifest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from recorder import events, playlist, vtt
from recorder.chapters import chapters
from recorder.events import AnyEvent
from recorder.index import INDEX, Index, IndexedTrack
from recorder.manifest import (
    MANIFEST,
    VERSION,
    ChatLine,
    Manifest,
    Person,
    Question,
    Speech,
    Track,
    content_type,
    save,
)
from recorder.pipeline import AudioTrack, Pipeline, VideoTrack
from recorder.publish import PENDING, mark, publish
from recorder.sealing import files
from recorder.sealing.keys import KEY
from recorder.writer import journal_path

State = Literal["complete", "repaired", "failed"]


def conclude(
    folder: Path, pipeline: Pipeline, log: Sequence[AnyEvent], duration: int, state: State, problem: str | None
) -> Manifest:
    """Writes what a replay needs, then removes the journals that parts replace. Raises OSError."""
    began = log[0]
    assert isinstance(began, events.Began)
    origin = began.at
    video = {index: track for index, track in pipeline.tracks.items() if isinstance(track, VideoTrack)}
    tracks = [_track(index, track, duration) for index, track in pipeline.tracks.items()]
    speakers = speeches(
        [(event.at - origin, event.participant) for event in log if isinstance(event, events.Spoke)], duration
    )
    indexed = [
        IndexedTrack(index=index, files=track.parts.files, groups=track.parts.groups) for index, track in video.items()
    ]
    index = Index(origin=origin, mix=pipeline.mixer.info, tracks=indexed)
    names = publish(folder, index, pipeline.mixer.groups, tracks, speakers, duration)

    people = {event.participant: event.name for event in log if isinstance(event, events.Named)}
    cues = vtt.latest(event.cue for event in log if isinstance(event, events.Said))
    captions: dict[str, str] = {}
    for language, shown in sorted(vtt.captions(cues, people, origin, duration).items()):
        name = f"captions.{language}.vtt"
        files.write_bytes(folder / name, vtt.document(shown, language).encode())
        captions[language] = name

    names += [name for track in tracks for name in track.files]
    names += captions.values()
    served = {name: content_type(name) for name in dict.fromkeys(names)}
    everybody = [Person(id=participant, name=name) for participant, name in people.items()]
    chat = [
        ChatLine(participant=event.participant, name=event.name, text=event.text, at=max(0.0, event.at - origin))
        for event in log
        if isinstance(event, events.Wrote)
    ]
    questions = answered(log, origin)
    manifest = Manifest(
        version=VERSION,
        id=began.recording,
        room=began.room,
        title=began.title,
        purpose=began.purpose,
        started_by=began.started_by,
        started_at=began.started_at,
        duration=duration,
        state=state,
        problem=problem,
        people=everybody,
        tracks=tracks,
        languages=sorted(captions),
        captions=captions,
        transcript=vtt.transcript(cues, people, origin, duration),
        chat=chat,
        speakers=speakers,
        pending=[index for index, track in video.items() if track.depacketiser and not track.playable],
        chapters=chapters(speakers, tracks, chat, everybody, duration, questions),
        master=playlist.MASTER,
        files=served,
        bytes=sum(files.size_of(folder / name) for name in served),
        questions=questions,
        unheard=unheard(log, origin, duration),
    )
    save(folder, manifest)
    if manifest.pending:
        mark(folder, 0)
    _tidy(folder, manifest, pipeline)
    return manifest


def answered(log: Sequence[AnyEvent], origin: float) -> list[Question]:
    """The questions of a recording as they stood at its end, in order of their answers."""
    latest = {event.question: event for event in log if isinstance(event, events.Asked)}
    found = [
        Question(
            name=event.name,
            text=event.text,
            at=max(0.0, (event.live_at if event.live_at is not None else event.at) - origin),
            votes=event.votes,
            answer=event.answer,
            answered_by=event.answered_by,
        )
        for event in latest.values()
        if event.shown
    ]
    return sorted(found, key=lambda question: question.at)


def unheard(log: Sequence[AnyEvent], origin: float, duration: float) -> list[Speech]:
    """When no machine may hear somebody: from when they said so until they took it back, or the end."""
    found: list[Speech] = []
    since: dict[str, float] = {}
    for event in log:
        if not isinstance(event, events.Unheard):
            continue
        at = min(max(0.0, event.at - origin), duration)
        if event.on:
            since.setdefault(event.participant, at)
        elif (start := since.pop(event.participant, None)) is not None:
            found.append(Speech(participant=event.participant, start=start, end=at))
    found += [Speech(participant=who, start=start, end=duration) for who, start in since.items()]
    return sorted(found, key=lambda one: (one.start, one.participant))


def speeches(spoke: Sequence[tuple[float, str | None]], duration: float) -> list[Speech]:
    """Who was the active speaker from when to when, from changes in order of time."""
    result: list[Speech] = []
    stops = [start for start, _ in spoke[1:]] + [duration]
    for (start, participant), end in zip(spoke, stops, strict=False):
        begins, ends = max(0.0, start), min(end, duration)
        if participant is None or ends <= begins:
            continue
        if result and result[-1].participant == participant and result[-1].end == begins:
            begins = result.pop().start
        result.append(Speech(participant=participant, start=begins, end=ends))
    return result


def _track(index: int, track: VideoTrack | AudioTrack, duration: float) -> Track:
    return Track(
        index=index,
        participant=track.opened.participant,
        kind=track.opened.kind,
        source=track.opened.source,
        codec=track.opened.codec.name.upper(),
        opened=min(max(0.0, track.start), duration),
        closed=duration if track.closed is None else min(max(0.0, track.closed), duration),
        dropped=track.dropped,
        files=[file.name for file in track.parts.files],
    )


def _tidy(folder: Path, manifest: Manifest, pipeline: Pipeline) -> None:
    """Leaves the manifest's files, the event journal, and the journals of tracks that have no parts."""
    for index, track in pipeline.tracks.items():
        if track.playable:
            journal_path(folder, index).unlink(missing_ok=True)
    for path in folder.iterdir():
        if path.is_file() and path.name not in manifest.files and path.name not in (MANIFEST, INDEX, PENDING, KEY):
            path.unlink()
