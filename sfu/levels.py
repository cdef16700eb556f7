"""Who is speaking, from RFC 6464 audio levels: smoothed, with hysteresis, so that a cough does not move the picture.

Pure policy: names and times in seconds go in, an ordered list comes out. Loudness here is 127 minus the level, in dB.
"""

from __future__ import annotations

from dataclasses import dataclass

ATTACK, RELEASE = 0.1, 0.5
"""Time constants in seconds of the smoothing, upwards and downwards."""

START, STOP = 127 - 50, 127 - 60
"""Loudness that makes a speaker (-50 dBov) and the one that still keeps them (-60 dBov)."""

ONSET = 0.25
"""Seconds above `START` before somebody counts as speaking: longer than a click or a key."""

HOLD = 1.2
"""Seconds below `STOP` before they no longer do: longer than a pause for breath."""

MARGIN, LEAD = 6.0, 0.8
"""A louder speaker overtakes one before them after leading by so many dB for so many seconds."""

SILENT_AFTER = 0.3
"""Without packets for this long (DTX, mute, gone) a voice counts as silent."""


@dataclass(slots=True)
class _Voice:
    loudness: float = 0.0
    target: float = 0.0
    heard: float = float("-inf")
    updated: float = float("-inf")
    peak: float = 0.0
    above: float | None = None
    below: float | None = None
    leads: float | None = None
    leads_over: str | None = None

    def follow(self, now: float) -> None:
        target = self.target if now - self.heard <= SILENT_AFTER else 0.0
        step = max(0.0, now - self.updated)
        constant = ATTACK if target > self.loudness else RELEASE
        self.loudness += (target - self.loudness) * min(1.0, step / (constant + step)) if step else 0.0
        self.updated = now


class Speakers:
    """`heard` for every level, `update` every 100 ms or so."""

    def __init__(self) -> None:
        self._voices: dict[str, _Voice] = {}
        self._order: list[str] = []

    def heard(self, name: str, level: int, voice: bool, now: float) -> None:
        """`level` 0 (loudest) to 127 (silent). What the sender's own detector calls no voice counts 10 dB less."""
        entry = self._voices.get(name)
        if entry is None:
            entry = self._voices[name] = _Voice(updated=now)
        entry.follow(now)
        entry.target = max(0.0, 127.0 - min(127, max(0, level)) - (0.0 if voice else 10.0))
        entry.heard = now
        entry.peak = max(entry.peak, 127.0 - min(127, max(0, level)))

    def peaks(self) -> dict[str, float]:
        """How loud everybody was at the loudest since the last time."""
        found = {name: voice.peak for name, voice in self._voices.items()}
        for voice in self._voices.values():
            voice.peak = 0.0
        return found

    def remove(self, name: str) -> None:
        self._voices.pop(name, None)
        if name in self._order:
            self._order.remove(name)

    def update(self, now: float) -> list[str]:
        """Those who speak now; the dominant speaker first."""
        for name, voice in self._voices.items():
            voice.follow(now)
            if name in self._order:
                self._keep(name, voice, now)
            else:
                self._admit(name, voice, now)
        self._overtake(now)
        return list(self._order)

    def _admit(self, name: str, voice: _Voice, now: float) -> None:
        if voice.loudness < START:
            voice.above = None
        elif voice.above is None:
            voice.above = now
        elif now - voice.above >= ONSET:
            voice.above = voice.below = voice.leads = None
            self._order.append(name)

    def _keep(self, name: str, voice: _Voice, now: float) -> None:
        if voice.loudness >= STOP:
            voice.below = None
        elif voice.below is None:
            voice.below = now
        elif now - voice.below >= HOLD:
            voice.below = None
            self._order.remove(name)

    def _overtake(self, now: float) -> None:
        for index in range(1, len(self._order)):
            ahead, behind = self._order[index - 1], self._order[index]
            voice = self._voices[behind]
            if voice.loudness < self._voices[ahead].loudness + MARGIN:
                voice.leads = None
            elif voice.leads is None or voice.leads_over != ahead:
                voice.leads, voice.leads_over = now, ahead
            elif now - voice.leads >= LEAD:
                voice.leads = None
                self._order[index - 1], self._order[index] = behind, ahead
