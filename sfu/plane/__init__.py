"""The plane: the only code that runs once per packet.

Its surface is small on purpose, so that one suite of tests runs on every implementation and policy
(who gets what, who speaks, when to ask for a key frame) stays in readable Python above it:

- *transports*: SRTP keys of one connection and the route its packets leave by;
- *sources*: one incoming RTP stream each; the encodings of a simulcast track are a source each;
- *sinks*: one outgoing RTP stream each, with its own SSRC, sequence and timestamps, fed by the source that it is
  aimed at, of which it may take only some layers;
- *taps*: a callback per source for decrypted packets in order;
- *events*: what policy needs to know, drained in batches.

Nothing here knows rooms or people. Time is an argument in seconds of a monotonic clock.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from sfu.taps import Codec, Kind

SrtpProfile = Literal["AEAD_AES_128_GCM", "AEAD_AES_256_GCM", "AES_CM_128_HMAC_SHA1_80"]

Route = Hashable
"""Where a transport's datagrams go. Opaque to the plane: a UDP address or a TCP connection's handle."""

SendDatagram = Callable[[Route, bytes], None]


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """Master keys with salts appended, as RFC 5764 derives them: `rx` opens, `tx` seals."""

    profile: SrtpProfile
    rx: bytes
    tx: bytes


@dataclass(frozen=True, slots=True)
class ExtensionIds:
    """RTP header extension ids negotiated on one m-line; None where not negotiated."""

    mid: int | None = None
    audio_level: int | None = None
    abs_send_time: int | None = None
    transport_cc: int | None = None
    rid: int | None = None
    repaired_rid: int | None = None
    dependency_descriptor: int | None = None


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """One incoming stream. Packets match by `ssrc` where signalled, else by the `mid` extension, else by a payload
    type that only one source of the transport uses. `rtx_payload_type`/`rtx_ssrc` carry retransmissions (RFC 4588).

    An encoding of a simulcast track has a `rid` (RFC 8852): it matches by `mid` and the rid extension, its
    retransmissions by `mid` and the repaired-rid extension. By convention its id is ``<track>/<rid>``, that of a
    track's only encoding ``<track>``."""

    id: str
    kind: Kind
    codec: Codec
    mid: str
    payload_type: int
    rtx_payload_type: int | None
    ssrc: int | None
    rtx_ssrc: int | None
    extensions: ExtensionIds
    nack: bool
    rid: str | None = None
    red_payload_type: int | None = None
    """Sound may come with redundancy as well (RFC 2198), by whole packets, whose blocks have `payload_type`."""


@dataclass(frozen=True, slots=True)
class Layers:
    """The highest spatial and temporal layer to forward; None: all that there are. A source that is not scalable, or
    whose codec does not tell (H.264 without a dependency descriptor), has layer 0 only, which is always forwarded."""

    spatial: int | None = None
    temporal: int | None = None


@dataclass(frozen=True, slots=True)
class Format:
    """The subscriber's payload types for a codec, by its name."""

    codec: str
    payload_type: int
    rtx_payload_type: int | None


@dataclass(frozen=True, slots=True)
class SinkSpec:
    """One outgoing stream: the subscriber's own payload types, ids and SSRCs. `source` is what it shows first."""

    id: str
    source: str
    mid: str
    payload_type: int
    rtx_payload_type: int | None
    ssrc: int
    rtx_ssrc: int | None
    extensions: ExtensionIds
    cname: str
    nack: bool = False
    """The subscriber asks for lost sound as well: the very bytes are sent again, for there is no RTX of it."""
    red_payload_type: int | None = None
    """The subscriber takes redundant sound; whether it gets it is said by `Plane.set_redundancy`."""
    formats: tuple[Format, ...] = ()
    """It may show sources of any of these codecs, each with its own payload types; `payload_type` and
    `rtx_payload_type` are those of the first. Retransmissions are there for all of them or for none."""
    house_clock: bool = False
    """Sender reports tell our clock instead of the publisher's, so that sources of several publishers line up."""


@dataclass(frozen=True, slots=True)
class PlanePacket:
    """What a plane tap sees: one decrypted RTP packet in sequence order (see `sfu.taps.TapPacket` for the fields)."""

    sequence: int
    timestamp: int
    arrival: float
    marker: bool
    keyframe: bool
    lost: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class KeyframeWanted:
    """A subscriber asked (PLI or FIR), or a sink waits for a key frame: it started, resumed, was aimed at this source
    or at more spatial layers of it. Told again now and then while it waits."""

    source: str
    sink: str


@dataclass(frozen=True, slots=True)
class AudioLevel:
    """Loudness since the last drain: `level` in -dBov (0 loudest, 127 silent), `voice` from the RFC 6464 flag."""

    source: str
    level: int
    voice: bool
    time: float


@dataclass(frozen=True, slots=True)
class SenderReportSeen:
    """An RTCP sender report of a source: `ntp` in seconds since 1900, `timestamp` unwrapped in codec clock units."""

    source: str
    ntp: float
    timestamp: int
    arrival: float


@dataclass(frozen=True, slots=True)
class SourceEnded:
    """An RTCP BYE for the source."""

    source: str


@dataclass(frozen=True, slots=True)
class SinkSwitched:
    """A sink shows another source from now on, the one that it was aimed at: its key frame has come."""

    sink: str
    source: str


