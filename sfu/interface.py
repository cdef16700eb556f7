"""The words of the façade: what `sfu.server` takes and tells. See docs/architecture.md."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

from sfu.redundancy import Wish
from sfu.taps import Kind, TrackInfo, TrackSource, VideoCodec

ConnectionKind = Literal["publish", "subscribe", "watch"]
ConnectionState = Literal["new", "connected", "disconnected", "failed", "closed"]


class SdpError(ValueError):
    """An offer or answer was refused; the text is for a person. Nothing has changed."""


@dataclass(frozen=True)
class SfuConfig:
    """Settings of one server. `public_addresses` replaces the candidates found by itself; `port` 0 picks a free one.
    `threads`: of the native plane, each forwards whole rooms.
    `redundancy`: when sound goes out with it (`sfu.redundancy`); "off" takes none from publishers either.
    `video_codec`: what pictures are sent in by whoever can."""

    host: str = "0.0.0.0"
    port: int = 8081
    public_addresses: tuple[str, ...] = ()
    plane: Literal["auto", "python", "native"] = "auto"
    max_bitrate: int = 2_500_000
    redundancy: Wish = "auto"
    video_codec: VideoCodec = "VP9"
    threads: int = 1


@dataclass(frozen=True)
class TrackLabel:
    """What the publisher says the m-line `mid` carries; `width` and `height` of its largest encoding, 0 for unknown."""

    mid: str
    source: TrackSource
    width: int = 0
    height: int = 0


@dataclass(frozen=True)
class Published:
    """The answer to a publish offer; `tracks` maps mid to track id for what is accepted and being sent."""

    sdp: str
    tracks: dict[str, str]


@dataclass(frozen=True)
class OfferedTrack:
    """Which m-line of a subscribe offer carries which track."""

    mid: str
    track: str
    participant: str
    kind: Kind
    source: TrackSource


@dataclass(frozen=True)
class Offer:
    """A subscribe offer to deliver. `rebuild` asks for a new RTCPeerConnection."""

    sdp: str
    revision: int
    tracks: tuple[OfferedTrack, ...]
    rebuild: bool


@dataclass(frozen=True)
class Tile:
    """How a viewer shows a video track: its size in device pixels, whether any of it is seen, whether it is pinned."""

    track: str
    width: int
    height: int
    visible: bool
    pinned: bool


@dataclass(frozen=True)
class ConnectionQuality:
    """Losses from 0 to 1 over the last few seconds; None round trip where nobody has measured one yet.

    Rates in bit/s: `estimate` is what the way to the viewer can take (None while unknown), `wanted` what everything
    it shows would need, `sent` what it is sent. `reduced` counts tracks that come smaller for want of bandwidth.
    """

    publish_loss: float
    subscribe_loss: float
    round_trip_ms: float | None
    publish_jitter_ms: float = 0.0
    estimate: float | None = None
    wanted: float = 0.0
    sent: float = 0.0
    reduced: int = 0


@dataclass(frozen=True)
class Incoming:
    """A track that is not muted, as it comes: whether anything does, in bit/s with all its encodings, and the height of
    the largest picture among them, 0 where it is not known."""

    track: TrackInfo
    flows: bool
    bitrate: float
    height: int = 0


@dataclass(frozen=True)
class LayerStats:
    """All tracks of one source and layer (a simulcast rid, ``-`` for the only encoding) together. `sources` and `sinks`
    are counted now, `bitrate` in bit/s comes in; the rest counts from the start of the server."""

    sources: int = 0
    sinks: int = 0
    bitrate: float = 0.0
    packets: int = 0
    lost: int = 0
    retransmissions: int = 0
    keyframes: int = 0
    keyframe_requests: int = 0


@dataclass(frozen=True)
class SfuStats:
    """Counters for operators. `dropped` counts datagrams refused by reason, from the port up to the plane."""

    rooms: int
    participants: int
    connections: int
    tracks: int
    forwards: int
    tcp_connections: int
    packets_in: int
    packets_out: int
    dropped: dict[str, int] = field(default_factory=dict)
    layers: dict[tuple[str, str], LayerStats] = field(default_factory=dict)
    viewers: int = 0
    reduced_viewers: int = 0


class RoomEvents(Protocol):
    """What a room tells. Called on the event loop; must not block or raise."""

    def track_added(self, track: TrackInfo) -> None: ...
    def track_removed(self, track: TrackInfo) -> None: ...
    def offer(self, participant: str, offer: Offer) -> None:
        """Deliver it; the answer comes by `SfuRoom.answer`."""

    def speakers(self, participants: list[str]) -> None:
        """Who is speaking, loudest first; told on change."""

    def encodings(self, participant: str, track: str, active: list[str]) -> None:
        """Which encodings of a simulcast track its publisher shall send, by rid; told on change."""

    def connection(self, participant: str, connection: ConnectionKind, state: ConnectionState) -> None: ...
