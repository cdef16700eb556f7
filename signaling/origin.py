"""Who is asking, under which name, from which page: proxies, host names and origins."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from signaling.settings import Settings

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def is_loopback(address: str | None) -> bool:
    """Whether an address is this machine's own loopback."""
    try:
        return address is not None and ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def host_name(host: str) -> str:
    """The name in a Host header, without port and brackets, lower case."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


class Origins:
    """Decides by settings. A page under a name that is not ours may not talk to us (DNS rebinding)."""

    def __init__(self, settings: Settings) -> None:
        self._proxies: list[Network] = [ipaddress.ip_network(p, strict=False) for p in settings.trusted_proxies]
        public = urlsplit(settings.public_url) if settings.public_url else None
        self._public = f"{public.scheme}://{public.netloc}".lower() if public else None
        self._names = {"localhost", socket.gethostname().lower()}
        if public and public.hostname:
            self._names.add(public.hostname)
        self._tls = settings.tls.mode != "off"

    def _trusted(self, address: str | None) -> bool:
        try:
            found = ipaddress.ip_address(address or "")
        except ValueError:
            return False
        return any(found in network for network in self._proxies)

    def address(self, remote: str | None, headers: Mapping[str, str]) -> str:
        """The client's address: the last in X-Forwarded-For that is not a proxy of ours, if a proxy of ours says so."""
        if not self._trusted(remote):
            return remote or "unknown"
        for hop in reversed([part.strip() for part in headers.get("X-Forwarded-For", "").split(",") if part.strip()]):
            if not self._trusted(hop):
                return hop
        return remote or "unknown"

    def is_direct_loopback(self, remote: str | None, headers: Mapping[str, str]) -> bool:
        """Somebody on this very machine, not somebody behind a proxy on it."""
        forwarded = any(name in headers for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP"))
        return is_loopback(remote) and not forwarded

    def is_secure(self, remote: str | None, headers: Mapping[str, str]) -> bool:
        """Whether the browser came by HTTPS."""
        if self._tls:
            return True
        return self._trusted(remote) and headers.get("X-Forwarded-Proto", "").lower() == "https"

    def known_host(self, host: str) -> bool:
        """Whether a Host header names this server: its public name, localhost, the machine's name, an IP address."""
        name = host_name(host)
        if name in self._names or name.endswith(".localhost"):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def same_origin(self, origin: str | None, host: str) -> bool:
        """Whether a request comes from our own page. Programs send no Origin; browsers do."""
        if origin is None:
            return True
        if origin.lower() == self._public:
            return True
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower()
