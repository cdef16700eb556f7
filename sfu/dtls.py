"""DTLS for one connection (RFC 5764), with aiortc's `RTCDtlsTransport` doing the handshake and nothing else.

aiortc reads from and writes to an ICE transport; ours is a bounded queue and a callback. SRTP keys are exported when
the handshake is done and aiortc never sees media. Its underscore names used here are pinned by a contract test.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal, cast

from aiortc import rtcdtlstransport as aio
from aiortc.rtcdtlstransport import RTCCertificate, RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport

from sfu.plane import SrtpKeys, SrtpProfile

HANDSHAKE_TIMEOUT = 30.0
QUEUE_LIMIT = 32

# AES-128-GCM first: it measured cheapest per packet; browsers take what the server prefers.
PROFILES: list[tuple[SrtpProfile, aio.SRTPProtectionProfile]] = [
    ("AEAD_AES_128_GCM", aio.SRTP_AEAD_AES_128_GCM),
    ("AEAD_AES_256_GCM", aio.SRTP_AEAD_AES_256_GCM),
    ("AES_CM_128_HMAC_SHA1_80", aio.SRTP_AES128_CM_SHA1_80),
]

Role = Literal["client", "server"]
Fingerprint = tuple[str, str]
"""Hash name in lower case, and upper-case hex bytes with colons."""


class Certificate:
    """A self-signed certificate; one serves the whole process."""

    def __init__(self) -> None:
        self._certificate = RTCCertificate.generateCertificate()

    @property
    def fingerprint(self) -> Fingerprint:
        """The SHA-256 fingerprint, for ``a=fingerprint``."""
        for fingerprint in self._certificate.getFingerprints():
            if fingerprint.algorithm == "sha-256":
                return fingerprint.algorithm, fingerprint.value
        raise RuntimeError("no SHA-256 fingerprint")


class _Pipe:
    """What `RTCDtlsTransport` needs of an ICE transport."""

    role = "controlled"
    state = "completed"

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(QUEUE_LIMIT)
        self._send_now = send

    async def _recv(self) -> bytes:
        datagram = await self._queue.get()
        if datagram is None:
            raise ConnectionError
        return datagram

    async def _send(self, datagram: bytes) -> None:
        self._send_now(datagram)

    def put(self, datagram: bytes | None) -> bool:
        try:
            self._queue.put_nowait(datagram)
        except asyncio.QueueFull:
            return False
        return True


class _Handshake(RTCDtlsTransport):
    """Exports the SRTP keys in place of building aiortc's own SRTP sessions."""

    keys: SrtpKeys | None = None

    def _setup_srtp(self) -> None:
        connection = self._ssl
        assert connection is not None  # aiortc calls this after the handshake
        chosen = connection.get_selected_srtp_profile()
        name, profile = next(((n, p) for n, p in PROFILES if p.openssl_profile == chosen), (None, None))
        if name is None or profile is None:
            self._set_state(aio.State.FAILED)
            return
        size = 2 * (profile.key_length + profile.salt_length)
        material = connection.export_keying_material(b"EXTRACTOR-dtls_srtp", size)
        client, server = profile.get_key_and_salt(material, 0), profile.get_key_and_salt(material, 1)
        rx, tx = (client, server) if self._role == "server" else (server, client)
        self.keys = SrtpKeys(name, rx, tx)


class DtlsSession:
    """One association. `run` carries it from the handshake to its end; feed datagrams with `receive`."""

    def __init__(
        self, certificate: Certificate, role: Role, peer: list[Fingerprint], send: Callable[[bytes], None]
    ) -> None:
        """`peer` lists the fingerprints of the peer's SDP; all with a known hash must match."""
        self._peer = peer
        self._pipe = _Pipe(send)
        self._transport = _Handshake(cast("Any", self._pipe), [certificate._certificate])
        self._transport._srtp_profiles = [profile for _, profile in PROFILES]
        self._transport._set_role(role)

    def receive(self, datagram: bytes) -> bool:
        """Queues a DTLS record from the validated route; false when it was dropped because too much waits."""
        return self._pipe.put(datagram)

    async def run(self, on_keys: Callable[[SrtpKeys], None]) -> bool:
        """Handshakes, hands out the keys, then waits for the end.

        True when it ended in order (close_notify, or `close`), False when the handshake failed or took too long.
        """
        parameters = RTCDtlsParameters([RTCDtlsFingerprint(algorithm=a, value=v) for a, v in self._peer])
        try:
            # Not wait_for: Python 3.11's loses a cancellation that comes as the handshake completes.
            async with asyncio.timeout(HANDSHAKE_TIMEOUT):
                await self._transport.start(parameters)
        except TimeoutError:
            return False
        keys, pump = self._transport.keys, self._transport._task
        if keys is None or pump is None:
            return False
        on_keys(keys)
        await asyncio.wait([pump])
        return True

    def drop(self) -> None:
        """Ends without a word to the peer."""
        self._pipe.put(None)

    async def close(self) -> None:
        """Says close_notify, if there was a handshake, and ends."""
        await self._transport.stop()
        self._pipe.put(None)
