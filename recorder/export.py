"""One file to keep: MKV, MP4 or WebM with the programme, the mix, every interpreters' channel as a sound track of its
language, and every caption language as a subtitle track.

Nothing is transcoded. Video is one stream, the programme, when all that it shows is in one codec: decoders take a new
size at a key frame (VP9, VP8, AV1 carry theirs in the stream; H.264 has its parameter sets before each key frame).
When participants sent different codecs no container stream can hold both, so each video track becomes a stream of its
own and the one that was shown longest is the default. VP8 fits MKV and WebM only, H.264 MKV and MP4 only: tracks that a
container cannot hold are left out, and it is an `ExportError` when none is left. VP8 goes as it came where that gives
one stream; otherwise its VP9 copy does, once that is made.

Edits are followed (`recorder.edits`): what is cut out is in no stream, and the times close over it.

Subtitles: SubRip in MKV, tx3g (mov_text) in MP4, WebVTT in WebM; each with its language and name.

An export runs in a process of its own at low priority (``python -m recorder.export``): meetings come first.
"""

from __future__ import annotations

import contextlib
import heapq
import os
import re
import struct
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import msgspec

from recorder import child, vtt
from recorder.clip import Limits, Times, clip, missing, timed
from recorder.edits import edited, load_edits
from recorder.index import load_index
from recorder.languages import name_of
from recorder.manifest import Chapter, Manifest, cues_of, folder, load
from recorder.parts import MediaFileInfo, scan
from recorder.playlist import FILLER, dark_frame
from recorder.programme import Shot, Source, changes, edit
from recorder.sealing import files, keys
from recorder.tracks import Frame, StoredTrack, stored_tracks

Format = Literal["mkv", "mp4", "webm"]
_MUXER = {"mkv": "matroska", "mp4": "mp4", "webm": "webm"}
_VIDEO = {
    "mkv": {"VP9", "VP8", "H264", "AV1"},
    "mp4": {"VP9", "H264", "AV1"},
    "webm": {"VP9", "VP8", "AV1"},
}
_SUBTITLES = {"mkv": "subrip", "mp4": "mov_text", "webm": "webvtt"}
_NO_TAGS = str.maketrans("<>", "‹›")
"""SubRip has no escapes: angle brackets would be read as markup."""
_MS = Fraction(1, 1000)
_TIMEOUT_S = 3600


class ExportError(ValueError):
    """The recording cannot be had in this format; the message says why."""


async def export(
    root: Path,
    recording: str,
    format: Format,
    destination: Path,
    tell: Callable[[float], None] = lambda part: None,
    sealed: bool = True,
) -> Path:
    """Writes `destination` (complete or not at all) and returns it; `tell` is given the part done, 0 to 1.

    Of a sealed recording it is `sealed` too unless that is False, with the same key (`recorder.sealing.files.made`).

    Raises RecordingNotFound, ExportError, OSError.
    """
    load(root, recording)
    if format not in _MUXER:
        raise ExportError(f"Unknown format {format!r}: choose mkv, mp4 or webm.")
    arguments = str(root), recording, format, str(destination), "sealed" if sealed else "plain"
    secret = keys.hand_over(folder(root, recording))
    status, words = await child.run(
        "recorder.export", *arguments, tell=tell, limit_s=_TIMEOUT_S, secret=secret, makes=destination
    )
    if status == 2:
        raise ExportError(words or "The export failed.")
    if status != 0:
        raise OSError(f"export failed: {words or status}")
    return destination


def write(
    root: Path,
    recording: str,
    format: Format,
    destination: Path,
    tell: Callable[[float], None] = lambda part: None,
    sealed: bool = True,
) -> None:
    """The export itself, blocking."""
    temporary = child.unfinished(destination)
    path = folder(root, recording)
    try:
        with (
            files.made(temporary, keys.key_of(path) if sealed else None, destination.name) as file,
            av.open(file, "w", format=_MUXER[format]) as output,
        ):
            edits = load_edits(root, recording)
            limits = Limits(cuts=tuple(edits.cuts))
            manifest = edited(load(root, recording), edits)
            if limits:
                shown = clip(manifest, limits, missing(path, limits.cuts))
                # Every track, but the words without what is cut out.
                manifest = msgspec.structs.replace(
                    manifest, transcript=shown.transcript, chapters=shown.chapters, kept=shown.kept
                )
            _mux(output, path, manifest, format, tell)
        temporary.replace(destination)
    finally:
        temporary.unlink(missing_ok=True)


Timed = tuple[float, int, Any]
"""Time in ms for interleaving, the stream's index to break ties, the packet."""


def _mux(output: Any, path: Path, manifest: Manifest, format: Format, tell: Callable[[float], None]) -> None:
    output.metadata["title"] = manifest.title
    words, times = timed(manifest), Times(manifest.kept)
    if format != "webm":  # libavformat writes none there
        output.set_chapters(_chapters(words))
    streams: list[Iterator[Timed]] = [_kept(one, times) for one in _video(output, path, manifest, format)]
    streams += [_kept(one, times) for one in _sounds(output, path, format)]
    streams += _subtitles(output, words, format)
    told = 0.0
    for at, _, packet in heapq.merge(*streams, key=lambda timed: timed[:2]):
        output.mux(packet)
        if at - told >= 10_000:
            told = at
            tell(min(1.0, at / manifest.duration))


