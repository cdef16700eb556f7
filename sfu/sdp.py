"""Session descriptions (RFC 8866) as WebRTC uses them (RFC 8829): a bounded parser, a serialiser, typed readers.

The parser keeps attributes as they came; the readers (`codecs`, `extensions`, ...) give the parts we understand.
Everything wrong raises `SdpError` with a reason that a person can read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from sfu.interface import SdpError

MAX_SIZE = 200_000
MAX_LINES = 4_000
MAX_LINE = 4_000
MAX_SECTIONS = 128
MAX_ENCODINGS = 3

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
Attributes = list[tuple[str, str | None]]

_TOKEN = re.compile(r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]{1,64}")
_ICE_CHARS = re.compile(r"[A-Za-z0-9+/]{4,256}")
_FINGERPRINT = re.compile(r"[0-9A-F]{2}(:[0-9A-F]{2}){15,63}")
_RID = re.compile(r"[A-Za-z0-9_-]{1,16}")
_HASHES = {"sha-256": 32, "sha-384": 48, "sha-512": 64}


@dataclass(slots=True)
class Media:
    """One m-section."""

    kind: str
    port: int
    protocol: str
    formats: list[str]
    attributes: Attributes = field(default_factory=list)

    @property
    def mid(self) -> str:
        """``a=mid``; raises `SdpError` without a usable one."""
        mid = value(self.attributes, "mid")
        if mid is None or not is_token(mid):
            raise SdpError(f"an m-line ({self.kind}) has no usable a=mid")
        return mid

    @property
    def direction(self) -> Direction:
        """``sendrecv`` when nothing is said."""
        for name, _ in self.attributes:
            if name in ("sendrecv", "sendonly", "recvonly", "inactive"):
                return name  # type: ignore[return-value]
        return "sendrecv"

    @property
    def stopped(self) -> bool:
        """Port 0 means stopped or rejected, unless the section is only waiting for its bundle (RFC 8843, section 6)."""
        return self.port == 0 and not has(self.attributes, "bundle-only")


@dataclass(slots=True)
class Description:
    """A whole description. `session` identifies the peer's session (the second field of ``o=``)."""

    session: str
    version: int
    attributes: Attributes = field(default_factory=list)
    media: list[Media] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PayloadType:
    """One ``a=rtpmap`` with its ``a=fmtp`` and ``a=rtcp-fb`` lines. `name` is in upper case."""

    number: int
    name: str
    clock_rate: int
    channels: int
    parameters: dict[str, str]
    feedback: frozenset[str]


@dataclass(frozen=True, slots=True)
class IceParameters:
    """The peer's ``a=ice-ufrag`` and ``a=ice-pwd``."""

    ufrag: str
    password: str


@dataclass(frozen=True, slots=True)
class Rid:
    """An ``a=rid`` that sends (RFC 8851); `payload_types` that it is restricted to, None for any."""

    name: str
    payload_types: frozenset[str] | None


def is_token(text: str) -> bool:
    """Whether `text` may stand as a token (mid, msid) in a description."""
    return _TOKEN.fullmatch(text) is not None


def value(attributes: Attributes, name: str) -> str | None:
    """The first value of an attribute; None when absent or without a value."""
    return next((v for n, v in attributes if n == name), None)


def values(attributes: Attributes, name: str) -> list[str]:
    """Every value of an attribute."""
    return [v for n, v in attributes if n == name and v is not None]


def has(attributes: Attributes, name: str) -> bool:
    """Whether a property attribute is there."""
    return any(n == name for n, _ in attributes)


