"""The connection to another platform: FFmpeg speaks RTMP to a port of this machine, and we carry it on.

So we are the ones who look the name up, who refuse addresses of this network, and who check the certificate (FFmpeg
does not); FFmpeg never learns where it goes. What it says of that in its first command is put right on the way.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import threading
from types import TracebackType
from typing import Literal

from recorder.live.destination import Destination, reachable

CONNECT_S = 10.0
STALLED_S = 15.0
"""A platform that takes nothing for so long is gone."""
HANDSHAKE = 1 + 1536 + 1536
"""Bytes of C0, C1 and C2 (RTMP 1.0, section 5.2)."""
CHUNK = 128
"""The size of chunks until somebody says otherwise."""
MOST_COMMAND = 8192


class LineError(Exception):
    """It could not be opened."""

    def __init__(self, reason: Literal["unreachable", "private"]) -> None:
        super().__init__(reason)
        self.reason = reason


def redirected(message: bytes, here: str, there: str) -> bytes:
    """A first command (``connect``) whose ``tcUrl`` names `there` where it named `here`."""
    mark = b"\x00\x05tcUrl\x02"
    at = message.find(mark)
    if at < 0:
        return message
    at += len(mark)
    (size,) = struct.unpack_from(">H", message, at)
    url = message[at + 2 : at + 2 + size].replace(here.encode(), there.encode(), 1)
    return message[:at] + struct.pack(">H", len(url)) + url + message[at + 2 + size :]


class FirstCommand:
    """What an RTMP client sends, with its first command redirected. Pure: bytes in, bytes out."""

    def __init__(self, here: str, there: str) -> None:
        self._here, self._there = here, there
        self._held = b""
        self._sent = 0
        self._done = False

    def feed(self, data: bytes) -> bytes:
        """What is to be sent on; a command that is not whole yet waits. Raises ValueError for what is no RTMP."""
        if self._done:
            return data
        self._held += data
        if len(self._held) <= HANDSHAKE + 12:
            # The handshake goes on at once: it is answered before there is a command.
            whole = min(len(self._held), HANDSHAKE) - self._sent
            out, self._sent = self._held[self._sent : self._sent + whole], self._sent + whole
            return out
        head = self._held[HANDSHAKE : HANDSHAKE + 12]
        size = int.from_bytes(head[4:7], "big")
        if head[0] >> 6 or not head[0] & 0x3E or head[7] != 20 or size > MOST_COMMAND:
            raise ValueError("no command follows the handshake")
        pieces = -(-size // CHUNK)
        end = HANDSHAKE + 12 + size + pieces - 1
        out, self._sent = self._held[self._sent : HANDSHAKE], max(self._sent, HANDSHAKE)
        if len(self._held) < end:
            return out
        body, at = b"", HANDSHAKE + 12
        for piece in range(pieces):
            at += piece > 0
            take = min(CHUNK, size - len(body))
            body, at = body + self._held[at : at + take], at + take
        body = redirected(body, self._here, self._there)
        chunks = [body[n : n + CHUNK] for n in range(0, len(body), CHUNK)]
        follows = bytes((0xC0 | head[0] & 0x3F,))
        self._done = True
        rest, self._held = self._held[end:], b""
        return out + head[:4] + len(body).to_bytes(3, "big") + head[7:] + follows.join(chunks) + rest


class Line:
    """Open until it is closed, or one of the two ends goes."""

    def __init__(self, destination: Destination, upstream: socket.socket) -> None:
        self._upstream = upstream
        self._downstream: socket.socket | None = None
        self._lock = threading.Lock()
        self._shut = False
        self._server = socket.create_server(("127.0.0.1", 0), backlog=1)
        here = f"rtmp://127.0.0.1:{self._server.getsockname()[1]}"
        self.url = f"{here}{destination.target}"
        """What FFmpeg is given. A secret."""
        self._first = FirstCommand(here, destination.origin)
        self._thread = threading.Thread(target=self._carry, name="push-line", daemon=True)
        self._thread.start()

    @classmethod
    def open(cls, destination: Destination, private: bool) -> Line:
        """Connects; addresses of private networks only with `private`. Raises LineError."""
        try:
            found = socket.getaddrinfo(destination.host, destination.port, type=socket.SOCK_STREAM)
        except OSError:
            raise LineError("unreachable") from None
        addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
        allowed = reachable(addresses, private)
        if not allowed:
            raise LineError("private")
        for address in allowed[:4]:
            with contextlib.suppress(OSError):
                return cls(destination, _connect(address, destination))
        raise LineError("unreachable")

    def _carry(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._server.settimeout(CONNECT_S)
            downstream, _ = self._server.accept()
            with self._lock:
                self._downstream = downstream
                if self._shut:
                    downstream.close()
                    return
            self._server.close()
            while True:
                # Both ways in one thread: a TLS connection is not to be read and written at once.
                waiting = isinstance(self._upstream, ssl.SSLSocket) and self._upstream.pending()
                ready = (
                    [self._upstream] if waiting else select.select([self._upstream, downstream], [], [], STALLED_S)[0]
                )
                if not ready:  # sound never stops: a platform does not answer
                    break
                if self._upstream in ready and not self._back(downstream):
                    break
                if downstream in ready:
                    data = downstream.recv(65_536)
                    if not data:
                        break
                    self._upstream.settimeout(STALLED_S)
                    self._upstream.sendall(self._first.feed(data))
        self.close()

    def _back(self, downstream: socket.socket) -> bool:
        """What the platform says; whether there is more to come."""
        self._upstream.settimeout(0.0)
        try:
            data = self._upstream.recv(65_536)
        except (BlockingIOError, ssl.SSLWantReadError):  # of TLS itself
            return True
        downstream.sendall(data)
        return bool(data)

    def close(self) -> None:
        """Both ends. Again: nothing."""
        with self._lock:
            if self._shut:
                return
            self._shut = True
            ends = [self._server, self._upstream, self._downstream]
        for end in ends:
            if end is not None:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()

    def __enter__(self) -> Line:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:  # what FFmpeg wrote last is on its way still
            self._thread.join(STALLED_S)
        self.close()


def _connect(address: str, destination: Destination) -> socket.socket:
    plain = socket.create_connection((address, destination.port), CONNECT_S)
    try:
        plain.settimeout(STALLED_S)
        if destination.scheme == "rtmp":
            return plain
        return ssl.create_default_context().wrap_socket(plain, server_hostname=destination.host)
    except BaseException:
        plain.close()
        raise
