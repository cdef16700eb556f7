"""All demo guests on one timeline: who is there to hear them, and what is due now."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time

import uvloop

from signaling.client import check
from signaling.demo.assets import picture, script, sound
from signaling.demo.guest import DemoGuest

TICK = 0.02
LONGEST_STEP = 0.5
"""After the process stood still for longer, what was missed is left out instead of sent in one burst."""

BEFORE = 1.5
"""Seconds between somebody's coming in and the first words: time to connect."""

BETWEEN = 6.0
"""Seconds of silence before the discussion starts again."""


class Timeline:
    """The running media clock, and where on it the discussion began. Pure: times in seconds are arguments."""

    def __init__(self, length: float) -> None:
        self._length = length
        self._last: float | None = None
        self.media = 0.0
        self.spoken_from: float | None = None

    def step(self, now: float, heard: bool) -> None:
        """Goes on to `now`; `heard` says whether anybody listens."""
        if self._last is not None:
            self.media += min(now - self._last, LONGEST_STEP)
        self._last = now
        if not heard:
            self.spoken_from = None
        elif self.spoken_from is None:
            self.spoken_from = self.media + BEFORE
        elif self.media - self.spoken_from > self._length:
            self.spoken_from = self.media + BETWEEN


async def _play(guests: list[DemoGuest], length: float) -> None:
    timeline = Timeline(length)
    while True:
        ours = {guest.participant.id for guest in guests if guest.participant is not None}
        heard = any(guest.others - ours for guest in guests)
        timeline.step(time.monotonic(), heard)
        for guest in guests:
            guest.advance(timeline.media, timeline.spoken_from)
        await asyncio.sleep(TICK)


async def _perform(link: str) -> None:
    discussion = script()
    guests = [DemoGuest(one, sound(one.id), picture(one.id)) for one in discussion.guests]
    playing = asyncio.create_task(_play(guests, discussion.seconds))
    # With exceptions returned it ends with the last guest; otherwise with the first, and the goodbyes of the others
    # would be cut off.
    living = asyncio.gather(*(guest.live(link) for guest in guests), return_exceptions=True)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, living.cancel)
    try:
        with contextlib.suppress(asyncio.CancelledError):
            for outcome in await living:
                if isinstance(outcome, BaseException):
                    raise outcome
    finally:
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)


def perform(link: str) -> None:
    """Until the room will not have them any more, or a signal. Ends the process with words for what is no link."""
    try:
        check(link)
    except ValueError as error:
        sys.exit(f"consilium: {error}")
    uvloop.run(_perform(link))
