"""A running recording, as the event loop feeds it; files belong to the writer thread (`recorder.writer`)."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from recorder import events
from recorder.conclude import State, conclude
from recorder.keyframes import LIVE_EVERY_MS, KeyframeWish
from recorder.live.delay import News
from recorder.live.stream import Stream
from recorder.manifest import Cue, Manifest
from recorder.writer import Item, Writer
from sfu.taps import RoomClock, TapPacket, TrackInfo

MAX_TRACKS = 4096
SPILL_MS = 300.0
"""What words may reach into a pause: utterances end with a little silence."""


class Recording:
    """A running recording; a tap (`sfu.taps.Tap`). All methods belong to the event loop and none blocks."""

    def __init__(
        self,
        path: Path,
        writer: Writer,
        clock: RoomClock,
        request_keyframe: Callable[[str], None],
        finished: Callable[[str], object],
    ) -> None:
        self._path = path
        self._writer = writer
        self._clock = clock
        self._request_keyframe = request_keyframe
        self._finished = finished
        self._present: dict[str, TrackInfo] = {}
        """Every track that is in the room, also of those who are left out."""
        self._muted: set[str] = set()
        self._left_out: set[str] = set()
        self._unheard: set[str] = set()
        self._channels: dict[str, str] = {}
        self._held = False
        self._pauses: list[tuple[float, float]] = []
        self._speaker: str | None = None
        self._tracks: dict[str, tuple[int, TrackInfo]] = {}
        self._wishes: dict[str, KeyframeWish] = {}
        self._opened = 0
        self._stream: Stream | None = None
        self._manifest: asyncio.Task[Manifest] | None = None

    @property
    def origin(self) -> float:
        """The room time at which it began."""
        return self._writer.pipeline.origin

    @property
    def problem(self) -> str | None:
        """Why recording stopped early, or None."""
        return self._writer.problem

    @property
    def backlog(self) -> int:
        """Bytes of media waiting to be written: how far the disk lags."""
        return self._writer.backlog

    # --- the tap ---

    def track_opened(self, track: TrackInfo, room_ms: float) -> None:
        self._present[track.id] = track
        if not self._out(track.participant):
            self._open(track, room_ms)

    def _out(self, participant: str | None) -> bool:
        """Whether nothing of them is written now."""
        return self._held or participant in self._left_out

    def _open(self, track: TrackInfo, room_ms: float) -> None:
        if track.id in self._tracks or self._opened >= MAX_TRACKS:
            return
        index, self._opened = self._opened, self._opened + 1
        self._tracks[track.id] = (index, track)
        self._put(
            events.Opened(
                at=room_ms,
                index=index,
                track=track.id,
                participant=track.participant,
                kind=track.kind,
                source=track.source,
                codec=track.codec,
            )
        )
        if track.kind == "video":
            self._wishes[track.id] = KeyframeWish()
            if self._stream is not None:
                self._wishes[track.id].every = LIVE_EVERY_MS
            self._wish(track.id)

    def packets(self, packets: Sequence[TapPacket]) -> None:
        if self._manifest:
            return
        items: list[Item] = []
        for packet in packets:
            known = self._tracks.get(packet.track)
            if known is None or not math.isfinite(packet.room_ms):
                continue
            items.append((known[0], packet))
            wish = self._wishes.get(packet.track)
            if wish and wish.seen(packet, packet.room_ms):
                self._request_keyframe(packet.track)
        if items and not self._writer.put(items):
            for track in self._wishes:
                self._wish(track)

    def track_muted(self, track: str, muted: bool, room_ms: float) -> None:
        (self._muted.add if muted else self._muted.discard)(track)
        if known := self._tracks.get(track):
            self._put(events.Muted(at=room_ms, index=known[0], muted=muted))
            self._picture_changed(track)

    def track_closed(self, track: str, room_ms: float) -> None:
        self._present.pop(track, None)
        self._muted.discard(track)
        self._close(track, room_ms)

    def _close(self, track: str, room_ms: float) -> None:
        if known := self._tracks.pop(track, None):
            self._put(events.Closed(at=room_ms, index=known[0]))
            self._picture_changed(track)
            self._wishes.pop(track, None)

    # --- what else is kept ---

    def leave_out(self, participant: str, left_out: bool) -> None:
        """From now on nothing of somebody is written: no sound, picture, word, line or name; or is again.

        To be told before `participant` and before their tracks; what was written until now stays.
        """
        if left_out == (participant in self._left_out):
            return
        now = self._clock.now()
        (self._left_out.add if left_out else self._left_out.discard)(participant)
        if not left_out:
            self._put(events.Unheard(at=now, participant=participant, on=participant in self._unheard))
            if participant in self._channels:
                self._put(events.Interpreted(at=now, participant=participant, channel=self._channels[participant]))
        self._follow([track for track in self._present.values() if track.participant == participant], now)
        if left_out and participant in self._channels:
            self._put(events.Interpreted(at=now, participant=participant, channel=None))
        if self._speaker == participant:
            self.speaker(participant)

    def hold(self, on: bool, begin: float = 0.0) -> None:
        """From now on nothing of anybody is written, but time goes on: darkness and silence; or it is again.

        What is live with a delay is cut off at what went out already: the rest is taken back, from the replay too, but
        nothing from before `begin` (room time)."""
        if on == self._held or self._manifest is not None:
            return
        self._held, now = on, self._clock.now()
        since = None
        if on:
            if self._stream is not None and (cut := self._stream.cut(round(now - self.origin))) is not None:
                known = self._pauses[-1][1] if self._pauses else 0.0
                since = min(now, max(begin, known, cut + self.origin))
            self._pauses.append((now if since is None else since, math.inf))
        else:
            self._pauses[-1] = self._pauses[-1][0], now
        self._put(events.Held(at=now, on=on, since=since))
        self._follow(list(self._present.values()), now)
        self.speaker(self._speaker)

    @property
    def pauses(self) -> list[tuple[float, float]]:
        """From when to when nothing was written (to infinity: still), in ms of the recording."""
        return [(since - self.origin, until - self.origin) for since, until in self._pauses]

    def paused(self, start: float, end: float) -> bool:
        """Whether words from `start` to `end`, in room time, were said in a pause, also if only in part: nobody knows
        which of them."""
        return any(start < until and end > since + SPILL_MS for since, until in self._pauses)

    def _follow(self, tracks: list[TrackInfo], now: float) -> None:
        """Closes or opens tracks by whether their people are left out."""
        for track in tracks:
            if self._out(track.participant):
                self._close(track.id, now)
            elif track.id not in self._tracks:
                self._open(track, now)
                if track.id in self._muted:
                    self.track_muted(track.id, True, now)

    def participant(self, participant: str, name: str) -> None:
        """Somebody is there, or has a new name."""
        if participant in self._left_out:
            return
        self._put(events.Named(at=self._clock.now(), participant=participant, name=name))

    def unheard(self, participant: str, on: bool) -> None:
        """Somebody does not want a machine to hear them, or their name beside their words; or does again."""
        if on == (participant in self._unheard):
            return
        (self._unheard.add if on else self._unheard.discard)(participant)
        if participant not in self._left_out:
            self._put(events.Unheard(at=self._clock.now(), participant=participant, on=on))

    def interpret(self, participant: str, channel: str | None) -> None:
        """Somebody's microphone is an interpreters' channel (a language, BCP 47) from now on, and not in the mix of the
        floor; None: it is of the floor again."""
        if channel == self._channels.get(participant):
            return
        if channel is None:
            del self._channels[participant]
        else:
            self._channels[participant] = channel
        if participant not in self._left_out:
            self._put(events.Interpreted(at=self._clock.now(), participant=participant, channel=channel))

    def speaker(self, participant: str | None) -> None:
        """The active speaker now; asks their video for a key frame to cut on."""
        self._speaker = participant
        if self._out(participant):
            participant = None
        self._put(events.Spoke(at=self._clock.now(), participant=participant))
        self._wish_of(participant)

    def _wish_of(self, participant: str | None) -> None:
        for track, (_, info) in self._tracks.items():
            if info.participant == participant and info.kind == "video":
                self._wish(track)

    def spotlight(self, participant: str | None) -> None:
        """Who is to be shown live whoever speaks; None: nobody."""
        self._put(events.Spotlit(at=self._clock.now(), participant=participant))
        self._wish_of(participant)

    def lower_third(self, participant: str, institution: str) -> None:
        """Viewers of what is live see somebody's name from now on, for a moment."""
        if not self._out(participant):
            self._put(events.Lettered(at=self._clock.now(), participant=participant, institution=institution))

    def air(self, aac: bool = False, delay: float = 0.0) -> Stream:
        """From now on it is a live programme too, with `aac` for players that take no Opus, everything of it `delay`
        seconds later. Again: the same one. Raises RuntimeError once it is finished."""
        if self._stream is not None:
            return self._stream
        if self._manifest is not None:
            raise RuntimeError("the recording is finished")
        now, loop = self._clock.now(), asyncio.get_running_loop()
        stream = Stream(self._path, datetime.now(UTC) - timedelta(milliseconds=now - self.origin), aac, delay)

        def tell(news: list[News]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has closed
                loop.call_soon_threadsafe(stream.take, news)

        self._stream, self._writer.on_news = stream, tell
        self._put(events.Aired(at=now, on=True, aac=aac))
        for track, wish in self._wishes.items():
            wish.every = LIVE_EVERY_MS
            self._wish(track)
        return stream

    def cue(self, cue: Cue, whose: str | None = None) -> None:
        """Final words in one language; a later revision replaces an earlier one. `whose` they are, where the cue does
        not say."""
        if (whose or cue.participant) in self._left_out or self.paused(cue.start, cue.end):
            return
        self._put(events.Said(at=self._clock.now(), cue=cue))

    def chat(self, participant: str, name: str, text: str, at: float) -> None:
        """A public chat line, `at` in room time."""
        if self._out(participant):
            return
        self._put(events.Wrote(at=at, participant=participant, name=name, text=text))

    def agenda(self, item: str, since: float) -> None:
        """An item of the agenda is being dealt with since then (room time); told again with other words, it has
        those."""
        self._put(events.Turned(at=max(since, self.origin), item=item))

    def question(
        self,
        question: str,
        name: str | None,
        text: str,
        votes: int,
        shown: bool,
        answer: str | None,
        answered_by: str | None,
        live_at: float | None,
    ) -> None:
        """A question that is answered, or its new state; `live_at` in room time. `shown` false takes it back."""
        self._put(
            events.Asked(
                at=self._clock.now(), question=question, name=name, text=text, votes=votes, shown=shown, answer=answer,
                answered_by=answered_by, live_at=live_at,
            )
        )  # fmt: skip

    def poll(
        self,
        poll: str,
        text: str,
        choices: list[str],
        counts: list[int] | None,
        voters: int,
        opened_at: float,
        shown: bool,
    ) -> None:
        """A poll that was opened, or its new state; `opened_at` in room time. `shown` false takes it back."""
        self._put(
            events.Polled(
                at=self._clock.now(), poll=poll, text=text, choices=choices, counts=counts, voters=voters,
                opened_at=opened_at, shown=shown,
            )
        )  # fmt: skip

    async def finish(self) -> Manifest:
        """Stops and returns the manifest; the replay is ready then. Again: the same manifest. Raises OSError."""
        if self._manifest is None:
            self._manifest = asyncio.create_task(asyncio.to_thread(self._finish, self._clock.now()))
            self._manifest.add_done_callback(self._ended)
        return await asyncio.shield(self._manifest)

    def _ended(self, _: asyncio.Task[Manifest]) -> None:
        if self._stream is not None:
            self._stream.finish()
        self._finished(self._path.name)

    def _finish(self, now: float) -> Manifest:
        writer = self._writer
        duration, happened = writer.stop(now)
        problem = writer.problem
        if problem is None and writer.refused:
            problem = f"The disk was too slow: {writer.refused} packets were left out."
        state: State = "failed" if writer.problem else "complete"
        return conclude(self._path, writer.pipeline, happened, duration, state, problem)

    def _put(self, event: events.AnyEvent) -> None:
        if self._manifest is None:
            self._writer.put([event])

    def _wish(self, track: str) -> None:
        if self._manifest is None and self._wishes[track].wish(self._clock.now()):
            self._request_keyframe(track)

    def _picture_changed(self, track: str) -> None:
        """A picture came or went: whichever comes instead should start at once."""
        if track in self._wishes:
            for other in self._wishes:
                self._wish(other)
