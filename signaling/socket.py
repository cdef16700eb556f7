"""The WebSocket edge: frames in and out of a `Session`, heartbeats, bounds."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter

from aiohttp import WSCloseCode, WSMsgType, web

from signaling import protocol
from signaling.hub import Hub
from signaling.session import Session

HELLO_WITHIN = 10.0
HEARTBEAT = 16.0
"""Seconds between WebSocket pings; a pong must come within half of it, so a dead peer is known within 24 s."""

LAST_WORDS = 5.0
"""Seconds that the last messages may take to leave."""


class Sockets:
    """All open WebSockets, counted by address."""

    def __init__(self, hub: Hub, per_address: int, message_bytes: int) -> None:
        self._hub = hub
        self._per_address = per_address
        self._message_bytes = message_bytes
        self._open: Counter[str] = Counter()
        self._sockets: set[web.WebSocketResponse] = set()

    async def serve(self, request: web.Request, room: str, address: str, visitor: str | None) -> web.StreamResponse:
        """One WebSocket from upgrade to end."""
        if self._open[address] >= self._per_address:
            return web.json_response({"code": "too-many", "message": "too many connections"}, status=429)
        # Twice our own bound: what is a little too large is refused with words, what is far too large ends the socket.
        socket = web.WebSocketResponse(
            heartbeat=HEARTBEAT, max_msg_size=2 * self._message_bytes, compress=False, timeout=2.0
        )
        await socket.prepare(request)
        self._open[address] += 1
        self._sockets.add(socket)
        session = Session(self._hub, room, visitor, time.monotonic())
        loop = asyncio.get_running_loop()
        due = loop.call_later(HELLO_WITHIN, session.hello_due)
        writer = loop.create_task(self._write(socket, session))
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await session.receive(message.data, time.monotonic())
                elif message.type is WSMsgType.BINARY:
                    await session.receive(b"binary frames mean nothing here", time.monotonic())
                if session.ended:
                    break
            if session.ended:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(writer), LAST_WORDS)
        finally:
            due.cancel()
            session.lost(time.monotonic())
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await writer
            self._open[address] -= 1
            if self._open[address] <= 0:
                del self._open[address]
            self._sockets.discard(socket)
            if not socket.closed:
                with contextlib.suppress(TimeoutError, ConnectionError):
                    await asyncio.wait_for(socket.close(), LAST_WORDS)
        return socket

    async def _write(self, socket: web.WebSocketResponse, session: Session) -> None:
        try:
            while (data := await session.outbox.get()) is not None:
                await socket.send_frame(data, WSMsgType.TEXT)
            if session.outbox.overflowed:
                session.ended = True
                self._hub.parts.metrics.turned.labels("slow").inc()
                closed = protocol.Closed(reason="timeout", message="messages were not read fast enough", retry=True)
                await asyncio.wait_for(socket.send_frame(protocol.encoder.encode(closed), WSMsgType.TEXT), LAST_WORDS)
            await socket.close(code=WSCloseCode.OK)
        except (ConnectionError, TimeoutError):
            await socket.close()

    async def close(self) -> None:
        """The server stops."""
        await asyncio.gather(
            *(s.close(code=WSCloseCode.GOING_AWAY) for s in list(self._sockets)), return_exceptions=True
        )
