"""RTP payloads into whole frames: VP9 (RFC 9628), H.264 (RFC 6184), VP8 (RFC 7741), AV1 (AOM), Opus (RFC 7587).

Pure: packets in sequence order go in, decodable frames come out. After a gap or a frame that does not parse, everything
up to the next key frame is dropped, because a decoder could only show damage; `waiting` is then true and a key frame
worth asking for.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
from dataclasses import dataclass

from recorder.bitstream import (
    Bits,
    BitstreamError,
    CodecConfig,
    av1_config,
    av1_obus,
    h264_config,
    leb128,
    leb128_bytes,
    opus_config,
    opus_duration,
    vp8_config,
    vp9_config,
    vp9_superframe,
)
from sfu.taps import Codec, TapPacket

MAX_FRAME = 4 * 1024 * 1024
"""Bytes. A 4K key frame stays well below."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One decodable frame as an MP4 or Matroska sample. `timestamp` in codec clock units, unwrapped.

    `config` is set on every key frame (and on every Opus packet).
    """

    timestamp: int
    media_ms: float
    key: bool
    config: CodecConfig | None
    data: bytes


class Depacketiser:
    """Base: sequence, timestamp and gap handling. Subclasses say how payloads make one frame."""

    def __init__(self) -> None:
        self.waiting = True
        self.dropped = 0
        self._sequence: int | None = None
        self._timestamp = 0
        self._media_ms = 0.0
        self._size = 0
        self._open = False
        self._broken = False

    def push(self, packet: TapPacket) -> list[Frame]:
        """Frames that this packet completes: none, one, or (a marker was missing) two."""
        frames: list[Frame] = []
        if self._sequence is not None:
            if packet.sequence <= self._sequence:
                return frames
            if packet.sequence != self._sequence + 1:
                self._fail()
        self._sequence = packet.sequence
        if not packet.payload:  # padding, sent to probe bandwidth
            return frames
        if self._open and packet.timestamp != self._timestamp:
            self._close(frames)
        if not self._open:
            self._open, self._broken, self._size = True, False, 0
            self._timestamp, self._media_ms = packet.timestamp, packet.media_ms
            self._start()
        self._size += len(packet.payload)
        if self._size > MAX_FRAME:
            self._fail()
        if not self._broken:
            try:
                self._add(packet.payload)
            except (BitstreamError, IndexError):
                self._fail()
        if packet.marker:
            self._close(frames)
        return frames

    def _fail(self) -> None:
        self.waiting = self._broken = True

    def _close(self, frames: list[Frame]) -> None:
        self._open = False
        if self._broken:
            self.dropped += 1
            return
        try:
            key, config, data = self._finish()
        except (BitstreamError, IndexError):
            self.waiting = True
            self.dropped += 1
            return
        if self.waiting and not key:
            self.dropped += 1
            return
        self.waiting = False
        frames.append(Frame(self._timestamp, self._media_ms, key, config, data))

    def _start(self) -> None:
        raise NotImplementedError

    def _add(self, payload: bytes) -> None:
        raise NotImplementedError

    def _finish(self) -> tuple[bool, CodecConfig | None, bytes]:
        raise NotImplementedError


class Vp9(Depacketiser):
    """RFC 9628, with spatial layers of one picture put into a superframe."""

    def _start(self) -> None:
        self._frames: list[bytearray] = []
        self._ended = True
        self._size_told: tuple[int, int] | None = None

    def _add(self, payload: bytes) -> None:
        flags = payload[0]
        offset = 1
        if flags & 0x80:
            offset += 2 if payload[offset] & 0x80 else 1
        if flags & 0x20:
            offset += 1 if flags & 0x10 else 2
        if flags & 0x50 == 0x50:
            for _ in range(3):
                offset += 1
                if not payload[offset - 1] & 1:
                    break
        if flags & 0x02:
            offset = self._structure(payload, offset)
        if offset >= len(payload):
            raise BitstreamError("VP9 packet without a payload")
        if flags & 0x08:
            if not self._ended:
                raise BitstreamError("VP9 frame was not ended")
            self._frames.append(bytearray())
        if not self._frames:
            raise BitstreamError("VP9 frame was not begun")
        self._frames[-1] += payload[offset:]
        self._ended = bool(flags & 0x04)

    def _structure(self, payload: bytes, offset: int) -> int:
        head = payload[offset]
        offset += 1
        layers = (head >> 5) + 1
        if head & 0x10:
            last = payload[offset + 4 * (layers - 1) : offset + 4 * layers]
            self._size_told = (int.from_bytes(last[:2], "big"), int.from_bytes(last[2:], "big"))
            offset += 4 * layers
        if head & 0x08:
            count = payload[offset]
            offset += 1
            for _ in range(count):
                offset += 1 + (payload[offset] >> 2 & 3)
        return offset

    def _finish(self) -> tuple[bool, CodecConfig | None, bytes]:
        if not self._frames or not self._ended:
            raise BitstreamError("VP9 frame was not ended")
        config = vp9_config(bytes(self._frames[0][:24]))
        if config and len(self._frames) > 1 and self._size_told and all(self._size_told):
            config = dataclasses.replace(config, width=self._size_told[0], height=self._size_told[1])
        return config is not None, config, vp9_superframe([bytes(frame) for frame in self._frames])


class Vp8(Depacketiser):
    """RFC 7741."""

    def _start(self) -> None:
        self._data = bytearray()

    def _add(self, payload: bytes) -> None:
        offset = 1
        if payload[0] & 0x80:
            extension = payload[1]
            offset = 2
            if extension & 0x80:
                offset += 2 if payload[offset] & 0x80 else 1
            if extension & 0x40:
                offset += 1
            if extension & 0x30:
                offset += 1
        begins = payload[0] & 0x10 and not payload[0] & 0x07
        if bool(self._data) == bool(begins) or offset >= len(payload):
            raise BitstreamError("VP8 partition out of place")
        self._data += payload[offset:]

    def _finish(self) -> tuple[bool, CodecConfig | None, bytes]:
        data = bytes(self._data)
        config = vp8_config(data)
        return config is not None, config, data


class H264(Depacketiser):
    """RFC 6184, packetisation mode 1 (single NAL unit, STAP-A, FU-A). Samples are length-prefixed (AVCC).

    Parameter sets go into the config, which changes when they do, and before each key frame as well: a player that
    reads on over a change of the init segment (libavformat does) still finds them.
    """

    def __init__(self, parameter_sets: str = "") -> None:
        """`parameter_sets` as in the SDP (sprop-parameter-sets)."""
        super().__init__()
        self._units: list[bytes] = []
        self._sps = b""
        self._pps: dict[int, bytes] = {}
        self._config: CodecConfig | None = None
        for text in parameter_sets[:1000].split(","):
            with contextlib.suppress(ValueError, IndexError):  # BitstreamError is a ValueError
                self._unit(base64.b64decode(text, validate=True))

    def _start(self) -> None:
        self._units = []
        self._fragment: bytearray | None = None

    def _add(self, payload: bytes) -> None:
        kind = payload[0] & 0x1F
        if self._fragment is not None and kind != 28:
            raise BitstreamError("FU-A was not ended")
        if 1 <= kind <= 23:
            self._unit(payload)
        elif kind == 24:
            offset = 1
            while offset < len(payload):
                size = int.from_bytes(payload[offset : offset + 2], "big")
                unit = payload[offset + 2 : offset + 2 + size]
                if not size or len(unit) != size:
                    raise BitstreamError("bad STAP-A")
                self._unit(unit)
                offset += 2 + size
        elif kind == 28:
            head = payload[1]
            if head & 0x80:
                self._fragment = bytearray((payload[0] & 0xE0 | head & 0x1F,))
            if self._fragment is None:
                raise BitstreamError("FU-A was not begun")
            self._fragment += payload[2:]
            if head & 0x40:
                unit, self._fragment = bytes(self._fragment), None
                self._unit(unit)
        else:
            raise BitstreamError("H.264 packet type that was not negotiated")

    def _unit(self, unit: bytes) -> None:
        kind = unit[0] & 0x1F
        if kind == 7:
            if unit != self._sps:
                self._sps, self._config = unit, None
                self._pps.clear()
        elif kind == 8:
            identifier = Bits(unit[1:9]).golomb()
            if identifier < 256 and self._pps.get(identifier) != unit:
                self._pps[identifier], self._config = unit, None
        elif kind in (1, 2, 3, 4, 5):
            self._units.append(unit)

    def _finish(self) -> tuple[bool, CodecConfig | None, bytes]:
        if not self._units or self._fragment is not None:
            raise BitstreamError("no whole picture")
        key = any(unit[0] & 0x1F == 5 for unit in self._units)
        if key and not self._units[0][1] & 0x80:  # first_mb_in_slice is not 0
            raise BitstreamError("the picture's first slice is missing")
        if key and self._config is None:
            self._config = h264_config(self._sps, list(self._pps.values()))
        sets = [self._sps, *self._pps.values()] if key else []
        data = b"".join(len(unit).to_bytes(4, "big") + unit for unit in [*sets, *self._units])
        return key, self._config if key else None, data


class Av1(Depacketiser):
    """AV1 RTP payload, section 4: OBU elements into a temporal unit of OBUs with sizes, without delimiters."""

    def _start(self) -> None:
        self._units: list[bytearray] = []
        self._continues = False

    def _add(self, payload: bytes) -> None:
        head = payload[0]
        count = head >> 4 & 3
        if bool(head & 0x80) != self._continues:
            raise BitstreamError("AV1 OBU fragment is missing")
        offset = 1
        index = 0
        while offset < len(payload):
            index += 1
            if index == count:
                size = len(payload) - offset
            else:
                size, offset = leb128(payload, offset)
            if offset + size > len(payload) or (count and index > count):
                raise BitstreamError("bad AV1 OBU element")
            element = payload[offset : offset + size]
            if index == 1 and self._continues:
                self._units[-1] += element
            else:
                self._units.append(bytearray(element))
            offset += size
        if not index or len(self._units) > 1024:
            raise BitstreamError("bad AV1 aggregation")
        self._continues = bool(head & 0x40)

    def _finish(self) -> tuple[bool, CodecConfig | None, bytes]:
        if self._continues:
            raise BitstreamError("AV1 OBU was not ended")
        parts: list[bytes] = []
        for unit in self._units:
            if not unit or unit[0] >> 3 & 15 in (2, 8, 15):  # temporal delimiter, tile list, padding
                continue
            body = 2 if unit[0] & 4 else 1
            head = bytes((unit[0] | 2,)) + bytes(unit[1:body])
            if unit[0] & 2:
                size, body = leb128(bytes(unit[: body + 8]), body)
                if body + size > len(unit):
                    raise BitstreamError("OBU is cut short")
                unit = unit[: body + size]
            content = bytes(unit[body:])
            parts.append(head + leb128_bytes(len(content)) + content)
        data = b"".join(parts)
        if not data:
            raise BitstreamError("empty AV1 temporal unit")
        config = av1_config(data)
        frame = next((body for kind, body in av1_obus(data) if kind in (3, 6)), b"")
        key = config is not None and bool(frame) and not frame[0] & 0xE0  # not shown again, frame_type 0
        return key, config if key else None, data


class Opus(Depacketiser):
    """RFC 7587: a packet is a frame. Loss needs no waiting: the gap is heard as silence."""

    def __init__(self, channels: int = 2) -> None:
        super().__init__()
        self._config = opus_config(channels)

    def push(self, packet: TapPacket) -> list[Frame]:
        if self._sequence is not None and packet.sequence <= self._sequence:
            return []
        self._sequence = packet.sequence
        try:
            opus_duration(packet.payload)
        except BitstreamError:
            self.dropped += 1
            return []
        return [Frame(packet.timestamp, packet.media_ms, True, self._config, packet.payload)]


def depacketiser(codec: Codec) -> Depacketiser | None:
    """The one for a negotiated codec; None for a codec we do not know."""
    kinds: dict[str, type[Depacketiser]] = {"VP9": Vp9, "VP8": Vp8, "H264": H264, "AV1": Av1, "OPUS": Opus}
    kind = kinds.get(codec.name.upper())
    if kind is H264:
        return H264(codec.parameters.get("sprop-parameter-sets", ""))
    return kind() if kind else None
