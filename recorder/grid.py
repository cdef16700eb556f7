"""Everybody at once: each camera and screen of a recording as a playlist of its own, beside the one mixed sound.

Nothing is copied: byte ranges into the tracks' files, on the recording's timeline like the programme
(`recorder.playlist`). Where a track has no picture, or what it had was cut out, there is a gap (EXT-X-GAP), and
`Picture.spans` says so before anything is fetched. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from recorder import clip, playlist
from recorder.clip import Limits
from recorder.index import Index, IndexedTrack
from recorder.manifest import Manifest, Passage, Struct
from recorder.parts import Group


class Picture(Struct, kw_only=True, frozen=True):
    """A recorded camera or screen: `playlist` is its address beside the recording's, `spans` where it has pictures."""

    track: int
    source: str
    playlist: str
    spans: list[Passage]


class Seat(Struct, kw_only=True, frozen=True):
    """Somebody who was there, from when to when, and what was recorded of them to look at."""

    id: str
    name: str
    present: list[Passage]
    pictures: list[Picture]


class Grid(Struct, kw_only=True, frozen=True):
    """In order of arrival; times in ms of the recording. `sound` is the playlist of the mix."""

    seats: list[Seat]
    sound: str


def _joined(spans: Sequence[Passage]) -> list[Passage]:
    joined: list[Passage] = []
    for one in sorted(spans, key=lambda span: (span.start, span.end)):
        if joined and one.start <= joined[-1].end:
            joined[-1] = Passage(start=joined[-1].start, end=max(joined[-1].end, one.end))
        else:
            joined.append(one)
    return joined


def shown(track: IndexedTrack, limits: Limits) -> list[Group]:
    """The groups of a track that may be seen: whole ones, in order and apart."""
    groups: list[Group] = []
    for group in track.groups:
        after = not groups or group.start >= groups[-1].end
        if after and group.end > group.start and limits.shows(group.start, group.end):
            groups.append(group)
    return groups


def grid(manifest: Manifest, index: Index, limits: Limits, missing: Sequence[Passage] = ()) -> Grid:
    """`manifest` has all its tracks and the names as edited; `missing` is what the cuts take of the programme."""
    indexed = {track.index: track for track in index.tracks}
    names = {person.id: person.name for person in manifest.people}
    present: dict[str, list[Passage]] = {}
    pictures: dict[str, list[Picture]] = {}
    for track in sorted(manifest.tracks, key=lambda one: (one.opened, one.index)):
        whole = Passage(start=track.opened, end=track.closed)
        present.setdefault(track.participant, []).extend(clip.without(whole, missing))
        if track.kind != "video" or track.index not in indexed:
            continue
        seen = [Passage(start=one.start, end=one.end) for one in shown(indexed[track.index], limits)]
        spans = [part for one in _joined(seen) for part in clip.without(one, missing)]
        if spans:
            address = f"grid/{track.index}.m3u8"
            picture = Picture(track=track.index, source=track.source, playlist=address, spans=spans)
            pictures.setdefault(track.participant, []).append(picture)
    seats = [
        Seat(id=person, name=names.get(person, ""), present=_joined(spans), pictures=pictures.get(person, []))
        for person, spans in present.items()
        if spans
    ]
    return Grid(seats=seats, sound=f"media/{playlist.AUDIO}")


def track_playlist(track: IndexedTrack, limits: Limits, media: str = "../media/") -> str:
    """A track's pictures as an HLS media playlist; `media` is the way from it to the files."""
    groups = shown(track, limits)
    target = max([1, *(round((one.end - one.start) / 1000) for one in groups)])
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:8",
        f"#EXT-X-TARGETDURATION:{target}",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-INDEPENDENT-SEGMENTS",
    ]
    at, mapped = 0, -1
    for group in groups:
        file = track.files[group.file]
        lines += clip.gaps(group.start - at, target * 1000)
        if group.file != mapped:
            mapped = group.file
            lines.append(f'#EXT-X-MAP:URI="{media}{file.name}",BYTERANGE="{file.head}@0"')
        lines.append(f"#EXTINF:{(group.end - group.start) / 1000:.3f},")
        lines.append(f"#EXT-X-BYTERANGE:{group.size}@{group.offset}")
        lines.append(f"{media}{file.name}")
        at = group.end
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""])


def may_read(index: Index, name: str, start: int, end: int, limits: Limits) -> bool:
    """Whether the bytes [start, end) of a track's file are of one group that may be seen, or of what is needed to
    decode it. Of a passage nobody gets more than its programme."""
    if limits.passage is not None:
        return False
    for track in index.tracks:
        for number, file in enumerate(track.files):
            if file.name != name:
                continue
            groups = [one for one in shown(track, limits) if one.file == number]
            if groups and 0 <= start < end <= file.head:
                return True
            if any(one.offset <= start < end <= one.offset + one.size for one in groups):
                return True
    return False
