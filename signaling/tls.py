"""HTTPS: a certificate from files, or one that the server makes for itself once."""

from __future__ import annotations

import datetime
import ipaddress
import os
import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from signaling.settings import Settings, SettingsError

DAYS = 397


def context(settings: Settings) -> ssl.SSLContext | None:
    """TLS 1.2 and up; None without TLS. Raises SettingsError for files that cannot be used."""
    mode = settings.tls.mode
    if mode == "off":
        return None
    if mode == "files":
        cert, key = Path(settings.tls.cert), Path(settings.tls.key)
    else:
        cert, key = settings.data / "tls" / "cert.pem", settings.data / "tls" / "key.pem"
        if not (cert.is_file() and key.is_file() and not _expires_soon(cert)):
            make(cert, key, _names(settings))
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        made.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"tls.cert = {str(cert)!r} is not allowed: it cannot be used: {error}") from None
    return made


def _names(settings: Settings) -> list[str]:
    names = ["localhost", socket.gethostname(), "127.0.0.1", "::1", *settings.media.public_addresses]
    if settings.host not in ("", "0.0.0.0", "::"):
        names.append(settings.host)
    if settings.public_url and (host := urlsplit(settings.public_url).hostname):
        names.append(host)
    return list(dict.fromkeys(names))


def _expires_soon(cert: Path) -> bool:
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificate(cert.read_bytes())
    except ValueError:
        return True
    return found.not_valid_after_utc < datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=14)


def make(cert: Path, key: Path, names: list[str]) -> None:
    """A self-signed certificate for `names` (host names and IP addresses), P-256, the key for its owner only."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def general(name: str) -> x509.GeneralName:
        try:
            return x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            return x509.DNSName(name)

    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Consilium")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName([general(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private, hashes.SHA256())
    )
    cert.parent.mkdir(parents=True, exist_ok=True)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(pem)
    cert.write_bytes(built.public_bytes(serialization.Encoding.PEM))
