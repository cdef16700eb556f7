"""The programme as HLS: byte ranges into the speakers' own files, and one mixed audio rendition beside them.

One common timeline, no EXT-X-DISCONTINUITY: tfdt in every file is the recording's time and each shot ends exactly where
the next begins, so a change of speaker is only a new EXT-X-MAP. The video buffer then lines up with the one continuous
audio rendition by itself, and native players need no matching discontinuities in the audio playlist. RFC 8216 section
4.3.2.3 asks for the tag when format, tracks or timestamps change; here none does. hls.js 1.7 plays and seeks it in
Chromium and Firefox, VP9 with H.264 in between included (it also played the layout with discontinuities, to no gain).

Every media segment starts with a key frame. Where a shot ends inside a group, the byte range ends at a frame, and its
duration is set in place to end with the shot; a frame is in the programme once, so nobody else reads it.
"""

from __future__ import annotations

import functools
import itertools
import struct
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from operator import attrgetter
from pathlib import Path

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext

from recorder.bitstream import CodecConfig, vp9_config
from recorder.fmp4 import DURATION_OFFSET, Sample, read_fragments
from recorder.index import Trim
from recorder.languages import name_of
from recorder.parts import FragmentFile, Group, MediaFileInfo
from recorder.programme import Shot
from recorder.sealing import files

MASTER, VIDEO, AUDIO = "master.m3u8", "video.m3u8", "audio.m3u8"
FILLER = "filler-"
_FILLER_MS = 2_000
_AUDIO_FRAGMENTS = 4


@dataclass(frozen=True, slots=True)
class Segment:
    """One media segment: a byte range of `file`, shown from `start` to `end` in ms."""

    file: MediaFileInfo
    offset: int
    size: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class TrackIndex:
    """A video track's files and groups."""

    files: Sequence[MediaFileInfo]
    groups: Sequence[Group]


