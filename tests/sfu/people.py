"""People in a room for tests: `MediaClient`s, an events recorder, packet feeds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from sfu.client import ClientTrack, MediaClient
from sfu.interface import ConnectionKind, ConnectionState, Offer, TrackLabel
from sfu.server import SfuRoom
from sfu.streams import ReceivedPacket
from sfu.taps import TrackInfo


class Recorded:
    """`RoomEvents` that delivers offers to clients and remembers the rest. `until` waits for a condition on it."""

    def __init__(self) -> None:
        self.tracks: dict[str, TrackInfo] = {}
        self.removed: list[str] = []
        self.offers: dict[str, list[Offer]] = {}
        self.states: dict[tuple[str, str], ConnectionState] = {}
        self.spoken: list[list[str]] = []
        self.encoded: dict[str, list[str]] = {}
        self.failures: list[BaseException] = []
        self.deliver: dict[str, Callable[[Offer], object]] = {}
        self._changed = asyncio.Event()

    def track_added(self, track: TrackInfo) -> None:
        self.tracks[track.id] = track
        self.poke()

    def track_removed(self, track: TrackInfo) -> None:
        del self.tracks[track.id]
        self.removed.append(track.id)
        self.poke()

    def offer(self, participant: str, offer: Offer) -> None:
        self.offers.setdefault(participant, []).append(offer)
        if participant in self.deliver:
            self.deliver[participant](offer)
        self.poke()

    def speakers(self, participants: list[str]) -> None:
        self.spoken.append(participants)
        self.poke()

    def encodings(self, participant: str, track: str, active: list[str]) -> None:
        self.encoded[track] = active
        self.poke()

    def connection(self, participant: str, connection: ConnectionKind, state: ConnectionState) -> None:
        self.states[participant, connection] = state
        self.poke()

    def poke(self) -> None:
        self._changed.set()

    async def until(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


class Person:
    """One participant with a `MediaClient`; `packets` are those received, by track id."""

    def __init__(self, room: SfuRoom, events: Recorded, name: str, **options: object) -> None:
        self.room, self.events, self.name = room, events, name
        self.packets: dict[str, list[ReceivedPacket]] = {}
        self.keyframes: list[str] = []
        self.mids: dict[str, str] = {}
        self.tracks: dict[str, str] = {}
        self.client = MediaClient(on_packet=self._packet, on_keyframe=self._keyframe, name=name, **options)  # type: ignore[arg-type]
        self._tasks: set[asyncio.Task[None]] = set()
        room.add_participant(name)
        events.deliver[name] = self._offered

    def _packet(self, packet: ReceivedPacket) -> None:
        track = self.mids.get(packet.mid)
        if track is not None:
            self.packets.setdefault(track, []).append(packet)
            self.events.poke()

    def _keyframe(self, mid: str) -> None:
        self.keyframes.append(mid)
        self.events.poke()

    def _offered(self, offer: Offer) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(offer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, offer: Offer) -> None:
        try:
            self.mids = {t.mid: t.track for t in offer.tracks}
            answer = await self.client.answer(offer.sdp, offer.rebuild)
            await self.room.answer(self.name, offer.revision, answer)
        except Exception as error:
            self.events.failures.append(error)
        self.events.poke()

    async def exchange(self, sdp: str, labels: list[TrackLabel]) -> str:
        published = await self.room.publish(self.name, sdp, labels)
        self.tracks = published.tracks
        return published.sdp

    async def publish(self, tracks: Sequence[ClientTrack]) -> None:
        await self.client.connect_publish(tracks, self.exchange)

    def listen(self) -> None:
        self.room.subscribe(self.name)

    async def close(self) -> None:
        await self.client.close()


class Feed:
    """Sends numbered packets at a steady rate while it runs."""

    def __init__(
        self, client: MediaClient, mid: str, *, period: float, clock: int, size: int = 200, rid: str | None = None
    ) -> None:
        self.client, self.mid, self.period, self.clock, self.size, self.rid = client, mid, period, clock, size, rid
        self.sent = 0
        self.key: Callable[[], bool] = lambda: True
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Feed:
        self._task = asyncio.get_running_loop().create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        while True:
            payload = (
                vp8_frame(self.sent, self.size, self.key())
                if self.clock == 90000
                else self.sent.to_bytes(4, "big") * 20
            )
            timestamp = round(self.sent * self.period * self.clock)
            self.client.send_rtp(self.mid, payload, timestamp, True, 0x80 | 30, rid=self.rid)
            self.sent += 1
            await asyncio.sleep(max(0.0, start + self.sent * self.period - loop.time()))


def vp8_frame(number: int, size: int, key: bool) -> bytes:
    """A one-packet VP8 frame (RFC 7741): descriptor, frame tag, in a key frame start code and 16x16, a number."""
    head = b"\x10\x02\x00\x9d\x01\x2a\x10\x00\x10\x00" if key else b"\x11\x02\x00"
    return b"\x10" + head + number.to_bytes(4, "big") + bytes(size)


MICROPHONE = ClientTrack("microphone", "OPUS")
CAMERA = ClientTrack("camera", "VP8")
