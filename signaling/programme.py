"""The programme of a live broadcast as it happens: who is shown and heard by the viewers that are sent WebRTC.

While nobody is, nothing is mixed and nothing is decided.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from recorder.live.choice import Candidate, Choice
from recorder.live.loudspeaker import Loudspeaker
from sfu.interface import ConnectionState
from sfu.taps import TrackInfo

if TYPE_CHECKING:
    from signaling.room import Room

LOOK_S = 0.1


class RoomProgramme:
    """A room's viewers by WebRTC. `ended` is told of each whom it sends away, by the id that `watch` had; `of` says who
    it is, who may have several."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._viewers: dict[str, tuple[str, Callable[[], None]]] = {}
        self.signs = False
        """Whether whoever signs is sent beside the picture."""
        self._loudspeaker: Loudspeaker | None = None
        self._looking: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._viewers)

    @property
    def live(self) -> bool:
        """Whether there is something to see: what has a delay is not sent as it happens."""
        state = self._room.live.state
        return state is not None and state.state in ("live", "paused") and not state.delay

    @property
    def codecs(self) -> list[str]:
        """Of the pictures that may be shown now."""
        return sorted({track.codec.name for track, _ in self._pictures()})

    @property
    def hidden(self) -> list[str]:
        """Whose picture HLS cannot show: MP4 holds no VP8."""
        return sorted({track.participant for track, _ in self._pictures() if track.codec.name == "VP8"})

    def takes(self, viewer: str) -> tuple[str, ...]:
        """Of pictures, the codecs that a viewer decodes; empty where it wants none."""
        return self._room.media.programme.codecs(viewer)

    def watch(
        self, viewer: str, of: str, offer: str, on_state: Callable[[ConnectionState], None], ended: Callable[[], None]
    ) -> str:
        """The answer to a viewer's offer. Raises SdpError."""
        answer = self._room.media.programme.watch(viewer, offer, on_state)
        self._viewers[viewer] = of, ended
        if self._loudspeaker is None:
            self._loudspeaker = Loudspeaker(self._room.media.clock, self._is_floor, self._send)
            self._room.media.add_tap(self._loudspeaker, video=False)
            self._looking = asyncio.get_running_loop().create_task(self._look())
        return answer

    def restart(self, viewer: str, offer: str) -> str:
        """The answer to an ICE restart. Raises SdpError."""
        return self._room.media.programme.restart(viewer, offer)

    def leave(self, viewer: str) -> None:
        """A viewer goes; the last one ends the mix."""
        if self._viewers.pop(viewer, None) is None:
            return
        self._room.media.programme.leave(viewer)
        if not self._viewers:
            self._rest()

    def close(self) -> None:
        """Sends everybody away: it is over, or the link opens no more."""
        self.send_away(lambda of: True)

    def send_away(self, whom: Callable[[str], bool]) -> None:
        """Those may not watch any more."""
        for of, ended in list(self._viewers.values()):
            if whom(of):
                ended()

    def _rest(self) -> None:
        if self._loudspeaker is not None:
            self._room.media.remove_tap(self._loudspeaker)
            self._loudspeaker.close()
            self._loudspeaker = None
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        self._room.media.programme.silence()
        self.signs = False

    # --- who is shown and heard -------------------------------------------------------------------

    def _is_heard(self, participant: str) -> bool:
        return self.live and self._room.recording.includes(participant)

    def _is_floor(self, track: TrackInfo) -> bool:
        """As the recording has it: of who interprets, the microphone is not, what else they share is."""
        interprets = track.source == "microphone" and self._room.interpreters.into(track.participant) is not None
        return self._is_heard(track.participant) and not interprets

    def _pictures(self) -> list[tuple[TrackInfo, bool]]:
        return [(track, flows) for track, flows in self._room.media.pictures() if self._is_heard(track.participant)]

    @property
    def candidates(self) -> list[Candidate]:
        """Whose pictures may be shown now."""
        return [
            Candidate(track.id, track.participant, track.source == "screen", flows) for track, flows in self._pictures()
        ]

    def _signing(self) -> str | None:
        """The picture of the sign-language interpreter."""
        signer = self._room.interpreters.signing
        return next((t.id for t, _ in self._pictures() if t.participant == signer and t.source == "camera"), None)

    async def _look(self) -> None:
        choice = Choice()
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                state, room = self._room.live.state, self._room
                speaker = room.speaking[0] if room.speaking else None
                spotlight = state.spotlight if state is not None else None
                order, signing = choice.order(self.candidates, speaker, spotlight, room.now), self._signing()
                if order and order[0] == signing:
                    signing = None  # large already
                room.media.programme.show(order, signing)
                if self.signs != (signing is not None):
                    self.signs = not self.signs
                    room.live.signing_changed()
                await asyncio.sleep(LOOK_S)

    def _send(self, made: Sequence[tuple[int, bytes]]) -> None:
        opened = time.monotonic() - self._room.now / 1000
        for position, packet in made:
            self._room.media.programme.sound(packet, position, opened + position / 48_000)
