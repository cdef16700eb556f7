"""Asks a TURN server for a real allocation, as a browser would (RFC 8656), to tell the operator whether it works.

The client is aioice's. Nothing goes anywhere but to the server named.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from dataclasses import dataclass
from typing import Literal, cast

from aioice import stun, turn

WITHIN = 6.0
URL = re.compile(r"(turns?):(\[[0-9a-fA-F:.]+\]|[^:?\[\]\s]+)(?::(\d{1,5}))?(?:\?transport=(udp|tcp))?")

Failure = Literal["url", "unreachable", "certificate", "credentials", "refused", "peer"]


class RelayError(Exception):
    """`failure` tells where it went wrong; the text is for the operator."""

    def __init__(self, failure: Failure, text: str) -> None:
        super().__init__(text)
        self.failure: Failure = failure


@dataclass(frozen=True)
class Target:
    """A TURN URL taken apart (RFC 7065). `secure` is TLS, over TCP."""

    host: str
    port: int
    transport: Literal["udp", "tcp"]
    secure: bool


@dataclass(frozen=True)
class Allocation:
    """What the server gave, and how long that took, in seconds."""

    relayed: tuple[str, int]
    took: float


def parse(url: str) -> Target:
    """Raises RelayError for what is no TURN URL, or one that browsers do not take."""
    found = URL.fullmatch(url)
    if found is None:
        raise RelayError("url", "it is no TURN URL: turn:HOST:PORT?transport=udp, or turns:HOST:PORT?transport=tcp")
    scheme, host, port, transport = found.groups()
    secure = scheme == "turns"
    if secure and transport == "udp":
        raise RelayError("url", "browsers do not speak TURN over DTLS: use turns:...?transport=tcp")
    number = int(port) if port else 5349 if secure else 3478
    if not 0 < number < 65536:
        raise RelayError("url", f"{number} is no port")
    return Target(host.strip("[]"), number, "tcp" if secure or transport == "tcp" else "udp", secure)


class _Peer(asyncio.DatagramProtocol):
    """The relayed side; keeps the first thing that goes wrong when something is sent to a peer."""

    def __init__(self) -> None:
        self.failed: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

    def error_received(self, exc: Exception) -> None:
        if not self.failed.done():
            self.failed.set_result(exc)


async def allocate(
    url: str,
    username: str,
    password: str,
    peer: tuple[str, int] | None = None,
    context: ssl.SSLContext | None = None,
) -> Allocation:
    """Makes an allocation and gives it back. With `peer`, asks that it may send there too. Raises RelayError."""
    target = parse(url)
    began = time.monotonic()
    secure = (context or ssl.create_default_context()) if target.secure else None
    try:
        async with asyncio.timeout(WITHIN):
            found = await asyncio.get_running_loop().getaddrinfo(target.host, target.port)
            address = cast(tuple[str, int], found[0][4][:2])
            transport, protocol = await turn.create_turn_endpoint(
                _Peer,
                # TLS checks the name, so it must be the name that connects; UDP needs an address.
                (target.host, target.port) if target.transport == "tcp" else address,
                username,
                password,
                lifetime=60,
                ssl=secure,
                transport=target.transport,
            )
    except TimeoutError:
        raise RelayError("unreachable", f"no answer within {WITHIN:.0f} s") from None
    except stun.TransactionFailed as error:
        raise _refused(error) from None
    except stun.TransactionTimeout:
        raise RelayError("unreachable", "no answer") from None
    except ssl.SSLError as error:
        raise RelayError("certificate", getattr(error, "verify_message", "") or error.reason or str(error)) from None
    except OSError as error:
        raise RelayError("unreachable", error.strerror or str(error)) from None
    took = time.monotonic() - began
    try:
        relayed = cast(tuple[str, int], transport.get_extra_info("sockname"))
        if peer is not None:
            transport.sendto(b"\0", peer)
            done, _ = await asyncio.wait([protocol.failed], timeout=max(0.3, 3 * took))
            if done:
                failure = protocol.failed.result()
                code = failure.response.error_code if isinstance(failure, stun.TransactionFailed) else None
                raise RelayError("peer", f"code {code}" if code else str(failure))
        return Allocation(relayed, took)
    finally:
        transport.close()


def _refused(error: stun.TransactionFailed) -> RelayError:
    code = error.response.error_code
    reason = str(error.response.attributes.get("ERROR-CODE", (code, ""))[1])
    kind: Failure = "credentials" if code in (401, 403, 437, 438, 441) else "refused"
    return RelayError(kind, f"code {code} {reason}".strip())
