"""A whole plane: pieces are packets of a publisher and of two viewers, sealed or not, and time goes by.

Both planes get them, and whatever leaves, is told and is counted must be the same. `fuzz_targets/plane.rs` does the
same to the native one alone.
"""

from __future__ import annotations

from typing import Any

from pylibsrtp import Error, Policy, Session

from fuzz.dice import seeded
from fuzz.pieces import pieces
from sfu.plane import ExtensionIds, Layers, SinkSpec, SourceSpec, SrtpKeys
from sfu.plane.python import PythonPlane
from sfu.srtp import PROFILES
from sfu.taps import Codec

try:
    from sfu.plane.compiled import NativePlane
except ImportError:
    NativePlane = None  # type: ignore[assignment,misc]

PEERS = ("p", "s", "t")
SOURCES = {"VP8": "VP8", "VP9": "VP9", "H264": "H264", "AV1": "AV1", "OPUS": "OPUS", "other": "VP8"}
"""Codecs by the names of the sources. Each but the last has a sink for each viewer."""
STEPS = (0.0, 0.001, 0.02, 0.3, 0.005, 0.005, 1.1, 0.01)
COUNTED, PLAIN = ExtensionIds(mid=7, transport_cc=1), ExtensionIds(mid=7, audio_level=8)
DESCRIBED = ExtensionIds(mid=7, transport_cc=1, dependency_descriptor=5)
SEED = 7


def source(name: str, codec: str, payload_type: int, ssrc: int) -> SourceSpec:
    video = codec != "OPUS"
    described = ExtensionIds(mid=4, transport_cc=3, dependency_descriptor=12)
    return SourceSpec(
        id=name,
        kind="video" if video else "audio",
        codec=Codec(codec, 90_000 if video else 48_000),
        mid=name,
        payload_type=payload_type,
        rtx_payload_type=payload_type + 1 if video else None,
        ssrc=ssrc,
        rtx_ssrc=ssrc + 1 if video else None,
        extensions=described if video else ExtensionIds(mid=4, audio_level=1),
        nack=True,
        red_payload_type=None if video else 63,
    )


def sink(name: str, source: str, ssrc: int, rtx: bool, extensions: ExtensionIds) -> SinkSpec:
    return SinkSpec(
        id=name,
        source=source,
        mid=name,
        payload_type=120,
        rtx_payload_type=121 if rtx else None,
        ssrc=ssrc,
        rtx_ssrc=ssrc + 1 if rtx else None,
        extensions=extensions,
        cname="someone",
        nack=True,
        red_payload_type=None if rtx else 64,
    )


class Room:
    """One plane, what it has sent, and what a tap has seen."""

    def __init__(self, native: bool) -> None:
        self.sent: list[tuple[object, bytes]] = []
        self.seen: list[object] = []
        made = NativePlane(self._send, SEED) if native else PythonPlane(self._send)
        self.plane: Any = made
        for number, peer in enumerate(PEERS):
            keys = SrtpKeys("AEAD_AES_128_GCM", bytes([number]) * 28, bytes([100 + number]) * 28)
            self.plane.add_transport(peer, keys, peer)
        for n, (name, codec) in enumerate(SOURCES.items()):
            self.plane.add_source("p", source(name, codec, 96 + 2 * n, 1000 + 10 * n))
            self.plane.set_tap(name, self.seen.extend)
            if name == "other":
                continue
            rtx, wants = name != "OPUS", DESCRIBED if name in ("H264", "AV1") else COUNTED
            self.plane.add_sink("s", sink(f"s{n}", name, 5000 + 10 * n, rtx, PLAIN))
            self.plane.add_sink("t", sink(f"t{n}", name, 6000 + 10 * n, rtx and n != 1, wants))
        self.plane.set_wanted_bitrate("t", 2_000_000.0)

    def _send(self, route: object, data: bytes) -> None:
        self.sent.append((route, data))

    def policy(self, peer: int, byte: int, now: float) -> None:
        """Something that a room does."""
        plane, shown, word = self.plane, f"s{peer}", byte & 7
        if word in (0, 1):
            plane.pause_sink(shown, word == 0)
        elif word in (2, 3):
            plane.pause_source("VP8", word == 2)
        elif word == 4:
            plane.aim_sink("s0", "other")
        elif word == 5:
            for aimed, name in (("s1", "VP9"), ("t2", "H264"), ("t3", "AV1")):
                plane.aim_sink(aimed, name, Layers(0, peer))
        elif word == 6:
            plane.aim_sink("s0", "VP8")
        elif byte & 8:
            plane.set_redundancy("t", bool(byte & 16))
        else:
            plane.request_keyframe("H264", now)

    def story(self) -> tuple[object, ...]:
        """All there is to tell since the last time."""
        told = (list(self.sent), list(self.seen), self.plane.drain(), self.plane.stats())
        self.sent.clear()
        self.seen.clear()
        return told

    def sums(self) -> list[object]:
        plane = self.plane
        found = [plane.transport_stats(peer) for peer in PEERS]
        found += [plane.source_stats(name) for name in SOURCES] + [plane.layer_rates(name) for name in SOURCES]
        return found + [plane.sink_stats(f"{viewer}{n}") for viewer in "st" for n in range(len(SOURCES) - 1)]


def far_end(number: int) -> Session:
    """What seals for a peer; it may repeat itself."""
    profile = PROFILES["AEAD_AES_128_GCM"]
    policy = Policy(key=bytes([number]) * 28, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile)
    policy.window_size, policy.allow_repeat_tx = 8192, True
    return Session(policy)


def plane(data: bytes) -> None:
    """See the module text."""
    with seeded(SEED):
        play(data)


def play(data: bytes) -> None:
    rooms = [Room(native) for native in ((False, True) if NativePlane is not None else (False,))]
    far = [far_end(number) for number in range(len(PEERS))]
    now = 1000.0
    for at, (control, piece) in enumerate(pieces(data)):
        peer, kind = (control & 3) % 3, control >> 2 & 7
        now += STEPS[control >> 5]
        datagram = piece
        if kind < 5:
            seal = far[peer].protect if kind < 3 else far[peer].protect_rtcp
            try:
                datagram = seal(piece)
            except Error:
                datagram = piece
        for room in rooms:
            if kind < 6:
                room.plane.receive(PEERS[peer], datagram, now)
            elif kind == 6:
                room.plane.tick(now)
            else:
                room.policy(peer, piece[0] if piece else 0, now)
        agree([room.story() for room in rooms], f"step {at}")
    for room in rooms:
        room.plane.tick(now + 1.5)
    agree([room.story() for room in rooms], "the end")
    agree([room.sums() for room in rooms], "the counters")


def agree(told: list[Any], what: str) -> None:
    assert all(one == told[0] for one in told), f"after {what}: Python {told[0]!r}, native {told[1]!r}"
