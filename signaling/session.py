"""One WebSocket's life: hello, then messages, each checked, done and answered. Bytes in, messages out; no socket."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import msgspec
import structlog

from sfu.interface import ConnectionKind, ConnectionState
from signaling import protocol
from signaling.bucket import Bucket
from signaling.outbox import Outbox
from signaling.people import Participant
from signaling.refusal import Code, Refusal, Turned
from signaling.verbs import perform

if TYPE_CHECKING:
    from signaling.hub import Hub
    from signaling.room import Room

log = structlog.get_logger("session")

STRIKES = 50
"""Bad or excess messages after which the socket is ended."""


class _Envelope(msgspec.Struct):
    """Just enough of a message that could not be read, to answer it."""

    type: str | None = None
    id: int | None = None


def turned(reason: str, message: str, log_reason: str | None = None, *, retry: bool = False) -> Turned:
    """A Turned with its Closed."""
    closed = protocol.Closed(reason=reason, message=message, retry=retry)  # type: ignore[arg-type]
    return Turned(closed, log_reason or reason)


class Session:
    """`visitor` is the hash of the browser's cookie, None without. The edge sends what `outbox` gives, then closes."""

    def __init__(self, hub: Hub, room: str, visitor: str | None, now: float) -> None:
        limits = hub.parts.settings.limits
        self.hub = hub
        self.room_id = room
        self.visitor = visitor
        self.outbox = Outbox()
        self.room: Room | None = None
        self.me: Participant | None = None
        self.ended = False
        self._bucket = Bucket(limits.message_rate, limits.message_burst, now)
        self._strikes = 0
        self._limit = limits.message_bytes

    # --- people.Peer ------------------------------------------------------------------------------

    def send(self, message: protocol.Message, key: object | None = None) -> None:
        self.send_encoded(protocol.encoder.encode(message), key)

    def send_encoded(self, data: bytes, key: object | None = None) -> None:
        self.outbox.put(data, key)

    def connection(self, connection: ConnectionKind, state: ConnectionState) -> None:
        """The browser sees for itself."""

    def close(self, closed: protocol.Closed) -> None:
        if not self.ended:
            self.ended = True
            self.hub.parts.metrics.turned.labels(closed.reason).inc()
            self.send(closed)
            self.outbox.close()

    # --- the edge calls these ---------------------------------------------------------------------

    async def receive(self, data: str | bytes, now: float) -> None:
        """One message; `now` in seconds, monotonic. Never raises."""
        if self.ended:
            return
        if not self._bucket.take(now):
            self._strike("too-fast", "slow down", None)
            return
        if len(data) > self._limit:
            self._strike("too-large", f"at most {self._limit} bytes", None)
            return
        try:
            message = protocol.client_decoder.decode(data)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            self._unreadable(data, str(error))
            return
        self.hub.parts.metrics.messages.labels(type(message).__struct_config__.tag).inc()
        try:
            await self._take(message, now)
        except Turned as error:
            log.info("turned away", room=self.room_id, reason=error.log)
            self.close(error.closed)
            return
        except Refusal as error:
            self._error(error.code, error.message, message.id, error.about)
            return
        except Exception:
            log.exception("a request failed", room=self.room_id, type=type(message).__name__)
            self._error("internal", "this is our fault; it is in the server's log", message.id)
            return
        if message.id is not None and not self.ended:
            self.send(protocol.Ack(id=message.id))

    def hello_due(self) -> None:
        """No hello came in time."""
        if self.me is None:
            self.close(protocol.Closed(reason="timeout", message="no hello came", retry=True))

    def lost(self, now: float) -> None:
        """The socket is gone."""
        self.ended = True
        self.outbox.close()
        if self.room is not None and self.me is not None:
            self.room.lost(self.me, self, now)

    # --- inside -----------------------------------------------------------------------------------

    async def _take(self, message: protocol.ClientMessage, now: float) -> None:
        if isinstance(message, protocol.Ping):
            self.send(protocol.Pong(sent=message.sent, now=self.room.now if self.room is not None else 0.0))
            return
        if isinstance(message, protocol.Hello):
            if self.me is not None:
                raise Refusal("bad-state", "hello was said already")
            self.room, self.me = await self.hub.join(self.room_id, message, self, self.visitor, time.time())
            return
        if self.room is None or self.me is None:
            raise Refusal("bad-state", "say hello first")
        if self.me.peer is not self:
            raise turned("replaced", "this participant went on elsewhere")
        if isinstance(message, protocol.Leave):
            self.room.leave(self.me)
            self.ended = True
            self.outbox.close()
            return
        if self.me.id not in self.room.people:
            raise Refusal("bad-state", "you are not in the room yet")
        await perform(self.room, self.me, message)

    def _unreadable(self, data: str | bytes, problem: str) -> None:
        found = _Envelope()
        with contextlib.suppress(msgspec.DecodeError, UnicodeError, RecursionError):
            found = msgspec.json.decode(data, type=_Envelope)
        unknown = found.type is not None and "`$.type`" in problem
        code: Code = "unknown-type" if unknown else "malformed"
        self._strike(code, problem[:200], found.id)

    def _strike(self, code: Code, message: str, id: int | None) -> None:
        self._strikes += 1
        if self._strikes > STRIKES:
            log.info("turned away", room=self.room_id, reason=f"too many bad messages ({code})")
            self.close(protocol.Closed(reason="protocol", message="too many bad messages", retry=False))
            return
        self._error(code, message, id)

    def _error(self, code: Code, message: str, id: int | None, about: str | None = None) -> None:
        self.hub.parts.metrics.errors.labels(code).inc()
        log.info("refused", room=self.room_id, code=code, participant=self.me.id if self.me else None)
        self.send(protocol.Error(code=code, message=message, id=id, about=about), key=None)
