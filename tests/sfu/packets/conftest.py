"""A plane under test, and peers at the far end of its transports that speak SRTP through pylibsrtp directly."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from pylibsrtp import Policy, Session

from sfu.extensions import build_extensions
from sfu.plane import ExtensionIds, Plane, SinkSpec, SourceSpec, SrtpKeys, SrtpProfile
from sfu.plane.choose import built
from sfu.plane.python import PythonPlane
from sfu.rtcp import RtcpPacket, parse_compound
from sfu.rtp import RtpPacket, is_rtcp
from sfu.srtp import KEY_LENGTHS, PROFILES
from sfu.taps import Codec

OPUS = Codec("OPUS", 48000, 2)
VP8 = Codec("VP8", 90000)
KEYFRAME = b"\x10\x00" + b"k" * 98
DELTA = b"\x10\x01" + b"d" * 98


@dataclass
class Peer:
    """The far end of one transport. What the plane sends it is decrypted and kept."""

    plane: Plane
    name: str
    tx: Session
    rx: Session
    rtp: list[RtpPacket] = field(default_factory=list)
    rtcp: list[RtcpPacket] = field(default_factory=list)
    wire: list[bytes] = field(default_factory=list)

    def take(self, datagram: bytes) -> None:
        self.wire.append(datagram)
        if is_rtcp(datagram):
            self.rtcp += parse_compound(self.rx.unprotect_rtcp(datagram))
        else:
            self.rtp.append(RtpPacket.parse(self.rx.unprotect(datagram)))

    def send(self, packet: RtpPacket, now: float) -> None:
        self.plane.receive(self.name, self.tx.protect(packet.serialize()), now)

    def send_rtcp(self, now: float, *packets: RtcpPacket) -> None:
        data = b"".join(packet.serialize() for packet in packets)
        self.plane.receive(self.name, self.tx.protect_rtcp(data), now)

    def got(self, kind: type) -> list:
        return [packet for packet in self.rtcp if isinstance(packet, kind)]

    def clear(self) -> None:
        self.rtp.clear()
        self.rtcp.clear()
        self.wire.clear()


@dataclass
class Net:
    """Routes are peer names; `lose` decides which datagrams to a peer vanish."""

    peers: dict[str, Peer] = field(default_factory=dict)
    plane: Plane | None = None

    def send(self, route: object, datagram: bytes) -> None:
        assert isinstance(route, str)
        self.peers[route].take(datagram)

    def join(self, name: str, profile: SrtpProfile = "AEAD_AES_128_GCM") -> Peer:
        assert self.plane is not None
        keys = SrtpKeys(profile, secrets.token_bytes(KEY_LENGTHS[profile]), secrets.token_bytes(KEY_LENGTHS[profile]))
        tx = Policy(key=keys.rx, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=PROFILES[profile])
        tx.window_size, tx.allow_repeat_tx = 4096, True
        rx = Policy(key=keys.tx, ssrc_type=Policy.SSRC_ANY_INBOUND, srtp_profile=PROFILES[profile])
        rx.window_size = 4096
        self.plane.add_transport(name, keys, name)
        self.peers[name] = Peer(self.plane, name, Session(tx), Session(rx))
        return self.peers[name]


class Kit:
    """Specs and packets as the tests like them."""

    OPUS, VP8, KEYFRAME, DELTA = OPUS, VP8, KEYFRAME, DELTA

    @staticmethod
    def audio(name: str = "mic", **changes: object) -> SourceSpec:
        spec = SourceSpec(
            id=name,
            kind="audio",
            codec=OPUS,
            mid="0",
            payload_type=111,
            rtx_payload_type=None,
            ssrc=1111,
            rtx_ssrc=None,
            extensions=ExtensionIds(mid=4, audio_level=1),
            nack=False,
        )
        return replace(spec, **changes)  # type: ignore[arg-type]

    @staticmethod
    def video(name: str = "cam", **changes: object) -> SourceSpec:
        spec = SourceSpec(
            id=name,
            kind="video",
            codec=VP8,
            mid="1",
            payload_type=96,
            rtx_payload_type=97,
            ssrc=2222,
            rtx_ssrc=2223,
            extensions=ExtensionIds(mid=4),
            nack=True,
        )
        return replace(spec, **changes)  # type: ignore[arg-type]

    @staticmethod
    def sink(source: str, name: str = "sink", ssrc: int = 5000, **changes: object) -> SinkSpec:
        spec = SinkSpec(
            id=name,
            source=source,
            mid="9",
            payload_type=120,
            rtx_payload_type=121,
            ssrc=ssrc,
            rtx_ssrc=ssrc + 1,
            extensions=ExtensionIds(mid=7, audio_level=8),
            cname="someone",
        )
        return replace(spec, **changes)  # type: ignore[arg-type]

    @staticmethod
    def packet(
        sequence: int,
        payload: bytes = DELTA,
        *,
        ssrc: int = 2222,
        payload_type: int = 96,
        step: int = 3000,
        marker: bool = True,
        timestamp: int | None = None,
        extensions: list[tuple[int, bytes]] | None = None,
    ) -> RtpPacket:
        packet = RtpPacket(
            payload_type=payload_type,
            sequence=sequence & 0xFFFF,
            timestamp=(sequence * step if timestamp is None else timestamp) & 0xFFFFFFFF,
            ssrc=ssrc,
            marker=marker,
            payload=payload,
        )
        if extensions:
            packet.extension_profile, packet.extension = build_extensions(extensions)
        return packet

    @classmethod
    def opus(cls, sequence: int, level: int | None = None, **changes: object) -> RtpPacket:
        extensions = [(1, bytes((level,)))] if level is not None else None
        fields: dict = {
            "ssrc": 1111,
            "payload_type": 111,
            "step": 960,
            "marker": False,
            "extensions": extensions,
        } | changes
        return cls.packet(sequence, b"o" * 80, **fields)


@pytest.fixture
def kit() -> type[Kit]:
    return Kit


PLANES: dict[str, Callable[..., Plane]] = {"python": PythonPlane}
if built():
    from sfu.plane.compiled import NativePlane

    PLANES["native"] = NativePlane


@pytest.fixture(params=sorted(PLANES))
def net_factory(request: pytest.FixtureRequest) -> Callable[[], tuple[Net, Plane]]:
    def make() -> tuple[Net, Plane]:
        net = Net()
        net.plane = PLANES[request.param](net.send)
        return net, net.plane

    return make


@pytest.fixture
def net(net_factory: Callable[[], tuple[Net, Plane]]) -> Net:
    return net_factory()[0]


@pytest.fixture
def plane(net: Net) -> Plane:
    assert net.plane is not None
    return net.plane
