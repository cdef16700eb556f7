"""RTP packets (RFC 3550, section 5.1): parsing what the network sent and writing what we send.

`parse_header` finds where things are without copying, for code that runs once per packet; `RtpPacket` is the
comfortable form. Both raise `MalformedPacket` and nothing else, whatever the bytes are.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

MAX_DATAGRAM = 1500
"""Larger datagrams are refused before any parser sees them; no browser sends one."""

_FIXED = Struct("!BBHII")
_EXTENSION = Struct("!HH")

pack_fixed_header = _FIXED.pack
"""`(first, second, sequence, timestamp, ssrc)` as the 12 fixed bytes."""


class MalformedPacket(ValueError):
    """Bytes from the network that are not what they claim to be. The one error of all packet parsers here."""


def is_rtcp(datagram: bytes) -> bool:
    """Whether a datagram that starts like RTP is RTCP (RFC 5761, section 4): types 192 to 223."""
    return len(datagram) >= 2 and 192 <= datagram[1] <= 223


Header = tuple[int, int, int, int, int, int, int, int, int, int]
"""First byte, second byte, sequence, timestamp, ssrc, extension profile (0: none), extension start and end,
payload start and end (padding excluded)."""


def parse_header(data: bytes) -> Header:
    """Where everything is in an RTP packet."""
    size = len(data)
    if size < 12:
        raise MalformedPacket("RTP packet shorter than its header")
    first, second, sequence, timestamp, ssrc = _FIXED.unpack_from(data)
    if first & 0xC0 != 0x80:
        raise MalformedPacket("not RTP version 2")
    position = 12 + 4 * (first & 0x0F)
    profile = extension_start = extension_end = 0
    if first & 0x10:
        if size < position + 4:
            raise MalformedPacket("truncated RTP header extension")
        profile, words = _EXTENSION.unpack_from(data, position)
        extension_start = position + 4
        position = extension_end = extension_start + 4 * words
    end = size
    if first & 0x20:
        padding = data[-1]
        if not padding:
            raise MalformedPacket("RTP padding of zero bytes")
        end -= padding
    if position > end:
        raise MalformedPacket("RTP packet shorter than its parts")
    return (first, second, sequence, timestamp, ssrc, profile, extension_start, extension_end, position, end)


@dataclass(slots=True)
class RtpPacket:
    """One RTP packet. `extension` is the raw block after its four-byte head (see `sfu.extensions`), whole 32-bit words;
    `padding` counts the padding bytes, the count itself included (0: none)."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    marker: bool = False
    payload: bytes = b""
    csrcs: tuple[int, ...] = ()
    extension_profile: int | None = None
    extension: bytes = b""
    padding: int = 0

    @classmethod
    def parse(cls, data: bytes) -> RtpPacket:
        """Raises `MalformedPacket`."""
        first, second, sequence, timestamp, ssrc, profile, start, end, payload, stop = parse_header(data)
        count = first & 0x0F
        return cls(
            payload_type=second & 0x7F,
            sequence=sequence,
            timestamp=timestamp,
            ssrc=ssrc,
            marker=bool(second & 0x80),
            payload=data[payload:stop],
            csrcs=Struct(f"!{count}I").unpack_from(data, 12) if count else (),
            extension_profile=profile if first & 0x10 else None,
            extension=data[start:end],
            padding=len(data) - stop,
        )

    def serialize(self) -> bytes:
        """The bytes on the wire, before SRTP. Raises ValueError for parts that do not fit the format."""
        if len(self.csrcs) > 15 or len(self.extension) % 4 or not 0 <= self.padding <= 255:
            raise ValueError("at most 15 CSRCs, extensions of whole words, padding of at most 255 bytes")
        extended = self.extension_profile is not None
        first = 0x80 | (0x20 if self.padding else 0) | (0x10 if extended else 0) | len(self.csrcs)
        second = (0x80 if self.marker else 0) | self.payload_type
        data = pack_fixed_header(first, second, self.sequence, self.timestamp, self.ssrc)
        if self.csrcs:
            data += Struct(f"!{len(self.csrcs)}I").pack(*self.csrcs)
        if self.extension_profile is not None:
            data += _EXTENSION.pack(self.extension_profile, len(self.extension) // 4) + self.extension
        data += self.payload
        if self.padding:
            data += bytes(self.padding - 1) + bytes((self.padding,))
        return data


def wrap_rtx(payload_type: int, sequence: int, ssrc: int, original: RtpPacket) -> RtpPacket:
    """A retransmission of `original` on its own stream: the original sequence leads the payload (RFC 4588, 4)."""
    return RtpPacket(
        payload_type=payload_type,
        sequence=sequence,
        timestamp=original.timestamp,
        ssrc=ssrc,
        marker=original.marker,
        payload=original.sequence.to_bytes(2, "big") + original.payload,
        csrcs=original.csrcs,
        extension_profile=original.extension_profile,
        extension=original.extension,
    )


def unwrap_rtx(payload_type: int, ssrc: int, rtx: RtpPacket) -> RtpPacket:
    """The packet that a retransmission carries. Raises `MalformedPacket` where there is none (probing)."""
    if len(rtx.payload) < 2:
        raise MalformedPacket("retransmission without an original sequence number")
    return RtpPacket(
        payload_type=payload_type,
        sequence=int.from_bytes(rtx.payload[:2], "big"),
        timestamp=rtx.timestamp,
        ssrc=ssrc,
        marker=rtx.marker,
        payload=rtx.payload[2:],
        csrcs=rtx.csrcs,
        extension_profile=rtx.extension_profile,
        extension=rtx.extension,
    )
