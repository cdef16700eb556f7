"""Which addresses to offer as ICE candidates, found without asking anybody outside."""

from __future__ import annotations

import fcntl
import ipaddress
import socket
import struct
from pathlib import Path

SIOCGIFADDR = 0x8915
_IPV6_TABLE = Path("/proc/net/if_inet6")


def candidate_addresses(host: str, public: tuple[str, ...] = ()) -> tuple[str, ...]:
    """`public` if given; else the bound address; else, for a wildcard, every address of this machine's interfaces.

    Loopback is offered only when bound to it or when there is nothing else. Raises `ValueError` for a public address
    that is not an IP address.
    """
    if public:
        return tuple(str(ipaddress.ip_address(address)) for address in public)
    bound = ipaddress.ip_address(socket.gethostbyname(host) if host and not _is_address(host) else host or "::")
    if not bound.is_unspecified:
        return (str(bound),)
    found = _ipv4_addresses()
    if bound.version == 6:
        found += _ipv6_addresses()
    usable = [a for a in found if not ipaddress.ip_address(a).is_loopback]
    return tuple(dict.fromkeys(usable)) or ("127.0.0.1",)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _ipv4_addresses() -> list[str]:
    found: list[str] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            try:
                reply = fcntl.ioctl(probe.fileno(), SIOCGIFADDR, struct.pack("256s", name[:15].encode()))
            except OSError:
                continue  # an interface without an IPv4 address
            found.append(socket.inet_ntoa(reply[20:24]))
    return found


def _ipv6_addresses() -> list[str]:
    """Global and unique-local addresses; link-local ones need a zone that a candidate cannot carry."""
    if not _IPV6_TABLE.exists():
        return []
    found: list[str] = []
    for line in _IPV6_TABLE.read_text().splitlines():
        address = ipaddress.IPv6Address(bytes.fromhex(line.split()[0]))
        if not address.is_link_local:
            found.append(str(address))
    return found
