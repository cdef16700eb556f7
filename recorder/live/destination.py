"""Where a live programme may be pushed to: an address of RTMP or RTMPS and its stream key, checked. Pure.

Only these two: whoever runs a broadcast chooses it, and what sends it (FFmpeg) knows many protocols.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

LONGEST = 512
PORTS: dict[str, int] = {"rtmp": 1935, "rtmps": 443}
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", re.IGNORECASE)
_PATH = re.compile(r"(/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)+/?(\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?")
_KEY = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*")


class BadDestination(ValueError):
    """Why it cannot be one; without the key."""


@dataclass(frozen=True, slots=True)
class Destination:
    """`path` is the application's, and the key is a secret: it is in no text that this makes."""

    scheme: Literal["rtmp", "rtmps"]
    host: str
    port: int
    path: str
    key: str = field(repr=False)

    @classmethod
    def parse(cls, address: str, key: str) -> Destination:
        """Of an address and a key as platforms give them. Raises BadDestination."""
        address, key = address.strip(), key.strip()
        if len(address) > LONGEST or len(key) > LONGEST:
            raise BadDestination("the address or the key is too long")
        try:
            parts = urlsplit(address)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise BadDestination("this is no address") from None
        if parts.scheme not in ("rtmp", "rtmps"):
            raise BadDestination("the address must begin with rtmp:// or rtmps://")
        if "@" in parts.netloc:
            raise BadDestination("names and passwords do not belong in the address")
        if not _HOST.fullmatch(host) and not _literal(host):
            raise BadDestination("the address has no name of a server")
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        if not _PATH.fullmatch(path) or parts.fragment:
            raise BadDestination("the address needs an application after the server: rtmp://server/application")
        if not _KEY.fullmatch(key):
            raise BadDestination("the key has characters that no key has")
        if not key and path.rstrip("/").count("/") < 2:
            raise BadDestination("a stream key is needed")
        scheme: Literal["rtmp", "rtmps"] = "rtmp" if parts.scheme == "rtmp" else "rtmps"
        return cls(scheme, host, port or PORTS[scheme], path.rstrip("/"), key)

    @property
    def origin(self) -> str:
        """What is shown: scheme, server and port; addresses carry keys in their paths too."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == PORTS[self.scheme] else f":{self.port}")

    @property
    def target(self) -> str:
        """Path and key, as they are asked for. A secret."""
        return f"{self.path}/{self.key}" if self.key else self.path


def _literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def reachable(addresses: Iterable[str], private: bool) -> list[str]:
    """Those of a server's addresses that may be connected to: with `private` all, else those of the internet alone."""
    return [one for one in addresses if private or _public(one)]


def _public(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        # Addresses that stand for others (mapped, 6to4, NAT64) are as those others.
        if ip.ipv4_mapped is not None:
            return _public(str(ip.ipv4_mapped))
        if ip.sixtofour is not None or ip.teredo is not None or ip in ipaddress.ip_network("64:ff9b::/96"):
            return False
    return ip.is_global and not ip.is_multicast
