"""RTP streams of a client: numbering, history and reports of what it sends, statistics of what it receives. Pure."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from sfu.capabilities import Chosen
from sfu.extensions import NO_LEVEL, HeaderExtensions
from sfu.plane import ExtensionIds
from sfu.reception import Reception
from sfu.rtcp import Report, SenderReport
from sfu.rtp import pack_fixed_header
from sfu.sequence import Numbering

HISTORY = 512
# Seconds from 1900, where NTP begins, to 1970.
NTP_EPOCH = 2_208_988_800


@dataclass(frozen=True, slots=True)
class ReceivedPacket:
    """One RTP packet that a client got; `sequence` and `timestamp` as on the wire."""

    mid: str
    sequence: int
    timestamp: int
    marker: bool
    payload: bytes
    retransmitted: bool


def ntp_time(unix: float) -> int:
    """Seconds since 1970 as a 64-bit NTP time."""
    return int((unix + NTP_EPOCH) * 0x100000000)


class SendStream:
    """One outgoing stream. `seal` turns RTP into SRTP, `send` puts it on the wire."""

    def __init__(self, mid: str, chosen: Chosen, extensions: ExtensionIds, rid: str = "") -> None:
        self.mid = mid
        self.rid = rid
        self.ssrc = secrets.randbits(32)
        self.rtx_ssrc = secrets.randbits(32)
        self.packets = self.octets = 0
        self.resent = 0
        self.configure(chosen, extensions)
        # The lower half: early loss cannot confuse the roll-over counter then (RFC 3711, appendix).
        self._sequence = secrets.randbelow(0x8000)
        self._rtx_sequence = secrets.randbelow(0x8000)
        self._history: dict[int, tuple[int, int, bytes, bytes]] = {}
        self._last: tuple[int, float] | None = None

    def configure(self, chosen: Chosen, extensions: ExtensionIds) -> None:
        """What the answer agreed to."""
        self.chosen = chosen
        self._extensions = HeaderExtensions(extensions, self.mid, self.rid)
        self._repaired = HeaderExtensions(extensions, self.mid, self.rid, repaired=True).render(NO_LEVEL, b"")

    def packet(self, payload: bytes, timestamp: int, marker: bool, level: int | None, now: float) -> bytes:
        """The next RTP packet."""
        self._sequence = (self._sequence + 1) & 0xFFFF
        second = (0x80 if marker else 0) | self.chosen.payload_type
        extension = self._extensions.render(NO_LEVEL if level is None else level, b"")
        if self.chosen.rtx is not None:
            self._history[self._sequence] = (second & 0x80, timestamp, extension, payload)
            self._history.pop((self._sequence - HISTORY) & 0xFFFF, None)
        self.packets += 1
        self.octets += len(payload)
        self._last = (timestamp, now)
        first = 0x90 if extension else 0x80
        return pack_fixed_header(first, second, self._sequence, timestamp & 0xFFFFFFFF, self.ssrc) + extension + payload

    def retransmission(self, sequence: int) -> bytes | None:
        """The packet again on the RTX stream (RFC 4588); None when it is no longer known."""
        kept = self._history.get(sequence)
        if kept is None or self.chosen.rtx is None:
            return None
        marker, timestamp, extension, payload = kept
        if self.rid:
            extension = self._repaired
        self._rtx_sequence = (self._rtx_sequence + 1) & 0xFFFF
        self.resent += 1
        first, second = 0x90 if extension else 0x80, marker | self.chosen.rtx
        header = pack_fixed_header(first, second, self._rtx_sequence, timestamp & 0xFFFFFFFF, self.rtx_ssrc)
        return header + extension + sequence.to_bytes(2, "big") + payload

    def report(self, now: float, unix: float) -> SenderReport | None:
        """The sender report for this moment; None before the first packet."""
        if self._last is None:
            return None
        timestamp = self._last[0] + round((now - self._last[1]) * self.chosen.codec.clock_rate)
        return SenderReport(self.ssrc, ntp_time(unix), timestamp, self.packets, self.octets)


class ReceiveStream:
    """One incoming stream of a subscribe connection."""

    def __init__(self, mid: str, chosen: Chosen, ssrc: int, rtx_ssrc: int | None) -> None:
        self.mid = mid
        self.chosen = chosen
        self.ssrc = ssrc
        self.rtx_ssrc = rtx_ssrc
        self.lost = 0
        self._numbering = Numbering(chosen.codec.clock_rate)
        self._reception = Reception(chosen.codec.clock_rate)

    @property
    def received(self) -> int:
        """Packets of the stream itself, retransmissions left out."""
        return self._reception.received

    def count(self, sequence: int, timestamp: int, now: float) -> None:
        """A packet of the stream itself has come."""
        placed = self._numbering.place(sequence, timestamp, now)
        if placed is not None:
            self._reception.packet(*placed, self._numbering.epoch, now)

    def sender_report(self, ntp: int, now: float) -> None:
        """The server's sender report, for the round trip."""
        self._reception.sender_report(ntp, now)

    def report(self, now: float) -> Report | None:
        """The report block for this moment; None before the first packet."""
        if not self._numbering.started:
            return None
        highest = self._numbering.highest
        expected, lost = self._reception.interval(highest)
        self.lost += lost
        fraction = lost / expected if expected else 0.0
        return self._reception.report(self.ssrc, highest, self._numbering.wire_highest(), fraction, now)
