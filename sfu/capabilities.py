"""What we forward: codecs in our order of preference, feedback, header extensions. Pure tables and choices.

A publisher is answered with exactly one codec per m-line, the best it offers, so that a track's codec is certain.
VP9, H.264 and AV1 go into fragmented MP4 untouched, VP8 does not, hence the order.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sfu.plane import ExtensionIds
from sfu.sdp import PayloadType
from sfu.taps import Codec, Kind, VideoCodec

VIDEO_PREFERENCE = ("VP9", "H264", "VP8", "AV1")

MID_URI = "urn:ietf:params:rtp-hdrext:sdes:mid"
AUDIO_LEVEL_URI = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
ABS_SEND_TIME_URI = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
TRANSPORT_CC_URI = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
RID_URI = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
REPAIRED_RID_URI = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
DEPENDENCY_DESCRIPTOR_URI = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"

AUDIO_EXTENSIONS = (MID_URI, AUDIO_LEVEL_URI, ABS_SEND_TIME_URI, TRANSPORT_CC_URI)
VIDEO_EXTENSIONS = (MID_URI, ABS_SEND_TIME_URI, TRANSPORT_CC_URI)
SIMULCAST_EXTENSIONS = (RID_URI, REPAIRED_RID_URI)
DESCRIBED_CODECS = ("AV1", "H264")
"""Whose layers only the dependency descriptor tells; VP8 and VP9 have payload descriptors of their own."""
UNDECODABLE_LAYERS = ("AV1",)
"""Subscribers get the dependency descriptor, and without it the lowest spatial layer only: Chromium decodes nothing of
several then (docs/quirks.md)."""
TRANSPORT_CC = "transport-cc"
VIDEO_FEEDBACK = ("nack", "nack pli", "ccm fir", "goog-remb", TRANSPORT_CC)
AUDIO_FEEDBACK = ("nack", TRANSPORT_CC)

# In-band error correction and silence suppression: cheap resilience, and silence costs nothing to forward.
OPUS_ANSWER = {"minptime": "10", "useinbandfec": "1", "usedtx": "1"}
# The parameters that identify a stream, with what they may look like. Others are not passed on.
_PARAMETERS = {
    "H264": ("level-asymmetry-allowed", "packetization-mode", "profile-level-id"),
    "VP9": ("profile-id",),
    "AV1": ("level-idx", "profile", "tier"),
    "VP8": (),
    "OPUS": (),
}
_PARAMETER_VALUE = re.compile(r"[0-9a-fA-F]{1,8}")


@dataclass(frozen=True, slots=True)
class Chosen:
    """The codec of an m-line, with the peer's numbers for it."""

    codec: Codec
    payload_type: int
    rtx: int | None
    feedback: tuple[str, ...]
    red: int | None = None
    """Where the same codec comes with redundancy (RFC 2198)."""


def choose(
    kind: Kind, offered: Sequence[PayloadType], redundant: bool = False, first: VideoCodec = "VP9"
) -> Chosen | None:
    """The best of what was offered, None when there is nothing that we forward. `redundant`: with its redundancy;
    `first`: the picture's codec that goes before all others."""
    ranks = [(rank, place) for place, p in enumerate(offered) if (rank := _rank(kind, p, first)) is not None]
    best = offered[min(ranks)[1]] if ranks else None
    if best is None:
        return None
    rtx = next(
        (p.number for p in offered if p.name == "RTX" and p.parameters.get("apt") == str(best.number)),
        None,
    )
    wanted = AUDIO_FEEDBACK if kind == "audio" else VIDEO_FEEDBACK
    feedback = tuple(f for f in wanted if f in best.feedback)
    parameters = _identity(best)
    codec = Codec(best.name, best.clock_rate, best.channels, parameters)
    return Chosen(codec, best.number, rtx, feedback, _redundant(best, offered) if redundant else None)


