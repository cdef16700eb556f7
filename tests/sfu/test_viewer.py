"""One viewer over time: what it shows, what it can take, and how rarely it must be thought about."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sfu.allocation import Encoding, Target
from sfu.interface import Tile
from sfu.plane import BandwidthEstimate
from sfu.scene import Scene
from sfu.viewer import SAYS, Viewer


class Connection:
    """The subscribe side as the viewer uses it, writing down what it is told."""

    def __init__(self, *tracks: str) -> None:
        self.tracks = tracks
        self.rejected: frozenset[str] = frozenset()
        self.aimed: dict[str, Target | None] = {}
        self.wanted: list[float] = []
        self.decisions = 0
        self.redundant = False
        self.lossy = False

    def protect(self, estimate: float | None, cost: float, now: float) -> bool:
        changed, self.redundant = self.redundant != self.lossy, self.lossy
        return changed

    def aim(self, track: str, target: Target | None) -> None:
        self.aimed[track] = target
        self.decisions += 1

    def want(self, bits_per_second: float) -> None:
        self.wanted.append(bits_per_second)


def scene(*tracks: str) -> Scene:
    made = Scene()
    for track in tracks:
        rates = (("q", 150e3), ("h", 500e3), ("f", 1.5e6))
        made.tracks[track] = SimpleNamespace(info=SimpleNamespace(source="camera", participant=f"of {track}"))  # type: ignore[assignment]
        made.encodings[track] = tuple(
            Encoding(f"{track}/{rid}", 320 << i, 180 << i, {(0, 0): rate}, rate) for i, (rid, rate) in enumerate(rates)
        )
    made.version = 1
    return made


def made(*tracks: str) -> tuple[Viewer, Any]:
    connection = Connection(*tracks)
    return Viewer(connection, 0.0), connection  # type: ignore[arg-type]


def tile(track: str, width: int, *, visible: bool = True, pinned: bool = False) -> Tile:
    return Tile(track, width, width * 9 // 16, visible, pinned)


def sent(connection: Any, track: str) -> str | None:
    target = connection.aimed[track]
    return None if target is None else target.source


def test_a_page_gets_small_pictures_until_it_says_what_it_shows() -> None:
    viewer, connection = made("a")
    assert viewer.update(scene("a"), None, 0.1)
    assert sent(connection, "a") == "a/q" and viewer.wants == {"a/q"}
    viewer.show([tile("a", 1280)])
    assert viewer.update(scene("a"), None, 0.2)
    assert sent(connection, "a") == "a/f" and viewer.wants == {"a/f"}


def test_whoever_never_says_gets_everything() -> None:
    viewer, connection = made("a")
    viewer.update(scene("a"), None, 0.1)
    viewer.update(scene("a"), None, SAYS)
    assert sent(connection, "a") == "a/f"


def test_tiles_out_of_sight_are_not_sent_and_unlisted_ones_come_small() -> None:
    viewer, connection = made("a", "b")
    viewer.show([tile("a", 1280, visible=False)])
    viewer.update(scene("a", "b"), None, 0.1)
    assert (sent(connection, "a"), sent(connection, "b")) == (None, "b/q")


@pytest.mark.parametrize("speaker, pinned, first", [("of b", None, "b"), ("of b", "a", "a"), (None, "b", "b")])
def test_who_is_pinned_or_speaks_comes_first(speaker: str | None, pinned: str | None, first: str) -> None:
    viewer, connection = made("a", "b")
    viewer.on_event(BandwidthEstimate("t", 2e6), 0.0)
    viewer.show([tile(t, 1280, pinned=t == pinned) for t in ("a", "b")])
    viewer.update(scene("a", "b"), speaker, 0.1)
    other = {"a": "b", "b": "a"}[first]
    assert (sent(connection, first), sent(connection, other)) == (f"{first}/f", f"{other}/q")


def test_a_viewer_who_has_it_all_is_not_thought_about_again_until_bandwidth_falls_short() -> None:
    viewer, connection = made("a")
    around = scene("a")
    viewer.show([tile("a", 1280)])
    viewer.on_event(BandwidthEstimate("t", 5e6), 0.0)
    viewer.update(around, None, 0.1)
    before = connection.decisions
    for step in range(100):
        viewer.on_event(BandwidthEstimate("t", 3e6 + step * 50_000), 0.2 + step * 0.1)
        viewer.update(around, None, 0.2 + step * 0.1)
    assert connection.decisions == before
    viewer.on_event(BandwidthEstimate("t", 4e5), 20.0)
    viewer.update(around, None, 20.0)
    assert sent(connection, "a") == "a/q"


def test_what_is_wanted_is_told_for_probing_only_when_it_changes() -> None:
    viewer, connection = made("a")
    viewer.show([tile("a", 1280)])
    viewer.on_event(BandwidthEstimate("t", 4e5), 0.0)
    for step in range(20):
        viewer.update(scene("a"), None, step * 0.1)
    assert len(connection.wanted) == 1 and connection.wanted[0] > 1.5e6


def test_redundant_sound_is_set_aside_while_it_is_sent():
    viewer, connection = made("a")
    shown = scene("a")
    shown.audio, shown.redundancy = 40e3, 30e3
    viewer.update(shown, None, 2.0)
    before = viewer.allocation.spent
    connection.lossy = True
    viewer.update(shown, None, 3.0)
    assert viewer.allocation.spent == before + 30e3
    connection.lossy = False
    viewer.update(shown, None, 4.0)
    assert viewer.allocation.spent == before
