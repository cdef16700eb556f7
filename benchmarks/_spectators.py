"""Viewers of a broadcast by WHEP without a screen: ICE and DTLS-SRTP by our client, then the packets go to C."""

from __future__ import annotations

import asyncio
import secrets
from urllib.parse import urlsplit

import aiohttp

from benchmarks._viewers import ticket
from benchmarks.load.generator import Receiver
from benchmarks.load.keys import session_keys
from benchmarks.load.webrtc import hand_over
from sfu import sdp
from sfu.capabilities import AUDIO_FEEDBACK, MID_URI, TRANSPORT_CC_URI, VIDEO_FEEDBACK, Chosen
from sfu.dtls import Certificate
from sfu.interface import TrackLabel
from sfu.negotiation import codec_attributes, session_attributes, transport_attributes
from sfu.peer import ClientPeer
from sfu.sdp import Attributes, Description, Media
from sfu.taps import Codec

TWCC, MID = 3, 4
LINES = (
    ("video", Chosen(Codec("VP8", 90_000), 96, 97, VIDEO_FEEDBACK), [(TWCC, TRANSPORT_CC_URI), (MID, MID_URI)]),
    # Not counted together with the picture: the load generator tells of one stream only.
    ("audio", Chosen(Codec("OPUS", 48_000, 2), 111, None, AUDIO_FEEDBACK[:1]), [(MID, MID_URI)]),
)


class WhipSignalling:
    """A publisher's offers by WHIP."""

    def __init__(self, http: aiohttp.ClientSession, server: str, code: str) -> None:
        self._http, self._url, self._code = http, f"{server}/whip/demo", code

    async def publish(self, offer: str, labels: list[TrackLabel]) -> str:
        headers = {"Content-Type": "application/sdp", "Authorization": f"Bearer {self._code}"}
        async with self._http.post(self._url, data=offer, headers=headers) as answer:
            answer.raise_for_status()
            return await answer.text()

    async def subscribe(self, viewer: str) -> str:
        raise NotImplementedError

    async def answer(self, viewer: str, answer: str) -> None:
        raise NotImplementedError


def _offer(peer: ClientPeer) -> str:
    offer = Description(str(secrets.randbits(62)), 1, session_attributes(["0", "1"]))
    offer.attributes.remove(("ice-lite", None))
    for mid, (kind, chosen, extensions) in enumerate(LINES):
        attributes: Attributes = transport_attributes(peer.local("actpass"), candidates=False)
        attributes += [("mid", str(mid)), ("recvonly", None)]
        attributes += [("extmap", f"{number} {uri}") for number, uri in extensions]
        attributes += codec_attributes(chosen)
        formats = [str(number) for number in (chosen.payload_type, chosen.rtx) if number is not None]
        offer.media.append(Media(kind, 9, "UDP/TLS/RTP/SAVPF", formats, attributes))
    return sdp.serialise(offer)


class Spectator:
    """One of them; its picture is counted by the receiver."""

    def __init__(self, receiver: Receiver, certificate: Certificate) -> None:
        self.index = -1
        self._receiver = receiver
        self._peer = ClientPeer("udp", lambda _: None, lambda _: None, certificate)

    async def connect(self, http: aiohttp.ClientSession, base: str, cookie: str) -> None:
        """Until media can flow to the C side."""
        headers = {"Content-Type": "application/sdp", "Cookie": cookie}
        async with http.post(f"{base}/whep", data=_offer(self._peer), headers=headers) as answer:
            if answer.status != 201:
                raise ConnectionError(await answer.text())
            found = sdp.parse(await answer.text())
        media = found.media[0]
        candidate = sdp.values(media.attributes, "candidate")[0].split()
        self._peer.connect(sdp.ice(found, media), (candidate[4], int(candidate[5])), sdp.fingerprints(found, media))
        await self._peer.connected()
        assert self._peer.keys is not None
        ssrc, _ = sdp.ssrcs(media)
        assert ssrc is not None
        keys, feedback = session_keys(self._peer.keys.rx), session_keys(self._peer.keys.tx, "rtcp")
        self.index = self._receiver.add(hand_over(self._peer), ssrc, keys, TWCC, feedback)

    async def close(self) -> None:
        await self._peer.close()


async def seat(http: aiohttp.ClientSession, link: str, receiver: Receiver, count: int) -> list[Spectator]:
    """So many more, a few at a time, each with a ticket of its own."""
    certificate = Certificate()
    seated: list[Spectator] = []

    async def come(one: Spectator) -> None:
        await one.connect(http, *await ticket(http, link))

    while len(seated) < count:
        batch = [Spectator(receiver, certificate) for _ in range(min(4, count - len(seated)))]
        await asyncio.gather(*map(come, batch))
        seated += batch
    return seated


def server_of(link: str) -> str:
    """``http://host:port`` of a link."""
    parts = urlsplit(link)
    return f"{parts.scheme}://{parts.netloc}"