def _kept(packets: Iterator[Timed], times: Times) -> Iterator[Timed]:
    """Without what is cut out, the gaps closed. After a gap pictures begin with a key frame."""
    waiting = False
    for at, index, packet in packets:
        if not times.within(at):
            waiting = True
        elif not waiting or packet.is_keyframe:
            waiting = False
            moved = times(at)
            if moved != at:
                packet.pts = packet.dts = packet.pts - round((at - moved) / 1000 / packet.time_base)
            yield moved, index, packet


def _chapters(manifest: Manifest) -> list[dict[str, Any]]:
    """Names as they are; what kind of chapter it is shows without words of any language."""
    marks = [(0.0, manifest.title), *((one.start, _chapter_title(one)) for one in manifest.chapters)]
    if len(marks) > 1 and marks[1][0] < 1000:
        marks.pop(0)
    ends = [start for start, _ in marks[1:]] + [manifest.duration]
    return [
        {"id": number, "start": int(start), "end": int(end), "time_base": _MS, "metadata": {"title": title}}
        for number, ((start, title), end) in enumerate(zip(marks, ends, strict=True))
    ]


def _chapter_title(chapter: Chapter) -> str:
    match chapter.kind:
        case "speaker":
            return chapter.name
        case "screen":
            return f"{chapter.name} (screen)"
        case "question":
            return f"{chapter.name}: {chapter.text}" if chapter.name else chapter.text
        case "agenda":
            return chapter.text


# --- video ------------------------------------------------------------------------------------------


def _video(output: Any, path: Path, manifest: Manifest, format: Format) -> list[Iterator[Timed]]:
    tracks = [track for track in stored_tracks(path, manifest) if track.spans]
    if "VP8" not in _VIDEO[format] or len({track.kind for track in tracks}) > 1:
        tracks = [track for track in stored_tracks(path, manifest, copies=True) if track.spans]
    fitting = {track.index: track for track in tracks if track.codec_name in _VIDEO[format]}
    if tracks and not fitting:
        names = ", ".join(sorted({track.codec_name for track in tracks}))
        raise ExportError(f"{format.upper()} cannot hold {names} video: choose another format.")
    shots = _edit(fitting, manifest)
    shown = {shot.track for shot in shots if shot.track is not None}
    kinds = {fitting[index].kind for index in shown}
    if len(kinds) <= 1:
        return [_programme(output, path, manifest, fitting, shots)]
    length = {index: sum(shot.end - shot.start for shot in shots if shot.track == index) for index in fitting}
    longest = max(length, key=lambda index: length[index])
    people = {person.id: person.name for person in manifest.people}
    result = []
    for index in sorted(fitting, key=lambda index: index != longest):
        track = fitting[index]
        stream = _open_video(output, [track])
        stream.metadata["title"] = people.get(track.participant, "") + (" (screen)" if track.screen else "")
        if index == longest:
            stream.disposition = av.stream.Disposition.default
        result.append(_frames(stream, track.frames(0, int(manifest.duration))))
    return result


def _edit(tracks: dict[int, StoredTrack], manifest: Manifest) -> list[Shot]:
    sources = [Source(track.index, track.participant, track.screen, track.spans) for track in tracks.values()]
    return edit(sources, changes(manifest.speakers), int(manifest.duration))


def _programme(
    output: Any, path: Path, manifest: Manifest, tracks: dict[int, StoredTrack], shots: list[Shot]
) -> Iterator[Timed]:
    shown = [tracks[index] for index in dict.fromkeys(shot.track for shot in shots) if index is not None]
    if shown:
        stream = _open_video(output, shown)
    else:
        filler = next(name for name in manifest.files if name.startswith(FILLER))
        with files.opened(path / filler) as file, av.open(file) as opened:
            stream = output.add_stream_from_template(opened.streams.video[0], opaque=True)
        stream.time_base = _MS
    stream.metadata["title"] = "Programme"
    dark = not shown or shown[0].codec_name == "VP9"
    return _frames(stream, _shots(tracks, shots, dark))


def _shots(tracks: dict[int, StoredTrack], shots: list[Shot], dark: bool) -> Iterator[Frame]:
    for shot in shots:
        if shot.track is not None:
            yield from tracks[shot.track].frames(shot.start, shot.end)
        elif dark:
            config, data = dark_frame()
            for start in range(shot.start, shot.end, 2000):
                yield Frame(start, min(2000, shot.end - start), True, config, data)


