"""The C half of the load generator (`load.c`) behind Python names."""

from __future__ import annotations

import asyncio
import ctypes
import itertools
import socket
from dataclasses import dataclass, fields

from benchmarks.load.build import compiled
from benchmarks.load.keys import SessionKeys
from sfu.extensions import NO_LEVEL, HeaderExtensions
from sfu.plane import ExtensionIds
from sfu.rtp import pack_fixed_header

BUCKETS = 200_000
KEYFRAME_EVERY = 60
NO_KEYS = SessionKeys(b"", b"")


@dataclass(frozen=True, slots=True)
class Counters:
    """What one viewer got since the last reset: `lost` by sequence numbers, `verified` of which `wrong` differed from
    what was sent, `other` datagrams (STUN, DTLS, RTCP, retransmissions), `highest` extended sequence number."""

    packets: int
    bytes: int
    lost: int
    late: int
    verified: int
    wrong: int
    other: int
    highest: int


_Counters = ctypes.c_uint64 * len(fields(Counters))


def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(str(compiled("load/load.c", shared=True)))
    pointer, integer, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    for name, result, arguments in (
        ("load_new", pointer, [integer]),
        ("load_add", integer, [pointer, integer, ctypes.c_uint32, text, integer, text, integer, text, text]),
        ("load_verify", None, [pointer, ctypes.c_uint]),
        ("load_reset", None, [pointer]),
        ("load_counters", None, [pointer, integer, pointer]),
        ("load_delays", None, [pointer, pointer]),
        ("load_free", None, [pointer]),
        ("publisher_new", pointer, [integer, text, integer, text, integer, text]),
        ("publisher_keyframe", None, [pointer]),
        ("publisher_stop", None, [pointer]),
        ("publisher_send", ctypes.c_long, [pointer, ctypes.c_long, integer, integer, ctypes.c_double, integer]),
        ("publisher_free", None, [pointer]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class Publisher:
    """One outgoing stream of numbered VP8 packets on a connected UDP socket."""

    def __init__(
        self, sock: socket.socket, keys: SessionKeys, ssrc: int, payload_type: int, extensions: ExtensionIds, mid: str
    ) -> None:
        self._library = _library()
        extension = HeaderExtensions(extensions, mid).render(NO_LEVEL, b"")
        header = pack_fixed_header(0x90 if extension else 0x80, payload_type, 1000, 0, ssrc) + extension
        self._handle = self._library.publisher_new(
            sock.fileno(), header, len(header), keys.key, len(keys.key), keys.salt
        )
        if not self._handle:
            raise MemoryError("no publisher")

    async def send(self, packets: int, *, burst: int, size: int, rate: float) -> int:
        """`packets` of `size` bytes of payload, `rate` a second, in frames of `burst`. Returns how many went out."""
        arguments = (self._handle, packets, burst, size, rate, KEYFRAME_EVERY)
        sent = await asyncio.to_thread(self._library.publisher_send, *arguments)
        if sent < 0:
            raise ValueError(f"cannot send {packets} packets of {size} bytes in bursts of {burst}")
        return int(sent)

    def keyframe(self) -> None:
        """The next frame is a key frame."""
        self._library.publisher_keyframe(self._handle)

    def stop(self) -> None:
        """Ends a `send` that is under way."""
        self._library.publisher_stop(self._handle)

    def close(self) -> None:
        """Only when nothing is being sent."""
        self._library.publisher_free(self._handle)


class Receiver:
    """Receives for up to `capacity` viewers on a thread of its own."""

    def __init__(self, capacity: int) -> None:
        self._library = _library()
        self._handle = self._library.load_new(capacity)
        if not self._handle:
            raise MemoryError("no receiver")
        self.count = 0

    def add(
        self,
        sock: socket.socket,
        ssrc: int,
        keys: SessionKeys,
        twcc: int | None = None,
        feedback: SessionKeys = NO_KEYS,
    ) -> int:
        """Takes over reading the socket; what comes with this SSRC is the viewer's media. Returns its number.

        `twcc` is the id of the transport-wide sequence number's extension; `feedback` then seals the answers to it.
        """
        media = (keys.key, len(keys.key), keys.salt)
        index = self._library.load_add(
            self._handle, sock.fileno(), ssrc, *media, twcc or 0, feedback.key, feedback.salt
        )
        if index < 0:
            raise OSError("the receiver is full or cannot read this socket")
        self.count += 1
        return int(index)

    def verify(self, every: int) -> None:
        """Opens and compares one packet in `every`; 0: none."""
        self._library.load_verify(self._handle, every)

    async def reset(self) -> None:
        """Counters and delays from zero."""
        self._library.load_reset(self._handle)
        await asyncio.sleep(0.06)

    def counters(self, index: int) -> Counters:
        """Of one viewer."""
        raw = _Counters()
        self._library.load_counters(self._handle, index, raw)
        return Counters(*raw)

    def all(self) -> list[Counters]:
        """Of every viewer, in the order in which they were added."""
        return [self.counters(index) for index in range(self.count)]

    def delay(self, percents: tuple[float, ...]) -> list[float]:
        """Percentiles of the verified packets' delays, in microseconds; NaN where there are none."""
        raw = (ctypes.c_uint32 * BUCKETS)()
        self._library.load_delays(self._handle, raw)
        sums = list(itertools.accumulate(raw))
        if not sums[-1]:
            return [float("nan")] * len(percents)
        found = []
        for percent in percents:
            wanted = max(1.0, percent / 100 * sums[-1])
            found.append(float(next(micro for micro, below in enumerate(sums) if below >= wanted)))
        return found

    def close(self) -> None:
        """Ends the thread. The sockets stay whose they were."""
        self._library.load_free(self._handle)
