"""Real WebRTC ends for the load generator: ICE and DTLS-SRTP by `MediaClient`, then the packets go to C.

`Signalling` is all that differs from server to server.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Protocol

from benchmarks.load.generator import Counters, Publisher, Receiver
from benchmarks.load.keys import session_keys
from sfu import sdp
from sfu.capabilities import TRANSPORT_CC_URI, extension_ids, wanted_extensions
from sfu.client import ClientTrack, MediaClient
from sfu.dtls import PROFILES
from sfu.interface import TrackLabel
from sfu.links import UdpLink
from sfu.peer import ClientPeer
from sfu.rtcp import ReceiverReport, Report, serialize_compound
from sfu.srtp import SrtpError

REPORT_EVERY = 1.0
BUFFER = 4 << 20


class Signalling(Protocol):
    """How offers and answers get to a server and back."""

    async def publish(self, offer: str, labels: list[TrackLabel]) -> str:
        """The answer to the publisher's offer."""

    async def subscribe(self, viewer: str) -> str:
        """The server's offer to this viewer."""

    async def answer(self, viewer: str, answer: str) -> None:
        """The viewer's answer to it."""


def cheapest_profile_only() -> None:
    """From here on our DTLS ends offer AES-128-GCM alone, so that every server seals with the same cipher."""
    PROFILES[:] = [profile for profile in PROFILES if profile[0] == "AEAD_AES_128_GCM"]


def hand_over(peer: ClientPeer | None) -> socket.socket:
    if peer is None or not isinstance(peer.link, UdpLink):
        raise ConnectionError("the connection does not stand")
    sock = peer.link.hand_over()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    return sock


class Source:
    """One publisher of one VP8 camera."""

    def __init__(self) -> None:
        self.media = MediaClient(on_keyframe=self._wanted, name="source")
        self.publisher: Publisher | None = None
        self.keyframes_wanted = 0

    async def connect(self, signalling: Signalling) -> None:
        """Raises what the signalling raises, `TimeoutError` or `ConnectionError`."""
        answers: list[str] = []

        async def exchange(offer: str, labels: list[TrackLabel]) -> str:
            answers.append(await signalling.publish(offer, labels))
            return answers[0]

        await self.media.connect_publish([ClientTrack("camera", "VP8")], exchange)
        peer = self.media.publishing
        if peer is None or not isinstance(peer.link, UdpLink) or peer.keys is None:
            raise ConnectionError("the connection does not stand")
        stream = self.media.sent["0"]
        agreed = extension_ids(sdp.extensions(sdp.parse(answers[0]).media[0]), wanted_extensions("video"))
        # The Python side goes on reading: feedback for the publisher is little.
        self.publisher = Publisher(
            peer.link.borrow(), session_keys(peer.keys.tx), stream.ssrc, stream.chosen.payload_type, agreed, "0"
        )

    def _wanted(self, mid: str) -> None:
        self.keyframes_wanted += 1
        if self.publisher is not None:
            self.publisher.keyframe()

    async def close(self) -> None:
        if self.publisher is not None:
            self.publisher.close()
        await self.media.close()


class Viewer:
    """One subscriber. It reports once a second what it got, as browsers do, and asks for no retransmissions."""

    def __init__(self, name: str, receiver: Receiver) -> None:
        self.name = name
        self.media = MediaClient(name=name, codecs=("VP8",))
        self.index = -1
        self._receiver = receiver
        self._before = Counters(*[0] * 8)
        self._ssrc = 0

    async def connect(self, signalling: Signalling) -> None:
        """Until media can flow to the C side. Raises as `Source.connect`."""
        offer = ""
        while not self.media.received:  # some offer before the track is among it
            offer = await signalling.subscribe(self.name)
            await signalling.answer(self.name, await self.media.answer(offer))
        await self.media.subscribed()
        peer = self.media.subscribing
        if peer is None or peer.keys is None or len(self.media.received) != 1:
            raise ConnectionError(f"one stream was expected, not {len(self.media.received)}")
        self._ssrc = next(iter(self.media.received))
        # The answer took every extension of the offer, so this one is in use where it was offered.
        twcc = sdp.extensions(sdp.parse(offer).media[0]).get(TRANSPORT_CC_URI)
        keys, feedback = session_keys(peer.keys.rx), session_keys(peer.keys.tx, "rtcp")
        self.index = self._receiver.add(hand_over(peer), self._ssrc, keys, twcc, feedback)

    def report(self) -> None:
        """Sends a receiver report of the time since the last one."""
        peer = self.media.subscribing
        now = self._receiver.counters(self.index)
        if peer is None or not now.packets:
            return
        before = self._before if self._before.packets <= now.packets else Counters(*[0] * 8)
        lost, got = now.lost - before.lost, now.packets - before.packets
        fraction = max(0.0, lost / (lost + got)) if lost + got else 0.0
        report = Report(self._ssrc, fraction, now.lost, now.highest & 0xFFFFFFFF, 0, 0, 0)
        self._before = now
        with contextlib.suppress(SrtpError):
            peer.send_rtcp(serialize_compound([ReceiverReport(1, (report,))]))

    async def close(self) -> None:
        await self.media.close()


async def report_for(viewers: list[Viewer]) -> None:
    """Receiver reports of all viewers, spread over each second, until cancelled. The list may grow meanwhile."""
    while True:
        pause = REPORT_EVERY / max(1, len(viewers))
        for viewer in list(viewers):
            if viewer.index >= 0:
                viewer.report()
            if pause >= 0.002:
                await asyncio.sleep(pause)
        await asyncio.sleep(REPORT_EVERY if pause < 0.002 else 0)