def _open_video(output: Any, tracks: list[StoredTrack]) -> Any:
    """A stream for the largest picture among `tracks`, with that file's codec configuration."""
    name, config = max(
        ((name, config) for track in tracks for name, config in track.sources),
        key=lambda entry: entry[1].width * entry[1].height,
    )
    if name is None:
        stream = output.add_mux_stream("vp8", width=config.width, height=config.height)
    else:
        with files.opened(name) as file, av.open(file) as opened:
            stream = output.add_stream_from_template(opened.streams.video[0], opaque=True)
    stream.time_base = _MS
    return stream


def _frames(stream: Any, frames: Iterator[Frame]) -> Iterator[Timed]:
    for frame in frames:
        yield frame.time, stream.index, _packet(stream, frame.data, frame.time, frame.duration, frame.key)


def _packet(stream: Any, data: bytes, time: int, duration: int, key: bool, base: Fraction = _MS) -> Any:
    packet = av.Packet(data)
    packet.stream = stream
    packet.time_base = base
    packet.pts = packet.dts = time
    packet.duration = duration
    packet.is_keyframe = key
    return packet


# --- sound and words --------------------------------------------------------------------------------


def _sounds(output: Any, path: Path, format: Format) -> list[Iterator[Timed]]:
    """The floor's mix, which players begin with, and the interpreters' channels, each with its language."""
    index, found = load_index(path), []
    for language, info in [(None, index.mix), *sorted(index.channels.items())]:
        stream, packets = _sound(output, path / info.name, info)
        if language is not None:
            code, name = name_of(language)
            stream.metadata["language"] = code
            stream.metadata["handler_name" if format == "mp4" else "title"] = name
        elif index.channels:
            stream.disposition = av.stream.Disposition.default
        found.append(packets)
    return found


def _sound(output: Any, name: Path, info: MediaFileInfo) -> tuple[Any, Iterator[Timed]]:
    with files.opened(name) as file, av.open(file) as opened:
        stream = output.add_stream_from_template(opened.streams.audio[0], opaque=True)
    stream.time_base = Fraction(1, 48000)

    def packets() -> Iterator[Timed]:
        with files.opened(name) as opened:
            for one in scan(name, info):
                opened.seek(one.data_offset)
                time = one.time
                for duration, size, _ in one.samples:
                    data = opened.read(size)
                    yield time / 48, stream.index, _packet(stream, data, time, duration, True, Fraction(1, 48000))
                    time += duration

    return stream, packets()


def _subtitles(output: Any, manifest: Manifest, format: Format) -> list[Iterator[Timed]]:
    result = []
    people = {line.participant: line.name for line in manifest.transcript}
    for language, shown in sorted(vtt.captions(vtt.latest(cues_of(manifest)), people, 0, manifest.duration).items()):
        code, name = name_of(language)
        stream = output.add_mux_stream(_SUBTITLES[format])
        stream.time_base = _MS
        stream.metadata["language"] = code
        stream.metadata["handler_name" if format == "mp4" else "title"] = name
        result.append(_texts(stream, vtt.flatten(shown), format))
    return result


def _texts(stream: Any, shown: list[vtt.Shown], format: Format) -> Iterator[Timed]:
    end = 0
    for one in shown:
        text = f"{one.speaker}: {one.text}" if one.speaker else one.text
        if format == "mp4":
            if one.start > end:  # tx3g has no gaps: an empty text ends the one before
                yield end, stream.index, _packet(stream, b"\x00\x00", end, one.start - end, True)
            raw = text.encode()[:65535]
            data = len(raw).to_bytes(2, "big") + raw + _styles(one, len(text) - len(one.text))
        elif format == "webm":
            data = vtt.payload(one).encode()
        else:
            said = vtt.underlined(one, lambda words: words.translate(_NO_TAGS))
            data = (f"{one.speaker.translate(_NO_TAGS)}: {said}" if one.speaker else said).encode()
        yield one.start, stream.index, _packet(stream, data, one.start, one.end - one.start, True)
        end = one.end


def _styles(one: vtt.Shown, before: int) -> bytes:
    """What underlines the doubtful words of a tx3g sample (TextStyleBox; 3GPP TS 26.245, 5.17.1.1), `before` characters
    after its start."""
    words = [found.span() for found in re.finditer(r"\S+", one.text)]
    spans = [words[number] for number in sorted(set(one.doubtful)) if number < len(words)]
    if not spans:
        return b""
    # A record says all of a style: font 1, 18 points, white; 4 is underlined.
    rows = [struct.pack(">HHHBBI", start + before, end + before, 1, 4, 18, 0xFFFFFFFF) for start, end in spans]
    body = len(rows).to_bytes(2, "big") + b"".join(rows)
    return struct.pack(">I4s", 8 + len(body), b"styl") + body


def main(arguments: list[str]) -> int:
    root, recording, format, destination, sealed = arguments
    with contextlib.suppress(OSError):
        os.nice(15)
    try:
        tell: Callable[[float], None] = lambda part: print(f"{part:.4f}", flush=True)  # noqa: E731
        keys.take_over(folder(Path(root), recording))
        write(Path(root), recording, format, Path(destination), tell, sealed == "sealed")  # type: ignore[arg-type]
    except ExportError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
