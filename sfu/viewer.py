"""One viewer of a room: what it shows, what it can take, and what it therefore gets."""

from __future__ import annotations

from collections.abc import Sequence

from sfu.allocation import Allocation, Allocator, Priority, Watched
from sfu.interface import Tile
from sfu.plane import BandwidthEstimate, PlaneEvent
from sfu.scene import Scene
from sfu.subscriber import Subscriber

UNSEEN = (160, 90)
"""The size at which a track comes before the viewer has said how it shows it."""

NOTABLE = 0.02
"""A share by which an estimate must have moved to be worth a new decision."""

SAYS = 1.5
"""Seconds within which a page says what it shows; who has not said it by then is no page and gets everything."""


class Viewer:
    """Decides anew only when something has changed: call `update` often, it costs next to nothing then."""

    def __init__(self, subscriber: Subscriber, now: float) -> None:
        self.subscriber = subscriber
        self.allocator = Allocator()
        self.allocation = Allocation()
        self.wants: frozenset[str] = frozenset()
        self._tiles: dict[str, Tile] | None = {}
        self._says_until = now + SAYS
        self._changed = True
        self._seen: tuple[int, str | None] = (-1, None)
        self._wanted = 0.0
        self._decided = 0.0

    @property
    def _full(self) -> bool:
        """Whether it gets all that it shows: more bandwidth changes nothing then."""
        return not self.allocation.reduced

    def show(self, tiles: Sequence[Tile]) -> None:
        """What the viewer's page shows from now on."""
        shown = {tile.track: tile for tile in tiles}
        if shown != self._tiles:
            self._tiles = shown
            self._changed = True
        self._says_until = float("inf")

    def on_event(self, event: PlaneEvent, now: float) -> None:
        """An estimate of the way to the viewer."""
        if not isinstance(event, BandwidthEstimate):
            return
        estimate = event.bits_per_second
        self.allocator.estimated(estimate, now)
        if estimate < self.allocation.spent:
            self._changed = True
        elif not self._full:
            self._changed = self._changed or abs(estimate - self._decided) > NOTABLE * self._decided

    def update(self, scene: Scene, speaker: str | None, now: float) -> bool:
        """True when `wants`, the plane's sources that this viewer shows or would show, has changed."""
        if now >= self._says_until:
            self._tiles, self._changed, self._says_until = None, True, float("inf")
        if self.subscriber.protect(self.allocator.estimate, scene.redundancy, now):
            self._changed = True
        seen = (scene.version, speaker)
        if not self._changed and seen == self._seen and (self._full or self.allocator.settled):
            return False
        self._changed, self._seen = False, seen
        self._decided = self.allocator.estimate or 0.0
        watched = [
            self._watch(scene, track, speaker)
            for track in self.subscriber.tracks
            if track in scene.encodings and track not in self.subscriber.rejected
        ]
        audio = scene.audio + (scene.redundancy if self.subscriber.redundant else 0.0)
        self.allocation = self.allocator.allocate(watched, audio, now)
        for track, target in self.allocation.targets.items():
            self.subscriber.aim(track, target)
        if abs(self.allocation.wanted - self._wanted) > 0.01 * self._wanted:
            self._wanted = self.allocation.wanted
            self.subscriber.want(self._wanted)
        targets = {target.source for target in self.allocation.targets.values() if target is not None}
        wants = frozenset(targets.union(self.allocation.wishes.values()))
        if wants == self.wants:
            return False
        self.wants = wants
        return True

    def shows(self, track: str) -> str | None:
        """The plane's source that is sent for a track; None for none."""
        if track not in self.allocation.targets:
            return track
        target = self.allocation.targets[track]
        return target.source if target is not None else None

    def _watch(self, scene: Scene, track: str, speaker: str | None) -> Watched:
        info, encodings = scene.tracks[track].info, scene.encodings[track]
        screen = info.source == "screen"
        priority = Priority.SCREEN if screen else Priority.THUMBNAIL
        if speaker == info.participant and not screen:
            priority = Priority.SPEAKER
        if self._tiles is None:
            return Watched(track, priority, encodings, screen=screen)
        tile = self._tiles.get(track)
        if tile is None:
            return Watched(track, priority, encodings, *UNSEEN, screen=screen)
        if tile.pinned:
            priority = Priority.PINNED
        return Watched(track, priority, encodings, tile.width, tile.height, tile.visible, screen)