def parse(text: str) -> Description:
    """Parses a description. Raises `SdpError`."""
    if len(text) > MAX_SIZE:
        raise SdpError("the description is too long")
    lines = text.replace("\r\n", "\n").split("\n")
    if lines and not lines[-1]:
        lines.pop()
    if len(lines) > MAX_LINES:
        raise SdpError("the description has too many lines")
    if not lines or lines[0] != "v=0":
        raise SdpError("not a session description: it must begin with v=0")
    description: Description | None = None
    attributes: Attributes | None = None
    for number, line in enumerate(lines[1:], start=2):
        if len(line) > MAX_LINE or len(line) < 2 or line[1] != "=" or "\r" in line or "\0" in line:
            raise SdpError(f"line {number} is malformed")
        kind, content = line[0], line[2:]
        if kind == "o":
            if description is not None:
                raise SdpError("more than one o= line")
            description = _origin(content)
            attributes = description.attributes
        elif description is None or attributes is None:
            raise SdpError(f"line {number} comes before o=")
        elif kind == "m":
            if len(description.media) >= MAX_SECTIONS:
                raise SdpError("too many m-lines")
            media = _media(content, number)
            description.media.append(media)
            attributes = media.attributes
        elif kind == "a":
            name, colon, text_value = content.partition(":")
            if not name:
                raise SdpError(f"line {number} is malformed")
            attributes.append((name, text_value if colon else None))
    if description is None:
        raise SdpError("there is no o= line")
    return description


def _origin(content: str) -> Description:
    fields = content.split(" ")
    if len(fields) != 6 or not fields[1].isdecimal() or not fields[2].isdecimal() or len(fields[2]) > 20:
        raise SdpError("the o= line is malformed")
    return Description(fields[1], int(fields[2]))


def _media(content: str, number: int) -> Media:
    fields = content.split(" ")
    if len(fields) < 4 or not _number(fields[1], 65535) or not all(fields):
        raise SdpError(f"line {number}: the m= line is malformed")
    return Media(fields[0], int(fields[1]), fields[2], fields[3:])


def serialise(description: Description) -> str:
    """The text of a description, CRLF lines."""
    lines = ["v=0", f"o=- {description.session} {description.version} IN IP4 127.0.0.1", "s=-", "t=0 0"]
    lines += [_attribute(n, v) for n, v in description.attributes]
    for media in description.media:
        lines.append(f"m={media.kind} {media.port} {media.protocol} {' '.join(media.formats)}")
        lines.append("c=IN IP4 0.0.0.0")
        lines += [_attribute(n, v) for n, v in media.attributes]
    return "\r\n".join(lines) + "\r\n"


def _attribute(name: str, text: str | None) -> str:
    return f"a={name}" if text is None else f"a={name}:{text}"


# --- readers --------------------------------------------------------------------------------------


def codecs(media: Media) -> list[PayloadType]:
    """Payload types in the order of preference of the m-line; those without a usable ``rtpmap`` are left out."""
    maps: dict[str, tuple[str, int, int]] = {}
    for text in values(media.attributes, "rtpmap"):
        number, _, encoding = text.partition(" ")
        fields = encoding.split("/")
        if 2 <= len(fields) <= 3 and all(_number(f, 1_000_000) for f in fields[1:]) and fields[0]:
            maps[number] = (fields[0].upper(), int(fields[1]), int(fields[2]) if len(fields) == 3 else 1)
    parameters: dict[str, dict[str, str]] = {}
    for text in values(media.attributes, "fmtp"):
        number, _, content = text.partition(" ")
        parameters[number] = parse_parameters(content)
    feedback: dict[str, set[str]] = {}
    for text in values(media.attributes, "rtcp-fb"):
        number, _, content = text.partition(" ")
        feedback.setdefault(number, set()).add(content.strip())
    found: list[PayloadType] = []
    for number in dict.fromkeys(media.formats):
        if number in maps and _number(number, 127):
            heard = frozenset(feedback.get(number, set()) | feedback.get("*", set()))
            found.append(PayloadType(int(number), *maps[number], parameters.get(number, {}), heard))
    return found


def parse_parameters(content: str) -> dict[str, str]:
    """``a=1;b=2`` as a dict; names in lower case, a bare name has an empty value."""
    found: dict[str, str] = {}
    for part in content.split(";"):
        name, _, text = part.strip().partition("=")
        if name:
            found[name.lower()] = text.strip()
    return found


def format_parameters(parameters: dict[str, str]) -> str:
    """The opposite of `parse_parameters`."""
    return ";".join(f"{name}={text}" if text else name for name, text in parameters.items())


