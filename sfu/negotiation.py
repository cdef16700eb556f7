"""Publishing: reads a client's offer, decides per m-line, writes the answer (RFC 8829, RFC 8843). Pure.

Also home of what both directions share: our transport's attributes and the lines that describe a codec.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sfu import sdp
from sfu.capabilities import (
    DEPENDENCY_DESCRIPTOR_URI,
    RID_URI,
    Chosen,
    choose,
    extension_ids,
    format_of,
    publish_extensions,
    rtpmap,
)
from sfu.ice import Credentials
from sfu.interface import SdpError
from sfu.plane import ExtensionIds
from sfu.sdp import Attributes, Description, IceParameters, Media
from sfu.taps import Kind, TrackSource, VideoCodec

MAX_TRACKS = 16
SOURCE_KINDS: dict[str, Kind] = {
    "microphone": "audio",
    "camera": "video",
    "screen": "video",
    "screen-audio": "audio",
}
USUAL_RIDS = ("q", "h", "f")
"""Quarter, half and full size: the names that most clients give to encodings, ours too."""
RID_ORDERS = (USUAL_RIDS, ("l", "m", "h"), ("low", "mid", "high"))
PROTOCOLS = ("UDP/TLS/RTP/SAVPF", "TCP/TLS/RTP/SAVPF")


@dataclass(frozen=True, slots=True)
class LocalTransport:
    """What our end of a connection tells about itself. `addresses` and `port` become UDP and TCP candidates."""

    ice: Credentials
    fingerprint: tuple[str, str]
    setup: str
    addresses: tuple[str, ...]
    port: int


@dataclass(frozen=True, slots=True)
class Incoming:
    """An m-line that sends: which track it is and how its packets look. `rids` are its encodings, lowest first, where
    it has several; SSRCs are then told by header extensions alone."""

    mid: str
    kind: Kind
    source: TrackSource
    chosen: Chosen
    ssrc: int | None
    rtx_ssrc: int | None
    extensions: ExtensionIds
    rids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Section:
    """Our decision on one offered m-line; `chosen` None rejects it."""

    media: Media
    chosen: Chosen | None
    extensions: dict[str, int]
    receiving: bool
    rids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PublishPlan:
    """An offer understood. `ice` and `fingerprints` are None when every m-line is stopped or rejected."""

    session: str
    sections: tuple[_Section, ...]
    incoming: dict[str, Incoming]
    ice: IceParameters | None
    fingerprints: tuple[tuple[str, str], ...]


def plan_publish(
    offer: Description, labels: Mapping[str, TrackSource], redundant: bool = False, first: VideoCodec = "VP9"
) -> PublishPlan:
    """Decides what to take of an offer. `labels` say by mid what is sent; `redundant` takes sound with redundancy;
    `first` is the codec that pictures are wanted in.
    Raises `SdpError`."""
    bundled = _bundle(offer)
    sections: list[_Section] = []
    incoming: dict[str, Incoming] = {}
    mids: set[str] = set()
    ssrcs: set[int] = set()
    ice: IceParameters | None = None
    fingerprints: tuple[tuple[str, str], ...] = ()
    for media in offer.media:
        mid = media.mid
        if mid in mids:
            raise SdpError(f"two m-lines have the mid {mid}")
        mids.add(mid)
        section = _decide(media, redundant, first)
        sections.append(section)
        if section.chosen is None:
            continue
        if bundled is not None and mid not in bundled:
            raise SdpError(f"the m-line {mid} is not in the BUNDLE group")
        if not sdp.has(media.attributes, "rtcp-mux"):
            raise SdpError(f"the m-line {mid} lacks a=rtcp-mux")
        if sdp.setup(offer, media) not in ("actpass", "active"):
            raise SdpError("a=setup must be actpass or active: this server answers passive")
        if ice is None:
            ice = sdp.ice(offer, media)
            fingerprints = tuple(sdp.fingerprints(offer, media))
        elif bundled is None:
            raise SdpError("several m-lines need a=group:BUNDLE")
        if section.receiving:
            incoming[mid] = taken = _incoming(section, labels)
            for ssrc in (taken.ssrc, taken.rtx_ssrc):
                if ssrc is not None and ssrc in ssrcs:
                    raise SdpError(f"the m-line {mid} uses an SSRC that is used already")
                ssrcs |= {ssrc} if ssrc is not None else set()
    for mid in labels:
        if mid not in mids:
            raise SdpError(f"a track label names the mid {mid}, which the offer does not have")
    if len(incoming) > MAX_TRACKS:
        raise SdpError(f"more than {MAX_TRACKS} tracks")
    return PublishPlan(offer.session, tuple(sections), incoming, ice, fingerprints)


def _bundle(description: Description) -> list[str] | None:
    for text in sdp.values(description.attributes, "group"):
        fields = text.split()
        if fields and fields[0] == "BUNDLE":
            return fields[1:]
    return None


def _decide(media: Media, redundant: bool, first: VideoCodec) -> _Section:
    if media.kind not in ("audio", "video") or media.stopped or media.protocol not in PROTOCOLS:
        return _Section(media, None, {}, False)
    kind: Kind = "audio" if media.kind == "audio" else "video"
    chosen = choose(kind, sdp.codecs(media), redundant, first)
    receiving = media.direction in ("sendrecv", "sendonly")
    offered = sdp.extensions(media)
    rids: tuple[str, ...] = ()
    if chosen is not None and kind == "video" and receiving and RID_URI in offered:
        number = str(chosen.payload_type)
        found = sdp.simulcast(media)
        rids = tuple(rid.name for rid in found if rid.payload_types is None or number in rid.payload_types)
        if found and not rids:
            raise SdpError(f"no encoding of the m-line {media.mid} may use {chosen.codec.name}")
    wanted = publish_extensions(kind, chosen, bool(rids))
    extensions = {uri: number for uri, number in offered.items() if uri in wanted}
    return _Section(media, chosen, extensions, receiving, rids)


def _incoming(section: _Section, labels: Mapping[str, TrackSource]) -> Incoming:
    media, chosen = section.media, section.chosen
    assert chosen is not None
    source = labels.get(media.mid)
    if source is None:
        raise SdpError(f"the m-line {media.mid} sends but has no track label")
    kind: Kind = "audio" if media.kind == "audio" else "video"
    if SOURCE_KINDS.get(source) != kind:
        raise SdpError(f"the m-line {media.mid} is {kind} but its label says {source}")
    ssrc, rtx_ssrc = sdp.ssrcs(media) if not section.rids else (None, None)
    extensions = extension_ids(section.extensions, tuple(section.extensions))
    return Incoming(media.mid, kind, source, chosen, ssrc, rtx_ssrc, extensions, _lowest_first(section.rids))


def _lowest_first(rids: Sequence[str]) -> tuple[str, ...]:
    """By their names where those are usual: browsers list encodings as the page does, mostly the lowest first. Else as
    RFC 8853, section 5.2, has it: in decreasing order of preference."""
    for names in RID_ORDERS:
        if set(rids) <= set(names):
            return tuple(sorted(rids, key=names.index))
    return tuple(reversed(rids))


def write_answer(plan: PublishPlan, transport: LocalTransport | None, session: str, version: int) -> str:
    """The answer to a planned offer. Without a transport every m-line is rejected."""
    accepted = [s for s in plan.sections if s.chosen is not None and transport is not None]
    answer = Description(session, version, session_attributes([s.media.mid for s in accepted]))
    for section in plan.sections:
        media, chosen = section.media, section.chosen
        if chosen is None or transport is None:
            answer.media.append(
                Media(media.kind, 0, media.protocol, media.formats[:1], [("mid", media.mid), ("inactive", None)])
            )
            continue
        attributes = transport_attributes(transport, candidates=section is accepted[0])
        attributes += [("mid", media.mid), ("recvonly" if section.receiving else "inactive", None)]
        attributes += [("extmap", f"{number} {uri}") for uri, number in section.extensions.items()]
        if DEPENDENCY_DESCRIPTOR_URI in section.extensions:
            attributes.append(("extmap-allow-mixed", None))  # its values outgrow the 16 bytes of the one-byte form
        attributes += codec_attributes(chosen)
        if section.rids:
            attributes += [("rid", f"{rid} recv") for rid in section.rids]
            attributes.append(("simulcast", f"recv {';'.join(section.rids)}"))
        # Browsers send redundancy where it stands before the codec.
        numbers = (chosen.red, chosen.payload_type, chosen.rtx)
        formats = [str(number) for number in numbers if number is not None]
        answer.media.append(Media(media.kind, 9, media.protocol, formats, attributes))
    return sdp.serialise(answer)


# --- shared with subscribe offers -----------------------------------------------------------------


def session_attributes(mids: Sequence[str]) -> Attributes:
    """Session level: bundle of `mids`, ICE-lite."""
    return [("group", " ".join(["BUNDLE", *mids])), ("msid-semantic", " WMS *"), ("ice-lite", None)]


def transport_attributes(transport: LocalTransport, *, candidates: bool) -> Attributes:
    """ICE and DTLS attributes of an m-section."""
    attributes: Attributes = [
        ("ice-ufrag", transport.ice.ufrag),
        ("ice-pwd", transport.ice.password),
        ("fingerprint", " ".join(transport.fingerprint)),
        ("setup", transport.setup),
        ("rtcp-mux", None),
        ("rtcp-rsize", None),
    ]
    if candidates:
        attributes += [("candidate", text) for text in candidate_lines(transport.addresses, transport.port)]
        attributes.append(("end-of-candidates", None))
    return attributes


def candidate_lines(addresses: Sequence[str], port: int) -> list[str]:
    """Host candidates, UDP before TCP (RFC 8839; priorities per RFC 8445, section 5.1.2, and RFC 6544, section 4.2)."""
    lines: list[str] = []
    for index, address in enumerate(addresses):
        udp = (126 << 24) | ((65535 - index) << 8) | 255
        tcp = (90 << 24) | (4 << 21) | ((8191 - index) << 8) | 255
        lines.append(f"{2 * index + 1} 1 udp {udp} {address} {port} typ host")
        lines.append(f"{2 * index + 2} 1 tcp {tcp} {address} {port} typ host tcptype passive")
    return lines


def codec_attributes(chosen: Chosen) -> Attributes:
    """``rtpmap``, ``fmtp`` and ``rtcp-fb`` of a codec and of its retransmissions."""
    number = chosen.payload_type
    attributes: Attributes = [("rtpmap", f"{number} {rtpmap(chosen.codec)}")]
    if parameters := format_of(chosen.codec):
        attributes.append(("fmtp", f"{number} {sdp.format_parameters(parameters)}"))
    attributes += [("rtcp-fb", f"{number} {feedback}") for feedback in chosen.feedback]
    if chosen.rtx is not None:
        attributes += [
            ("rtpmap", f"{chosen.rtx} rtx/{chosen.codec.clock_rate}"),
            ("fmtp", f"{chosen.rtx} apt={number}"),
        ]
    if chosen.red is not None:
        attributes += [
            ("rtpmap", f"{chosen.red} red/{chosen.codec.clock_rate}/{chosen.codec.channels}"),
            ("fmtp", f"{chosen.red} {number}/{number}"),
        ]
    return attributes
