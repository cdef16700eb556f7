"""How messages travel between the server and its caption workers.

`PipeTransport` starts the worker itself and speaks over a socket pair: frames of a 32-bit length (big-endian) and
msgpack. The server's side never blocks. Another way to travel needs only the two protocols here, `Transport` and
`Duplex`; `captioning.bus_redis` is one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, cast

import msgspec

from captioning.messages import ToServer, ToWorker, encoder, to_server, to_worker

HEADER = struct.Struct(">I")
LARGEST_FRAME = 4 << 20


class Duplex(Protocol):
    """The worker's end. `receive` waits up to `patience` seconds; None says that the server is gone."""

    def send(self, message: ToServer) -> None: ...
    def receive(self, patience: float) -> list[ToWorker] | None: ...


class Transport(Protocol):
    """The server's end. `receive` and `lost` (with a reason) are called on the event loop; after `lost` start it
    again."""

    pid: int | None
    shared: bool
    """Whether what is behind it serves others too and looks after itself: losing it says nothing about our audio."""

    async def start(self, receive: Callable[[ToServer], None], lost: Callable[[str], None]) -> None: ...
    def send(self, message: ToWorker) -> None: ...
    def backlog(self) -> int: ...
    async def stop(self) -> None: ...
    def kill(self) -> None: ...


class Frames:
    """Cuts a byte stream into frames. Raises ValueError for a frame longer than any we send."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        self._buffer += data
        frames = []
        while len(self._buffer) >= HEADER.size:
            (length,) = HEADER.unpack_from(self._buffer)
            if length > LARGEST_FRAME:
                raise ValueError(f"a frame of {length} bytes")
            end = HEADER.size + length
            if len(self._buffer) < end:
                break
            frames.append(bytes(self._buffer[HEADER.size : end]))
            del self._buffer[:end]
        return frames


def frame(message: ToServer | ToWorker) -> bytes:
    """The message as it goes over the socket."""
    body = encoder.encode(message)
    return HEADER.pack(len(body)) + body


class FrameSocket:
    """The worker's end of a socket pair, for blocking use by two threads."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._socket.setblocking(True)
        self._frames = Frames()
        self._sending = threading.Lock()

    def send(self, message: ToServer) -> None:
        with self._sending:
            self._socket.sendall(frame(message))

    def receive(self, patience: float) -> list[ToWorker] | None:
        if not select.select([self._socket], [], [], patience)[0]:
            return []
        data = self._socket.recv(1 << 18)
        if not data:
            return None
        return [to_worker.decode(body) for body in self._frames.feed(data)]


class PipeTransport(asyncio.Protocol):
    """Starts ``python -m captioning.worker`` and speaks to it. `settings` is the JSON it is given."""

    shared = False

    def __init__(self, settings: bytes, threads: int) -> None:
        self._settings = settings
        self._threads = threads
        self._process: asyncio.subprocess.Process | None = None
        self._transport: asyncio.Transport | None = None
        self._frames = Frames()
        self._receive: Callable[[ToServer], None] = lambda message: None
        self._lost: Callable[[str], None] | None = None
        self.pid: int | None = None

    async def start(self, receive: Callable[[ToServer], None], lost: Callable[[str], None]) -> None:
        self._receive, self._lost = receive, lost
        self._frames = Frames()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        root = str(Path(__file__).parent.parent)
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": str(self._threads)}
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "captioning.worker",
                "--settings",
                self._settings.decode(),
                "--fd",
                str(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=environment,
            )
        finally:
            theirs.close()
        self.pid = self._process.pid
        await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=ours)

    def send(self, message: ToWorker) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(frame(message))

    def backlog(self) -> int:
        """Bytes that the worker has not taken yet."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    async def stop(self) -> None:
        """End the worker: it has two seconds to go by itself."""
        self._lost = None
        if self._transport is not None:
            self._transport.close()
        if self._process is not None:
            try:
                async with asyncio.timeout(2):
                    await self._process.wait()
            except TimeoutError:
                self.kill()
                await self._process.wait()
            self._process = None
        self.pid = None

    def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # not Process.kill: it would reap what the loop waits for
                os.kill(self._process.pid, signal.SIGKILL)

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            messages = [to_server.decode(body) for body in self._frames.feed(data)]
        except (ValueError, msgspec.DecodeError) as error:
            self._end(f"the worker sent what cannot be read: {error}")
            return
        for message in messages:
            self._receive(message)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._end("the worker process ended")

    def _end(self, reason: str) -> None:
        lost, self._lost = self._lost, None
        self.kill()
        if lost is not None:
            lost(reason)
