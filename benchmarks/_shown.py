"""What a reader saw of one clip, and how late and how steady it was."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks._clips import Clip, Offline
from captioning.agreement import plain


@dataclass
class Shown:
    """`began` is the room time (ms) of the clip's first sample. `feed` is called with every event of the original's
    words."""

    clip: Clip
    began: float = 0.0
    screens: list[tuple[float, list[str], int]] = field(default_factory=list)
    """(room ms, all words visible then, how many of them count as stable)."""
    finals: list[tuple[float, float, str]] = field(default_factory=list)
    """(room ms, end of the utterance, text)."""
    _parts: dict[str, tuple[float, list[str], list[str]]] = field(default_factory=dict)

    def feed(self, now: float, segment: str, start: float, end: float, stable: str, tail: str, final: bool) -> None:
        self._parts[segment] = (start, words(stable), words(tail))
        parts = sorted(self._parts.values(), key=lambda part: part[0])
        visible = [word for _, firm, loose in parts for word in (*firm, *loose)]
        open_tail = len(parts[-1][2])
        self.screens.append((now, visible, len(visible) - open_tail))
        if final:
            self.finals.append((now, end, stable))

    @property
    def text(self) -> str:
        """All finals, in order of time."""
        return " ".join(text for _, _, text in sorted(self.finals, key=lambda final: final[1]))

    def first_shown(self, offline: Offline) -> list[float]:
        """For each word that the offline alignment dates: milliseconds from its end to when it first stood on the
        screen.

        A word counts as shown when as many copies of it are visible as were spoken up to it. One that never appears is
        a recognition error and is counted by the word error rate instead."""
        return self._delays(offline, [(at, visible) for at, visible, _ in self.screens])

    def stable(self, offline: Offline) -> list[float]:
        """The same until it stood there as stable."""
        return self._delays(offline, [(at, visible[:firm]) for at, visible, firm in self.screens])

    def appeared(self, offline: Offline) -> list[float]:
        """For each word: milliseconds from its end until as many words stood on the screen as were spoken up to it,
        right or wrong: how fast captions feel, whatever they are worth."""
        delays = []
        for count, (_, end) in enumerate(offline.words, 1):
            at = next((time for time, visible, _ in self.screens if len(visible) >= count), None)
            if at is not None:
                delays.append(max(0.0, at - (self.began + end * 1000)))
        return delays

    def _delays(self, offline: Offline, screens: list[tuple[float, list[str]]]) -> list[float]:
        delays = []
        seen: dict[str, int] = {}
        for word, end in offline.words:
            seen[word] = seen.get(word, 0) + 1
            at = next((time for time, visible in screens if visible.count(word) >= seen[word]), None)
            if at is not None:
                delays.append(max(0.0, at - (self.began + end * 1000)))
        return delays

    def final_delays(self, offline: Offline) -> list[float]:
        """For each final: milliseconds from the end of its last word to the final."""
        delays = []
        for at, end, text in self.finals:
            ends = [self.began + word * 1000 for _, word in offline.words if self.began + word * 1000 <= end]
            if ends and text:
                delays.append(at - ends[-1])
        return delays

    def erased(self) -> tuple[int, int]:
        """(words taken back, words in the end): their ratio is the normalised erasure of Arivazhagan et al. 2020.

        With each change of the screen, everything behind the first word that differs counts as taken back; case and
        punctuation do not make a word differ, as they do not for agreement."""
        erased = 0
        before: list[str] = []
        for _, visible, _ in self.screens:
            same = next((i for i, (a, b) in enumerate(zip(before, visible, strict=False)) if a != b), None)
            kept = same if same is not None else min(len(before), len(visible))
            erased += len(before) - kept
            before = visible
        return erased, len(before)


def words(text: str) -> list[str]:
    """As agreement compares them."""
    return [plain(word) for word in text.split()]
