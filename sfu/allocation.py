"""What each viewer gets: the best set of layers for its bandwidth and its screen. Pure: time is an argument.

The rules, in order:

1. audio is reserved before any picture;
2. everything visible gets its lowest layer, whatever the estimate says: never no layer at all;
3. what is left goes to pinned tracks, then the speaker, then screens, then the other cameras, the larger tiles first,
   one step each in turn, so that tiles of one size look alike;
4. no more pixels than the tile can show, with some slack;
5. a camera gives up resolution before frames (it shall move smoothly), a screen frames before resolution (its text
   shall be sharp);
6. down at once, up only when the estimate has held for a while and leaves a margin; what had to be taken back makes the
   next rise wait longer.

A track's *ladder* is the list of its useful (encoding, spatial, temporal) steps in the order of rule 5, each with its
cost in bit/s; giving a track more is going up its ladder. Simulcast and SVC differ only in how the ladder is built.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import groupby

SLACK = 1.35
"""A picture may be stretched by so much before the next larger one is worth its bits."""

MARGIN = 0.15
"""What a step up must leave free, as a share of its cost."""

EAGER, HOLD, MAX_HOLD = 0.5, 2.0, 4.0
"""Seconds that an estimate must have held before it is spent: at first, once bandwidth was short, and at most. Doubled
each time that a rise was taken back."""

CALM = 8.0
"""After so many seconds without a fall `HOLD` is enough."""

DIP, BACK = 0.6, 0.8
"""An estimate that is back, to this share of what it was, within so many seconds fell for nothing: all is as before."""

REGRET, FORGIVE = 6.0, 90.0
"""A fall within so many seconds of a rise means that the rise was a mistake: the hold and the margin double. After so
many seconds without another fall all is forgotten."""

QUIET, MAX_QUIET = 2.0, 30.0
"""A fall although there was no less to spend: layers cost now more, now less, and what just fits will not in a moment.
Nothing rises for so many seconds then, doubled each time, unless there is `PLENTY` as much to spend."""
PLENTY = 1.1

HEADROOM = 1.2
"""`wanted` asks for more than is needed, so that the estimate passes the margin though a probe shows a little less."""


class Priority(IntEnum):
    """Who is served first."""

    PINNED = 0
    SPEAKER = 1
    SCREEN = 2
    THUMBNAIL = 3


@dataclass(frozen=True, slots=True)
class Encoding:
    """One plane source of a track. `width` and `height` of its highest spatial layer in pixels, 0 where unknown.

    `rates` is what each (spatial, temporal) layer alone takes in bit/s, empty where nothing was measured yet;
    `expected` stands in for it then. `active` is false while its publisher does not send it.
    """

    source: str
    width: int
    height: int
    rates: Mapping[tuple[int, int], float]
    expected: float
    active: bool = True


@dataclass(frozen=True, slots=True)
class Watched:
    """A video track as one viewer shows it: `width` and `height` of the tile in device pixels, 0 where unknown.

    `encodings` stand in order, the lowest first, at least one.
    """

    track: str
    priority: Priority
    encodings: tuple[Encoding, ...]
    width: int = 0
    height: int = 0
    visible: bool = True
    screen: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """What a viewer shall get: a source, and its highest spatial and temporal layer (None for all there are)."""

    source: str
    spatial: int | None = None
    temporal: int | None = None


@dataclass(frozen=True, slots=True)
class Allocation:
    """One decision. A track that shall not be sent has the target None.

    `wishes` names the encoding that each visible track would have if its publisher sent them all, within the present
    estimate: what the publisher should be asked to send. `wanted` in bit/s is what would be sent if bandwidth allowed
    everything that the tiles can show, `spent` what is. `reduced` lists the tracks that got less for want of bandwidth.
    """

    targets: Mapping[str, Target | None] = field(default_factory=dict)
    wishes: Mapping[str, str] = field(default_factory=dict)
    wanted: float = 0.0
    spent: float = 0.0
    reduced: tuple[str, ...] = ()


Key = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class _Step:
    key: Key
    cost: float
    target: Target


def ladder(track: Watched, *, all_active: bool = False) -> list[_Step]:
    """The useful steps of a track, the guaranteed one first; `all_active` as if its publisher sent every encoding."""
    sent = [(i, e) for i, e in enumerate(track.encodings) if all_active or e.active]
    if not sent:
        # Nothing comes at the moment: wait on the lowest.
        sent = [(0, track.encodings[0])]
    places: list[tuple[int, Encoding, int, list[int], bool]] = []
    for index, encoding in sent:
        spatial = sorted({s for s, _ in encoding.rates}) or [0]
        temporal = sorted({t for _, t in encoding.rates}) or [0]
        for layer in spatial:
            shrink = 1 << (spatial[-1] - layer)
            places.append((index, encoding, layer, temporal, layer == spatial[-1]))
            if _covers(track, encoding.width // shrink, encoding.height // shrink):
                break
        else:
            continue
        break
    steps: list[_Step] = []
    for number, (index, encoding, layer, temporal, top) in enumerate(places):
        if track.screen:
            chosen = temporal if number == len(places) - 1 else temporal[:1]
        else:
            chosen = temporal if number == 0 else temporal[-1:]
        for t in chosen:
            key = (t, index, layer) if track.screen else (index, layer, t)
            target = Target(encoding.source, None if top else layer, None if t == temporal[-1] else t)
            steps.append(_Step(key, _cost(encoding, layer, t), target))
    # What costs more than something better is no step at all. The guaranteed one stays.
    return [s for i, s in enumerate(steps) if i == 0 or all(s.cost <= better.cost for better in steps[i + 1 :])]


def _covers(track: Watched, width: int, height: int) -> bool:
    if track.width <= 0 or track.height <= 0:
        return False  # The tile's size is unknown: no limit.
    if width <= 0 or height <= 0:
        return False
    upright = max(track.width / width, track.height / height)
    turned = max(track.width / height, track.height / width)  # A phone held upright sends a picture on its side.
    return min(upright, turned) <= SLACK


def _cost(encoding: Encoding, spatial: int, temporal: int) -> float:
    if not encoding.rates or (not encoding.active and sum(encoding.rates.values()) < encoding.expected):
        return encoding.expected
    return sum(rate for (s, t), rate in encoding.rates.items() if s <= spatial and t <= temporal)


class Allocator:
    """Decides for one viewer. Give it every new estimate, and ask again when something changed or after a moment."""

    __slots__ = (
        "_before",
        "_budget",
        "_dipped",
        "_estimate",
        "_fell",
        "_held",
        "_hold",
        "_minima",
        "_quiet",
        "_rose",
        "_rose_with",
        "_still",
    )

    def __init__(self) -> None:
        self._estimate: float | None = None
        self._budget: float | None = None
        self._minima: deque[tuple[float, float]] = deque()
        self._held: dict[str, Key] = {}
        self._hold = EAGER
        self._rose = self._fell = self._dipped = float("-inf")
        self._quiet = QUIET
        self._still: tuple[float, float] = (float("-inf"), 0.0)
        """Nothing rises until then, with no more than that to spend."""
        self._rose_with = 0.0
        self._before: tuple[float, dict[str, Key], float, float, float] | None = None
        """As it was before the last dip: budget, what was held, and the rest in the order of the slots."""

    @property
    def estimate(self) -> float | None:
        """The last estimate, in bit/s; None before the first."""
        return self._estimate

    @property
    def budget(self) -> float | None:
        """What may be spent now, in bit/s; None while nobody has estimated anything, which limits nothing."""
        return self._budget

    @property
    def settled(self) -> bool:
        """Whether time alone changes nothing: the budget has caught up with the estimate."""
        return self._estimate is None or self._budget == self._estimate

    def estimated(self, estimate: float, now: float) -> None:
        """A new estimate of the bandwidth towards the viewer, bit/s."""
        self._estimate = estimate
        minima = self._minima
        while minima and minima[-1][1] >= estimate:
            minima.pop()
        minima.append((now, estimate))
        while len(minima) > 1 and minima[1][0] <= now - MAX_HOLD:
            minima.popleft()
        if self._budget is None:
            self._budget = estimate
            return
        if self._before is not None and now - self._dipped > DIP:
            self._before = None
        if self._before is not None and estimate >= BACK * self._before[0]:
            budget, self._held, self._hold, self._rose, self._fell = self._before
            self._before = None
            self._budget = min(budget, estimate)
            minima.clear()
            minima.append((self._dipped, self._budget))
        elif estimate < self._budget:
            if self._before is None and estimate < BACK * self._budget:
                self._dipped = now
                self._before = self._budget, self._held, self._hold, self._rose, self._fell
            self._budget = estimate

    @property
    def _margin(self) -> float:
        return MARGIN * min(2.0, max(1.0, self._hold / HOLD))

    def _catch_up(self, now: float) -> None:
        """Raises the budget to the least estimate of the last moments."""
        if self._estimate is None or self._budget is None:
            return
        minima = self._minima
        hold = self._hold if now - self._fell < CALM else min(self._hold, HOLD)
        # An entry is the least from when its predecessor left until it came, so the first one outside still counts.
        while len(minima) > 1 and minima[1][0] <= now - hold:
            minima.popleft()
        if minima[0][0] <= now - hold:
            self._budget = max(self._budget, minima[0][1])

    def allocate(self, tracks: Sequence[Watched], audio: float, now: float) -> Allocation:
        """`audio` in bit/s is set aside first. Tracks are named once each."""
        self._catch_up(now)
        shown = [t for t in tracks if t.visible]
        budget = float("inf") if self._budget is None else self._budget - audio
        ladders = {t.track: ladder(t) for t in shown}
        until, enough = self._still
        levels = self._fill(shown, ladders, budget, now < until and (self._budget or 0.0) <= enough)
        full, wished = ladders, levels
        if any(not e.active for t in shown for e in t.encodings):
            full = {t.track: ladder(t, all_active=True) for t in shown}
            wished = self._fill(shown, full, budget)
        soon = wished
        if self._estimate is not None and self._estimate - audio > budget:
            # Asked for before it may be spent: by then it flows.
            soon = self._fill(shown, full, self._estimate - audio)
        targets: dict[str, Target | None] = {t.track: None for t in tracks}
        targets.update((name, ladders[name][level].target) for name, level in levels.items())
        short = {name for name, level in levels.items() if level < len(ladders[name]) - 1}
        self._remember({name: ladders[name][level].key for name, level in levels.items()}, short, now)
        return Allocation(
            targets,
            {name: full[name][level].target.source for name, level in soon.items()},
            (audio + sum(max(s.cost for s in (*full[n], *ladders[n])) for n in full)) * (1 + self._margin) * HEADROOM,
            audio + sum(ladders[name][level].cost for name, level in levels.items()),
            tuple(name for name, level in wished.items() if level < len(full[name]) - 1),
        )

    def _fill(
        self, shown: Sequence[Watched], ladders: Mapping[str, list[_Step]], budget: float, at_rest: bool = False
    ) -> dict[str, int]:
        levels = dict.fromkeys((t.track for t in shown), 0)
        left = budget - sum(self._price(name, steps[0]) for name, steps in ladders.items())
        if left == float("inf"):
            return {name: len(steps) - 1 for name, steps in ladders.items()}
        order = sorted(shown, key=lambda t: (t.priority, -t.width * t.height, t.track))
        for _, group in groupby(order, key=lambda t: t.priority):
            rising = [t.track for t in group]
            while rising:
                still = []
                for name in rising:
                    steps, level = ladders[name], levels[name]
                    if level + 1 == len(steps) or (at_rest and self._above(name, steps[level + 1])):
                        continue
                    more = self._price(name, steps[level + 1]) - self._price(name, steps[level])
                    if more <= left:
                        left -= more
                        levels[name] = level + 1
                        still.append(name)
                rising = still
        return levels

    def _above(self, track: str, step: _Step) -> bool:
        held = self._held.get(track)
        return held is not None and step.key > held

    def _price(self, track: str, step: _Step) -> float:
        """What is held costs what it costs; a step above it must leave the margin free."""
        held = self._held.get(track)
        return step.cost if held is not None and step.key <= held else step.cost * (1 + self._margin)

    def _remember(self, held: dict[str, Key], short: set[str], now: float) -> None:
        before, self._held = self._held, held
        if self._budget is None:
            return
        # A smaller tile, or an encoding that its publisher ended, is no fall.
        fell = any(held[name] < before.get(name, held[name]) for name in short)
        if fell:
            mistake = now - self._rose <= REGRET
            self._hold = min(MAX_HOLD, self._hold * 2) if mistake and self._hold >= HOLD else max(HOLD, self._hold)
            if self._budget >= self._rose_with:
                self._still = now + self._quiet, self._budget * PLENTY
                self._quiet = min(MAX_QUIET, 2 * self._quiet)
            self._fell = now
            self._rose = float("-inf")
        elif any(key > before.get(name, key) for name, key in held.items()):
            self._rose = now
            self._rose_with = self._budget
        elif now - self._fell > FORGIVE:
            self._hold = EAGER
            self._quiet = QUIET
