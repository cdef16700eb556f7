"""SRTP and SRTCP (RFC 3711, RFC 7714) through libsrtp: one context for each direction of a transport."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pylibsrtp
from pylibsrtp import Policy, Session

from sfu.plane import SrtpKeys, SrtpProfile
from sfu.rtp import MAX_DATAGRAM

PROFILES: dict[SrtpProfile, int] = {
    "AEAD_AES_128_GCM": Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    "AEAD_AES_256_GCM": Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    "AES_CM_128_HMAC_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
}

KEY_LENGTHS: dict[SrtpProfile, int] = {
    "AEAD_AES_128_GCM": 16 + 12,
    "AEAD_AES_256_GCM": 32 + 12,
    "AES_CM_128_HMAC_SHA1_80": 16 + 14,
}
"""Master key and salt in bytes."""

MAX_PLAIN_RTP = MAX_DATAGRAM - pylibsrtp.SRTP_MAX_TRAILER_LEN
MAX_PLAIN_RTCP = MAX_DATAGRAM - pylibsrtp.SRTP_MAX_SRTCP_TRAILER_LEN
"""libsrtp's binding has a fixed buffer and keeps room for the longest trailer there is."""

WINDOW = 2048
"""Replay window in packets: eight seconds of a 2.5 Mbit/s stream, far more than any retransmission comes late."""

MAX_SSRCS = 256
"""Streams that one peer may open: libsrtp keeps state for each SSRC it ever authenticated."""

Refusal = Literal["decrypt", "replay", "oversize", "ssrc_limit", "encrypt"]


class SrtpError(Exception):
    """A packet that cannot be opened or sealed; `reason` is the counter's name."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(reason)
        self.reason: Refusal = reason


def _session(profile: SrtpProfile, key: bytes, direction: int) -> Session:
    if len(key) != KEY_LENGTHS[profile]:
        raise ValueError(f"{profile} takes {KEY_LENGTHS[profile]} bytes of key and salt, not {len(key)}")
    policy = Policy(key=key, ssrc_type=direction, srtp_profile=PROFILES[profile])
    policy.window_size = WINDOW
    # Never twice under one index: with GCM that would give the authentication key away. Who resends keeps sealed bytes.
    policy.allow_repeat_tx = False
    return Session(policy)


class Srtp:
    """Both directions of one transport. Raises ValueError for keys of the wrong length."""

    def __init__(self, keys: SrtpKeys) -> None:
        self._rx = _session(keys.profile, keys.rx, Policy.SSRC_ANY_INBOUND)
        self._tx = _session(keys.profile, keys.tx, Policy.SSRC_ANY_OUTBOUND)
        self._ssrcs: set[bytes] = set()
        self.protect = self._tx.protect
        """For the forwarding loop: at most `MAX_PLAIN_RTP` bytes, raises `pylibsrtp.Error`."""

    def open_rtp(self, datagram: bytes) -> bytes:
        """The RTP packet inside. Raises `SrtpError`."""
        return self._open(datagram, datagram[8:12], self._rx.unprotect)

    def open_rtcp(self, datagram: bytes) -> bytes:
        """The RTCP compound packet inside. Raises `SrtpError`."""
        return self._open(datagram, datagram[4:8], self._rx.unprotect_rtcp)

    def _open(self, datagram: bytes, ssrc: bytes, unprotect: Callable[[bytes], bytes]) -> bytes:
        if len(datagram) > MAX_DATAGRAM:
            raise SrtpError("oversize")
        known = ssrc in self._ssrcs
        if not known and len(self._ssrcs) >= MAX_SSRCS:
            raise SrtpError("ssrc_limit")
        try:
            plain = unprotect(datagram)
        except pylibsrtp.Error as error:
            raise SrtpError("replay" if "replay" in str(error) else "decrypt") from None
        if not known:
            self._ssrcs.add(ssrc)  # only now: a forged packet must not use up the limit
        return plain

    def seal_rtp(self, packet: bytes) -> bytes:
        """Raises `SrtpError`."""
        return self._seal(packet, self._tx.protect, MAX_PLAIN_RTP)

    def seal_rtcp(self, packet: bytes) -> bytes:
        """Raises `SrtpError`."""
        return self._seal(packet, self._tx.protect_rtcp, MAX_PLAIN_RTCP)

    def _seal(self, packet: bytes, protect: Callable[[bytes], bytes], limit: int) -> bytes:
        if len(packet) > limit:
            raise SrtpError("oversize")
        try:
            return protect(packet)
        except pylibsrtp.Error:
            raise SrtpError("encrypt") from None