def _redundant(best: PayloadType, offered: Sequence[PayloadType]) -> int | None:
    """The payload type of a codec with its redundancy: ``red/48000/2`` whose format lists the codec alone."""
    for payload in offered:
        if (payload.name, payload.clock_rate, payload.channels) == ("RED", best.clock_rate, best.channels):
            blocks = "".join(payload.parameters).split("/")
            if len(blocks) > 1 and set(blocks) == {str(best.number)}:
                return payload.number
    return None


def _rank(kind: Kind, payload: PayloadType, first: VideoCodec) -> int | None:
    """Lower is better; None for what we do not forward."""
    if kind == "audio":
        return 0 if (payload.name, payload.clock_rate, payload.channels) == ("OPUS", 48000, 2) else None
    if payload.clock_rate != 90000 or payload.name not in VIDEO_PREFERENCE:
        return None
    rank = -10 if payload.name == first else 10 * VIDEO_PREFERENCE.index(payload.name)
    if payload.name == "H264":
        profile = payload.parameters.get("profile-level-id", "").lower()
        if payload.parameters.get("packetization-mode") != "1" or not profile.startswith("42"):
            return None
        # Constrained baseline decodes everywhere; plain baseline next.
        return rank if profile.startswith("42e0") else rank + 1
    profile = payload.parameters.get({"VP9": "profile-id", "AV1": "profile"}.get(payload.name, ""), "0")
    return rank if profile == "0" else None


def _identity(payload: PayloadType) -> dict[str, str]:
    known = {n: payload.parameters.get(n, "") for n in _PARAMETERS[payload.name]}
    return {n: v for n, v in known.items() if _PARAMETER_VALUE.fullmatch(v)}


def extension_ids(found: dict[str, int], wanted: Sequence[str]) -> ExtensionIds:
    """Ids of the header extensions that both sides want."""
    ids = {uri: number for uri, number in found.items() if uri in wanted}
    return ExtensionIds(
        mid=ids.get(MID_URI),
        audio_level=ids.get(AUDIO_LEVEL_URI),
        abs_send_time=ids.get(ABS_SEND_TIME_URI),
        transport_cc=ids.get(TRANSPORT_CC_URI),
        rid=ids.get(RID_URI),
        repaired_rid=ids.get(REPAIRED_RID_URI),
        dependency_descriptor=ids.get(DEPENDENCY_DESCRIPTOR_URI),
    )


def wanted_extensions(kind: Kind) -> tuple[str, ...]:
    """URIs that we understand on an m-line of this kind."""
    return AUDIO_EXTENSIONS if kind == "audio" else VIDEO_EXTENSIONS


def subscribe_extensions(kind: Kind, codec: Codec) -> tuple[str, ...]:
    """URIs that we offer to a subscriber."""
    wanted = wanted_extensions(kind)
    return (*wanted, DEPENDENCY_DESCRIPTOR_URI) if codec.name in UNDECODABLE_LAYERS else wanted


def publish_extensions(kind: Kind, chosen: Chosen | None, simulcast: bool) -> tuple[str, ...]:
    """URIs that we take from a publisher: those that tell encodings and layers apart only where there are some."""
    wanted = wanted_extensions(kind)
    if chosen is not None and TRANSPORT_CC not in chosen.feedback:
        wanted = tuple(uri for uri in wanted if uri != TRANSPORT_CC_URI)
    if simulcast:
        wanted += SIMULCAST_EXTENSIONS
    if chosen is not None and chosen.codec.name in DESCRIBED_CODECS:
        wanted += (DEPENDENCY_DESCRIPTOR_URI,)
    return wanted


def rtpmap(codec: Codec) -> str:
    """``opus/48000/2`` or ``VP9/90000``: the encoding part of ``a=rtpmap``."""
    name = "opus" if codec.name == "OPUS" else codec.name
    return f"{name}/{codec.clock_rate}" + (f"/{codec.channels}" if codec.channels > 1 else "")


def format_of(codec: Codec) -> dict[str, str]:
    """What ``a=fmtp`` says about a codec."""
    return OPUS_ANSWER if codec.name == "OPUS" else codec.parameters
