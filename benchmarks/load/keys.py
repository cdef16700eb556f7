"""SRTP session keys for the C programs (RFC 3711, section 4.3; RFC 7714, section 11): AES-GCM profiles only."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from sfu.srtp import KEY_LENGTHS

SALT = 12
LABELS = {"rtp": (0x00, 0x02), "rtcp": (0x03, 0x05)}


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """What seals and opens packets, with key derivation done."""

    key: bytes
    salt: bytes


def session_keys(master: bytes, kind: str = "rtp") -> SessionKeys:
    """From a master key with its salt appended. Raises ValueError for what is not an AES-GCM profile's length."""
    if len(master) not in (KEY_LENGTHS["AEAD_AES_128_GCM"], KEY_LENGTHS["AEAD_AES_256_GCM"]):
        raise ValueError(f"{len(master)} bytes are no AES-GCM master key and salt")
    key, salt = master[:-SALT], master[-SALT:]

    def derive(label: int, length: int) -> bytes:
        # The 96-bit salt stands on the left of the 112 bits that AES-CM has; the index of the key is 0.
        block = bytearray(salt + bytes(4))
        block[7] ^= label
        return Cipher(AES(key), CTR(bytes(block))).encryptor().update(bytes(length))

    key_label, salt_label = LABELS[kind]
    return SessionKeys(derive(key_label, len(key)), derive(salt_label, SALT))
