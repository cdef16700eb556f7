"""What a listener without a network sees of a room: tracks and decrypted packets, in order.

Captioning and the recorder are taps. They get packets under the same rules as people do (muted
tracks send nothing), but after retransmission and reordering, by reference, never copied per tap.
All times are room time: milliseconds since the room opened (`RoomClock`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

Kind = Literal["audio", "video"]
VideoCodec = Literal["VP9", "H264"]
"""What pictures may be wanted in: both go into MP4, and every browser that can send one of them sends it."""
TrackSource = Literal["microphone", "camera", "screen", "screen-audio"]


class RoomClock(Protocol):
    """Milliseconds since the room opened; never goes backwards."""

    def now(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Codec:
    """A negotiated codec. `name` is the SDP's encoding name in upper case: OPUS, VP9, H264, VP8 or AV1."""

    name: str
    clock_rate: int
    channels: int = 1
    parameters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrackInfo:
    """One published track. `id` is unique within the server's life; `participant` is signaling's id, opaque here."""

    id: str
    participant: str
    kind: Kind
    source: TrackSource
    codec: Codec


@dataclass(frozen=True, slots=True)
class TapPacket:
    """One RTP packet's content, decrypted, header and padding stripped.

    `sequence` and `timestamp` are unwrapped (they never wrap around); `timestamp` is in codec clock units.
    `room_ms` is when it arrived, `media_ms` when it was captured, mapped by RTCP sender reports so that
    tracks of one participant line up. `lost` counts packets given up on just before this one.
    `keyframe` is true on the first packet of a video key frame (VP9, H264, VP8 and AV1), true for all audio.
    """

    track: str
    sequence: int
    timestamp: int
    room_ms: float
    media_ms: float
    marker: bool
    keyframe: bool
    lost: int
    payload: bytes


class Tap(Protocol):
    """Called on the server's event loop; must return quickly and never raise for bad media."""

    def track_opened(self, track: TrackInfo, room_ms: float) -> None: ...

    def packets(self, packets: Sequence[TapPacket]) -> None:
        """A batch, in sequence order within each track."""

    def track_muted(self, track: str, muted: bool, room_ms: float) -> None: ...

    def track_closed(self, track: str, room_ms: float) -> None: ...
