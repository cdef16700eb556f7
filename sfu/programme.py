"""What a room shows to those who are not in it (WHEP): one picture, one sound, whoever signs, any number of viewers.

Who is shown is said from outside (`Programme.show`); the plane switches at key frames, each viewer gets the encoding
that its bandwidth allows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from sfu.connection import Edge
from sfu.injection import Injection
from sfu.interface import ConnectionState
from sfu.scene import Scene
from sfu.spectator import Spectator
from sfu.tracks import RoomTracks

SLICES = 5
"""Viewers are looked after in turn, so many ticks for all."""


class Programme:
    """Belongs to its room, on whose ticks it works. Unknown viewers raise `KeyError`."""

    def __init__(self, edge: Edge, room: str, tracks: RoomTracks, scene: Scene) -> None:
        self._edge = edge
        self._room = room
        self._tracks = tracks
        self._scene = scene
        self._order: tuple[str, ...] = ()
        self._signing: str | None = None
        self._spectators: dict[str, Spectator] = {}
        self._wanted: Counter[str] = Counter()
        self._sound: Injection | None = None
        self._turn = 0

    def __len__(self) -> int:
        return len(self._spectators)

    def wants(self, source: str) -> bool:
        """Whether any viewer is sent this source, or would be if it came."""
        return self._wanted[source] > 0

    @property
    def reduced(self) -> int:
        """How many viewers get less than there is for want of bandwidth."""
        return sum(bool(one.allocation.reduced) for one in self._spectators.values())

    def show(self, order: Sequence[str], signing: str | None = None) -> None:
        """Tracks, the one to be shown first: viewers who cannot decode it get the next that they can. `signing` is sent
        beside it, to those who take a second picture."""
        if (tuple(order), signing) != (self._order, self._signing):
            self._order, self._signing = tuple(order), signing
            # At once for all: the key frame that one of them asks for serves the others too.
            self._update(self._spectators.values())

    def sound(self, payload: bytes, position: int, at: float) -> None:
        """The next 20 ms of the mix, an Opus packet: its first sample by number, and when that was heard on stage, in
        seconds of the monotonic clock."""
        if self._sound is None:
            self._sound = Injection(self._edge.plane, f"{self._room}/mix", self._room)
            for spectator in self._spectators.values():
                spectator.hear(self._sound.source)
        self._sound.send(payload, position, at, self._edge.clock())

    def silence(self) -> None:
        """No more sound comes for now."""
        if self._sound is not None:
            self._sound.close()
            self._sound = None

    def watch(self, viewer: str, offer: str, on_state: Callable[[ConnectionState], None]) -> str:
        """A new viewer's offer; returns the answer. Raises `SdpError`, ValueError for a name that is used."""
        if viewer in self._spectators:
            raise ValueError(f"viewer {viewer} is already there")
        spectator = Spectator(self._edge, self._room, offer, on_state)
        self._spectators[viewer] = spectator
        if self._sound is not None:
            spectator.hear(self._sound.source)
        return spectator.answer()

    def restart(self, viewer: str, offer: str) -> str:
        """The answer to an ICE restart. Raises `SdpError`."""
        return self._spectators[viewer].restart(offer)

    def codecs(self, viewer: str) -> tuple[str, ...]:
        """Of pictures, those that it decodes."""
        return self._spectators[viewer].codecs

    def shown(self, viewer: str) -> str | None:
        """The track that it is sent."""
        return self._spectators[viewer].shown

    def leave(self, viewer: str) -> None:
        """Ends a viewer's connection; unknown ones are ignored."""
        spectator = self._spectators.pop(viewer, None)
        if spectator is not None:
            self._no_more(spectator.wants)
            spectator.close()

    def tick(self) -> None:
        """Looks after a share of the viewers."""
        self._turn = (self._turn + 1) % SLICES
        self._update(list(self._spectators.values())[self._turn :: SLICES])

    def _update(self, spectators: Iterable[Spectator]) -> None:
        now = self._edge.clock()
        wishes = [track for name in self._order if (track := self._tracks.get(name)) is not None and track.live]
        signing = self._tracks.get(self._signing) if self._signing is not None else None
        if signing is not None and not signing.live:
            signing = None
        for spectator in list(spectators):
            before = spectator.wants
            if spectator.update(self._scene, wishes, now, signing):
                self._no_more(before)
                self._wanted.update(spectator.wants)

    def _no_more(self, sources: frozenset[str]) -> None:
        self._wanted.subtract(sources)
        for source in sources:
            if not self._wanted[source]:
                del self._wanted[source]

    def close(self) -> None:
        """Ends every viewer's connection."""
        for viewer in list(self._spectators):
            self.leave(viewer)
        self.silence()
