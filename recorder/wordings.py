"""The words of a finished recording in several versions: as they were heard live, and by later transcriptions.

One version counts: the manifest's transcript and caption files are its. All of them are kept beside the recording in
`wordings.json`, so that one can go back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from recorder import vtt
from recorder.edits import Correction
from recorder.manifest import Cue, Line, Manifest, Struct, content_type, cues_of, folder, load, save
from recorder.sealing import files

WORDINGS = "wordings.json"
KEPT = 4
"""Later versions that are kept; what was heard live always is."""


class Wording(Struct, kw_only=True, frozen=True):
    """One version. `model` is what transcribed, None: heard live. `words` are people's corrections of it
    (`recorder.edits`), put aside while another version counts."""

    id: int
    model: str | None
    made_at: datetime
    transcript: list[Line]
    words: list[Correction] = msgspec.field(default_factory=list)


class Wordings(Struct, kw_only=True, frozen=True):
    """`current` is the id of the version that counts."""

    current: int
    versions: list[Wording]

    def version(self, wording: int) -> Wording | None:
        """The version with this id, if there is one."""
        return next((one for one in self.versions if one.id == wording), None)


def load_wordings(root: Path, recording: str) -> Wordings:
    """Never transcribed again: one version, what was heard live. Raises RecordingNotFound, ValueError, OSError."""
    try:
        return msgspec.json.decode(files.read_bytes(folder(root, recording) / WORDINGS), type=Wordings)
    except FileNotFoundError:
        manifest = load(root, recording)
        live = Wording(id=0, model=None, made_at=manifest.started_at, transcript=manifest.transcript)
        return Wordings(current=0, versions=[live])


def with_another(wordings: Wordings, model: str, made_at: datetime, transcript: Sequence[Line]) -> Wordings:
    """A new version, which counts from now on; the oldest but the first goes where there are too many."""
    number = max(one.id for one in wordings.versions) + 1
    new = Wording(id=number, model=model, made_at=made_at, transcript=list(transcript))
    first, *later = [*wordings.versions, new]
    return Wordings(current=number, versions=[first, *later[-KEPT:]])


def choose(root: Path, recording: str, wordings: Wordings, words: Sequence[Correction]) -> Manifest:
    """Makes `wordings.current` count: captions, transcript, manifest. `words` are the corrections of the version that
    counted until now, which are kept with it. Raises RecordingNotFound, OSError, KeyError."""
    path, manifest = folder(root, recording), load(root, recording)
    before = load_wordings(root, recording).current
    chosen = wordings.version(wordings.current)
    if chosen is None:
        raise KeyError(wordings.current)
    put_aside = [
        msgspec.structs.replace(one, words=list(words)) if one.id == before else one for one in wordings.versions
    ]
    made = msgspec.structs.replace(manifest, transcript=chosen.transcript)
    people = {person.id: person.name for person in manifest.people}
    captions: dict[str, str] = {}
    for language, shown in sorted(vtt.captions(vtt.latest(cues_of(made)), people, 0.0, manifest.duration).items()):
        name = f"captions-{chosen.id}.{language}.vtt" if chosen.id else f"captions.{language}.vtt"
        files.write_bytes(path / name, vtt.document(shown, language).encode())
        captions[language] = name
    served = {name: kind for name, kind in manifest.files.items() if name not in manifest.captions.values()}
    served |= {name: content_type(name) for name in captions.values()}
    # First what is kept, then what counts: after a crash between them the version can be chosen again.
    files.write_bytes(path / WORDINGS, msgspec.json.encode(msgspec.structs.replace(wordings, versions=put_aside)))
    made = msgspec.structs.replace(
        made,
        languages=sorted(captions),
        captions=captions,
        files=served,
        bytes=manifest.bytes + _sizes(path, captions.values()) - _sizes(path, manifest.captions.values()),
    )
    save(path, made)
    return made


def _sizes(path: Path, names: Iterable[str]) -> int:
    return sum(files.size_of(path / name) for name in names)


def lines_of(cues: Sequence[Cue], manifest: Manifest) -> list[Line]:
    """A transcript of `cues` on the recording's own time."""
    people = {person.id: person.name for person in manifest.people}
    return vtt.transcript(vtt.latest(cues), people, 0.0, manifest.duration)