@functools.cache
def dark_frame() -> tuple[CodecConfig, bytes]:
    """A dark VP9 key frame, 320 x 180: what the programme shows when nobody has video."""
    encoder: VideoCodecContext = av.CodecContext.create("libvpx-vp9", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 320, 180, "yuv420p"
    encoder.time_base = Fraction(1, 1000)
    encoder.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
    picture = np.full((270, 320), 128, np.uint8)
    picture[:180] = 24
    frame = av.VideoFrame.from_ndarray(picture, "yuv420p")
    frame.pts = 0
    data = bytes((encoder.encode(frame) + encoder.encode(None))[0])
    config = vp9_config(data)
    assert config
    return config, data


def sound_of(language: str) -> str:
    """The playlist of an interpreters' channel."""
    return f"audio.{language}.m3u8"


def _sound(mix: TrackIndex) -> list[Segment]:
    return [
        Segment(mix.files[0], part[0].offset, sum(one.size for one in part), part[0].start, part[-1].end)
        for part in (mix.groups[at : at + _AUDIO_FRAGMENTS] for at in range(0, len(mix.groups), _AUDIO_FRAGMENTS))
    ]


def write(
    folder: Path,
    tracks: Mapping[int, TrackIndex],
    shots: Sequence[Shot],
    mix: TrackIndex,
    channels: Mapping[str, TrackIndex],
) -> tuple[list[str], list[Trim]]:
    """Writes the three playlists, one of each interpreters' channel, and a filler, if shown. Returns all names they
    lead to, and what was changed in files. A filler that is there stays: somebody may be playing it. Raises OSError."""
    segments: list[Segment] = []
    trims: list[Trim] = []
    changed: dict[str, list[tuple[int, bytes]]] = {}
    filler: FragmentFile | None = None
    for shot in shots:
        if shot.track is None:
            config, data = dark_frame()
            filler = filler or FragmentFile(_free(folder), config)
            segments += _fill(filler, data, shot)
        else:
            segments += _shot(folder, tracks[shot.track], shot, trims, changed)
    if filler:
        filler.close()
    sound = _sound(mix)
    interpreted = {language: _sound(channel) for language, channel in channels.items()}
    for name, changes in changed.items():
        files.patch(folder / name, changes)
    files.write_bytes(folder / VIDEO, media_playlist(segments).encode())
    files.write_bytes(folder / AUDIO, media_playlist(sound).encode())
    for language, heard in interpreted.items():
        files.write_bytes(folder / sound_of(language), media_playlist(heard).encode())
    files.write_bytes(folder / MASTER, master_playlist(segments, sound, list(interpreted)).encode())
    led = [MASTER, VIDEO, AUDIO, *map(sound_of, interpreted)]
    shown = [*segments, *sound, *(one for heard in interpreted.values() for one in heard)]
    return [*led, *dict.fromkeys(segment.file.name for segment in shown)], trims


def _free(folder: Path) -> Path:
    names = (f"{FILLER}{number}.mp4" for number in itertools.count())
    return next(path for path in map(folder.joinpath, names) if not path.exists())


def restore(folder: Path, trims: Sequence[Trim]) -> None:
    """Undoes what `write` changed in files. Raises OSError."""
    for name in dict.fromkeys(trim.name for trim in trims):
        files.patch(folder / name, [(one.offset, struct.pack(">I", one.duration)) for one in trims if one.name == name])


def _fill(filler: FragmentFile, data: bytes, shot: Shot) -> list[Segment]:
    segments: list[Segment] = []
    for start in range(shot.start, shot.end, _FILLER_MS):
        end = min(start + _FILLER_MS, shot.end)
        offset = filler.size
        filler.append(filler.fragment([Sample(start, end - start, True, data)]))
        segments.append(Segment(filler.info, offset, filler.size - offset, start, end))
    return segments


def _shot(
    folder: Path, track: TrackIndex, shot: Shot, trims: list[Trim], changed: dict[str, list[tuple[int, bytes]]]
) -> list[Segment]:
    first = bisect_left(track.groups, shot.start, key=attrgetter("start"))
    groups = track.groups[first : bisect_left(track.groups, shot.end, lo=first, key=attrgetter("start"))]
    segments = [Segment(track.files[one.file], one.offset, one.size, one.start, one.end) for one in groups]
    if segments and segments[-1].end != shot.end:
        segments[-1], trim, duration = _trim(folder, segments[-1], shot.end)
        trims.append(trim)
        changed.setdefault(trim.name, []).append((trim.offset, duration))
    return segments


def _trim(folder: Path, segment: Segment, end: int) -> tuple[Segment, Trim, bytes]:
    """The segment ended at `end`: frames after it left out, and the last one's duration that matches."""
    path = folder / segment.file.name
    data = files.read_range(path, segment.offset, segment.offset + segment.size)
    fragments = list(read_fragments(data, segment.offset))
    last = [one for one in fragments if one.time < end][-1]
    trim = Trim(segment.file.name, last.offset + DURATION_OFFSET, last.duration)
    shorter = Segment(segment.file, segment.offset, last.offset + last.size - segment.offset, segment.start, end)
    return shorter, trim, struct.pack(">I", end - last.time)


def media_playlist(segments: Sequence[Segment]) -> str:
    longest = max((segment.end - segment.start for segment in segments), default=0)
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        f"#EXT-X-TARGETDURATION:{max(1, round(longest / 1000))}",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-INDEPENDENT-SEGMENTS",
    ]
    mapped = None
    for segment in segments:
        if segment.file.name != mapped:
            mapped = segment.file.name
            lines.append(f'#EXT-X-MAP:URI="{mapped}",BYTERANGE="{segment.file.head}@0"')
        lines.append(f"#EXTINF:{(segment.end - segment.start) / 1000:.3f},")
        lines.append(f"#EXT-X-BYTERANGE:{segment.size}@{segment.offset}")
        lines.append(segment.file.name)
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""])


def master_playlist(video: Sequence[Segment], sound: Sequence[Segment], channels: Sequence[str] = ()) -> str:
    """One variant. CODECS names the largest picture of the first codec shown; the rest comes with EXT-X-MAP."""
    files = list(dict.fromkeys(segment.file for segment in video))
    first = next((file.codec_name for file in files if not file.name.startswith(FILLER)), "VP9")
    codec = max(
        (file for file in files if file.codec_name == first), key=lambda file: (file.width * file.height, file.codec)
    )
    peak = sum(
        max((_bandwidth(one) for one in part if one.end - one.start >= 500), default=0) for part in (video, sound)
    )
    return "\n".join(
        (
            "#EXTM3U",
            "#EXT-X-VERSION:7",
            "#EXT-X-INDEPENDENT-SEGMENTS",
            f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="mix",NAME="Mix",DEFAULT=YES,AUTOSELECT=YES,URI="{AUDIO}"',
            *(
                f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="mix",NAME="{name_of(language)[1]}",LANGUAGE="{language}",'
                f'DEFAULT=NO,AUTOSELECT=NO,URI="{sound_of(language)}"'
                for language in channels
            ),
            f'#EXT-X-STREAM-INF:BANDWIDTH={max(peak, 64_000)},CODECS="{codec.codec},opus",'
            f'RESOLUTION={codec.width}x{codec.height},AUDIO="mix"',
            VIDEO,
            "",
        )
    )


def _bandwidth(segment: Segment) -> int:
    return segment.size * 8000 // max(1, segment.end - segment.start)
