"""From closed parts and logged events to a recording that can be replayed: edit, playlists, captions, manifest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from recorder import events, playlist, vtt
from recorder.chapters import chapters
from recorder.edits import EDITS, without_pauses
from recorder.events import AnyEvent
from recorder.index import INDEX, Index, IndexedTrack
from recorder.manifest import (
    MANIFEST,
    VERSION,
    ChatLine,
    Interpretation,
    LowerThird,
    Manifest,
    Passage,
    Person,
    Poll,
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
    mixers = {language: channel.mixer for language, channel in sorted(pipeline.channels.items())}
    index = Index(
        origin=origin,
        mix=pipeline.mixer.info,
        tracks=indexed,
        channels={language: mixer.info for language, mixer in mixers.items()},
    )
    groups = {language: mixer.groups for language, mixer in mixers.items()}
    names = publish(folder, index, pipeline.mixer.groups, tracks, speakers, duration, groups)

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
        chapters=chapters(speakers, tracks, chat, everybody, duration, questions, agenda(log, origin, duration)),
        master=playlist.MASTER,
        files=served,
        bytes=sum(files.size_of(folder / name) for name in served),
        questions=questions,
        polls=polled(log, origin),
        unheard=unheard(log, origin, duration),
        pauses=pauses(log, origin, duration),
        withdrawn=withdrawn(log, origin, duration),
        channels=channels(log, origin, duration),
        thirds=[
            LowerThird(
                participant=event.participant,
                institution=event.institution,
                start=min(max(0.0, event.at - origin), duration),
            )
            for event in log
            if isinstance(event, events.Lettered)
        ],
    )
    save(folder, manifest)
    if manifest.pending:
        mark(folder, 0)
    _tidy(folder, manifest, pipeline)
    if edits := without_pauses(folder, manifest):
        files.write_bytes(folder / EDITS, msgspec.json.encode(edits))
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


def agenda(log: Sequence[AnyEvent], origin: float, duration: float) -> list[tuple[float, str]]:
    """When which item of the agenda began, in order, in ms of the recording."""
    latest = {event.at: event.item for event in log if isinstance(event, events.Turned)}
    return [(min(max(0.0, at - origin), duration), item) for at, item in sorted(latest.items())]


def polled(log: Sequence[AnyEvent], origin: float) -> list[Poll]:
    """The polls of a recording as they stood at its end, in order of their opening."""
    latest = {event.poll: event for event in log if isinstance(event, events.Polled)}
    found = [
        Poll(
            text=event.text,
            choices=event.choices,
            counts=event.counts,
            voters=event.voters,
            at=max(0.0, event.opened_at - origin),
        )
        for event in latest.values()
        if event.shown
    ]
    return sorted(found, key=lambda poll: poll.at)


def pauses(log: Sequence[AnyEvent], origin: float, duration: float) -> list[Passage]:
    """When nothing was written of anybody."""
    found: list[Passage] = []
    since: float | None = None
    for event in log:
        if isinstance(event, events.Held):
            at = min(max(0.0, event.at - origin), duration)
            if event.on:
                since = at if since is None else since
            elif since is not None:
                found.append(Passage(start=since, end=at))
                since = None
    if since is not None:
        found.append(Passage(start=since, end=duration))
    return [one for one in found if one.end > one.start]


def withdrawn(log: Sequence[AnyEvent], origin: float, duration: float) -> list[Passage]:
    """What was written but cut before it went out to viewers."""
    found = [
        Passage(start=min(max(0.0, event.since - origin), duration), end=min(event.at - origin, duration))
        for event in log
        if isinstance(event, events.Held) and event.since is not None
    ]
    return [one for one in found if one.end > one.start]


def channels(log: Sequence[AnyEvent], origin: float, duration: float) -> list[Interpretation]:
    """Who interpreted when: until they went on to something else, or the end."""
    found: list[Interpretation] = []
    since: dict[str, tuple[str, float]] = {}

    def end(participant: str, at: float) -> None:
        language, start = since.pop(participant, ("", at))
        if at > start:
            found.append(Interpretation(language=language, participant=participant, start=start, end=at))

    for event in log:
        if isinstance(event, events.Interpreted):
            at = min(max(0.0, event.at - origin), duration)
            end(event.participant, at)
            if event.channel is not None:
                since[event.participant] = event.channel, at
    for participant in list(since):
        end(participant, duration)
    return sorted(found, key=lambda one: (one.start, one.participant))


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
