"""Sound that is made in this process, brought to the plane as if a publisher had sent it: an RTP stream, sealed."""

from __future__ import annotations

import secrets

from sfu.capabilities import Chosen
from sfu.plane import ExtensionIds, Plane, SourceSpec, SrtpKeys
from sfu.srtp import KEY_LENGTHS, Srtp
from sfu.streams import SendStream
from sfu.taps import Codec

OPUS = Codec("OPUS", 48_000, 2)
PAYLOAD_TYPE = 111
REPORT_EVERY = 1.0


class Nowhere:
    """The route back to this publisher: it reads nothing."""

    def send(self, datagram: bytes, picture: bool = False) -> None:
        """Dropped."""


class Injection:
    """One Opus source of the plane. Times are seconds of the monotonic clock, by which its sender reports tell too."""

    def __init__(self, plane: Plane, name: str, group: str) -> None:
        self.source = name
        self._plane = plane
        self._transport = f"inject-{secrets.token_hex(8)}"
        size = KEY_LENGTHS["AEAD_AES_128_GCM"]
        mine, theirs = secrets.token_bytes(size), secrets.token_bytes(size)
        self._srtp = Srtp(SrtpKeys("AEAD_AES_128_GCM", rx=theirs, tx=mine))
        chosen = Chosen(OPUS, PAYLOAD_TYPE, None, ())
        self._stream = SendStream("0", chosen, ExtensionIds())
        self._reported = float("-inf")
        plane.add_transport(self._transport, SrtpKeys("AEAD_AES_128_GCM", rx=mine, tx=theirs), Nowhere(), group)
        plane.add_source(
            self._transport,
            SourceSpec(
                id=name,
                kind="audio",
                codec=OPUS,
                mid="0",
                payload_type=PAYLOAD_TYPE,
                rtx_payload_type=None,
                ssrc=self._stream.ssrc,
                rtx_ssrc=None,
                extensions=ExtensionIds(),
                nack=False,
            ),
        )

    def send(self, payload: bytes, position: int, at: float, now: float) -> None:
        """20 ms that begin at sample `position` (48 kHz), heard on stage at the time `at`."""
        packet = self._stream.packet(payload, position & 0xFFFFFFFF, False, None, at)
        self._plane.receive(self._transport, self._srtp.seal_rtp(packet), now)
        if now - self._reported >= REPORT_EVERY:
            self._reported = now
            # The plane's clock and this one are the same: seconds of it stand where those of 1970 would.
            report = self._stream.report(now, now)
            if report is not None:
                self._plane.receive(self._transport, self._srtp.seal_rtcp(report.serialize()), now)

    def close(self) -> None:
        """Nothing more comes."""
        self._plane.remove_transport(self._transport)