def extensions(media: Media) -> dict[str, int]:
    """Header extension ids by URI (RFC 8285), one-byte ids only."""
    found: dict[str, int] = {}
    for text in values(media.attributes, "extmap"):
        fields = text.split(" ")
        number = fields[0].partition("/")[0]
        if len(fields) >= 2 and _number(number, 14) and int(number) > 0:
            found.setdefault(fields[1], int(number))
    return found


def ssrcs(media: Media) -> tuple[int | None, int | None]:
    """The SSRC of the stream and of its retransmissions (``a=ssrc-group:FID``), where signalled."""
    for text in values(media.attributes, "ssrc-group"):
        fields = text.split(" ")
        if fields[0] == "FID" and len(fields) == 3 and all(_number(f, 2**32 - 1) for f in fields[1:]):
            return int(fields[1]), int(fields[2])
    for text in values(media.attributes, "ssrc"):
        number = text.partition(" ")[0]
        if _number(number, 2**32 - 1):
            return int(number), None
    return None, None


def simulcast(media: Media) -> list[Rid]:
    """The encodings of ``a=simulcast:send`` (RFC 8853) in their order, the first of each list of alternatives; empty
    where there are not several. Raises `SdpError`.

    Firefox before version 63 wrote ``send rid=a;b``.
    """
    text = value(media.attributes, "simulcast")
    if text is None:
        return []
    fields = text.split()
    sent = dict(zip(fields[::2], fields[1::2], strict=False)).get("send")
    if sent is None:
        return []
    restrictions: dict[str, dict[str, str]] = {}
    for line in values(media.attributes, "rid"):
        parts = line.split(" ", 2)
        if len(parts) >= 2 and parts[1] == "send":
            restrictions[parts[0]] = parse_parameters(parts[2]) if len(parts) == 3 else {}
    found: list[Rid] = []
    for alternatives in sent.removeprefix("rid=").split(";"):
        name = alternatives.split(",")[0].removeprefix("~")
        if not _RID.fullmatch(name) or name not in restrictions:
            raise SdpError(f"a=simulcast of the m-line {media.mid} names an encoding without a usable a=rid")
        if any(name == rid.name for rid in found):
            raise SdpError(f"a=simulcast of the m-line {media.mid} names an encoding twice")
        types = restrictions[name].get("pt")
        found.append(Rid(name, None if types is None else frozenset(types.split(","))))
    if len(found) > MAX_ENCODINGS:
        raise SdpError(f"the m-line {media.mid} has more than {MAX_ENCODINGS} encodings")
    return found if len(found) > 1 else []


def ice(description: Description, media: Media) -> IceParameters:
    """The peer's ICE parameters, from the m-section or the session. Raises `SdpError`."""
    ufrag = value(media.attributes, "ice-ufrag") or value(description.attributes, "ice-ufrag")
    password = value(media.attributes, "ice-pwd") or value(description.attributes, "ice-pwd")
    if ufrag is None or password is None:
        raise SdpError("a=ice-ufrag or a=ice-pwd is missing")
    if not _ICE_CHARS.fullmatch(ufrag) or not _ICE_CHARS.fullmatch(password) or len(password) < 22:
        raise SdpError("a=ice-ufrag or a=ice-pwd is malformed")
    return IceParameters(ufrag, password)


def fingerprints(description: Description, media: Media) -> list[tuple[str, str]]:
    """The peer's certificate fingerprints that we can check. Raises `SdpError` when there is none."""
    found: list[tuple[str, str]] = []
    for text in values(media.attributes, "fingerprint") or values(description.attributes, "fingerprint"):
        name, _, digest = text.partition(" ")
        name, digest = name.lower(), digest.strip().upper()
        if name in _HASHES:
            if not _FINGERPRINT.fullmatch(digest) or len(digest) != _HASHES[name] * 3 - 1:
                raise SdpError("a=fingerprint is malformed")
            found.append((name, digest))
    if not found:
        raise SdpError("there is no a=fingerprint with SHA-256, SHA-384 or SHA-512")
    return found


def setup(description: Description, media: Media) -> str:
    """``a=setup``, ``actpass`` when nothing is said."""
    return value(media.attributes, "setup") or value(description.attributes, "setup") or "actpass"


def _number(text: str, most: int) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) <= most