@dataclass(frozen=True, slots=True)
class BandwidthEstimate:
    """What a subscriber's transport can take by now, in bit/s. Told on change, at most every 100 ms."""

    transport: str
    bits_per_second: float


PlaneEvent = KeyframeWanted | AudioLevel | SenderReportSeen | SourceEnded | SinkSwitched | BandwidthEstimate


@dataclass(frozen=True, slots=True)
class SourceStats:
    """Counters since the source was added. `lost` counts packets given up on, `recovered` those found again in the
    redundancy of later ones; `jitter` in seconds (RFC 3550)."""

    packets: int
    bytes: int
    lost: int
    nacks_sent: int
    retransmissions_received: int
    keyframes: int
    plis_sent: int
    jitter: float
    recovered: int = 0


@dataclass(frozen=True, slots=True)
class SinkStats:
    """Counters since the sink was added. `fraction_lost` (0 to 1) and `round_trip` (seconds) come from receiver
    reports."""

    packets: int
    bytes: int
    nacks_received: int
    retransmissions_sent: int
    fraction_lost: float
    round_trip: float | None


@dataclass(frozen=True, slots=True)
class TransportStats:
    """The sending side of one transport: `estimate` of what it can take and `sent_bitrate`, both in bit/s, the latter
    over about the last second; `pacer_delay` and `round_trip` in seconds; `loss` from 0 to 1; which `feedback` the
    estimate comes from (``none``: it is only where we would start)."""

    estimate: float
    sent_bitrate: float
    pacer_delay: float
    round_trip: float | None
    loss: float
    feedback: Literal["twcc", "remb", "none"]


@dataclass(frozen=True, slots=True)
class PlaneStats:
    """Whole-plane counters; `dropped` by reason (``decrypt``, ``malformed``, ``unknown_ssrc``, ``replay``, ...)."""

    packets_in: int
    packets_out: int
    dropped: dict[str, int]


ALL_LAYERS = Layers()


class Plane(Protocol):
    """See the module text. Every call returns at once; none raises for what came from the network."""

    name: str

    def add_transport(self, transport: str, keys: SrtpKeys, route: Route, group: str = "") -> None:
        """Sinks are fed by sources of transports of the same `group` only: planes with several threads work on whole
        groups."""

    def set_route(self, transport: str, route: Route) -> None:
        """After an ICE restart or a nominated change of address."""

    def remove_transport(self, transport: str) -> None:
        """Removes its sources and sinks too."""

    def add_source(self, transport: str, source: SourceSpec) -> None: ...
    def pause_source(self, source: str, paused: bool) -> None:
        """A paused source is read and dropped: nothing reaches sinks or taps."""

    def remove_source(self, source: str) -> None: ...
    def add_sink(self, transport: str, sink: SinkSpec) -> None: ...
    def pause_sink(self, sink: str, paused: bool) -> None: ...
    def aim_sink(self, sink: str, source: str, layers: Layers = ALL_LAYERS) -> None:
        """What the sink shows next. It is not told apart by its subscriber: SSRC, sequence, timestamp, VP8 and VP9
        picture ids go on, and layers that are left out leave no gap.

        Another source: the sink goes on with the present one until a key frame of the new one
        comes (see `KeyframeWanted`), then switches (`SinkSwitched`). It need not be there yet.
        The same source: layers go down at the next frame; temporal ones up at a frame that allows it, spatial ones up
        at a key frame or at another frame that does not depend on what the sink has not had.
        Raises ValueError for a source of another codec, unless it is one of the sink's `formats`.
        """

    def remove_sink(self, sink: str) -> None: ...
    def set_tap(self, source: str, tap: Callable[[Sequence[PlanePacket]], None] | None) -> None: ...
    def request_keyframe(self, source: str, now: float) -> bool:
        """Sends a PLI unless one went out too recently; then a later `tick` sends it. True if sent now."""

    def set_bitrate(self, transport: str, bits_per_second: int | None) -> None:
        """The most a publisher should send, told by REMB; None leaves it to the plane's own loss-driven estimate."""

    def receive(self, transport: str, datagram: bytes, now: float) -> None:
        """One SRTP or SRTCP datagram from the transport's validated address."""

    def tick(self, now: float) -> None:
        """Timers: NACK retries, reports, REMB, delayed PLIs, reorder deadlines. Call every 20 ms or so."""

    def drain(self) -> list[PlaneEvent]: ...
    def layer_rates(self, source: str) -> dict[tuple[int, int], float]:
        """Payload bit/s of each (spatial, temporal) layer alone over about the last second; (0, 0) is all where the
        source is not scalable, and (0, 1) of sound its redundancy. Empty for one that is not there or sends nothing."""

    def set_wanted_bitrate(self, transport: str, bits_per_second: float) -> None:
        """What would be sent if the subscriber could take it: the plane probes up to it, never beyond."""

    def set_redundancy(self, transport: str, wanted: bool) -> None:
        """Whether sound goes out with the redundancy that it came with, to sinks that take it; at first it does not."""

    def transport_stats(self, transport: str) -> TransportStats | None: ...
    def source_stats(self, source: str) -> SourceStats | None: ...
    def sink_stats(self, sink: str) -> SinkStats | None: ...
    def stats(self) -> PlaneStats: ...
