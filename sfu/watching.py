"""A viewer's offer (WHEP, draft-ietf-wish-whep): what it takes of a programme, and the answer. Pure.

The viewer offers to receive one picture and one sound, and perhaps a second picture, for who signs. A picture is
answered with every codec that both sides know, each with the viewer's own payload types, for the programme goes from
one publisher's codec to another's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sfu import sdp
from sfu.capabilities import (
    ABS_SEND_TIME_URI,
    DEPENDENCY_DESCRIPTOR_URI,
    TRANSPORT_CC,
    TRANSPORT_CC_URI,
    VIDEO_PREFERENCE,
    Chosen,
    choose,
    extension_ids,
    wanted_extensions,
)
from sfu.interface import SdpError
from sfu.negotiation import PROTOCOLS, LocalTransport, codec_attributes, session_attributes, transport_attributes
from sfu.plane import ExtensionIds, Format
from sfu.sdp import Attributes, Description, IceParameters, Media
from sfu.taps import Kind

STREAM = "programme"
"""Picture and sound are of one stream (``msid``), so that players keep them in step."""
SIGNING = "signing"
"""The second picture is of a stream of its own, by which a page knows it."""
MOST: dict[str, int] = {"audio": 1, "video": 2}
"""M-lines of a kind; more are refused."""


class Unacceptable(SdpError):
    """The viewer takes nothing that there is; the text says what would do."""


@dataclass(frozen=True, slots=True)
class Received:
    """An m-line that the viewer receives on, with our SSRCs; `rtx_ssrc` None without retransmissions."""

    mid: str
    kind: Kind
    formats: tuple[Chosen, ...]
    extensions: dict[str, int]
    ssrc: int
    rtx_ssrc: int | None

    @property
    def ids(self) -> ExtensionIds:
        """Its header extensions."""
        return extension_ids(self.extensions, tuple(self.extensions))

    @property
    def codecs(self) -> tuple[str, ...]:
        """Names of what it decodes, our favourite first."""
        return tuple(chosen.codec.name for chosen in self.formats)

    @property
    def numbers(self) -> tuple[Format, ...]:
        """The payload types of each, as a sink takes them."""
        again = self.rtx_ssrc is not None
        return tuple(Format(c.codec.name, c.payload_type, c.rtx if again else None) for c in self.formats)


@dataclass(frozen=True, slots=True)
class WatchPlan:
    """An offer understood. `lines` has, for each of its m-lines, what is received on it; None is refused."""

    media: tuple[Media, ...]
    lines: tuple[Received | None, ...]
    ice: IceParameters
    fingerprints: tuple[tuple[str, str], ...]

    def of(self, kind: Kind, place: int = 0) -> Received | None:
        """What it receives of a kind: the first, or another by its `place`."""
        found = [line for line in self.lines if line is not None and line.kind == kind]
        return found[place] if place < len(found) else None


def plan_watch(offer: Description, new_ssrc: Callable[[], int]) -> WatchPlan:
    """Decides what a viewer is sent. Raises `SdpError`; `Unacceptable` where it decodes nothing of ours."""
    lines: list[Received | None] = []
    taken: list[str] = []
    first: Media | None = None
    bundled = next((v.split()[1:] for v in sdp.values(offer.attributes, "group") if v.split()[:1] == ["BUNDLE"]), None)
    for media in offer.media:
        line = None
        if taken.count(media.kind) < MOST.get(media.kind, 0) and not media.stopped:
            line = _receive(media, new_ssrc)
        lines.append(line)
        if line is None:
            continue
        taken.append(media.kind)
        if not sdp.has(media.attributes, "rtcp-mux"):
            raise SdpError(f"the m-line {line.mid} lacks a=rtcp-mux")
        if sdp.setup(offer, media) not in ("actpass", "active"):
            raise SdpError("a=setup must be actpass or active: this server answers passive")
        if first is not None and (bundled is None or line.mid not in bundled):
            raise SdpError("several m-lines need a=group:BUNDLE")
        first = first or media
    if first is None:
        wanted = ", ".join((*VIDEO_PREFERENCE, "Opus"))
        raise Unacceptable(f"the offer receives nothing that can be sent: one m-line with any of {wanted} is needed")
    if len({line.mid for line in lines if line is not None}) != len(taken):
        raise SdpError("two m-lines have the same mid")
    ice, fingerprints = sdp.ice(offer, first), tuple(sdp.fingerprints(offer, first))
    return WatchPlan(tuple(offer.media), tuple(lines), ice, fingerprints)


def _receive(media: Media, new_ssrc: Callable[[], int]) -> Received | None:
    if media.direction not in ("recvonly", "sendrecv") or media.protocol not in PROTOCOLS:
        return None
    kind: Kind = "audio" if media.kind == "audio" else "video"
    offered = sdp.codecs(media)
    names = ("OPUS",) if kind == "audio" else VIDEO_PREFERENCE
    found = (choose(kind, [p for p in offered if p.name in (name, "RTX")]) for name in names)
    formats = tuple(chosen for chosen in found if chosen is not None)
    if not formats:
        offered_names = ", ".join(dict.fromkeys(p.name for p in offered if p.name != "RTX")) or "nothing"
        raise Unacceptable(f"this server sends {', '.join(names)}, the offer takes {offered_names} as {kind}")
    wanted = [uri for uri in wanted_extensions(kind) if uri != ABS_SEND_TIME_URI]
    if not all(TRANSPORT_CC in chosen.feedback for chosen in formats):
        wanted.remove(TRANSPORT_CC_URI)
    if any(chosen.codec.name == "AV1" for chosen in formats):
        wanted.append(DEPENDENCY_DESCRIPTOR_URI)
    extensions = {uri: number for uri, number in sdp.extensions(media).items() if uri in wanted}
    again = kind == "video" and all(chosen.rtx is not None for chosen in formats)
    return Received(media.mid, kind, formats, extensions, new_ssrc(), new_ssrc() if again else None)


def write_watch(plan: WatchPlan, transport: LocalTransport, session: str, version: int) -> str:
    """The answer."""
    accepted = [line.mid for line in plan.lines if line is not None]
    answer = Description(session, version, session_attributes(accepted))
    for media, line in zip(plan.media, plan.lines, strict=True):
        if line is None:
            mid = sdp.value(media.attributes, "mid")
            named: Attributes = [("mid", mid)] if mid is not None and sdp.is_token(mid) else []
            refused = Media(media.kind, 0, media.protocol, media.formats[:1], [*named, ("inactive", None)])
            answer.media.append(refused)
            continue
        attributes = transport_attributes(transport, candidates=line.mid == accepted[0])
        attributes += [("mid", line.mid), ("sendonly", None)]
        attributes += [("extmap", f"{number} {uri}") for uri, number in line.extensions.items()]
        if DEPENDENCY_DESCRIPTOR_URI in line.extensions:
            attributes.append(("extmap-allow-mixed", None))  # its values outgrow the 16 bytes of the one-byte form
        numbers: list[int] = []
        for chosen in line.formats:
            again = chosen.rtx if line.rtx_ssrc is not None else None
            shaped = Chosen(chosen.codec, chosen.payload_type, again, chosen.feedback)
            attributes += codec_attributes(shaped)
            numbers += [number for number in (chosen.payload_type, again) if number is not None]
        msid = f"{STREAM if line is plan.of(line.kind) else SIGNING} {line.kind}"
        attributes.append(("msid", msid))
        if line.rtx_ssrc is not None:
            attributes.append(("ssrc-group", f"FID {line.ssrc} {line.rtx_ssrc}"))
        for ssrc in (line.ssrc, line.rtx_ssrc):
            if ssrc is not None:
                attributes += [("ssrc", f"{ssrc} cname:{STREAM}"), ("ssrc", f"{ssrc} msid:{msid}")]
        answer.media.append(Media(media.kind, 9, media.protocol, [str(number) for number in numbers], attributes))
    return sdp.serialise(answer)
