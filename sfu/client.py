"""`MediaClient`: a small WebRTC client on the same parts as the server, for the demo guest, tests and load.

It sends packets that it is given and hands out those that it gets; it neither encodes nor decodes. It speaks the same
two connections as a browser: it offers what it publishes and answers what it is offered.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from sfu import sdp
from sfu.capabilities import (
    AUDIO_LEVEL_URI,
    MID_URI,
    REPAIRED_RID_URI,
    RID_URI,
    TRANSPORT_CC,
    TRANSPORT_CC_URI,
    Chosen,
    choose,
    extension_ids,
    publish_extensions,
)
from sfu.dtls import Certificate
from sfu.interface import SdpError, TrackLabel
from sfu.negotiation import SOURCE_KINDS, codec_attributes, transport_attributes
from sfu.peer import ClientPeer, LinkKind
from sfu.plane import ExtensionIds
from sfu.rtcp import (
    Bye,
    Nack,
    Pli,
    ReceiverReport,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    parse_compound,
    serialize_compound,
)
from sfu.rtp import MalformedPacket, parse_header
from sfu.sdp import Attributes, Description, Media
from sfu.srtp import SrtpError
from sfu.streams import ReceivedPacket, ReceiveStream, SendStream
from sfu.subscription import shape
from sfu.taps import Codec, Kind, TrackSource

REPORT_EVERY = 1.0

CODECS = {
    "OPUS": Codec("OPUS", 48000, 2),
    "VP9": Codec("VP9", 90000, 1, {"profile-id": "0"}),
    "H264": Codec(
        "H264",
        90000,
        1,
        {"level-asymmetry-allowed": "1", "packetization-mode": "1", "profile-level-id": "42e01f"},
    ),
    "VP8": Codec("VP8", 90000),
    "AV1": Codec("AV1", 90000),
}


@dataclass(frozen=True, slots=True)
class ClientTrack:
    """Something to publish: `codec` is a key of `CODECS`; `rids` name its encodings where it has several."""

    source: TrackSource
    codec: str
    rids: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        """Audio or video, by its source."""
        return SOURCE_KINDS[self.source]


class MediaClient:
    """`on_packet` gets every packet of the subscribe connection; `on_keyframe` the mid whose picture is asked for.

    `sent` and `on_keyframe` name the encodings of a simulcast track ``<mid>/<rid>``.

    `codecs` are those that it takes when subscribing; m-lines of others are rejected, as a browser would. With
    `receives` off it answers every m-line inactive: nothing is forwarded to it.
    """

    def __init__(
        self,
        *,
        on_packet: Callable[[ReceivedPacket], None] | None = None,
        on_keyframe: Callable[[str], None] | None = None,
        transport: LinkKind = "udp",
        codecs: Sequence[str] = tuple(CODECS),
        receives: bool = True,
        name: str = "client",
    ) -> None:
        self.name = name
        self.labels: list[TrackLabel] = []
        self.received: dict[int, ReceiveStream] = {}
        self.sent: dict[str, SendStream] = {}
        self._on_packet = on_packet
        self._on_keyframe = on_keyframe
        self._kind = transport
        self._codecs = frozenset(codecs)
        self._receives = receives
        self._certificate = Certificate()
        self._publish: ClientPeer | None = None
        self._subscribe: ClientPeer | None = None
        self._tracks: list[ClientTrack | None] = []
        self._shapes: list[Chosen] = []
        self._rtx: dict[int, ReceiveStream] = {}
        self._reporter: asyncio.Task[None] | None = None

    @property
    def publishing(self) -> ClientPeer | None:
        """The publish connection, for who moves packets by other means (the load generator)."""
        return self._publish

    @property
    def subscribing(self) -> ClientPeer | None:
        """The subscribe connection, likewise."""
        return self._subscribe

    # --- publishing -----------------------------------------------------------------------------

    async def connect_publish(
        self, tracks: Sequence[ClientTrack], exchange: Callable[[str, list[TrackLabel]], Awaitable[str]]
    ) -> None:
        """Offers the tracks through `exchange`, which returns the server's answer, and waits until media can flow."""
        await self.accept(await exchange(self.offer(tracks), self.labels))

    def offer(self, tracks: Sequence[ClientTrack | None]) -> str:
        """The offer for these tracks, one m-line each; None at a place leaves that m-line inactive.

        Later offers may only append, or put None. `labels` says what they carry. Raises ValueError otherwise.
        """
        if len(tracks) < len(self._tracks):
            raise ValueError("an m-line cannot be taken back: put None in its place")
        if self._publish is None or self._publish.closed.is_set():
            self._publish = ClientPeer(self._kind, lambda _: None, self._feedback, self._certificate)
        for index, track in enumerate(tracks):
            if index >= len(self._shapes):
                if track is None:
                    raise ValueError("a new m-line needs a track")
                self._shapes.append(shape(CODECS[track.codec], track.kind))
            elif track is not None and shape(CODECS[track.codec], track.kind) != self._shapes[index]:
                raise ValueError("an m-line cannot change its codec")
        self._tracks = list(tracks)
        self.labels = [TrackLabel(str(i), t.source) for i, t in enumerate(tracks) if t is not None]
        return self._write_offer(self._publish)

    def restart(self) -> str:
        """An offer for an ICE restart: new credentials, and a new socket once it is accepted."""
        if self._publish is None:
            raise ValueError("nothing is published")
        self._publish.renew()
        return self._write_offer(self._publish)

    def _write_offer(self, peer: ClientPeer) -> str:
        peer.version += 1
        mids = " ".join(str(i) for i in range(len(self._tracks)))
        description = Description(peer.session, peer.version, [("group", f"BUNDLE {mids}")])
        for index, (track, chosen) in enumerate(zip(self._tracks, self._shapes, strict=True)):
            mid = str(index)
            kind: Kind = "audio" if chosen.codec.name == "OPUS" else "video"
            lines: Attributes = transport_attributes(peer.local("actpass"), candidates=False)
            lines += [("mid", mid), ("sendonly" if track is not None else "inactive", None)]
            lines.append(("extmap", f"4 {MID_URI}"))
            if kind == "audio":
                lines.append(("extmap", f"1 {AUDIO_LEVEL_URI}"))
            lines += codec_attributes(chosen)
            if track is None:
                for name in [n for n in self.sent if n.partition("/")[0] == mid]:
                    del self.sent[name]
            elif track.rids:
                lines += [("extmap", f"10 {RID_URI}"), ("extmap", f"11 {REPAIRED_RID_URI}")]
                lines += [("rid", f"{rid} send") for rid in track.rids]
                lines.append(("simulcast", f"send {';'.join(track.rids)}"))
                for rid in track.rids:
                    self.sent.setdefault(f"{mid}/{rid}", SendStream(mid, chosen, ExtensionIds(), rid))
            else:
                stream = self.sent.get(mid)
                if stream is None:
                    stream = self.sent[mid] = SendStream(mid, chosen, ExtensionIds())
                if chosen.rtx is not None:
                    lines.append(("ssrc-group", f"FID {stream.ssrc} {stream.rtx_ssrc}"))
                    lines.append(("ssrc", f"{stream.rtx_ssrc} cname:{self.name}"))
                lines.append(("ssrc", f"{stream.ssrc} cname:{self.name}"))
            numbers = [str(n) for n in (chosen.payload_type, chosen.rtx) if n is not None]
            description.media.append(Media(kind, 9, "UDP/TLS/RTP/SAVPF", numbers, lines))
        return sdp.serialise(description)

    async def accept(self, answer: str) -> None:
        """Takes the answer and waits until media can flow. Raises `SdpError`, `TimeoutError`, `ConnectionError`."""
        if self._publish is None:
            raise ValueError("nothing was offered")
        description = sdp.parse(answer)
        self._connect(self._publish, description)
        for media in description.media:
            for stream in [] if media.stopped else [s for s in self.sent.values() if s.mid == media.mid]:
                kind: Kind = "audio" if media.kind == "audio" else "video"
                chosen = choose(kind, sdp.codecs(media))
                if chosen is None:
                    raise SdpError(f"the answer's m-line {media.mid} has no codec of ours")
                wanted = publish_extensions(kind, chosen, bool(stream.rid))
                stream.configure(chosen, extension_ids(sdp.extensions(media), wanted))
        await self._publish.connected()
        self._report_on()

    def send_rtp(
        self,
        mid: str,
        payload: bytes,
        timestamp: int,
        marker: bool = False,
        level: int | None = None,
        *,
        rid: str | None = None,
    ) -> None:
        """Sends one payload. `level` is the RFC 6464 byte (0 loudest, 127 silent, bit 0x80 for voice).

        `rid` tells which encoding of a simulcast track it belongs to. Unknown ones and packets before the connection
        stands are ignored.
        """
        stream = self.sent.get(mid if rid is None else f"{mid}/{rid}")
        if stream is not None and self._publish is not None and self._publish.srtp is not None:
            self._publish.send_rtp(stream.packet(payload, timestamp, marker, level, time.monotonic()))

    def _feedback(self, data: bytes) -> None:
        with contextlib.suppress(MalformedPacket):
            for packet in parse_compound(data):
                if isinstance(packet, Nack):
                    self._resend(packet)
                elif isinstance(packet, Pli) and self._on_keyframe is not None:
                    for name, stream in self.sent.items():
                        if stream.ssrc == packet.media:
                            self._on_keyframe(name)

    def _resend(self, nack: Nack) -> None:
        for stream in self.sent.values():
            if stream.ssrc == nack.media and self._publish is not None:
                for sequence in nack.sequences:
                    packet = stream.retransmission(sequence)
                    if packet is not None:
                        self._publish.send_rtp(packet)

    # --- subscribing ----------------------------------------------------------------------------

    async def answer(self, offer: str, rebuild: bool = False) -> str:
        """The answer to a subscribe offer; connects in the background. Raises `SdpError`."""
        description = sdp.parse(offer)
        if rebuild and self._subscribe is not None:
            await self._subscribe.close()
            self._subscribe = None
        peer = self._subscribe
        if peer is None or peer.closed.is_set():
            peer = self._subscribe = ClientPeer(self._kind, self._media, self._control, self._certificate)
        self._connect(peer, description, renew=True)
        peer.version += 1
        answer = Description(peer.session, peer.version)
        self.received, before = {}, self.received
        self._rtx = {}
        accepted: list[str] = []
        for media in description.media:
            chosen = None if media.stopped else choose("audio" if media.kind == "audio" else "video", sdp.codecs(media))
            if chosen is None or chosen.codec.name not in self._codecs:
                rejected: Attributes = [("mid", media.mid), ("inactive", None)]
                answer.media.append(Media(media.kind, 0, media.protocol, media.formats, rejected))
                continue
            accepted.append(media.mid)
            sending = self._receives and media.direction in ("sendonly", "sendrecv")
            lines = transport_attributes(peer.local("active"), candidates=False)
            lines += [("mid", media.mid), ("recvonly" if sending else "inactive", None)]
            # It does not tell when packets come, so that it must not say so.
            chosen = replace(chosen, feedback=tuple(f for f in chosen.feedback if f != TRANSPORT_CC))
            known = [(uri, number) for uri, number in sdp.extensions(media).items() if uri != TRANSPORT_CC_URI]
            lines += [("extmap", f"{number} {uri}") for uri, number in known]
            lines += codec_attributes(chosen)
            answer.media.append(Media(media.kind, 9, media.protocol, media.formats, lines))
            ssrc, rtx_ssrc = sdp.ssrcs(media)
            if sending and ssrc is not None:
                stream = before.get(ssrc) or ReceiveStream(media.mid, chosen, ssrc, rtx_ssrc)
                self.received[ssrc] = stream
                if rtx_ssrc is not None:
                    self._rtx[rtx_ssrc] = stream
        answer.attributes.append(("group", " ".join(["BUNDLE", *accepted])))
        self._report_on()
        return sdp.serialise(answer)

    async def subscribed(self) -> None:
        """Waits until the subscribe connection stands. Raises `TimeoutError` or `ConnectionError`."""
        if self._subscribe is None:
            raise ValueError("no offer was answered")
        await self._subscribe.connected()

    def request_keyframe(self, mid: str) -> None:
        """Asks the server for a picture to start from."""
        for stream in self.received.values():
            if stream.mid == mid and self._subscribe is not None:
                self._subscribe.send_rtcp(serialize_compound([ReceiverReport(1), Pli(1, stream.ssrc)]))

    def _media(self, data: bytes) -> None:
        try:
            header = parse_header(data)
        except MalformedPacket:
            return
        _, second, sequence, timestamp, ssrc, _, _, _, start, end = header
        retransmitted = False
        stream = self.received.get(ssrc)
        if stream is not None:
            stream.count(sequence, timestamp, time.monotonic())
        else:
            stream = self._rtx.get(ssrc)
            if stream is None or end - start < 2:
                return
            sequence = int.from_bytes(data[start : start + 2], "big")
            start += 2
            retransmitted = True
        if self._on_packet is not None:
            payload = data[start:end]
            self._on_packet(
                ReceivedPacket(stream.mid, sequence, timestamp, bool(second & 0x80), payload, retransmitted)
            )

    def _control(self, data: bytes) -> None:
        with contextlib.suppress(MalformedPacket):
            for packet in parse_compound(data):
                if isinstance(packet, SenderReport) and (stream := self.received.get(packet.ssrc)) is not None:
                    stream.sender_report(packet.ntp, time.monotonic())

    # --- both -----------------------------------------------------------------------------------

    def _connect(self, peer: ClientPeer, description: Description, *, renew: bool = False) -> None:
        media = next((m for m in description.media if not m.stopped), None)
        if media is None:
            raise SdpError("every m-line is rejected")
        remote = sdp.ice(description, media)
        address = self._candidate(media)
        if renew and peer.remote_changes(remote):
            peer.renew()
        peer.connect(remote, address, sdp.fingerprints(description, media))

    def _candidate(self, media: Media) -> tuple[str, int]:
        for text in sdp.values(media.attributes, "candidate"):
            fields = text.split()
            if len(fields) >= 8 and fields[2].lower() == self._kind and fields[5].isdecimal():
                return fields[4], int(fields[5])
        raise SdpError(f"the server offers no {self._kind} candidate")

    def _report_on(self) -> None:
        if self._reporter is None:
            self._reporter = asyncio.get_running_loop().create_task(self._report())

    async def _report(self) -> None:
        while True:
            now = time.monotonic()
            if self._publish is not None and self._publish.srtp is not None:
                for stream in self.sent.values():
                    report = stream.report(now, time.time())
                    if report is not None:
                        description = SourceDescription(((stream.ssrc, self.name),))
                        self._publish.send_rtcp(serialize_compound([report, description]))
            if self._subscribe is not None and self._subscribe.srtp is not None:
                blocks = [b for b in (s.report(now) for s in self.received.values()) if b is not None]
                for at in range(0, len(blocks), 16):
                    packets: list[RtcpPacket] = [ReceiverReport(1, tuple(blocks[at : at + 16]))]
                    self._subscribe.send_rtcp(serialize_compound(packets))
            await asyncio.sleep(REPORT_EVERY)

    async def vanish(self) -> None:
        """Ends without a word on either connection, as when the network is gone."""
        if self._reporter is not None:
            self._reporter.cancel()
            await asyncio.gather(self._reporter, return_exceptions=True)
            self._reporter = None
        for peer in (self._publish, self._subscribe):
            if peer is not None:
                await peer.vanish()

    async def close(self) -> None:
        """Says goodbye on both connections and ends."""
        if self._reporter is not None:
            self._reporter.cancel()
            await asyncio.gather(self._reporter, return_exceptions=True)
            self._reporter = None
        if self._publish is not None:
            if self.sent:
                with contextlib.suppress(SrtpError):
                    self._publish.send_rtcp(Bye(tuple(s.ssrc for s in self.sent.values())).serialize())
            await self._publish.close()
        if self._subscribe is not None:
            await self._subscribe.close()
