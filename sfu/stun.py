"""STUN messages (RFC 8489) as ICE uses them (RFC 8445): binding requests, responses and errors.

Parsing is strict: whatever is not exactly a well-formed message raises `StunError`, and nothing here keeps state.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import ipaddress
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

MAGIC_COOKIE = 0x2112A442
MAGIC_BYTES = MAGIC_COOKIE.to_bytes(4, "big")
HEADER_SIZE = 20
BINDING = 0x001
FINGERPRINT_XOR = 0x5354554E
MAX_ATTRIBUTES = 32

Address = tuple[str, int]


class StunError(ValueError):
    """Not a STUN message, or a broken one."""


class Class(IntEnum):
    """The two class bits of the message type (RFC 8489, section 5)."""

    REQUEST = 0b00
    INDICATION = 0b01
    SUCCESS = 0b10
    ERROR = 0b11


class Attribute(IntEnum):
    """Attribute types we read or write (RFC 8489, section 18.3; RFC 8445, section 16.1)."""

    USERNAME = 0x0006
    MESSAGE_INTEGRITY = 0x0008
    ERROR_CODE = 0x0009
    UNKNOWN_ATTRIBUTES = 0x000A
    XOR_MAPPED_ADDRESS = 0x0020
    PRIORITY = 0x0024
    USE_CANDIDATE = 0x0025
    SOFTWARE = 0x8022
    FINGERPRINT = 0x8028
    ICE_CONTROLLED = 0x8029
    ICE_CONTROLLING = 0x802A


_FIXED_LENGTHS = {
    Attribute.MESSAGE_INTEGRITY: 20,
    Attribute.PRIORITY: 4,
    Attribute.USE_CANDIDATE: 0,
    Attribute.FINGERPRINT: 4,
    Attribute.ICE_CONTROLLED: 8,
    Attribute.ICE_CONTROLLING: 8,
}
_KNOWN_REQUIRED = frozenset(int(a) for a in Attribute if a < 0x8000)


@dataclass(frozen=True, slots=True)
class Message:
    """One parsed message. `signed` is what MESSAGE-INTEGRITY covers (its length adjusted), empty without one."""

    kind: Class
    method: int
    transaction: bytes
    attributes: tuple[tuple[int, bytes], ...]
    signed: bytes = b""

    def get(self, attribute: Attribute) -> bytes | None:
        """The first value of an attribute, or None."""
        for kind, value in self.attributes:
            if kind == attribute:
                return value
        return None

    @property
    def username(self) -> str | None:
        """USERNAME as text, None when absent or not UTF-8."""
        value = self.get(Attribute.USERNAME)
        if value is None:
            return None
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return None

    @property
    def unknown_required(self) -> list[int]:
        """Comprehension-required attributes that we do not know (they call for error 420)."""
        return [kind for kind, _ in self.attributes if kind < 0x8000 and kind not in _KNOWN_REQUIRED]

    @property
    def mapped_address(self) -> Address | None:
        """XOR-MAPPED-ADDRESS, None when absent or malformed."""
        value = self.get(Attribute.XOR_MAPPED_ADDRESS)
        if value is None or len(value) not in (8, 20) or value[1] != (1 if len(value) == 8 else 2):
            return None
        port = int.from_bytes(value[2:4], "big") ^ (MAGIC_COOKIE >> 16)
        mask = MAGIC_BYTES + self.transaction
        host = bytes(a ^ b for a, b in zip(value[4:], mask, strict=False))
        return str(ipaddress.ip_address(host)), port

    @property
    def error_code(self) -> int | None:
        """ERROR-CODE as a number such as 401, None when absent or malformed."""
        value = self.get(Attribute.ERROR_CODE)
        if value is None or len(value) < 4:
            return None
        return (value[2] & 7) * 100 + value[3]

    def authentic(self, password: bytes) -> bool:
        """Whether MESSAGE-INTEGRITY is there and right for `password`."""
        value = self.get(Attribute.MESSAGE_INTEGRITY)
        if value is None:
            return False
        return hmac.compare_digest(hmac.new(password, self.signed, hashlib.sha1).digest(), value)


def is_stun(datagram: bytes) -> bool:
    """A cheap look before parsing: the first byte and the cookie (RFC 7983, RFC 8489 section 5)."""
    return len(datagram) >= HEADER_SIZE and datagram[0] < 4 and datagram[4:8] == MAGIC_BYTES


def parse(datagram: bytes) -> Message:
    """Parses one whole datagram. Raises `StunError` with the reason."""
    if len(datagram) < HEADER_SIZE:
        raise StunError("shorter than a header")
    word, length = struct.unpack_from("!HH", datagram)
    if word & 0xC000:
        raise StunError("first two bits are not zero")
    if datagram[4:8] != MAGIC_BYTES:
        raise StunError("wrong magic cookie")
    if length % 4 or length != len(datagram) - HEADER_SIZE:
        raise StunError("length does not match")
    attributes: list[tuple[int, bytes]] = []
    signed = b""
    offset = HEADER_SIZE
    while offset < len(datagram):
        kind, size = struct.unpack_from("!HH", datagram, offset)
        end = offset + 4 + size
        padded = end + (-size % 4)
        if padded > len(datagram):
            raise StunError("attribute runs past the end")
        if _FIXED_LENGTHS.get(kind, size) != size:
            raise StunError(f"attribute 0x{kind:04x} has a wrong length")
        value = datagram[offset + 4 : end]
        if kind == Attribute.FINGERPRINT:
            if padded != len(datagram):
                raise StunError("fingerprint is not last")
            if int.from_bytes(value, "big") != _fingerprint(datagram[:offset]):
                raise StunError("wrong fingerprint")
        elif kind == Attribute.MESSAGE_INTEGRITY and not signed:
            covered = struct.pack("!HH", word, offset + 24 - HEADER_SIZE)
            signed = covered + datagram[4:offset]
        elif signed:
            # RFC 8489, section 14.5: what follows the integrity is ignored, except the fingerprint.
            offset = padded
            continue
        attributes.append((kind, value))
        if len(attributes) > MAX_ATTRIBUTES:
            raise StunError("too many attributes")
        offset = padded
    # Bits of the class are interleaved with those of the method (RFC 8489, figure 3).
    kind_bits = (word >> 4 & 1) | (word >> 7 & 2)
    method = (word & 0xF) | (word >> 1 & 0x70) | (word >> 2 & 0xF80)
    return Message(Class(kind_bits), method, datagram[8:20], tuple(attributes), signed)


def build(
    kind: Class, transaction: bytes, attributes: Sequence[tuple[int, bytes]] = (), password: bytes | None = None
) -> bytes:
    """A binding message with FINGERPRINT, and with MESSAGE-INTEGRITY when `password` is given."""
    word = BINDING | (kind & 1) << 4 | (kind & 2) << 7
    body = b"".join(struct.pack("!HH", a, len(v)) + v + bytes(-len(v) % 4) for a, v in attributes)

    def head(extra: int) -> bytes:
        return struct.pack("!HH", word, len(body) + extra) + MAGIC_BYTES + transaction

    if password is not None:
        digest = hmac.new(password, head(24) + body, hashlib.sha1).digest()
        body += struct.pack("!HH", Attribute.MESSAGE_INTEGRITY, 20) + digest
    covered = head(8) + body
    return covered + struct.pack("!HHI", Attribute.FINGERPRINT, 4, _fingerprint(covered))


def xor_address(address: Address, transaction: bytes) -> bytes:
    """The value of XOR-MAPPED-ADDRESS (RFC 8489, section 14.2). IPv4 mapped into IPv6 is told as IPv4."""
    ip = ipaddress.ip_address(address[0].split("%", 1)[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    mask = MAGIC_BYTES + transaction
    host = bytes(a ^ b for a, b in zip(ip.packed, mask, strict=False))
    return struct.pack("!BBH", 0, 1 if ip.version == 4 else 2, address[1] ^ (MAGIC_COOKIE >> 16)) + host


def error_value(code: int, reason: str) -> bytes:
    """The value of ERROR-CODE (RFC 8489, section 14.8)."""
    return struct.pack("!HBB", 0, code // 100, code % 100) + reason.encode()


def _fingerprint(covered: bytes) -> int:
    return (binascii.crc32(covered) & 0xFFFFFFFF) ^ FINGERPRINT_XOR
