"""Every target by its name."""

from __future__ import annotations

from collections.abc import Callable

from fuzz import media, network, people, recording, room

TARGETS: dict[str, Callable[[bytes], None]] = {
    "rtp": media.rtp,
    "rtcp": media.rtcp,
    "extensions": media.extensions,
    "payload": media.payload,
    "red": media.redundancy,
    "dependency": media.dependency,
    "srtp": media.srtp,
    "plane": room.plane,
    "stun": network.stun_messages,
    "sdp": network.description,
    "framing": network.framing,
    "messages": people.messages,
    "whip": people.whip,
    "glossary": people.glossary,
    "journal": recording.journals,
    "bitstream": recording.bitstreams,
    "depacketise": recording.payloads,
}

NATIVE = ("rtp", "rtcp", "extensions", "payload", "red", "dependency", "srtp", "plane", "framing")
"""Those that are in `fuzz/native` as well, with the same inputs."""

LONGEST = {
    "sdp": 12_000,
    "whip": 12_000,
    "messages": 4_000,
    "glossary": 4_000,
    "plane": 4_000,
    "depacketise": 4_000,
    "dependency": 600,
    "srtp": 1_000,
}
"""Bytes of an input, where not `USUAL`: several packets may be in it, or an offer of ten kilobytes."""
USUAL = 1_500
