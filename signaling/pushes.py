"""Where a room's broadcast is pushed to besides its own page: other platforms, by RTMP.

Who runs the broadcast adds them, with a stream key that is a secret of theirs: it stays in memory, is in no log and
goes back to nobody. It ends with the broadcast.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import structlog

from recorder.live.delay import News
from recorder.live.destination import BadDestination, Destination
from recorder.live.pushing import Push, Told
from recorder.service import Stream
from signaling import protocol
from signaling.refusal import Refusal

if TYPE_CHECKING:
    from signaling.room import Room

log = structlog.get_logger("push")


@dataclass
class _One:
    destination: Destination
    push: Push | None = None
    told: Told | None = None


class Pushes:
    """Of one room's broadcast."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._most = room.parts.settings.broadcast.push
        self._private = room.parts.settings.broadcast.push_private
        self._all: dict[str, _One] = {}
        self._stream: Stream | None = None

    @property
    def wanted(self) -> bool:
        """Whether sound has to be there as platforms take it."""
        return self._most > 0

    def state(self) -> protocol.Pushes:
        """As those who run the broadcast are told."""
        return protocol.Pushes(
            most=self._most,
            pushes=[
                protocol.PushState(
                    id=name,
                    server=one.destination.origin,
                    state=one.told.state if one.told is not None else "waiting",
                    reason=one.told.reason if one.told is not None else None,
                    codec=one.told.codec if one.told is not None else None,
                )
                for name, one in self._all.items()
            ],
        )

    def add(self, message: protocol.AddPush) -> None:
        """One more; it begins with the broadcast, or now. Raises Refusal."""
        if not self._most:
            raise Refusal("not-allowed", "this server pushes nothing: broadcast.push is 0")
        if self._room.live.over:
            raise Refusal("bad-state", "no broadcast is planned")
        if len(self._all) >= self._most:
            raise Refusal("too-large", f"at most {self._most} platforms")
        try:
            destination = Destination.parse(message.url, message.key)
        except BadDestination as error:
            raise Refusal("malformed", str(error)) from None
        name = secrets.token_urlsafe(9)
        self._all[name] = _One(destination)
        self._start(name)
        self._tell()

    def remove(self, name: str) -> None:
        """It ends at once. Raises Refusal."""
        one = self._all.pop(name, None)
        if one is None:
            raise Refusal("not-found", "nothing is pushed by this id")
        if one.push is not None:
            one.push.close()
        self._tell()

    def begin(self, stream: Stream) -> None:
        """The broadcast is live."""
        self._stream = stream
        stream.on_news.append(self._news)
        for name in self._all:
            self._start(name)

    def close(self) -> None:
        """The broadcast is over: what waits is sent, and the keys are forgotten."""
        self._stream = None
        gone, self._all = self._all, {}
        for one in gone.values():
            if one.push is not None:
                one.push.finish()
        if gone:
            self._tell()

    def _start(self, name: str) -> None:
        one, loop = self._all[name], asyncio.get_running_loop()
        if self._stream is None or one.push is not None:
            return

        def tell(told: Told) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has closed
                loop.call_soon_threadsafe(partial(self._told, name, told))

        one.push = Push(one.destination, self._private, tell)

    def _news(self, news: News | None) -> None:
        if news is None:
            return self.close()
        for one in self._all.values():
            if one.push is not None:
                one.push.put(*news)

    def _told(self, name: str, told: Told) -> None:
        if (one := self._all.get(name)) is not None:
            one.told = told
            log.info("push", room=self._room.id, push=name, state=told.state, reason=told.reason, codec=told.codec)
            self._tell()

    def _tell(self) -> None:
        state = self.state()
        for person in self._room.people.values():
            if person.peer is not None and person.may("broadcast"):
                person.peer.send(state, key="pushes")
